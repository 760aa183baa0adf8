"""
What waits for the runner: both lanes of the stream, read ahead, in the order of processing.

The stream is transport only. Offsets live in the database; entries are trimmed once what
they carried is committed.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field, replace

import msgspec
import structlog

from exchange import keys
from exchange.batch import Item, Offsets
from exchange.core.commands import ContinueTask, UpdateIndexPrices
from exchange.core.enums import Lane
from exchange.core.rejects import Code
from exchange.link import Link, RedisError
from exchange.position import Position
from exchange.wire import (
    COMMAND_AGE_MAX_MS,
    Submission,
    decode_packet,
    decode_raw_packet,
    decode_submission,
    offset_before,
    offset_key,
)

logger = structlog.get_logger(__name__)

ENTRIES_PER_READ = 1_000
# Gateways stop at 10,000; a client that does not is read no further than this.
READ_AHEAD_COMMANDS = 20_000


@dataclass(slots=True)
class Entry:
    """One entry of a lane; ``taken`` of its submissions are consumed."""

    stream_id: str
    count: int
    data: bytes
    taken: int = 0
    items: list[Item] | None = None


@dataclass(slots=True)
class _LaneState:
    lane: Lane
    offset: str
    taken: int
    read_after: str
    entries: deque[Entry] = field(default_factory=deque)
    waiting: int = 0


class Lanes:
    """Reads both lanes and hands out their submissions, the system lane first."""

    def __init__(self, link: Link) -> None:
        """Read through a link; ``reset`` says from where."""
        self._link = link
        self.stream_epoch = 0
        self._states: dict[Lane, _LaneState] = {}
        self._marks: list[tuple[Lane, str, int]] = []
        self._redis_ahead_ms = 0.0

    def lag(self, lane: Lane) -> int:
        """Return how many submissions of a lane were read and are not consumed."""
        return self._states[lane].waiting if self._states else 0

    def age_ms(self, lane: Lane) -> int:
        """Return how long the oldest submission of a lane that is not consumed has waited."""
        entries = self._states[lane].entries if self._states else ()
        return max(0, round(self._age_ms(entries[0]))) if entries else 0

    @property
    def has_items(self) -> bool:
        """Whether something waits."""
        return any(state.entries for state in self._states.values())

    def reset(self, position: Position) -> None:
        """Forget what was read and start again behind the committed position."""
        self.stream_epoch = position.stream_epoch
        self._marks = []
        self._states = {
            lane: _LaneState(lane, offset, taken, offset_before(offset) if taken else offset)
            for lane, offset, taken in (
                (Lane.SYSTEM, position.system_offset, position.system_taken),
                (Lane.ORDERS, position.orders_offset, position.orders_taken),
            )
        }

    def offsets(self) -> Offsets:
        """Return how far both lanes are consumed."""
        system, orders = self._states[Lane.SYSTEM], self._states[Lane.ORDERS]
        return Offsets(self.stream_epoch, system.offset, system.taken, orders.offset, orders.taken)

    def are_intact(self) -> bool:
        """
        Tell whether Redis still has both streams, at least as far as they are committed.

        A Redis that lost its data gives out ids again that the offsets have passed already.
        """
        for state in self._states.values():
            try:
                reply = self._link.call("XINFO", "STREAM", keys.lane(state.lane, self.stream_epoch))
            except RedisError as error:
                if "no such key" in str(error):
                    return False
                raise
            facts = dict(zip(reply[::2], reply[1::2], strict=True))
            last_id = facts[b"last-generated-id"].decode()
            if offset_key(last_id) < offset_key(state.offset):
                return False
        return True

    def create(self) -> None:
        """Create the streams of the current epoch, empty, where they are missing."""
        for lane in self._states:
            key = keys.lane(lane, self.stream_epoch)
            # A group is the one way to make an empty stream; it is not used.
            self._link.call_all(
                [
                    ("XGROUP", "CREATE", key, "create", "0", "MKSTREAM"),
                    ("XGROUP", "DESTROY", key, "create"),
                ]
            )

    def read(self, block_ms: int) -> None:
        """
        Read ahead whatever waits, for up to ``block_ms`` when nothing does (0: not at all).

        Raises:
            RedisError: if Redis is away or a stream is gone.
        """
        lanes = [state for state in self._states.values() if state.waiting < READ_AHEAD_COMMANDS]
        if not lanes:
            return
        command: list[str | bytes | int] = ["XREAD", "COUNT", ENTRIES_PER_READ]
        if block_ms:
            command += ["BLOCK", block_ms]
        command.append("STREAMS")
        command += [keys.lane(state.lane, self.stream_epoch) for state in lanes]
        command += [state.read_after for state in lanes]
        by_key = {keys.lane(state.lane, self.stream_epoch).encode(): state for state in lanes}
        streams, redis_time = self._link.call_all([command, ("TIME",)])
        redis_ms = int(redis_time[0]) * 1_000 + int(redis_time[1]) // 1_000
        self._redis_ahead_ms = redis_ms - time.monotonic() * 1_000
        for key, entries in streams or ():
            for stream_id, fields in entries:
                self._add(by_key[key], stream_id.decode(), fields)

    def take(self, limit: int) -> list[Item]:
        """Return up to ``limit`` submissions in the order of processing; consumes nothing."""
        items: list[Item] = []
        self._marks = []
        for lane in (Lane.SYSTEM, Lane.ORDERS):
            for entry in self._states[lane].entries:
                if len(items) >= limit:
                    break
                self._take_entry(lane, entry, items)
        _supersede_index_prices(items)
        return items

    def offsets_after(self, consumed: int) -> Offsets:
        """Return the offsets once the first ``consumed`` of the last ``take`` are committed."""
        offsets = self.offsets()
        for lane in (Lane.SYSTEM, Lane.ORDERS):
            for mark_lane, stream_id, taken in reversed(self._marks[:consumed]):
                if mark_lane is lane:
                    if lane is Lane.SYSTEM:
                        offsets = replace(offsets, system_offset=stream_id, system_taken=taken)
                    else:
                        offsets = replace(offsets, orders_offset=stream_id, orders_taken=taken)
                    break
        return offsets

    def advance(self, consumed: int) -> None:
        """Consume the first ``consumed`` of the last ``take``: they are committed."""
        for lane, stream_id, taken in self._marks[:consumed]:
            state = self._states[lane]
            state.offset, state.taken = stream_id, taken
            state.waiting -= 1
            entry = state.entries[0]
            entry.taken += 1
            if not taken:
                state.entries.popleft()
        self._marks = []

    def trim(self) -> None:
        """Drop entries that are consumed."""
        self._link.call_all(
            [
                ("XTRIM", keys.lane(state.lane, self.stream_epoch), "MINID", state.offset)
                for state in self._states.values()
            ]
        )

    def _add(self, state: _LaneState, stream_id: str, fields: list[bytes]) -> None:
        state.read_after = stream_id
        values = dict(zip(fields[::2], fields[1::2], strict=True))
        entry = Entry(stream_id, int(values.get(b"n", 0)), values.get(b"d", b""))
        if stream_id == state.offset:
            entry.taken = state.taken
        if entry.count > entry.taken:
            state.entries.append(entry)
            state.waiting += entry.count - entry.taken

    def _take_entry(self, lane: Lane, entry: Entry, items: list[Item]) -> None:
        if entry.items is None:
            entry.items = decode_entry(entry, lane)
        age_ms = self._age_ms(entry)
        void = age_ms > COMMAND_AGE_MAX_MS
        for index in range(entry.taken, len(entry.items)):
            item = entry.items[index]
            wanted_ms = item.submission.age_max_ms
            if (void or (wanted_ms and age_ms > wanted_ms)) and item.verdict is None:
                item = replace(item, verdict=Code.EXPIRED_IN_QUEUE)
            items.append(item)
            last = index + 1 == len(entry.items)
            self._marks.append((lane, entry.stream_id, 0 if last else index + 1))

    def _age_ms(self, entry: Entry) -> float:
        now_ms = time.monotonic() * 1_000 + self._redis_ahead_ms
        return now_ms - offset_key(entry.stream_id)[0]


def decode_entry(entry: Entry, lane: Lane) -> list[Item]:
    """
    Return the submissions of an entry, always ``entry.count`` of them.

    What this code cannot decode (a newer gateway's command) is answered as an unsupported
    version, each on its own.
    """
    try:
        packet = decode_packet(entry.data)
        items = [Item(submission, lane, packet.reply_to) for submission in packet.submissions]
    except msgspec.DecodeError as error:
        logger.error("packet_not_understood", stream_id=entry.stream_id, error=str(error))
        items = _decode_singly(entry, lane)
    if len(items) != entry.count:
        logger.error("packet_count_differs", stream_id=entry.stream_id, count=entry.count)
        items = (items + [_unknown(lane)] * entry.count)[: entry.count]
    return items


def _decode_singly(entry: Entry, lane: Lane) -> list[Item]:
    try:
        packet = decode_raw_packet(entry.data)
    except msgspec.DecodeError:
        return [_unknown(lane)] * entry.count
    items = []
    for raw in packet.submissions:
        try:
            items.append(Item(decode_submission(raw), lane, packet.reply_to))
        except msgspec.DecodeError:
            items.append(_unknown(lane, _command_id(raw), packet.reply_to))
    return items


def _command_id(raw: msgspec.Raw) -> str:
    try:
        parts = msgspec.msgpack.decode(raw)
    except msgspec.DecodeError:
        return ""
    return parts[0] if isinstance(parts, list) and parts and isinstance(parts[0], str) else ""


def _unknown(lane: Lane, command_id: str = "", reply_to: str = "") -> Item:
    # The command only fills the place: the verdict answers without looking at it.
    submission = Submission(command_id, ContinueTask())
    return Item(submission, lane, reply_to, Code.UNSUPPORTED_VERSION)


def _supersede_index_prices(items: list[Item]) -> None:
    """Answer price updates whose markets are all priced again further back: the latest wins."""
    newer: set[int] = set()
    for index in range(len(items) - 1, -1, -1):
        item = items[index]
        if item.lane is not Lane.SYSTEM or item.verdict is not None:
            continue
        command = item.submission.command
        if isinstance(command, UpdateIndexPrices):
            markets = {market_id for market_id, _ in command.prices}
            markets.update(command.degraded, command.missing)
            if markets <= newer:
                items[index] = replace(item, verdict=Code.OK)
            newer |= markets
