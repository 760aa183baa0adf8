"""Private streams of one process: accounts somebody is connected for, and their frames."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import redis as redis_module
import redis.asyncio as redis_asyncio

from common.ws import topics
from common.ws.clock import now_ms
from common.ws.frames import (
    HEARTBEAT,
    RESET,
    SNAPSHOT,
    AccountPosition,
    PrivateFrame,
    body,
    decode_private,
    prefix,
)
from common.ws.outbox import Outbox

log = logging.getLogger(__name__)

# Asking again when the projector did not answer: it may have been restarting.
ASK_AGAIN_S = 1.0
RETRY_S = 1.0
# Frames that wait for a snapshot or a replay; a client with more starts over.
BUFFER_MAX = 20_000
# Snapshots read at once: after a restart every client wants one at the same time.
SNAPSHOTS_AT_ONCE = 4

# account, kinds -> the data (JSON text) of each kind's snapshot
LoadSnapshot = Callable[[int, frozenset[str]], Awaitable[dict[str, str]]]


@dataclass(slots=True)
class AccountFeed:
    """Where an account's stream stands in this process, once the projector said so."""

    account_id: int
    seq: int = 0
    channel_seqs: dict[str, int] = field(default_factory=dict)
    sessions: set[PrivateSession] = field(default_factory=set)
    ready: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a client says it stands."""

    epoch: int
    seq: int


# A place from which nobody can go on: the client is told so, and gets snapshots.
NOWHERE = Resume(epoch=0, seq=0)


class PrivateSession:
    """
    One client's private channels.

    Every frame of the account is buffered while a snapshot is read or a replay is fetched,
    and follows it. States are absolute, so what a snapshot already contains may be repeated.
    """

    def __init__(
        self, *, account_id: int, outbox: Outbox, feed: PrivateFeed, load: LoadSnapshot
    ) -> None:
        """Belong to an account; hear nothing before ``open``. ``load`` reads snapshots."""
        self.account_id = account_id
        self.outbox = outbox
        self.load = load
        self.prefixes: dict[str, str] = {}
        self.is_live = False
        self.sent_at = 0.0
        self.buffer: list[PrivateFrame] = []
        self._feed = feed
        self._opening: asyncio.Task[None] | None = None

    def open(self, channels: dict[str, str], resume: Resume | None) -> None:
        """Set the channels (kind -> text as subscribed) and start or resume the stream."""
        self.prefixes = {kind: prefix(text) for kind, text in channels.items()}
        self.restart(resume)

    def leave(self, kind: str) -> None:
        """Leave out one channel from now on."""
        self.prefixes.pop(kind, None)

    def restart(self, resume: Resume | None) -> None:
        """Come onto the stream again."""
        self.is_live = False
        self.buffer.clear()
        self.cancel()
        if self.prefixes:
            self._opening = self._feed.spawn(self._feed.open(self, resume))

    def cancel(self) -> None:
        """Stop coming onto the stream."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None

    def offer(self, frame: PrivateFrame, now: float) -> None:
        """Take a frame of the account."""
        if self.is_live:
            spelled = self.prefixes.get(frame.channel)
            if spelled is not None:
                self.sent_at = now
                self.outbox.put(spelled + frame.body)
        elif len(self.buffer) < BUFFER_MAX:
            self.buffer.append(frame)
        else:
            self.restart(None)

    def go_live(self, after_seq: int) -> None:
        """Send what was buffered behind a sequence and follow the stream from here."""
        buffered, self.buffer = self.buffer, []
        self.is_live = True
        for frame in buffered:
            if frame.seq > after_seq:
                self.offer(frame, 0.0)

    def send_reset(self, epoch: int) -> None:
        """Tell the client that frames may be missing; snapshots follow."""
        text = body(epoch=epoch, seq=0, kind=RESET, time_ms=now_ms(), data=None)
        for spelled in self.prefixes.values():
            self.outbox.put(spelled + text)


class PrivateFeed:
    """All accounts somebody is connected for in this process."""

    def __init__(
        self, *, redis: redis_asyncio.Redis, spawn: Callable[..., asyncio.Task[None]]
    ) -> None:
        """Ask the projector and read rings through ``redis``."""
        self._redis = redis
        self.spawn = spawn
        self.accounts: dict[int, AccountFeed] = {}
        self.epoch = 0
        self._snapshots = asyncio.Semaphore(SNAPSHOTS_AT_ONCE)

    def attach(self, session: PrivateSession) -> None:
        """Let a session hear its account's frames."""
        account = self.accounts.setdefault(session.account_id, AccountFeed(session.account_id))
        account.sessions.add(session)

    def detach(self, session: PrivateSession) -> None:
        """Let a session hear no more; may be called twice."""
        session.cancel()
        account = self.accounts.get(session.account_id)
        if account is not None:
            account.sessions.discard(session)
            if not account.sessions:
                del self.accounts[session.account_id]

    def route(
        self, frames: Iterable[PrivateFrame], positions: Iterable[AccountPosition], now: float
    ) -> None:
        """Hand the frames of one packet to who listens, then learn new positions."""
        accounts = self.accounts
        for frame in frames:
            account = accounts.get(frame.account_id)
            if account is None or not account.ready.is_set():
                continue
            account.seq = frame.seq
            account.channel_seqs[frame.channel] = frame.seq
            for session in tuple(account.sessions):
                session.offer(frame, now)
        for position in positions:
            account = accounts.get(position.account_id)
            if account is not None:
                self._place(account, position)

    def _place(self, account: AccountFeed, position: AccountPosition) -> None:
        missed = account.ready.is_set() and position.seq != account.seq
        place = Resume(epoch=self.epoch, seq=account.seq)
        account.seq = position.seq
        account.channel_seqs = dict(position.channel_seqs)
        account.ready.set()
        if missed:
            # The projector had stopped to watch: what happened meanwhile was not numbered.
            for session in account.sessions:
                session.restart(place if session.is_live else NOWHERE)

    def reset(self, epoch: int) -> None:
        """
        Come onto all streams again after frames may have been missed.

        Inside an epoch the ring may still hold what was missed, and nobody notices.
        """
        for account in self.accounts.values():
            place = Resume(epoch=epoch, seq=account.seq)
            kept = epoch == self.epoch and account.ready.is_set()
            account.ready.clear()
            for session in account.sessions:
                # Where a session stands that was not yet on the stream is not known.
                session.restart(place if kept and session.is_live else NOWHERE)
        self.epoch = epoch

    def heartbeat(self, now: float) -> None:
        """Say the last sequence of the channels of accounts that were quiet for a second."""
        time_ms = now_ms()
        for account in self.accounts.values():
            for session in account.sessions:
                if not session.is_live or now - session.sent_at < 1.0:
                    continue
                if session.outbox.has_room:
                    self._send_heartbeat(session, account, time_ms)

    def _send_heartbeat(self, session: PrivateSession, account: AccountFeed, time_ms: int) -> None:
        for kind, spelled in session.prefixes.items():
            seq = account.channel_seqs.get(kind, 0)
            text = body(epoch=self.epoch, seq=seq, kind=HEARTBEAT, time_ms=time_ms, data=None)
            session.outbox.put(spelled + text)

    async def keep_watched(self) -> None:
        """Ask again for every account: the projector forgets those that nobody asks for."""
        if self.accounts:
            await self._ask(*self.accounts)

    async def _ask(self, *account_ids: int) -> None:
        asking: Any = self._redis.rpush(topics.watch_requests_key(), *map(str, account_ids))
        await asking

    async def open(self, session: PrivateSession, resume: Resume | None) -> None:
        """Bring a session onto its account's stream: replay from the ring, or snapshots."""
        account = self.accounts[session.account_id]
        await self._ready(account)
        while True:
            # The position is taken before anything is read, and frames are buffered from
            # here on: so what is read contains everything up to it, and the rest follows.
            epoch, seq = self.epoch, account.seq
            session.buffer.clear()
            try:
                if resume is not None and await self._replay(session, resume, epoch, seq):
                    return
                async with self._snapshots:
                    kinds = frozenset(session.prefixes)
                    snapshots = await session.load(session.account_id, kinds)
            except (redis_module.RedisError, OSError) as error:
                log.warning("private_snapshot_failed", extra={"error": str(error)})
            except Exception:
                # Whatever the database raised: the client waits, nothing wrong is sent.
                log.exception("private_snapshot_failed")
            else:
                break
            await asyncio.sleep(RETRY_S)
        if resume is not None:
            session.send_reset(epoch)
        for kind, data in snapshots.items():
            text = body(epoch=epoch, seq=seq, kind=SNAPSHOT, time_ms=now_ms(), data=data)
            if kind in session.prefixes:
                session.outbox.put(session.prefixes[kind] + text)
        session.go_live(seq)

    async def _ready(self, account: AccountFeed) -> None:
        while not account.ready.is_set():
            try:
                await self._ask(account.account_id)
            except (redis_module.RedisError, OSError):
                log.debug("projector_not_asked")
            try:
                await asyncio.wait_for(account.ready.wait(), ASK_AGAIN_S)
            except TimeoutError:
                continue

    async def _replay(self, session: PrivateSession, resume: Resume, epoch: int, seq: int) -> bool:
        """Send what a client missed, up to ``seq``; False when not all of it is kept."""
        if resume.epoch != epoch or not 0 <= resume.seq <= seq:
            return False
        frames: list[PrivateFrame] = []
        if resume.seq < seq:
            reading: Any = self._redis.lrange(topics.ring_key(epoch, session.account_id), 0, -1)
            entries = await reading
            kept = [decode_private(entry) for entry in entries]
            frames = [frame for frame in kept if resume.seq < frame.seq <= seq]
            if len(frames) != seq - resume.seq:
                return False
        for frame in frames:
            spelled = session.prefixes.get(frame.channel)
            if spelled is not None:
                session.outbox.put(spelled + frame.body)
        session.go_live(seq)
        # No snapshot tells the client that it has everything now.
        self._send_heartbeat(session, self.accounts[session.account_id], now_ms())
        return True
