"""From an HTTP answer to a value or an error; the same for both REST clients."""

from __future__ import annotations

from typing import TypeVar

import httpx
import msgspec

from tradingclient.calls import Call
from tradingclient.errors import StatusUnknownError, TradingError, UnavailableError, error_of

Answer = TypeVar("Answer")

# Whatever a server says, nobody is sent away for longer than this.
RETRY_AFTER_MAX_S = 60.0
RETRY_PAUSE_S = 1.0
# A failure before the request can have reached the platform.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class _Error(msgspec.Struct):
    code: str
    message: str = ""
    fields: dict[str, str] = {}
    request_id: str | None = None


class _Envelope(msgspec.Struct):
    error: _Error


_envelope = msgspec.json.Decoder(_Envelope)


def read(call: Call[Answer], response: httpx.Response) -> Answer:
    """
    Return the value of an answer.

    Raises:
        TradingError: of the family of the answer's code.
    """
    if response.is_success:
        try:
            return call.decode(response.content)
        except msgspec.DecodeError as error:
            raise _unreadable(call, str(error)) from error
    raise refusal(response)


def refusal(response: httpx.Response) -> TradingError:
    """Return the error that an answer tells of; ``HTTP_502`` and such where it names none."""
    try:
        told = _envelope.decode(response.content).error
    except msgspec.DecodeError:
        told = _Error(f"HTTP_{response.status_code}")
    return error_of(
        told.code,
        told.message,
        status=response.status_code,
        fields=told.fields,
        retry_after=_retry_after_s(response.headers.get("Retry-After", "")),
        request_id=told.request_id or response.headers.get("X-Request-ID"),
    )


def failure(call: Call[Answer], error: httpx.HTTPError) -> TradingError:
    """
    Return the error that a broken connection means.

    Nothing was done when the request cannot have arrived or only asked; otherwise the answer
    was lost and nobody here knows.
    """
    name = type(error).__name__
    if call.repeatable or isinstance(error, _NOT_SENT):
        return UnavailableError("CONNECTION_FAILED", name, retry_after=1.0)
    return StatusUnknownError("CONNECTION_LOST", name, retry_after=1.0)


def _unreadable(call: Call[Answer], detail: str) -> TradingError:
    kind = UnavailableError if call.repeatable else StatusUnknownError
    return kind("UNREADABLE_ANSWER", detail)


def _retry_after_s(text: str) -> float | None:
    return min(float(text), RETRY_AFTER_MAX_S) if text.isascii() and text.isdigit() else None
