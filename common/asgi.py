"""ASGI wrappers in front of the whole application."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from common.errors import ApiError, error_body
from common.parsers import BODY_BYTES_MAX, body_too_large
from common.renderers import encode_json
from common.request_id import HEADER, make_request_id

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

API_PATH = "/api/"
HEALTH_PATH = "/api/health"
# What a refused client may still send. Closing on unread data resets the connection, and the
# client would not see why.
DRAINED_BYTES_MAX = 8 * 1_048_576
DRAIN_WAIT_S = 1.0
# Forms of the back-office; the API takes less.
FORM_BYTES_MAX = 1_048_576


def refusal(error: ApiError) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return headers and body of an answer that is given before any request object exists."""
    request_id = make_request_id()
    body = encode_json(error_body(error.code, error.message, request_id=request_id))
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (HEADER.lower().encode(), request_id.encode()),
        (b"connection", b"close"),
    ]
    return headers, body


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


class BodyGuard:
    """
    Let a request through only when its whole body is here and not too large.

    A request takes one of the server's few threads. A client that sends its body a byte a
    second would keep one for as long as it likes, and sixty of them all; so the body is
    collected on the event loop, where waiting costs nothing, and the protocol ends the wait.
    """

    def __init__(self, application: Application) -> None:
        """Wrap an ASGI application."""
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Collect the body, or answer 400 or 413."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        try:
            body = await self._body(scope, receive)
        except ApiError as error:
            await _refuse(error, receive, send)
            return
        if body is None:
            return
        given = False

        async def collected() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._application(scope, collected, send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the body, None if the client left before it was complete."""
        if not scope.get("query_string", b"").isascii():
            raise ApiError("BAD_REQUEST", "The request is malformed.", 400)
        announced, is_chunked = _announced(scope)
        if not announced and not is_chunked:
            return b""
        bytes_max = BODY_BYTES_MAX if scope["path"].startswith(API_PATH) else FORM_BYTES_MAX
        if announced > bytes_max:
            raise body_too_large()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > bytes_max:
                raise body_too_large()
            if not message.get("more_body", False):
                return bytes(body)


async def _refuse(error: ApiError, receive: Receive, send: Send) -> None:
    """Answer at once, and read on for a while what the client is sending."""
    headers, text = refusal(error)
    start = {"type": "http.response.start", "status": error.status_code}
    await send({**start, "headers": headers})
    await send({"type": "http.response.body", "body": text, "more_body": True})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_WAIT_S):
            await _drain(receive)
    await send({"type": "http.response.body", "body": b""})


async def _drain(receive: Receive) -> None:
    drained, more = 0, True
    while more and drained < DRAINED_BYTES_MAX:
        message = await receive()
        drained += len(message.get("body", b""))
        more = message.get("more_body", False)


def _announced(scope: Scope) -> tuple[int, bool]:
    """Return the announced length of the body and whether it comes in chunks instead."""
    announced, is_chunked = 0, False
    for name, value in scope["headers"]:
        if name == b"content-length":
            announced = int(value) if value.isdigit() and len(value) < 19 else FORM_BYTES_MAX + 1
        elif name == b"transfer-encoding":
            is_chunked = True
    return announced, is_chunked
