"""Events for callers' handlers, one after the other, beside the loop that reads the socket."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

Handler = Callable[[Any], Any]

# Events that wait for slow handlers; later ones are dropped and counted.
WAITING_MAX = 100_000


class Dispatcher:
    """
    Calls handlers, plain functions or coroutines, in the order of the events.

    A handler may take its time and may use the client: reading goes on meanwhile. Of events
    that are whole states (prices, books) only the latest waits. A handler that raises is
    logged, and the next event comes.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._handlers: dict[str, list[Handler]] = {}
        self._waiting: deque[tuple[str, Any]] = deque()
        self._latest: dict[str, Any] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def on(self, event: str, handler: Handler) -> Callable[[], None]:
        """Let a handler take an event; the function that is returned ends that."""
        name = event_name(event)
        self._handlers.setdefault(name, []).append(handler)

        def off() -> None:
            handlers = self._handlers.get(name, [])
            if handler in handlers:
                handlers.remove(handler)

        return off

    def emit(self, event: str, value: Any, *, latest_only: bool = False) -> None:
        """Queue an event for its handlers, if it has any."""
        name = event_name(event)
        if not self._handlers.get(name):
            return
        if latest_only:
            waits = name in self._latest
            self._latest[name] = value
            if waits:
                return
        elif len(self._waiting) >= WAITING_MAX:
            self.dropped += 1
            return
        self._waiting.append((name, value))
        self._wake.set()

    def start(self) -> None:
        """Begin to call handlers."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Call no more handlers."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                name, value = self._waiting.popleft()
                value = self._latest.pop(name, value)
                for handler in tuple(self._handlers.get(name, ())):
                    await _call(name, handler, value)


async def _call(name: str, handler: Handler, value: Any) -> None:
    try:
        result = handler(value)
        if inspect.isawaitable(result):
            await result
    except Exception:
        log.exception("handler failed", extra={"event": name})


def event_name(event: str) -> str:
    """Return the one spelling of an event: ``price:BTC/USDT`` and ``price:BTC-USDT`` are one."""
    return event.replace("/", "-")
