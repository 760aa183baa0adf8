"""The HTTP/1.1 side of the server: bounded heads, bounded waiting, refusals in our envelope."""

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from common.asgi import refusal
from common.errors import ApiError
from common.waiting import busy_bytes, waiting
from common.whole_requests import whole_request

# Request line and headers together; nginx allows half of it for one line.
HEAD_BYTES_MAX = 16_384
# From the first byte (or the connection) to the end of the request.
REQUEST_WAIT_S = 10.0

_STATUS_LINES = {
    400: b"HTTP/1.1 400 Bad Request\r\n",
    408: b"HTTP/1.1 408 Request Timeout\r\n",
    431: b"HTTP/1.1 431 Request Header Fields Too Large\r\n",
}


class _HeadTooLarge(Exception):
    """The head passed its bound."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """
    uvicorn's protocol, without the patience that httptools has by itself.

    It would collect headers without end and wait for the rest of a request for ever, and
    answers what it cannot parse as plain text. Here a head above ``HEAD_BYTES_MAX`` is 431, a
    request that is not complete after ``REQUEST_WAIT_S`` is 408, and each refusal is JSON.
    While too many requests wait, others are refused here (503), before they cost a task.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin in front of the first head."""
        super().__init__(*args, **kwargs)
        self._timer: TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True
        self._is_refused = False
        self._refused_at = 0.0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Wait for a request, but not for ever."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; a head that goes on too long is refused while it is read."""
        if self.cycle is None or self.cycle.response_complete:
            if self._in_head and not self._head_bytes and self._refuse_whole(data):
                return
            # Also for blank lines in front of a request, which begin no message.
            self._wait()
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX:
            self._refuse(431)

    def on_message_begin(self) -> None:
        """Begin to count and to wait."""
        super().on_message_begin()
        self._in_head = True
        self._wait()

    def on_headers_complete(self) -> None:
        """
        Start the request, unless its head is too large.

        Raises:
            _HeadTooLarge: ends the parser, which then refuses the request.
        """
        self._in_head = False
        self._head_bytes = 0
        fields = sum(len(name) + len(value) + 4 for name, value in self.headers)
        if len(self.url) + fields > HEAD_BYTES_MAX:
            raise _HeadTooLarge
        self._is_refused = self._is_too_much()
        if not self._is_refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body; that of a refused request is not kept."""
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop waiting: the request is here."""
        self._stop_waiting()
        self._in_head = True
        if self._is_refused:
            self._is_refused = False
            self._refuse_busy()
        else:
            super().on_message_complete()

    def _refuse_whole(self, data: bytes) -> bool:
        """
        Tell whether ``data`` was one whole request beyond what may wait, refused unparsed.

        The parser and its timers would cost several times what the refusal does.
        """
        counted = waiting()
        if not counted.has_queue or self.transport.is_closing():
            return False
        asked = whole_request(data, head_bytes_max=HEAD_BYTES_MAX)
        if asked is None or not counted.is_full(*asked):
            return False
        self._stop_waiting()
        self._refused_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._keep_alive(self.timeout_keep_alive)
        self.transport.write(busy_bytes())
        return True

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; one that was refused a moment ago is not idle."""
        left_s = self._refused_at + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._keep_alive(left_s)
        else:
            super().timeout_keep_alive_handler()

    def _keep_alive(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )

    def _is_too_much(self) -> bool:
        """Tell whether to refuse; a request behind another's answer has to wait for it anyway."""
        if self.parser.should_upgrade() or not (self.cycle is None or self.cycle.response_complete):
            return False
        method, path = self.parser.get_method().decode("ascii"), self.url.decode("latin-1")
        return waiting().is_full(method, path)

    def _refuse_busy(self) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(busy_bytes())
        if not self.parser.should_keep_alive():
            self.transport.close()
            return
        self._unset_keepalive_if_required()
        self._keep_alive(self.timeout_keep_alive)

    def _write(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        lines = [name + b": " + value + b"\r\n" for name, value in headers]
        self.transport.write(b"".join([_STATUS_LINES[status], *lines, b"\r\n", body]))

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to the WebSocket protocol, which has time-outs of its own."""
        self._stop_waiting()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser did not take."""
        too_large = len(self.url or b"") + self._fields_bytes() > HEAD_BYTES_MAX
        self._refuse(431 if too_large else 400)

    def _fields_bytes(self) -> int:
        return sum(len(name) + len(value) + 4 for name, value in self.headers or ())

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(REQUEST_WAIT_S, self._refuse, 408)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: int) -> None:
        self._stop_waiting()
        if self.transport.is_closing():
            return
        if self.cycle is not None and self.cycle.response_started != self.cycle.response_complete:
            # The answer is under way already: another one would be read as part of it.
            self.transport.close()
            return
        error = {
            400: ApiError("BAD_REQUEST", "The request is malformed.", 400),
            408: ApiError("REQUEST_TIMEOUT", "The request did not arrive in time.", 408),
            431: ApiError("HEADERS_TOO_LARGE", "The request's head is too large.", 431),
        }[status]
        self._write(status, *refusal(error))
        self.transport.close()
