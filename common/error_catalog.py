"""
Every code that leaves the platform, explained: what ``GET /api/errors`` answers.

The refusals of the exchange come from its own table; the rest is declared here. A test finds
every code in the sources and fails if one is missing.
"""

from dataclasses import dataclass

from exchange.core.rejects import MESSAGES, Code, http_status

GROUPS = ("request", "login", "trading", "socket", "exchange", "field")


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code: where it appears, the HTTP status it comes with (0: none), what it means."""

    code: str
    group: str
    http_status: int
    message: str


# Code, status, meaning.
_REQUEST: tuple[tuple[str, int, str], ...] = (
    ("BAD_REQUEST", 400, "The request is malformed."),
    ("BAD_HOST", 400, "The Host header names no host of this platform."),
    ("INVALID_JSON", 400, "The body is not one JSON object, or nested too deeply or too large."),
    ("UNKNOWN_FIELD", 400, "The body has a field that is not known or not writable."),
    ("VALIDATION_ERROR", 400, "Fields of the body are not valid; `fields` says which and why."),
    ("INVALID_PARAMETER", 400, "A query parameter or header is unknown, repeated or not valid."),
    ("NOT_FOUND", 404, "There is no such object, or it belongs to somebody else."),
    ("METHOD_NOT_ALLOWED", 405, "This address does not take that method."),
    ("NOT_ACCEPTABLE", 406, "Only application/json can be answered."),
    ("REQUEST_TIMEOUT", 408, "The request did not arrive whole within ten seconds."),
    ("BODY_TOO_LARGE", 413, "The body is larger than 64 KiB."),
    ("UNSUPPORTED_MEDIA_TYPE", 415, "The body must be application/json."),
    ("HEADERS_TOO_LARGE", 431, "Request line and headers are larger than 16 KiB."),
    ("RATE_LIMITED", 429, "Too many requests or cancels; Retry-After says how long to wait."),
    ("ORDER_RATE", 429, "Too many orders per second for the account's tier; cancels go on."),
    ("INTERNAL_ERROR", 500, "A fault of the platform; it was logged under the request id."),
    ("ASSET_EXISTS", 409, "An asset with this code is listed already."),
    ("MARKET_EXISTS", 409, "A market of these assets is listed already."),
    ("TICK_LOT_RULE", 422, "tick_size x lot_size is no whole number of 10^-8."),
    ("NOTHING_TO_CHANGE", 409, "It is so already."),
    ("WITHDRAWALS_FROZEN", 422, "Money may not leave this account, or the platform, just now."),
    ("WITHDRAWALS_CLOSED", 422, "This currency is not withdrawn here."),
    ("WITHDRAWALS_HALTED", 422, "Withdrawals of this currency wait until its books are checked."),
    ("WITHDRAWALS_WAITING", 422, "Too many withdrawals of this account wait already."),
    ("WITHDRAWAL_ID_CONFLICT", 409, "This client_withdrawal_id was used for another request."),
    ("WITHDRAWAL_LIMIT", 422, "More than this account may withdraw within a day."),
    ("WITHDRAWAL_STATE", 409, "The withdrawal was decided or has ended: too late for that."),
    ("WITHDRAWAL_TOO_SMALL", 422, "Less than the least amount that is withdrawn."),
    ("ADDRESS_EXISTS", 409, "This address is in the address book already."),
    ("ADDRESS_LIMIT", 422, "The address book is full: delete an address."),
    ("ADDRESS_TOO_NEW", 422, "The address was added lately; the message says when it is usable."),
    ("ADDRESS_UNKNOWN", 422, "The address is not in the address book: add it first."),
    (
        "CREDENTIALS_CHANGED",
        422,
        "Password or second factor changed lately; withdrawals wait for that long.",
    ),
    ("REQUEST_ID_CONFLICT", 409, "This client_request_id was used for another request."),
    ("REQUEST_DECIDED", 409, "Somebody has decided this request already."),
    ("REQUEST_EXPIRED", 409, "Nobody decided this request in time."),
    ("EXPORT_LIMIT", 409, "Five exports of this user wait already."),
    ("EXPORT_NOT_READY", 409, "The export is not done."),
    ("EXPORT_NOT_FAILED", 409, "Only a failed export is tried again."),
    ("EXPORT_EXPIRED", 410, "The file was kept for a day and is gone."),
    ("SECOND_PERSON_NEEDED", 422, "Somebody else than who asked must agree."),
    ("OWN_ACCOUNT", 422, "Nobody does that to an account of their own."),
    ("SERVICE_UNAVAILABLE", 503, "A part of the platform is not available."),
    ("MARKET_DATA_UNAVAILABLE", 503, "Market data is not available just now."),
)
_LOGIN: tuple[tuple[str, int, str], ...] = (
    ("NOT_AUTHENTICATED", 401, "The request carries no valid access token."),
    ("TOKEN_INVALID", 401, "The token is not one of ours or not for this use."),
    ("TOKEN_EXPIRED", 401, "The token has expired: refresh it."),
    ("TOKEN_REVOKED", 401, "The session has ended: log in again."),
    ("TOKEN_REUSED", 401, "A refresh token was used twice; its session has been ended."),
    ("TICKET_INVALID", 401, "The WebSocket ticket is unknown, used or expired."),
    ("INVALID_CREDENTIALS", 401, "User name or password is wrong."),
    ("PERMISSION_DENIED", 403, "This user may not do that."),
    ("CHALLENGE_INVALID", 401, "The challenge of the login is not ours, too old or overtaken."),
    ("RESET_TOKEN_INVALID", 400, "The token of the mail is wrong, used or too old."),
    ("VERIFICATION_INVALID", 400, "The token of the mail is wrong, too old or of another address."),
    ("TWO_FACTOR_REQUIRED", 403, "This needs a code of the second factor in X-2FA-Code."),
    ("TWO_FACTOR_INVALID", 403, "The code of the second factor is wrong, used or too old."),
    ("TWO_FACTOR_ENABLED", 409, "This user has a second factor already."),
    ("TWO_FACTOR_NOT_SET_UP", 409, "This user has no second factor."),
    ("TWO_FACTOR_ENFORCED", 403, "This user must set up a second factor first."),
    ("INVALID_SIGNATURE", 401, "There is no such API key, or the signature is not the request's."),
    ("KEY_REVOKED", 401, "This API key was ended."),
    ("KEY_EXPIRED", 401, "This API key has expired."),
    ("KEY_SCOPE", 403, "This API key has no scope for that."),
    ("IP_NOT_ALLOWED", 403, "This API key does not work from this address."),
    (
        "TIMESTAMP_OUT_OF_WINDOW",
        400,
        "The signed request is too old or from the future; `server_time` tells the time.",
    ),
    ("NONCE_REUSED", 409, "This nonce was used before: sign each request with a new one."),
    ("TOO_MANY_API_KEYS", 422, "A user has no more API keys than that: delete one."),
    ("CSRF_FAILED", 403, "The form did not come from this site."),
    ("USERNAME_TAKEN", 409, "This user name is taken."),
    ("TOO_MANY_ATTEMPTS", 429, "Too many failed logins; wait before the next."),
    ("LOGIN_BUSY", 503, "Too many logins at once; try again."),
    ("LOGIN_UNAVAILABLE", 503, "Logging in is not possible just now."),
)
_TRADING: tuple[tuple[str, int, str], ...] = (
    ("ORDER_NOT_OPEN", 422, "The order has ended, or is being carried out, and cannot change."),
    ("RECIPIENT_NOT_FOUND", 404, "There is no active user with this name."),
)
_SOCKET: tuple[tuple[str, int, str], ...] = (
    ("TOKEN_IN_URL", 0, "A token must not be part of the address; use a ticket or auth."),
    ("ORIGIN_NOT_ALLOWED", 403, "This web page may not open connections here."),
    ("TOO_MANY_CONNECTIONS", 429, "More connections than the tier allows."),
    ("INVALID_MESSAGE", 0, "The message lacks something or has something wrong."),
    ("MESSAGE_TOO_LARGE", 0, "The message is larger than 64 KiB."),
    ("BINARY_NOT_SUPPORTED", 0, "Messages are text."),
    ("UNKNOWN_TYPE", 0, "There is no such operation."),
    ("UNKNOWN_CHANNEL", 0, "There is no such channel."),
    ("UNKNOWN_SYMBOL", 0, "There is no such market."),
    ("FORBIDDEN", 0, "This channel belongs to somebody else."),
    ("TOO_MANY_IN_FLIGHT", 429, "Too many orders on their way on one connection; none was sent."),
    ("TOO_MANY_SUBSCRIPTIONS", 0, "More channels than the tier allows on one connection."),
    ("SLOW_CLIENT", 0, "The client read too slowly; reconnect."),
    ("SERVER_RESTART", 0, "The server restarts; reconnect."),
)
_ENGINE: tuple[tuple[str, int, str], ...] = (
    ("ENGINE_BUSY", 503, "Too many requests wait; nothing was done, try again."),
    ("ENGINE_UNAVAILABLE", 503, "The exchange is not running; nothing was done."),
    (
        "STATUS_UNKNOWN",
        504,
        "No answer came in time: it may or may not have been done. Ask by client id.",
    ),
)
_FIELD: tuple[tuple[str, str], ...] = (
    ("REQUIRED", "The field is missing."),
    ("INVALID", "The value has the wrong type or form."),
    ("INVALID_CHOICE", "The value is not one of those possible."),
    ("NULL", "The value must not be null."),
    ("BLANK", "The value must not be empty."),
    ("TOO_LONG", "The text or list is too long."),
    ("TOO_SHORT", "The text is too short."),
    ("TOO_LARGE", "The number is too large."),
    ("TOO_SMALL", "The number is too small."),
    ("CONFLICT", "Only one of several fields may be given."),
    ("DUPLICATE", "The parameter was given more than once."),
    ("UNKNOWN_FIELD", "There is no such field, or it is not writable."),
    ("UNKNOWN_PARAMETER", "There is no such query parameter."),
    ("INVALID_DECIMAL", "Amounts and prices are strings like 0.01: digits and one point."),
    ("TOO_MANY_DECIMALS", "More decimals than the currency has."),
    ("OUT_OF_RANGE", "The number is zero or too large."),
    ("INVALID_USERNAME", "3 to 32 of a-z, 0-9 and _."),
    ("INVALID_EMAIL", "Not an e-mail address."),
    ("EMAIL_TAKEN", "This e-mail address belongs to another user."),
    ("PASSWORD_TOO_SHORT", "The password is too short."),
    ("PASSWORD_TOO_LONG", "The password is too long."),
    ("PASSWORD_TOO_COMMON", "The password is among the most common ones."),
    ("PASSWORD_TOO_SIMILAR", "The password resembles the user's name or address."),
    ("PASSWORD_ENTIRELY_NUMERIC", "The password must not be digits alone."),
)


def catalog() -> list[ErrorCode]:
    """Return every code, grouped by where it appears."""
    declared = (
        ("request", _REQUEST),
        ("login", _LOGIN),
        ("trading", _TRADING),
        ("socket", _SOCKET),
    )
    codes = [
        ErrorCode(code, group, status, text)
        for group, rows in declared
        for code, status, text in rows
    ]
    codes += [ErrorCode(code, "exchange", status, text) for code, status, text in _ENGINE]
    codes += [
        ErrorCode(code.name, "exchange", http_status(code), MESSAGES[code])
        for code in Code
        if code is not Code.OK
    ]
    codes += [ErrorCode(code, "field", 0, text) for code, text in _FIELD]
    return codes
