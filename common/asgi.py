"""ASGI wrappers in front of the whole application."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class DropUnderscoreHeaders:
    """
    Remove header names that contain an underscore.

    ``X_Forwarded_For`` and ``X-Forwarded-For`` become one variable in WSGI: the first would
    forge the second. nginx drops such names too; this holds where no nginx stands in front.
    """

    def __init__(self, application: Application) -> None:
        """Wrap an ASGI application."""
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on without those headers."""
        headers = scope.get("headers")
        if headers and any(b"_" in name for name, _ in headers):
            kept = [(name, value) for name, value in headers if b"_" not in name]
            scope = {**scope, "headers": kept}
        await self.application(scope, receive, send)
