"""What the runner sends after a commit: answers, events, and word that it lives."""

from __future__ import annotations

from collections import deque

import msgspec

from exchange import keys
from exchange.events_stream import BatchEvents, BookImage, encode_batch_events
from exchange.link import Arguments, Link, RedisError, Reply
from exchange.processor import Committed
from exchange.store.base import LeaseLostError
from exchange.wire import StatusMessage, encode

# A leader that says nothing for this long is taken to be away.
STATUS_TTL_MS = 2_000
# Bounds of the events stream: a projector that fell further behind starts from rows.
EVENTS_BYTES_MAX = 64 * 1024 * 1024
EVENTS_ENTRIES_MAX = 50_000

# Carries out commands, each preceded by its number of words, unless a later leader has spoken.
# One script, so that a process cannot be stopped between the question and what follows it.
_UNLESS_REPLACED = """
local highest = tonumber(redis.call('GET', KEYS[1]) or '0')
local mine = tonumber(ARGV[1])
if highest > mine then return redis.error_reply('REPLACED by epoch ' .. highest) end
if highest < mine then redis.call('SET', KEYS[1], ARGV[1]) end
local replies, at = {}, 2
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  replies[#replies + 1] = redis.call(unpack(ARGV, at + 1, last))
  at = last + 1
end
return replies
"""
_REPLACED = "REPLACED"


class Publisher:
    """
    Sends through one link under an epoch; a failure means that receivers missed something.

    The database keeps a replaced leader from committing. What it still has to say (the answers
    of its last batch, that it lives) would nevertheless reach gateways and projectors when it
    wakes up, so Redis refuses it too.
    """

    def __init__(self, link: Link, epoch: int) -> None:
        """Publish through a link what the leader of an epoch says."""
        self._link = link
        self._epoch = epoch
        self._kept: deque[tuple[bytes, int]] = deque()
        self._kept_bytes = 0

    def publish(self, committed: Committed, images: list[BookImage], *, reset: bool) -> None:
        """
        Answer every gateway of a batch in one message each, and append its events.

        Raises:
            LeaseLostError: if a later leader has spoken; nothing was sent.
            RedisError: if Redis is away; what was sent is unknown.
        """
        commands: list[Arguments] = [
            ("PUBLISH", reply_to, encode(answers))
            for reply_to, answers in committed.answers.items()
            if reply_to
        ]
        events = committed.events
        if images or reset:
            events = msgspec.structs.replace(events, book_images=images, reset=reset)
        data = encode_batch_events(events)
        commands.append(self._append(data))
        stream_id = self._send(commands)[-1]
        self._keep(stream_id, len(data))

    def publish_books(self, last: BatchEvents, images: list[BookImage]) -> None:
        """Append images alone, under the number of the last batch."""
        events = msgspec.structs.replace(
            last, events=[], book_images=images, reset=False, request_ids=[]
        )
        data = encode_batch_events(events)
        self._keep(self._send([self._append(data)])[0], len(data))

    def publish_status(self, status: StatusMessage) -> bool:
        """Say that the leader lives; returns whether somebody asked for images of all books."""
        replies = self._send(
            [
                ("SET", keys.status(), encode(status), "PX", STATUS_TTL_MS),
                ("GET", keys.books_wanted()),
                ("DEL", keys.books_wanted()),
            ]
        )
        return bool(replies[1])

    def withdraw_status(self) -> None:
        """Say that nobody leads."""
        self._send([("DEL", keys.status())])

    def _send(self, commands: list[Arguments]) -> list[Reply]:
        words: list[str | bytes | int] = [self._epoch]
        for command in commands:
            words += [len(command), *command]
        try:
            replies: list[Reply] = self._link.call(
                "EVAL", _UNLESS_REPLACED, 1, keys.leader_epoch(), *words
            )
        except RedisError as error:
            if str(error).startswith(_REPLACED):
                raise LeaseLostError(f"epoch {self._epoch} was replaced: {error}") from error
            raise
        return replies

    def _append(self, data: bytes) -> Arguments:
        # Trimmed by bytes: a batch of one order has 300 of them, a full one 150,000.
        command: list[str | bytes | int] = ["XADD", keys.events()]
        while self._kept and (
            self._kept_bytes > EVENTS_BYTES_MAX or len(self._kept) > EVENTS_ENTRIES_MAX
        ):
            self._kept_bytes -= self._kept.popleft()[1]
        if self._kept:
            command += ["MINID", "~", self._kept[0][0]]
        return [*command, "*", "d", data]

    def _keep(self, stream_id: bytes, size: int) -> None:
        self._kept.append((stream_id, size))
        self._kept_bytes += size
