"""More requests than may wait are refused before anything is begun."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from common import http_protocol
from common import waiting as waiting_module
from common.http_protocol import BoundedHttpProtocol
from common.waiting import Waiting, WaitingGuard

ORDER = b"POST /api/orders HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    """Let one request wait at most, and one do so."""
    waiting = Waiting(1)
    waiting.requests = 1
    monkeypatch.setattr(waiting_module, "waiting", lambda: waiting)
    monkeypatch.setattr(http_protocol, "waiting", lambda: waiting)
    return waiting


@pytest.mark.parametrize(
    ("requests", "method", "path", "is_full"),
    [
        (4, "POST", "/api/orders", False),
        (5, "POST", "/api/orders", True),
        (5, "GET", "/api/wallet", True),
        (5, "DELETE", "/api/orders/1", False),
        (5, "GET", "/api/health/live", False),
        (9, "DELETE", "/api/orders/1", False),
        (10, "DELETE", "/api/orders/1", True),
        (10, "GET", "/api/health/live", True),
    ],
)
def test_cancels_and_health_have_twice_the_room(
    requests: int, method: str, path: str, *, is_full: bool
) -> None:
    waiting = Waiting(5)
    waiting.requests = requests

    assert waiting.is_full(method, path) is is_full


class TestGuard:
    async def send_to(self, guard: WaitingGuard) -> list[dict[str, Any]]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        await guard({"type": "http", "method": "POST", "path": "/api/orders"}, receive, send)
        return sent

    async def test_refuses_with_retry_after_and_does_not_ask_the_application(
        self, full: Waiting
    ) -> None:
        asked: list[str] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            asked.append(scope["path"])

        start, body = await self.send_to(WaitingGuard(application))

        assert (start["status"], asked, full.requests) == (503, [], 1)
        assert (b"retry-after", b"1") in start["headers"]
        assert json.loads(body["body"])["error"]["code"] == "ENGINE_BUSY"

    async def test_counts_while_a_request_is_answered_also_if_it_fails(self, full: Waiting) -> None:
        full.requests = 0
        seen: list[int] = []

        async def application(*_: Any) -> None:
            seen.append(full.requests)
            raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"):
            await self.send_to(WaitingGuard(application))

        assert (seen, full.requests) == ([1], 0)


class _Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False
        self.answered = asyncio.Event()

    def write(self, data: Any) -> None:
        self.written += bytes(data)
        if b" 204 " in self.written:
            self.answered.set()

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


class TestProtocol:
    @pytest.fixture
    def asked(self) -> list[str]:
        return []

    @pytest.fixture
    async def protocol(self, asked: list[str]) -> BoundedHttpProtocol:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            message = await receive()
            asked.append(f"{scope['path']} {message['body'].decode()}")
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        config = Config(application, log_config=None, lifespan="off")
        config.load()
        protocol = BoundedHttpProtocol(config, ServerState(), {})
        protocol.connection_made(_Transport())
        return protocol

    async def test_refuses_on_an_open_connection_and_serves_the_next_request(
        self, full: Waiting, protocol: BoundedHttpProtocol, asked: list[str]
    ) -> None:
        transport: Any = protocol.transport
        protocol.data_received(ORDER)
        refused = transport.written
        full.requests = 0
        protocol.data_received(ORDER)
        async with asyncio.timeout(2):
            await transport.answered.wait()

        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in refused
        assert b"ENGINE_BUSY" in refused
        assert (asked, transport.is_closed) == (["/api/orders {}"], False)
        protocol.connection_lost(None)

    async def test_closes_where_the_client_wants_it(
        self, full: Waiting, protocol: BoundedHttpProtocol, asked: list[str]
    ) -> None:
        transport: Any = protocol.transport
        protocol.data_received(ORDER.replace(b"host: x", b"host: x\r\nconnection: close"))

        assert transport.written.startswith(b"HTTP/1.1 503 ")
        assert (asked, transport.is_closed) == ([], True)
        protocol.connection_lost(None)
