"""Which pages may open a socket (RELIABILITY T21)."""

from __future__ import annotations

from typing import Any

import pytest

from common.ws.asgi import OriginGuard, not_found
from tests.support.sockets import FakeSocket


async def _accept(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})


@pytest.mark.parametrize(
    ("_case", "headers", "is_let_in"),
    [
        ("a bot names no origin", {"host": "localhost:3000"}, True),
        ("own page", {"host": "localhost:3000", "origin": "http://localhost:3000"}, True),
        ("configured page", {"host": "localhost:3000", "origin": "https://app.example"}, True),
        ("foreign page", {"host": "localhost:3000", "origin": "https://evil.example"}, False),
        ("other port", {"host": "localhost:3000", "origin": "http://localhost:4000"}, False),
        ("sandboxed page", {"host": "localhost:3000", "origin": "null"}, False),
        ("rebound name", {"host": "evil.example", "origin": "http://evil.example"}, False),
    ],
)
async def test_t21_only_our_pages_open_sockets(
    _case: str, headers: dict[str, str], is_let_in: bool, settings: Any
) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    settings.CORS_ALLOW_ALL_ORIGINS = False
    settings.ALLOWED_HOSTS = ["localhost"]

    socket = FakeSocket(OriginGuard(_accept), headers=headers)
    await socket.closed()

    assert socket.accepted is is_let_in
    assert socket.denied == (None if is_let_in else 403)


async def test_unknown_path_is_404() -> None:
    socket = FakeSocket(not_found)

    await socket.closed()

    assert socket.denied == 404
