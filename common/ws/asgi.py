"""ASGI pieces in front of the consumers: refusals before accept, origins, addresses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from common.network import forwarded_ip
from common.request_id import make_request_id
from common.ws.frames import to_json
from common.ws.outbox import Send

_DENIAL = "websocket.http.response"


async def deny(scope: dict[str, Any], send: Send, status: int, code: str, message: str) -> None:
    """Refuse a handshake with an HTTP status, or 403 where the server knows no other."""
    if _DENIAL not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})
        return
    error = {"code": code, "message": message, "request_id": make_request_id()}
    body = to_json({"error": error}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": f"{_DENIAL}.start", "status": status, "headers": headers})
    await send({"type": f"{_DENIAL}.body", "body": body})


def header(scope: dict[str, Any], name: bytes) -> str | None:
    """Return the first header of this (lower case) name."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


def client_ip(scope: dict[str, Any]) -> str:
    """Return the client's address as REST sees it, trusting only our own proxies."""
    client = scope.get("client")
    return forwarded_ip(client[0] if client else "", header(scope, b"x-forwarded-for"))


class OriginGuard:
    """
    Refuse pages of other sites with 403.

    A browser always names the origin of its page. A client that names none is no browser:
    it holds no cookies of ours that could be misused, and authenticates by message.
    """

    def __init__(self, application: Any) -> None:
        """Wrap an ASGI application."""
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        """Let the handshake through, or refuse it."""
        origin = header(scope, b"origin")
        if origin is not None and not _is_allowed(origin, header(scope, b"host") or ""):
            await receive()
            await deny(scope, send, 403, "ORIGIN_NOT_ALLOWED", "This origin is not allowed.")
            return
        await self._application(scope, receive, send)


async def not_found(scope: dict[str, Any], receive: Any, send: Send) -> None:
    """Refuse a path that no consumer serves."""
    await receive()
    await deny(scope, send, 404, "NOT_FOUND", "There is no such WebSocket.")


def _is_allowed(origin: str, host: str) -> bool:
    if settings.CORS_ALLOW_ALL_ORIGINS or origin in settings.CORS_ALLOWED_ORIGINS:
        return True
    # The page's own host, if it is one of ours: a name rebound to our address is not.
    name, _ = split_domain_port(host)
    return urlsplit(origin).netloc == host and validate_host(name, settings.ALLOWED_HOSTS)


class Lifespan:
    """Begin and end with the server: what runs beside the connections."""

    def __init__(self, *, start: Callable[[], None], stop: Callable[[], Awaitable[None]]) -> None:
        """Call ``start`` on the server's loop before it listens, ``stop`` after its last client."""
        self._start = start
        self._stop = stop

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer the server's announcements."""
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                self._start()
            else:
                await self._stop()
            await send({"type": f"{event['type']}.complete"})
            if event["type"] == "lifespan.shutdown":
                return
