"""The load generator's WebSocket client reads frames however they arrive."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from benchmarks.ws_wire import Client

HELLO = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.is_closed = True


def _frame(payload: bytes, opcode: int = 1) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes((128 | opcode, length)) + payload
    if length < 65_536:
        return bytes((128 | opcode, 126)) + length.to_bytes(2, "big") + payload
    return bytes((128 | opcode, 127)) + length.to_bytes(8, "big") + payload


def _client(texts: list[bytes]) -> tuple[Client, Transport]:
    client = Client("/ws/x", "host", lambda _client, text: texts.append(text))
    transport: Any = Transport()
    client.connection_made(transport)
    return client, transport


@pytest.mark.parametrize("step", [1, 7, 10**6])
async def test_frames_of_every_length_in_pieces_of_any_size(step: int) -> None:
    sizes = (0, 1, 125, 126, 300, 70_000)
    stream = HELLO + b"".join(_frame(b"x" * size) for size in sizes)
    texts: list[bytes] = []
    client, _ = _client(texts)

    for start in range(0, len(stream), step):
        client.data_received(stream[start : start + step])

    assert [len(text) for text in texts] == list(sizes)
    assert client.opened.done()


async def test_answers_pings_and_notes_the_close_code() -> None:
    client, transport = _client([])

    client.data_received(HELLO + _frame(b"hi", 9) + _frame((4008).to_bytes(2, "big"), 8))

    assert transport.written[1] == b"\x8a\x82\0\0\0\0hi"
    assert (client.close_code, transport.is_closed) == (4008, True)


async def test_a_refused_handshake_fails() -> None:
    client, _ = _client([])

    client.data_received(b"HTTP/1.1 429 Too Many Requests\r\n\r\n")

    with pytest.raises(ConnectionError):
        await client.opened


async def test_a_connection_that_ends_before_the_handshake_fails() -> None:
    client, _ = _client([])

    client.connection_lost(None)

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(client.opened, 1)
