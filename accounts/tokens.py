"""
Signed tokens: RS256 with a key id, an audience and an issuer, and nothing else.

Both kinds name a session. An access token is checked against it on each request, a refresh
token is good while its session says that it is the newest of its family.
"""

import hashlib
import secrets
import time
from typing import Any

import jwt
import msgspec
from django.conf import settings
from jwt.exceptions import ExpiredSignatureError, InvalidTokenError
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenBackendExpiredToken

from accounts.keys import KeyRing, key_ring
from accounts.types import TokenError
from common.ids import parse_id
from common.once import Once

ALGORITHM = "RS256"
ACCESS = "access"
REFRESH = "refresh"
# Our own are below 800 characters; what is longer is not ours.
TOKEN_LENGTH_MAX = 2_048
_HEADER_NAMES = frozenset({"alg", "kid", "typ"})
_REQUIRED = ["exp", "iat", "sub", "sid", "jti", "aud", "iss", "token_type"]


class Claims(msgspec.Struct, frozen=True, gc=False):
    """What a checked token says; times in UTC milliseconds."""

    user_id: int
    session_id: int
    token_id: str
    token_type: str
    expires_at_ms: int


class KeyIdTokenBackend(TokenBackend):
    """simplejwt's backend with a key id: it names the signing key and picks the checking one."""

    def __init__(self, ring: KeyRing, *, audience: str, issuer: str) -> None:
        """Use keys that are already parsed: parsing PEM costs a fifth of a check."""
        super().__init__(ALGORITHM, audience=audience, issuer=issuer)
        self.ring = ring

    def encode(self, payload: dict[str, Any]) -> str:
        """Return a signed token."""
        claims = {**payload, "aud": self.audience, "iss": self.issuer}
        return jwt.encode(
            claims, self.ring.private_key, algorithm=ALGORITHM, headers={"kid": self.ring.kid}
        )

    def get_verifying_key(self, token: Any) -> Any:
        """
        Return the key that a token's header names, from the keys we know.

        Raises:
            TokenBackendError: for any header that we would not have written.
        """
        header = jwt.get_unverified_header(token)
        if not _HEADER_NAMES.issuperset(header) or header.get("alg") != ALGORITHM:
            raise TokenBackendError("The header is not ours")
        kid = header.get("kid")
        key = self.ring.public_keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise TokenBackendError("The key is not known")
        return key

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        """
        Return the claims of a token whose signature, times, audience and issuer are right.

        Raises:
            TokenBackendError: if anything is wrong.
            TokenBackendExpiredToken: if only its time is over.
        """
        try:
            key = self.get_verifying_key(token)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self.audience,
                issuer=self.issuer,
                options={"require": _REQUIRED, "strict_aud": True},
            )
        except ExpiredSignatureError as error:
            raise TokenBackendExpiredToken("Token is expired") from error
        except (InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise TokenBackendError("Token is invalid") from error
        return claims


# The backend of this process, made on first use.
token_backend = Once(
    lambda: KeyIdTokenBackend(
        key_ring(), audience=settings.JWT_AUDIENCE, issuer=settings.JWT_ISSUER
    )
)


def make_token_id() -> str:
    """Return a new random token id of 128 bits."""
    return secrets.token_hex(16)


def hash_token_id(token_id: str) -> str:
    """Return what is stored of a token id; it is random, so a plain hash suffices."""
    return hashlib.sha256(token_id.encode()).hexdigest()


def encode_token(
    *, token_type: str, user_id: int, session_id: int, token_id: str, lifetime_s: int
) -> str:
    """Return a new signed token."""
    now = int(time.time())
    return token_backend().encode(
        {
            "token_type": token_type,
            "sub": str(user_id),
            "sid": str(session_id),
            "jti": token_id,
            "iat": now,
            "exp": now + lifetime_s,
        }
    )


def decode_token(raw: str, *, token_type: str) -> Claims:
    """
    Return the claims of a good token of one type; its session is not looked at.

    Raises:
        TokenError: ``TOKEN_EXPIRED`` or, for everything else that is wrong, ``TOKEN_INVALID``.
    """
    if not raw or len(raw) > TOKEN_LENGTH_MAX or not raw.isascii():
        raise TokenError("TOKEN_INVALID")
    try:
        payload = token_backend().decode(raw)
    except TokenBackendExpiredToken as error:
        raise TokenError("TOKEN_EXPIRED") from error
    except TokenBackendError as error:
        raise TokenError("TOKEN_INVALID") from error
    user_id, session_id = parse_id(payload["sub"]), parse_id(payload["sid"])
    expires, token_id = payload["exp"], payload["jti"]
    if (
        user_id is None
        or session_id is None
        or payload["token_type"] != token_type
        or not isinstance(token_id, str)
        or not isinstance(expires, int)
        or not 0 < expires < 2**40
    ):
        raise TokenError("TOKEN_INVALID")
    return Claims(
        user_id=user_id,
        session_id=session_id,
        token_id=token_id,
        token_type=token_type,
        expires_at_ms=expires * 1000,
    )


def reset() -> None:
    """Forget the parsed keys; for tests that change them."""
    token_backend.clear()
    key_ring.clear()
