"""What waits to be sent to one client, and the one task that sends it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from common.ws.counts import COUNTS
from common.ws.messages import CLOSE_SLOW
from common.ws.protocol import WriteText

Send = Callable[[dict[str, Any]], Awaitable[None]]

# Frames that may never be dropped wait here; who lets more gather is not reading.
QUEUE_MAX = 10_000
# Changes of one channel that may wait before the client gets a fresh snapshot instead.
DELTAS_MAX = 64
# With more waiting nothing optional (a heartbeat) is added.
OPTIONAL_MAX = 256
# A send that takes longer means a client that does not read.
SEND_TIMEOUT_S = 5.0
# How long a client that is told to go has to hear why.
CLOSE_TIMEOUT_S = 1.0


class Slot:
    """
    One channel's place in an outbox.

    ``generation`` rises when what waits is no longer wanted; entries carry the one they
    were made under. ``pending`` counts waiting changes.
    """

    __slots__ = ("generation", "latest", "pending")

    def __init__(self) -> None:
        """Begin with nothing waiting."""
        self.generation = 0
        self.pending = 0
        self.latest: str | None = None

    def discard(self) -> None:
        """Drop whatever waits for this channel."""
        self.generation += 1
        self.pending = 0
        self.latest = None

    def reached(self) -> None:
        """Be told that the client has caught up with a mark."""


class Outbox:
    """
    A bounded queue with three kinds of entries, in one order.

    Texts are sent, all of them: too many close the client with 4008. States conflate: only
    the latest of a channel is sent. Changes are sent unless their channel was discarded.

    While a client reads, whoever queues a text also writes it and no task is woken: with a
    thousand subscribers that is most of the work. From the first text that the server does
    not take the one writer goes on, until nothing waits.
    """

    def __init__(self, send: Send, write_text: WriteText | None = None) -> None:
        """Send through an ASGI ``send``; ``write_text`` is a short way that may refuse."""
        self._send = send
        self._write_text = write_text
        # The short way while nothing waits and the writer rests.
        self._write_now: WriteText | None = None
        self._entries: deque[str | Slot | tuple[Slot, int, str | None]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._closing: tuple[int, str] | None = None
        self._loop = asyncio.get_running_loop()
        # Loop time since when a send has not returned; 0 while none is under way.
        self.sending_since = 0.0
        self.close_code: int | None = None

    @property
    def has_room(self) -> bool:
        """Return whether so little waits that something optional may be sent."""
        return len(self._entries) < OPTIONAL_MAX

    @property
    def is_closing(self) -> bool:
        """Return whether the client has been told to go."""
        return self._closing is not None

    def put(self, text: str) -> None:
        """Queue a frame that must arrive; a client with too many of them is closed."""
        if self._writes_now(text) or self._closing is not None:
            return
        if len(self._entries) >= QUEUE_MAX:
            self.close(CLOSE_SLOW, "SLOW_CLIENT", drop=True)
            return
        self._entries.append(text)
        self._wake()

    def put_state(self, slot: Slot, text: str) -> None:
        """Queue a whole state; it takes the place of one that still waits."""
        if self._writes_now(text) or self._closing is not None:
            return
        is_new = slot.latest is None
        slot.latest = text
        if is_new:
            self._entries.append(slot)
            self._wake()

    def put_delta(self, slot: Slot, text: str) -> bool:
        """Queue a change; False when too many wait and the channel must start over."""
        if self._writes_now(text) or self._closing is not None:
            return True
        if slot.pending >= DELTAS_MAX:
            COUNTS.resyncs += 1
            return False
        slot.pending += 1
        self._entries.append((slot, slot.generation, text))
        self._wake()
        return True

    def put_mark(self, slot: Slot) -> None:
        """Queue a mark: ``slot.reached()`` is called when everything before it is sent."""
        self._entries.append((slot, slot.generation, None))
        self._wake()

    def close(self, code: int, reason: str, *, drop: bool = False) -> None:
        """Close after what waits is sent, or at once; the first call counts."""
        if self._closing is None:
            self._closing = (code, reason)
            self.close_code = code
        if drop:
            self._entries.clear()
        self._wake()

    def is_stuck(self, now: float) -> bool:
        """Return whether a send has been under way for too long."""
        limit = CLOSE_TIMEOUT_S if self._closing else SEND_TIMEOUT_S
        return bool(self.sending_since) and now - self.sending_since > limit

    async def run(self) -> None:
        """
        Send until closed.

        Raises:
            OSError: if the client is gone.
        """
        try:
            while self._closing is None:
                await self._send_waiting()
                if self._closing is None:
                    self._waiter = self._loop.create_future()
                    self._write_now = self._write_text
                    await self._waiter
            await self._send_waiting()
        finally:
            self._rest_no_more()
        code, reason = self._closing
        self.sending_since = self._loop.time()
        await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def _send_waiting(self) -> None:
        write_text = self._write_text
        while self._entries:
            text = self._next()
            if text is None:
                continue
            if write_text is None or not write_text(text):
                self.sending_since = self._loop.time()
                await self._send({"type": "websocket.send", "text": text})
                self.sending_since = 0.0
            COUNTS.frames += 1

    def _writes_now(self, text: str) -> bool:
        """Write a text if nothing waits and the server takes it; return whether it did."""
        if self._write_now is None or not self._write_now(text):
            return False
        COUNTS.frames += 1
        return True

    def _next(self) -> str | None:
        """Return the text of the first entry, None if it is no longer wanted."""
        entry = self._entries.popleft()
        if isinstance(entry, str):
            return entry
        if isinstance(entry, Slot):
            text, entry.latest = entry.latest, None
            return text
        return self._take(*entry)

    @staticmethod
    def _take(slot: Slot, generation: int, text: str | None) -> str | None:
        if generation != slot.generation:
            return None
        if text is None:
            slot.reached()
            return None
        slot.pending -= 1
        return text

    def _wake(self) -> None:
        """Have the writer send what waits."""
        waiter = self._waiter
        self._rest_no_more()
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _rest_no_more(self) -> None:
        self._waiter = self._write_now = None
