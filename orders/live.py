"""The private projector: orders, fills and balances of the accounts somebody listens to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import redis as redis_module
from django.conf import settings
from django.utils.module_loading import import_string

from common.ws import topics
from common.ws.frames import (
    UPDATE,
    AccountPosition,
    PrivateFrame,
    body,
    encode_private,
    to_json,
)
from common.ws.notices import decode_notice
from common.ws.projecting import Output
from exchange.core.events import (
    AnyEvent,
    BalanceChanged,
    OrderChanged,
    PositionChanged,
    PositionClosed,
    TradeExecuted,
)
from orders.render import render_fill, render_order
from wallets.render import render_balance

if TYPE_CHECKING:
    from exchange.events_stream import BatchEvents

# Frames of an account kept for from_seq, and for how long after the last of them.
RING_FRAMES_MAX = 1_000
RING_MS = 300_000
# An account stays watched this long after the last request (listeners repeat theirs every
# minute), so that a client that comes back within it can resume.
WATCH_MS = 300_000
REFRESH_MS = 5_000
REQUESTS_MAX = 1_000
# Notices of one flush.
NOTICES_MAX = 1_000


@dataclass(slots=True)
class WatchedAccount:
    """Where an account's stream stands: one sequence, and the last one on each channel."""

    seq: int = 0
    channel_seqs: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(sorted(topics.PRIVATE_KINDS), 0)
    )


class PrivateProjector:
    """
    Numbers and renders what happens to watched accounts.

    Nobody listens to most accounts, and rendering is what costs, so a process that gets a
    listener first asks for its account and waits for the position from which on everything
    is sent. Sequences go on for as long as the epoch lasts; while an account is not watched
    its sequence skips one, so that nobody resumes across what was not recorded.
    """

    def __init__(self, redis: redis_module.Redis) -> None:
        """Take the client over which requests to watch arrive."""
        self._redis = redis
        # What apps above this one tell of an event: account, channel and data.
        self._others = [import_string(path) for path in settings.PRIVATE_FRAMES]
        self._watched: dict[int, WatchedAccount] = {}
        self._left: dict[int, WatchedAccount] = {}
        self._frames: list[tuple[int, str, dict[str, Any], int]] = []
        self._epoch = 0
        self._refreshed_ms = 0

    def start(self, epoch: int, time_ms: int) -> None:
        """Begin all sequences again, for the accounts that were watched before."""
        self._epoch = epoch
        self._watched = {
            int(account_id): WatchedAccount() for account_id in self._listened_to(time_ms)
        }
        self._left.clear()
        self._frames.clear()
        self._refreshed_ms = time_ms

    def apply(self, batch: BatchEvents) -> None:
        """Keep what concerns a watched account, in the order in which it happened."""
        if self._watched:
            for event in batch.events:
                self._take(event, batch.time_ms)

    def _take(self, event: AnyEvent, time_ms: int) -> None:
        watched, frames = self._watched, self._frames
        if isinstance(event, OrderChanged):
            if event.account_id in watched:
                frames.append((event.account_id, topics.ORDERS, render_order(event), time_ms))
        elif isinstance(event, TradeExecuted):
            for account_id in {event.taker_account_id, event.maker_account_id}:
                if account_id in watched:
                    data = render_fill(event, account_id)
                    frames.append((account_id, topics.FILLS, data, time_ms))
        elif isinstance(event, BalanceChanged):
            if event.account_id in watched:
                frames.append((event.account_id, topics.BALANCES, render_balance(event), time_ms))
        elif isinstance(event, PositionChanged | PositionClosed) and event.account_id in watched:
            for frames_of in self._others:
                frames.extend((*frame, time_ms) for frame in frames_of(event))

    def flush(self, out: Output) -> None:
        """Publish the frames, put them into the rings, then answer requests to watch."""
        self._take_notices(out.time_ms)
        rings: dict[int, list[bytes]] = {}
        for account_id, channel, data, time_ms in self._frames:
            frame = self._number(account_id, channel, data, time_ms)
            out.private.append(frame)
            rings.setdefault(account_id, []).append(encode_private(frame))
        self._frames.clear()
        for account_id, entries in rings.items():
            key = topics.ring_key(self._epoch, account_id)
            out.commands.append(("RPUSH", key, *entries))
            out.commands.append(("LTRIM", key, -RING_FRAMES_MAX, -1))
            out.commands.append(("PEXPIRE", key, RING_MS))
        # Everything before this moment is committed: who asked reads it from the database.
        requests = self._requests()
        if requests:
            seen = [part for account_id in requests for part in (out.time_ms, account_id)]
            out.commands.append(("ZADD", topics.watched_key(), *seen))
        for account_id in requests:
            account = self._watch(account_id)
            out.positions.append(
                AccountPosition(account_id, account.seq, dict(account.channel_seqs))
            )
        if out.time_ms - self._refreshed_ms >= REFRESH_MS:
            self._refresh(out.time_ms)

    def close(self) -> None:
        """Hold nothing that needs to be closed."""

    def _number(
        self, account_id: int, channel: str, data: dict[str, Any], time_ms: int
    ) -> PrivateFrame:
        account = self._watched[account_id]
        account.seq += 1
        prev, account.channel_seqs[channel] = account.channel_seqs[channel], account.seq
        text = body(
            epoch=self._epoch,
            seq=account.seq,
            prev=prev,
            kind=UPDATE,
            time_ms=time_ms,
            data=to_json(data),
        )
        return PrivateFrame(account_id, channel, account.seq, prev, text)

    def _take_notices(self, time_ms: int) -> None:
        """Take what other processes tell accounts; nobody is told who does not listen."""
        found: Any = self._redis.lpop(topics.notices_key(), NOTICES_MAX)
        for raw in found or ():
            account_id, channel, data = decode_notice(raw)
            told = [account_id] if account_id else sorted(self._watched)
            self._frames.extend(
                (account, channel, data, time_ms) for account in told if account in self._watched
            )

    def _requests(self) -> list[int]:
        found: Any = self._redis.lpop(topics.watch_requests_key(), REQUESTS_MAX)
        return sorted({int(account_id) for account_id in found or ()})

    def _watch(self, account_id: int) -> WatchedAccount:
        account = self._watched.get(account_id)
        if account is None:
            account = self._left.pop(account_id, None) or WatchedAccount()
            self._watched[account_id] = account
        return account

    def _refresh(self, time_ms: int) -> None:
        listened_to = self._listened_to(time_ms)
        for account_id in self._watched.keys() - listened_to:
            account = self._left[account_id] = self._watched.pop(account_id)
            account.seq += 1
        self._refreshed_ms = time_ms

    def _listened_to(self, time_ms: int) -> set[int]:
        key = topics.watched_key()
        self._redis.zremrangebyscore(key, 0, time_ms - WATCH_MS)
        members: Any = self._redis.zrange(key, 0, -1)
        return {int(account_id) for account_id in members}
