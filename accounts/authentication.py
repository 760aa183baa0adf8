"""Who is asking: from a bearer token to an identity, on REST and WebSocket alike."""

import threading
import time

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.key_states import key_is_alive
from accounts.sessions import session_state
from accounts.tokens import ACCESS, Claims, decode_token
from accounts.types import Identity, TokenError
from common.errors import ApiError
from common.limits import take_request
from common.tiers import Tier

_MESSAGES = {
    "NOT_AUTHENTICATED": "The request carries no valid access token.",
    "TOKEN_INVALID": "The token is not valid.",
    "TOKEN_EXPIRED": "The token has expired.",
    "TOKEN_REVOKED": "The session of this token has ended.",
    "TOKEN_REUSED": "This refresh token was used before; its session has been ended.",
    "TICKET_INVALID": "The ticket is unknown, used or expired.",
}

# A signature that was right once stays right: only time and session are checked again.
_CHECKED_MAX = 20_000
_checked: dict[str, Claims] = {}
_checked_lock = threading.Lock()


def count_refusal(request: HttpRequest) -> None:
    """
    Count a request with a bad credential against its address: no view will count it.

    Raises:
        ApiError: 429 ``RATE_LIMITED`` when the address has used up its requests.
    """
    take_request(request)


def token_error_response(error: TokenError) -> ApiError:
    """Return the 401 that answers a token error."""
    return ApiError(error.code, _MESSAGES[error.code], 401)


def _claims(raw: str) -> Claims:
    claims = _checked.get(raw)
    if claims is None:
        claims = decode_token(raw, token_type=ACCESS)
        with _checked_lock:
            if len(_checked) >= _CHECKED_MAX:
                _checked.clear()
            _checked[raw] = claims
    elif claims.expires_at_ms <= time.time() * 1000:
        _checked.pop(raw, None)
        raise TokenError("TOKEN_EXPIRED")
    return claims


def forget_checked() -> None:
    """Forget checked signatures; for tests that change keys."""
    _checked.clear()


def identity_of_session(session_id: int, *, expires_at_ms: int) -> Identity:
    """
    Return the identity behind a living session.

    Raises:
        TokenError: ``TOKEN_REVOKED`` if it has ended or its user is disabled.
    """
    state = session_state(session_id)
    if state is None or state.expires_at_ms <= time.time() * 1000:
        raise TokenError("TOKEN_REVOKED")
    return Identity(
        user_id=state.user_id,
        account_id=state.account_id,
        session_id=session_id,
        username=state.username,
        role=state.role,
        tier=Tier(state.tier),
        expires_at_ms=expires_at_ms,
        second_factor=state.second_factor,
    )


def authenticate_token(raw: str) -> Identity:
    """
    Return the identity behind an access token whose session is alive.

    Costs microseconds while process and session cache are warm, else one call to Redis and at
    worst one query: an event loop calls it through a thread.

    Raises:
        TokenError: ``TOKEN_INVALID``, ``TOKEN_EXPIRED`` or ``TOKEN_REVOKED``.
    """
    claims = _claims(raw)
    identity = identity_of_session(claims.session_id, expires_at_ms=claims.expires_at_ms)
    if identity.user_id != claims.user_id:
        raise TokenError("TOKEN_INVALID")
    return identity


def credential_is_alive(identity: Identity) -> bool:
    """Return whether a session or key still counts; open sockets ask this every few seconds."""
    if identity.key_id:
        return key_is_alive(identity.key_id)
    return session_state(identity.session_id) is not None


def identify_token(request: HttpRequest) -> Identity | None:
    """
    Return the identity behind a request's ``Authorization`` header, None without one.

    Raises:
        ApiError: 401 ``NOT_AUTHENTICATED`` for another scheme, or the token's code; 429 when
            the address has sent too many bad ones.
    """
    header = request.META.get("HTTP_AUTHORIZATION")
    if not header:
        return None
    scheme, _, raw = header.partition(" ")
    try:
        if scheme.lower() != "bearer" or not raw:
            raise TokenError("NOT_AUTHENTICATED")
        return authenticate_token(raw)
    except TokenError as error:
        count_refusal(request)
        raise token_error_response(error) from error


class SessionTokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer <access token>``; ``request.user`` is an ``Identity``."""

    def authenticate(self, request: Request) -> tuple[Identity, Identity] | None:
        """
        Return the identity, None without the header.

        Raises:
            ApiError: as :func:`identify_token`.
        """
        identity = identify_token(request._request)
        return None if identity is None else (identity, identity)

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401."""
        return "Bearer"
