"""
A bound on the HTTP requests that a web process is answering; beyond it 503 ``ENGINE_BUSY``.

They would wait for one of the server's threads until nobody wants their answers any more, and
so would everyone after them. Refused early, a request costs a fraction of an answer.
"""

from __future__ import annotations

from django.conf import settings

from common.asgi import HEALTH_PATH, Application, Receive, Scope, Send, refusal
from common.errors import ApiError
from common.once import Once

# So many wait for each thread at most: under full load half a second of work.
WAITING_PER_THREAD = 3


class Waiting:
    """
    How many requests have or wait for a thread.

    Cancels and the questions of health checks have twice the room: they must get through when
    orders do not.
    """

    def __init__(self, requests_max: int) -> None:
        """Begin with none."""
        self._requests_max = requests_max
        self.requests = 0

    def is_full(self, method: str, path: str) -> bool:
        """Tell whether a request must be refused."""
        if self.requests < self._requests_max:
            return False
        is_urgent = method == "DELETE" or path.startswith(HEALTH_PATH)
        return not is_urgent or self.requests >= 2 * self._requests_max


waiting = Once(lambda: Waiting(settings.WEB_THREADS * (1 + WAITING_PER_THREAD)))


def busy_answer() -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return headers and body of the refusal, whose connection stays open."""
    error = ApiError("ENGINE_BUSY", "Too many requests wait; nothing was done.", 503)
    headers, body = refusal(error)
    # A new connection for the next attempt would cost both sides more than this answer.
    kept = [header for header in headers if header[0] != b"connection"]
    return [*kept, (b"retry-after", str(error.retry_after_s).encode())], body


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
        counted.requests += 1
        try:
            await self._application(scope, receive, send)
        finally:
            counted.requests -= 1
