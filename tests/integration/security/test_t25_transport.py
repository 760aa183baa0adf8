"""
T25 and T1 on the wire: smuggling, slow clients, heads and bodies without end.

No test may use the database: what is refused here costs nothing.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from common import asgi, http_protocol
from tests.support.live import LiveServer

# Server threads that an earlier test gave a database connection look at it with each request.
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.django_db(transaction=True),
]

HOST = b"Host: localhost\r\n"
LIVE = b"GET /api/health/live HTTP/1.1\r\n" + HOST


class Answer:
    """One HTTP answer, read from the wire."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])
        }

    def check(self, status: int, code: str) -> None:
        """Assert the envelope of a refusal."""
        assert self.status == status
        assert self.headers["content-type"] == "application/json"
        assert self.headers["cache-control"] == "no-store"
        error = json.loads(self.body)["error"]
        assert error["code"] == code
        assert error["request_id"] == self.headers["x-request-id"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[LiveServer]:
    """The real application behind the real protocol, on a loopback port."""
    live = LiveServer()
    await live.start()
    yield live
    await live.stop()


class Collector(asyncio.Protocol):
    """Keeps everything that was received, also when the connection then breaks."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.closed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()


async def talk(server: LiveServer, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Send parts with pauses and return everything until the server closes."""
    loop = asyncio.get_running_loop()
    transport, collector = await loop.create_connection(Collector, "127.0.0.1", server.port)
    for part in parts:
        if collector.closed.is_set():
            break
        transport.write(part)
        await asyncio.sleep(pause_s)
    async with asyncio.timeout(30):
        await collector.closed.wait()
    return bytes(collector.received)


def request(*headers: str, path: str = "/api/auth/login", body: bytes = b"") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


class TestSmuggling:
    @pytest.mark.parametrize(
        ("_case", "raw"),
        [
            (
                "length and chunks",
                request("Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
            ),
            (
                "chunks and length",
                request("Transfer-Encoding: chunked", "Content-Length: 5", body=b"0\r\n\r\n"),
            ),
            ("two lengths", request("Content-Length: 2", "Content-Length: 3", body=b"{}x")),
            ("a signed length", request("Content-Length: +2", body=b"{}")),
            ("a list of lengths", request("Content-Length: 2, 2", body=b"{}")),
            ("a length of 2^64", request(f"Content-Length: {2**64}", body=b"{}")),
            ("an unknown coding", request("Transfer-Encoding: xchunked", body=b"0\r\n\r\n")),
            ("a hidden coding", request("Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n")),
            ("a bad chunk", request("Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n0\r\n\r\n")),
            ("a space before the colon", request("Content-Length : 2", body=b"{}")),
            ("a folded header", request("X-A: 1", " X-B: 2", "Content-Length: 0")),
            ("a NUL in a header", request("X-A: a\x00b", "Content-Length: 0")),
            ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"),
            ("an unknown method", b"BREW /api/time HTTP/1.1\r\n" + HOST + b"\r\n"),
        ],
    )
    async def test_t25_an_ambiguous_request_is_refused_and_the_connection_closed(
        self, server: LiveServer, _case: str, raw: bytes
    ) -> None:
        smuggled = b"GET /api/account HTTP/1.1\r\n" + HOST + b"\r\n"

        answers = await talk(server, raw + smuggled)

        Answer(answers).check(400, "BAD_REQUEST")
        assert answers.count(b"HTTP/1.1 ") == 1

    async def test_an_address_that_is_not_ascii_is_refused(self, server: LiveServer) -> None:
        raw = b"GET /api/time?a=\xff\xfe HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"

        Answer(await talk(server, raw)).check(400, "BAD_REQUEST")


class TestHeads:
    async def test_t25_a_head_of_16_kib_passes(self, server: LiveServer) -> None:
        filler = b"X-Filler: " + b"x" * 16_000 + b"\r\n"

        answer = Answer(await talk(server, LIVE + filler + b"Connection: close\r\n\r\n"))

        assert answer.status == 200

    @pytest.mark.parametrize(
        ("_case", "parts"),
        [
            ("one long header", [LIVE + b"X-Filler: " + b"x" * 17_000 + b"\r\n\r\n"]),
            ("many headers", [LIVE + b"".join(b"X-%d: y\r\n" % n for n in range(2_000)) + b"\r\n"]),
            ("a long address", [b"GET /api/time?" + b"a" * 17_000 + b" HTTP/1.1\r\n\r\n"]),
            ("never ending", [LIVE + b"X-Filler: ", *[b"x" * 4_096] * 8]),
            ("never ending lines", [LIVE, *[b"X-Filler: y\r\n" * 400] * 8]),
        ],
    )
    async def test_t25_a_larger_head_is_431(
        self, server: LiveServer, _case: str, parts: list[bytes]
    ) -> None:
        Answer(await talk(server, *parts, pause_s=0.01)).check(431, "HEADERS_TOO_LARGE")

    async def test_a_large_body_counts_as_no_head(self, server: LiveServer) -> None:
        body = b'{"username": "' + b"x" * 40_000 + b'", "password": "y"}'
        length = f"Content-Length: {len(body)}"
        raw = request("Content-Type: application/json", "Connection: close", length, body=body)

        assert Answer(await talk(server, raw)).status == 400


class TestBodies:
    @pytest.fixture(autouse=True)
    def short_drain(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asgi, "DRAIN_WAIT_S", 0.2)

    @pytest.mark.parametrize("path", ["/api/auth/login", "/api/nowhere"])
    async def test_t1_an_announced_body_above_64_kib_is_not_waited_for(
        self, server: LiveServer, path: str
    ) -> None:
        Answer(await talk(server, request("Content-Length: 65537", path=path), b"{")).check(
            413, "BODY_TOO_LARGE"
        )

    async def test_t1_nor_one_that_comes_in_chunks(self, server: LiveServer) -> None:
        chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
        raw = [request("Transfer-Encoding: chunked"), *[chunk] * 10, b"0\r\n\r\n"]

        Answer(await talk(server, *raw)).check(413, "BODY_TOO_LARGE")

    async def test_t1_a_client_that_sends_on_still_reads_the_refusal(
        self, server: LiveServer
    ) -> None:
        raw = [request("Content-Length: 4000000"), *[b"x" * 100_000] * 40]

        Answer(await talk(server, *raw)).check(413, "BODY_TOO_LARGE")

    async def test_t1_forms_of_the_back_office_end_at_1_mib(self, server: LiveServer) -> None:
        raw = request("Content-Length: 1048577", path="/admin/login/")

        Answer(await talk(server, raw)).check(413, "BODY_TOO_LARGE")


class TestSlowClients:
    @pytest.fixture(autouse=True)
    def short_patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http_protocol, "REQUEST_WAIT_S", 0.4)

    @pytest.mark.parametrize(
        ("_case", "parts"),
        [
            ("says nothing", [b""]),
            ("a byte at a time", [LIVE[n : n + 1] for n in range(40)]),
            ("blank lines", [b"\r\n"] * 40),
            ("half a head", [LIVE]),
            ("half a body", [request("Content-Length: 50"), b'{"username": "']),
            ("half a chunk", [request("Transfer-Encoding: chunked"), b"32\r\n{"]),
        ],
    )
    async def test_t25_a_request_that_does_not_come_is_408(
        self, server: LiveServer, _case: str, parts: list[bytes]
    ) -> None:
        began = time.monotonic()

        Answer(await talk(server, *parts, pause_s=0.02)).check(408, "REQUEST_TIMEOUT")

        assert time.monotonic() - began < 10

    async def test_t25_a_second_request_has_no_more_time_than_the_first(
        self, server: LiveServer
    ) -> None:
        raw = await talk(server, LIVE + b"\r\n", b"\r\n", *[b"\r\n"] * 40, pause_s=0.02)

        first, _, second = raw.partition(b'{"status":"ok"}')
        assert b"200 OK" in first
        Answer(second).check(408, "REQUEST_TIMEOUT")

    async def test_t25_a_hundred_slow_clients_keep_no_thread(
        self, server: LiveServer, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(http_protocol, "REQUEST_WAIT_S", 1.5)
        slow = [
            asyncio.create_task(talk(server, request("Content-Length: 50"), b"{", pause_s=0.1))
            for _ in range(settings.WEB_THREADS + 36)
        ]
        await asyncio.sleep(0.1)

        answer = Answer(await talk(server, LIVE + b"Connection: close\r\n\r\n"))

        assert answer.status == 200
        assert not any(task.done() for task in slow)
        for raw in await asyncio.gather(*slow):
            Answer(raw).check(408, "REQUEST_TIMEOUT")

    async def test_a_request_in_time_is_answered_on_a_kept_connection(
        self, server: LiveServer
    ) -> None:
        parts = [
            LIVE + b"\r\n",
            LIVE[:20],
            LIVE[20:] + b"\r\n",
            LIVE + b"Connection: close\r\n\r\n",
        ]

        raw = await talk(server, *parts, pause_s=0.15)

        assert raw.count(b"200 OK") == 3
        assert b"408" not in raw
