"""The WebSocket side of the server: a short way for texts, and little kept for slow clients."""

from __future__ import annotations

import socket
from asyncio import BaseTransport
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State

WriteText = Callable[[str], bool]

# What the kernel may hold for a client beyond what is on its way to it. Without a bound it
# takes megabytes for one that does not read, each copied before anybody notices.
UNSENT_BYTES_MAX = 32_768


class StreamProtocol(WebSocketsSansIOProtocol):
    """
    uvicorn's protocol, which also takes texts without the ceremony of ASGI.

    An ASGI ``send`` is a coroutine, a dictionary and a frame encoded anew for each client.
    With a thousand subscribers that is most of the work; :meth:`write_text` encodes what goes
    to many of them once and hands it to the transport.
    """

    def connection_made(self, transport: BaseTransport) -> None:
        """Bound what the kernel keeps, where it can be told to."""
        super().connection_made(transport)
        plain = transport.get_extra_info("socket")
        option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
        if option is not None and plain.family in (socket.AF_INET, socket.AF_INET6):
            plain.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES_MAX)

    def write_text(self, text: str) -> bool:
        """
        Send a text at once and in the order of other sends, or return False.

        False: the transport has enough, or the connection is not open; ``send`` then waits,
        or tells what is wrong.
        """
        if not self.writable.is_set() or self.disconnected or self.conn.state is not State.OPEN:
            return False
        self.transport.write(_encoded(text))
        return True


class _Last:
    """The text that was encoded last: the next client of a fan-out is sent the same object."""

    text: str | None = None
    data = b""


def _encoded(text: str) -> bytes:
    if text is not _Last.text:
        _Last.data = Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
        _Last.text = text
    return _Last.data


def text_writer(send: Any) -> WriteText | None:
    """Return the short way of the connection that an ASGI ``send`` belongs to, if it has one."""
    protocol = getattr(send, "__self__", None)
    if isinstance(protocol, StreamProtocol) and not protocol.conn.extensions:
        return protocol.write_text
    return None


def abort(send: Any) -> None:
    """
    Drop the connection with what the server still buffers for it.

    ASGI has no word for this: a closing server waits for the buffer to drain, which a client
    that does not read never lets happen. uvicorn's ``send`` belongs to an object that holds
    the transport; with another server the connection is left to its own time-outs.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None and hasattr(transport, "abort"):
        transport.abort()
