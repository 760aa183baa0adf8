"""
What can go wrong, one class per family.

Every error of the platform carries its stable ``code``; the class says what a caller can do
about it. ``GET /api/errors`` explains every code.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

RETRY_AFTER_DEFAULT_S = 1.0


class TradingError(Exception):
    """
    Anything the platform refused, or that kept it from answering.

    ``status`` is the HTTP status (0 for a WebSocket without one), ``fields`` says which fields
    are wrong and why, ``retry_after`` is how many seconds to wait (None: no use in waiting),
    ``request_id`` finds the request in the platform's log, ``channel`` is what a refused
    subscription was about.
    """

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        status: int = 0,
        fields: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
        channel: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.status = status
        self.fields = dict(fields or {})
        self.retry_after = retry_after
        self.request_id = request_id
        self.channel = channel


class InvalidRequestError(TradingError):
    """The request is malformed (400, 405, 406, 413, 415): correct it, see ``fields``."""


class AuthenticationError(TradingError):
    """Nobody is logged in, or the credentials are wrong, expired or revoked (401)."""


class PermissionDeniedError(TradingError):
    """This user may not do that (403)."""


class NotFoundError(TradingError):
    """There is no such thing, or it is somebody else's (404)."""


class ConflictError(TradingError):
    """It contradicts what is there, such as a client id used for another request (409)."""


class RefusedError(TradingError):
    """The exchange refused, and nothing was done (422): funds, price, size, market state."""


class RateLimitedError(TradingError):
    """Over a limit (429): nothing was done; come back after ``retry_after``."""


class UnavailableError(TradingError):
    """Not taken (408, 500, 502, 503), or the platform cannot be reached: nothing was done."""


class StatusUnknownError(TradingError):
    """
    It may or may not have been done (504, or the answer was lost).

    ``client_order_id``, when there is one, is what to ask for.
    """

    client_order_id: str | None = None


class StreamError(TradingError):
    """A WebSocket refused a message, or ended for good."""


_FAMILIES: dict[int, type[TradingError]] = {
    HTTPStatus.REQUEST_TIMEOUT: UnavailableError,
    HTTPStatus.UNAUTHORIZED: AuthenticationError,
    HTTPStatus.FORBIDDEN: PermissionDeniedError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.UNPROCESSABLE_ENTITY: RefusedError,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimitedError,
    HTTPStatus.GATEWAY_TIMEOUT: StatusUnknownError,
}

# A WebSocket tells some codes without an HTTP status; where REST has the same code, the family
# is the same.
_SOCKET_CODES: dict[type[TradingError], str] = {
    AuthenticationError: """
        AUTH_EXPIRED AUTH_TIMEOUT INVALID_SIGNATURE KEY_EXPIRED KEY_REVOKED NOT_AUTHENTICATED
        TICKET_INVALID TOKEN_EXPIRED TOKEN_INVALID TOKEN_IN_URL TOKEN_REVOKED
    """,
    PermissionDeniedError: """
        FORBIDDEN IP_NOT_ALLOWED KEY_SCOPE ORIGIN_NOT_ALLOWED PERMISSION_DENIED
        TWO_FACTOR_ENFORCED TWO_FACTOR_INVALID
    """,
    NotFoundError: "UNKNOWN_CHANNEL UNKNOWN_SYMBOL",
    ConflictError: "NONCE_REUSED",
    InvalidRequestError: """
        BINARY_NOT_SUPPORTED INVALID_JSON INVALID_MESSAGE INVALID_PARAMETER MESSAGE_TOO_LARGE
        TIMESTAMP_OUT_OF_WINDOW UNKNOWN_TYPE
    """,
    RateLimitedError: """
        ORDER_RATE RATE_LIMITED TOO_MANY_CONNECTIONS TOO_MANY_IN_FLIGHT TOO_MANY_SUBSCRIPTIONS
    """,
    UnavailableError: "SERVER_RESTART SERVICE_UNAVAILABLE SLOW_CLIENT",
    StatusUnknownError: "STATUS_UNKNOWN",
}
_SOCKET_FAMILIES = {
    code: family for family, codes in _SOCKET_CODES.items() for code in codes.split()
}


def family_of(code: str, status: int) -> type[TradingError]:
    """Return the class of a code; without an HTTP status (0) the code alone decides."""
    if status in _FAMILIES:
        return _FAMILIES[status]
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UnavailableError
    if status >= HTTPStatus.BAD_REQUEST:
        return InvalidRequestError
    return _SOCKET_FAMILIES.get(code, StreamError)


def error_of(
    code: str,
    message: str = "",
    *,
    status: int = 0,
    fields: Mapping[str, str] | None = None,
    retry_after: float | None = None,
    request_id: str | None = None,
    channel: str | None = None,
) -> TradingError:
    """Return the error of a code in its family; families that pass get a time to wait."""
    family = family_of(code, status)
    if retry_after is None and family in {RateLimitedError, UnavailableError, StatusUnknownError}:
        retry_after = RETRY_AFTER_DEFAULT_S
    return family(
        code,
        message,
        status=status,
        fields=fields,
        retry_after=retry_after,
        request_id=request_id,
        channel=channel,
    )
