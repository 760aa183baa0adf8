"""
A WebSocket client that costs little: no masking work, no task per message.

Frames are masked with zeros, which leaves the payload as it is and every server accepts.
Fragments and compression do not occur: the measured servers send neither.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from collections.abc import Callable

PING, PONG, CLOSE = 9, 10, 8


class Client(asyncio.Protocol):
    """One connection; ``on_text`` is called with the bytes of each message."""

    def __init__(self, path: str, host: str, on_text: Callable[[Client, bytes], None]) -> None:
        self.on_text = on_text
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.close_code: int | None = None
        self.is_lost = False
        self._buffer = b""
        self._path = path
        self._host = host

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the handshake."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Take the answer of the handshake, then frames."""
        buffer = self._buffer + data if self._buffer else data
        if not self.opened.done():
            head, separator, buffer = buffer.partition(b"\r\n\r\n")
            if not separator:
                self._buffer = head
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self.opened.set_exception(ConnectionError(head.decode()[:200]))
                return
            self.opened.set_result(None)
        start, end = 0, len(buffer)
        while end - start >= 2:
            length = buffer[start + 1] & 127
            begin = start + 2
            if length == 126:
                begin, length = start + 4, int.from_bytes(buffer[start + 2 : start + 4], "big")
            elif length == 127:
                begin, length = start + 10, int.from_bytes(buffer[start + 2 : start + 10], "big")
            if begin + length > end:
                break
            self._frame(buffer[start] & 15, buffer[begin : begin + length])
            start = begin + length
        self._buffer = buffer[start:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self.is_lost = True
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("closed"))

    def send(self, text: bytes) -> None:
        """Send a text message of less than 64 KiB."""
        self.transport.write(_framed(1, text))

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == 1:
            self.on_text(self, payload)
        elif opcode == PING:
            self.transport.write(_framed(PONG, payload))
        elif opcode == CLOSE:
            self.close_code = int.from_bytes(payload[:2], "big")
            self.transport.close()


def _framed(opcode: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes((128 | opcode, 128 | length, 0, 0, 0, 0)) + payload
    return bytes((128 | opcode, 254)) + length.to_bytes(2, "big") + b"\0\0\0\0" + payload


async def connect(
    port: int,
    path: str,
    on_text: Callable[[Client, bytes], None],
    *,
    receive_bytes: int = 0,
) -> Client:
    """
    Open a connection to a loopback port, with a receive buffer of so many bytes.

    Raises:
        OSError: if the server refuses it.
    """
    loop = asyncio.get_running_loop()
    plain = socket.socket()
    if receive_bytes:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    plain.setblocking(False)
    await loop.sock_connect(plain, ("127.0.0.1", port))
    _, client = await loop.create_connection(
        lambda: Client(path, f"127.0.0.1:{port}", on_text), sock=plain
    )
    await client.opened
    return client
