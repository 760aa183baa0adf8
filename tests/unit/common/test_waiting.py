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
from common.waiting import Waiting, WaitingGuard, taking

ORDER = b"POST /api/orders HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    """Let one request wait at most, and one do so."""
    waiting = Waiting(1)
    waiting.requests = 4
    monkeypatch.setattr(waiting_module, "waiting", lambda: waiting)
    monkeypatch.setattr(http_protocol, "waiting", lambda: waiting)
    return waiting


@pytest.mark.parametrize(
    ("requests", "method", "path", "is_full"),
    [
        (19, "POST", "/api/orders", False),
        (20, "POST", "/api/orders", True),
        (20, "GET", "/api/wallet", True),
        (20, "DELETE", "/api/orders/1", False),
        (20, "GET", "/api/health/live", False),
        (39, "DELETE", "/api/orders/1", False),
        (40, "DELETE", "/api/orders/1", True),
        (40, "GET", "/api/health/live", True),
    ],
)
def test_cancels_and_health_have_twice_the_room(
    requests: int, method: str, path: str, *, is_full: bool
) -> None:
    waiting = Waiting(5)
    waiting.requests = requests

    assert waiting.is_full(method, path) is is_full


@pytest.mark.parametrize(
    ("_case", "began", "taken", "now", "order_is_full", "cancel_is_full"),
    [
        ("the oldest waits not yet long", 3, 1, 0.4, False, False),
        ("the oldest waits too long for an order", 3, 1, 0.5, True, False),
        ("and for a cancel", 3, 1, 1.0, True, True),
        ("every one has a thread, however long it works", 2, 2, 9.0, False, False),
        ("a thread is free, whatever was noted", 1, 0, 9.0, False, False),
    ],
)
def test_the_age_of_the_oldest_in_the_queue_refuses_before_its_length(
    _case: str, began: int, taken: int, now: float, *, order_is_full: bool, cancel_is_full: bool
) -> None:
    clock = [0.0]
    waiting = Waiting(2, now=lambda: clock[0])
    for _ in range(began):
        waiting.begin()
    for _ in range(taken):
        waiting.take()
    clock[0] = now

    assert waiting.is_full("POST", "/api/orders") is order_is_full
    assert waiting.is_full("DELETE", "/api/orders/1") is cancel_is_full


def test_what_threads_took_and_answered_is_forgotten() -> None:
    waiting = Waiting(1)
    waiting.begin()
    seen: list[int] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(waiting.requests)
        return [b"done"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waiting_module, "waiting", lambda: waiting)
        answer = list(taking(application)({}, None))
    waiting.begin()
    waiting.end()
    waiting.end()

    assert (answer, seen, waiting.requests) == ([b"done"], [1], 0)
    waiting.begin()
    assert not waiting.is_full("POST", "/api/orders")


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

        assert (start["status"], asked, full.requests) == (503, [], 4)
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
        self.closed = asyncio.Event()

    def write(self, data: Any) -> None:
        self.written += bytes(data)
        if b" 204 " in self.written:
            self.answered.set()

    def close(self) -> None:
        self.is_closed = True
        self.closed.set()

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
        async with asyncio.timeout(30):
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

    @pytest.mark.parametrize("pieces", [1, 2])
    async def test_refuses_the_same_whole_or_in_pieces(
        self, full: Waiting, protocol: BoundedHttpProtocol, asked: list[str], pieces: int
    ) -> None:
        transport: Any = protocol.transport
        cut = len(ORDER) // pieces
        for start in range(0, len(ORDER), cut):
            protocol.data_received(ORDER[start : start + cut])

        head, _, body = transport.written.partition(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        error = json.loads(body)["error"]
        assert error["code"] == "ENGINE_BUSY"
        assert error["request_id"].encode() == fields[b"x-request-id"]
        assert int(fields[b"content-length"]) == len(body)
        assert (asked, full.requests) == ([], 4)
        protocol.connection_lost(None)

    async def test_two_refusals_have_request_ids_of_their_own(
        self, full: Waiting, protocol: BoundedHttpProtocol
    ) -> None:
        transport: Any = protocol.transport
        protocol.data_received(ORDER)
        first = transport.written
        protocol.data_received(ORDER)

        assert transport.written[len(first) :].startswith(b"HTTP/1.1 503 ")
        assert transport.written[len(first) :] != first
        protocol.connection_lost(None)

    async def test_an_idle_connection_is_closed_though_its_last_request_was_refused(
        self, full: Waiting, protocol: BoundedHttpProtocol
    ) -> None:
        protocol.timeout_keep_alive = 0.05
        transport: Any = protocol.transport
        protocol.data_received(ORDER)
        still_open = not transport.is_closed
        async with asyncio.timeout(30):
            await transport.closed.wait()

        assert still_open
