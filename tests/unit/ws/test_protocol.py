"""The short way for texts past ASGI, and what the kernel may keep (RELIABILITY T24)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from common.ws.protocol import UNSENT_BYTES_MAX, StreamProtocol, abort, text_writer


class Transport(asyncio.Transport):
    """What a protocol writes to, with a socket of some family that is never connected."""

    def __init__(self, family: int) -> None:
        super().__init__()
        self.socket = socket.socket(family)
        self.written: list[bytes] = []
        self.aborted = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Know the socket only."""
        return self.socket if name == "socket" else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep what is written."""
        self.written.append(bytes(data) if not isinstance(data, bytes) else data)

    def is_closing(self) -> bool:
        """Be open."""
        return False

    def pause_reading(self) -> None:
        """Go on."""

    def resume_reading(self) -> None:
        """Go on."""

    def close(self) -> None:
        """Stay."""

    def abort(self) -> None:
        """Note that it was asked for."""
        self.aborted = True


class Connection:
    """A server's protocol that has accepted a client, and that client's view of it."""

    def __init__(self, *, compression: bool = False, family: int = socket.AF_INET) -> None:
        self.send: Any = None
        config = Config(
            self._application,
            interface="asgi3",
            log_config=None,
            proxy_headers=False,
            ws_per_message_deflate=compression,
            ws_ping_interval=None,
        )
        config.load()
        self.transport = Transport(family)
        self.client = ClientProtocol(parse_uri("ws://localhost/ws/market"))
        self.protocol = StreamProtocol(config, ServerState(), {}, asyncio.get_running_loop())
        self.protocol.connection_made(self.transport)

    async def open(self, headers: dict[str, str] | None = None) -> None:
        """Shake hands; the application has accepted after it."""
        request = self.client.connect()
        request.headers.update(headers or {})
        self.client.send_request(request)
        self.protocol.data_received(b"".join(self.client.data_to_send()))
        async with asyncio.timeout(30):
            while not self.transport.written:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0)
        assert self.transport.written[0].startswith(b"HTTP/1.1 101 ")

    def received(self) -> list[str]:
        """Return the texts that have reached the client."""
        self.client.receive_data(b"".join(self.transport.written))
        self.transport.written.clear()
        frames = [event for event in self.client.events_received() if isinstance(event, Frame)]
        return [bytes(frame.data).decode() for frame in frames if frame.opcode is Opcode.TEXT]

    async def end(self) -> None:
        """Let the client go, and the application end."""
        if not self.protocol.disconnected:
            self.protocol.connection_lost(ConnectionResetError())
        await asyncio.gather(*self.protocol.tasks)
        self.transport.socket.close()

    async def _application(self, _scope: Any, receive: Any, send: Any) -> None:
        self.send = send
        await receive()
        await send({"type": "websocket.accept"})
        await receive()


Connect = Callable[..., Connection]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Make connections that end with the test."""
    made: list[Connection] = []

    def make(**options: Any) -> Connection:
        made.append(Connection(**options))
        return made[-1]

    yield make
    for each in made:
        await each.end()


@pytest.fixture
async def connection(connect: Connect) -> Connection:
    """An accepted connection."""
    made = connect()
    await made.open()
    return made


@pytest.mark.parametrize("text", ["", "é€😀", *("x" * n for n in (125, 126, 65_535, 65_536))])
async def test_a_text_arrives_as_it_was(connection: Connection, text: str) -> None:
    assert connection.protocol.write_text(text)

    assert connection.received() == [text]


async def test_texts_of_both_ways_arrive_in_order(connection: Connection) -> None:
    connection.protocol.write_text("a")
    await connection.send({"type": "websocket.send", "text": "b"})
    connection.protocol.write_text("c")

    assert connection.received() == ["a", "b", "c"]


async def test_what_goes_to_many_is_encoded_once(connection: Connection, connect: Connect) -> None:
    other = connect()
    await other.open()
    assert (connection.received(), other.received()) == ([], [])
    text = "".join(["to ", "many"])

    for each in (connection, other):
        each.protocol.write_text(text)
    (first,), (second,) = connection.transport.written, other.transport.written
    connection.protocol.write_text("something else")
    other.protocol.write_text(text)

    assert first is second
    assert connection.received() == [text, "something else"]
    assert other.received() == [text, text]


def _pause(protocol: StreamProtocol) -> None:
    protocol.pause_writing()


def _lose(protocol: StreamProtocol) -> None:
    protocol.connection_lost(ConnectionResetError())


def _stop(protocol: StreamProtocol) -> None:
    protocol.shutdown()


def _close_frame(protocol: StreamProtocol) -> None:
    # Masked with zeros: code 1000.
    protocol.data_received(b"\x88\x82\x00\x00\x00\x00\x03\xe8")


@pytest.mark.parametrize("end", [_pause, _lose, _stop, _close_frame])
async def test_nothing_is_written_to_who_does_not_take_it(
    connection: Connection, end: Callable[[StreamProtocol], None]
) -> None:
    end(connection.protocol)
    connection.transport.written.clear()

    assert not connection.protocol.write_text("a")
    assert connection.transport.written == []


async def test_writing_goes_on_when_the_transport_has_room_again(connection: Connection) -> None:
    connection.protocol.pause_writing()
    connection.protocol.resume_writing()

    assert connection.protocol.write_text("a")
    assert connection.received() == ["a"]


async def test_nothing_is_written_before_the_handshake(connect: Connect) -> None:
    connection = connect()

    assert not connection.protocol.write_text("a")
    assert connection.transport.written == []


async def test_only_this_protocol_has_the_short_way(connection: Connection) -> None:
    async def send(_event: dict[str, Any]) -> None:
        """Be of another server."""

    assert text_writer(connection.send) == connection.protocol.write_text
    assert text_writer(send) is None


async def test_a_compressed_connection_has_no_short_way(connect: Connect) -> None:
    connection = connect(compression=True)
    await connection.open({"Sec-WebSocket-Extensions": "permessage-deflate"})

    assert text_writer(connection.send) is None


async def test_t24_the_kernel_keeps_little_for_who_does_not_read(connection: Connection) -> None:
    found = connection.transport.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)

    assert found == UNSENT_BYTES_MAX


async def test_a_connection_over_a_unix_socket_is_served_too(connect: Connect) -> None:
    connection = connect(family=socket.AF_UNIX)
    await connection.open()

    assert connection.protocol.write_text("a")
    assert connection.received() == ["a"]


async def test_abort_ends_the_transport_whatever_it_still_holds(connection: Connection) -> None:
    abort(connection.send)

    assert connection.transport.aborted
