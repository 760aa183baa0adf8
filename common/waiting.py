"""
A bound on the HTTP requests that a web process is answering; beyond it 503 ``ENGINE_BUSY``.

They would wait for one of the server's threads until nobody wants their answers any more, and
so would everyone after them. Refused early, a request costs a fraction of an answer.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings

from common.asgi import HEALTH_PATH, Application, Receive, Scope, Send, refusal
from common.errors import ApiError
from common.once import Once
from common.request_id import make_request_id

# So many wait for each thread at most: under full load half a second of work.
WAITING_PER_THREAD = 3
# Whoever waits so long for a thread tells that the work comes faster than it is done. Where
# the machine is slow this speaks long before the number does.
QUEUED_S_MAX = 0.5

_Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Waiting:
    """
    How many requests have or wait for a thread, and since when the oldest of them waits.

    While a thread is free nothing is refused. Cancels and the questions of health checks have
    twice the room, in number and in time: they must get through when orders do not.
    """

    def __init__(self, threads: int, *, now: Callable[[], float] = time.monotonic) -> None:
        """Begin with none."""
        self._threads = threads
        self._now = now
        self.requests = 0
        # Threads take from the left what the loop appends: each operation is one step.
        self._queued: deque[float] = deque()

    @property
    def has_queue(self) -> bool:
        """Whether every thread is taken: only then can a request be refused."""
        return self.requests >= self._threads

    def is_full(self, method: str, path: str) -> bool:
        """Tell whether a request must be refused."""
        if not self.has_queue:
            return False
        is_urgent = method == "DELETE" or path.startswith(HEALTH_PATH)
        times = 2 if is_urgent else 1
        if self.requests >= times * self._threads * (1 + WAITING_PER_THREAD):
            return True
        return self._queued_s() >= times * QUEUED_S_MAX

    def begin(self) -> None:
        """Count a request that now waits for a thread."""
        self.requests += 1
        self._queued.append(self._now())

    def take(self) -> None:
        """Note that a thread took the request that waited longest; called by that thread."""
        if self._queued:
            self._queued.popleft()

    def end(self) -> None:
        """Forget a request that was answered."""
        self.requests -= 1
        if not self.requests:
            # Also what was taken back before a thread came to it.
            self._queued.clear()

    def _queued_s(self) -> float:
        try:
            return self._now() - self._queued[0]
        except IndexError:
            return 0.0


waiting = Once(lambda: Waiting(settings.WEB_THREADS))


def busy_answer() -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return headers and body of the refusal, whose connection stays open."""
    error = ApiError("ENGINE_BUSY", "Too many requests wait; nothing was done.", 503)
    headers, body = refusal(error)
    # A new connection for the next attempt would cost both sides more than this answer.
    kept = [header for header in headers if header[0] != b"connection"]
    return [*kept, (b"retry-after", str(error.retry_after_s).encode())], body


def _busy_parts() -> list[bytes]:
    """Return the refusal as it is written, cut where its request id stands."""
    headers, body = busy_answer()
    lines = [
        b"HTTP/1.1 503 Service Unavailable",
        *(name + b": " + value for name, value in headers),
    ]
    request_id = dict(headers)[b"x-request-id"]
    return (b"\r\n".join([*lines, b"", b""]) + body).split(request_id)


_parts = Once(_busy_parts)


def busy_bytes() -> bytes:
    """Return the whole refusal with a request id of its own, made of what was made before."""
    return make_request_id().encode().join(_parts())


class WaitingGuard:
    """Counts requests, and refuses what the protocol in front has not refused already."""

    def __init__(self, application: Application) -> None:
        """Wrap an ASGI application."""
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with Retry-After; nothing was begun then."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        counted = waiting()
        if counted.is_full(scope["method"], scope["path"]):
            headers, body = busy_answer()
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        counted.begin()
        try:
            await self._application(scope, receive, send)
        finally:
            counted.end()


def taking(application: _Wsgi) -> _Wsgi:
    """Return a WSGI application whose threads say that they took a request."""

    def take_first(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        waiting().take()
        return application(environ, start_response)

    return take_first
