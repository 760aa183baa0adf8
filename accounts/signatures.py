"""
Requests signed by API keys: what is signed, when it counts, and that it counts once.

A client signs one text, its parts on lines of their own:

    TIMESTAMP, NONCE, RECV_WINDOW, METHOD, PATH, QUERY, SHA256(BODY) in hex

with HMAC-SHA256 (hex) or Ed25519 (base64). The window is part of it: whoever recorded a
request could otherwise widen it after the nonce is forgotten.
"""

import base64
import hashlib
import hmac
import re
import time
from dataclasses import dataclass

import structlog
from cryptography.exceptions import InvalidSignature
from redis.exceptions import RedisError

from accounts.enums import KeyKind
from accounts.key_states import KeyState, key_state
from accounts.types import Identity
from common import redis as common_redis
from common.deadline import bind_deadline
from common.errors import ApiError
from exchange import redis_rest

log = structlog.get_logger(__name__)

RECV_WINDOW_MS = 5_000
RECV_WINDOW_MAX_MS = 60_000
# Clocks of clients run ahead a little.
FUTURE_MAX_MS = 1_000

_TIMESTAMP = re.compile(r"[1-9][0-9]{0,14}")
_NONCE = re.compile(r"[A-Za-z0-9_-]{8,64}")
_HMAC_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_SIGNATURE_LENGTH_MAX = 128
# Compared with for unknown keys, so that they cost what a wrong signature does.
_NOBODYS_SECRET = b"0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request as it was signed; every part as the client wrote it, ``recv_window`` "" if not."""

    key: str
    timestamp: str
    nonce: str
    recv_window: str
    signature: str
    method: str
    path: str
    query: str
    body: bytes


def invalid_signature() -> ApiError:
    """Return the one answer to a wrong signature and to a key that does not exist."""
    return ApiError("INVALID_SIGNATURE", "The key or the signature is not valid.", 401)


def signed_text(signed: SignedRequest, *, window_ms: int) -> bytes:
    """Return the text that the client signed."""
    digest = hashlib.sha256(signed.body).hexdigest()
    parts = (
        signed.timestamp,
        signed.nonce,
        str(window_ms),
        signed.method,
        signed.path,
        signed.query,
        digest,
    )
    return "\n".join(parts).encode()


def authenticate_signed(signed: SignedRequest, *, ip: str) -> Identity:
    """
    Return the identity behind a signed request, and use up its nonce.

    What this thread sends to the exchange from now on is void there once the window is over.

    Blocks on database and Redis: an event loop calls it through a thread.

    Raises:
        ApiError: 400 ``INVALID_PARAMETER`` or ``TIMESTAMP_OUT_OF_WINDOW``; 401
            ``INVALID_SIGNATURE``, ``KEY_REVOKED`` or ``KEY_EXPIRED``; 403 ``IP_NOT_ALLOWED``;
            409 ``NONCE_REUSED``; 503 ``SERVICE_UNAVAILABLE`` when nonces cannot be remembered.
    """
    window_ms = _window_ms(signed)
    _check_time(signed, window_ms=window_ms)
    state = key_state(signed.key)
    if not _is_right(state, signed, window_ms=window_ms) or state is None:
        raise invalid_signature()
    if not state.alive:
        raise ApiError("KEY_REVOKED", "This API key was ended.", 401)
    if state.expires_at_ms and state.expires_at_ms <= time.time() * 1000:
        raise ApiError("KEY_EXPIRED", "This API key has expired.", 401)
    if not state.allows(ip):
        raise ApiError("IP_NOT_ALLOWED", "This API key does not work from this address.", 403)
    _use_nonce(state.key_id, signed.nonce, window_ms=window_ms)
    bind_deadline(int(signed.timestamp) + window_ms - int(time.time() * 1000))
    return state.identity


def _malformed(**fields: str) -> ApiError:
    return ApiError("INVALID_PARAMETER", "The signed request is not complete.", 400, fields=fields)


def _window_ms(signed: SignedRequest) -> int:
    if not signed.recv_window:
        return RECV_WINDOW_MS
    if not re.fullmatch(r"[1-9][0-9]{0,5}", signed.recv_window):
        raise _malformed(recv_window="INVALID")
    window_ms = int(signed.recv_window)
    if window_ms > RECV_WINDOW_MAX_MS:
        raise _malformed(recv_window="TOO_LARGE")
    return window_ms


def _check_time(signed: SignedRequest, *, window_ms: int) -> None:
    if not _TIMESTAMP.fullmatch(signed.timestamp):
        raise _malformed(timestamp="INVALID")
    if not _NONCE.fullmatch(signed.nonce):
        raise _malformed(nonce="INVALID")
    now_ms = int(time.time() * 1000)
    age_ms = now_ms - int(signed.timestamp)
    if not -FUTURE_MAX_MS <= age_ms <= window_ms:
        raise ApiError(
            "TIMESTAMP_OUT_OF_WINDOW",
            f"The timestamp is older than {window_ms} ms or in the future.",
            400,
            details={"server_time": now_ms},
        )


def _is_right(state: KeyState | None, signed: SignedRequest, *, window_ms: int) -> bool:
    text = signed_text(signed, window_ms=window_ms)
    if state is not None and state.kind is KeyKind.ED25519:
        return _is_right_ed25519(state, text, signed.signature)
    secret = state.secret if state is not None else _NOBODYS_SECRET
    expected = hmac.new(secret, text, hashlib.sha256).hexdigest()
    given = signed.signature if _HMAC_SIGNATURE.fullmatch(signed.signature) else "-"
    return hmac.compare_digest(expected, given) and state is not None


def _is_right_ed25519(state: KeyState, text: bytes, signature: str) -> bool:
    if state.public_key is None or len(signature) > _SIGNATURE_LENGTH_MAX:
        return False
    try:
        raw = base64.b64decode(signature, validate=True)
        state.public_key.verify(raw, text)
    except (ValueError, InvalidSignature):
        return False
    return True


def _use_nonce(key_id: int, nonce: str, *, window_ms: int) -> None:
    """Remember a nonce for as long as its request could be sent again, and that the key works."""
    unavailable = ApiError(
        "SERVICE_UNAVAILABLE", "Signed requests cannot be checked at the moment.", 503
    )
    if redis_rest.is_resting():
        raise unavailable
    try:
        pipeline = common_redis.client().pipeline(transaction=False)
        lifetime_ms = 2 * window_ms + FUTURE_MAX_MS
        pipeline.set(common_redis.key("nonce", key_id, nonce), b"1", nx=True, px=lifetime_ms)
        pipeline.set(used_key(key_id), str(int(time.time() * 1000)))
        fresh = pipeline.execute()[0]
    except RedisError as error:
        redis_rest.note_failure(error)
        log.warning("nonces_unavailable", error=type(error).__name__)
        raise unavailable from error
    if not fresh:
        raise ApiError("NONCE_REUSED", "This nonce was used before.", 409)


def used_key(key_id: int) -> str:
    """Return under which name Redis keeps when a key was last used."""
    return common_redis.key("api-key-used", key_id)
