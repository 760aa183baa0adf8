"""API keys: every request is signed, and nothing secret travels."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import httpx

RECV_WINDOW_MS = 5_000


class Signer(Protocol):
    """Signs a text."""

    def __call__(self, text: bytes) -> str:
        """Return the signature as it travels."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """
    An API key and what signs with it; made by ``hmac_key`` or ``ed25519_key``.

    A signature counts for ``recv_window_ms`` and once. ``clock_ms`` is milliseconds UTC; a
    machine whose clock is wrong passes one that is corrected by ``GET /api/time``.
    """

    key: str
    signer: Signer = field(repr=False)
    recv_window_ms: int = RECV_WINDOW_MS
    clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000


def hmac_key(key: str, secret: str, *, recv_window_ms: int = RECV_WINDOW_MS) -> ApiKey:
    """Return a key whose secret the platform knows too."""
    raw = secret.encode()

    def signature(text: bytes) -> str:
        return hmac.new(raw, text, hashlib.sha256).hexdigest()

    return ApiKey(key, signature, recv_window_ms)


def ed25519_key(
    key: str, private_key_pem: bytes, *, recv_window_ms: int = RECV_WINDOW_MS
) -> ApiKey:
    """
    Return a key of which the platform knows the public half only.

    Needs the extra ``tradingclient[ed25519]``.

    Raises:
        TypeError: when the PEM holds another kind of key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    private_key = load_pem_private_key(private_key_pem, password=None)
    if not isinstance(private_key, Ed25519PrivateKey):
        raise TypeError(f"expected an Ed25519 key, was {type(private_key).__name__}")

    def signature(text: bytes) -> str:
        return base64.b64encode(private_key.sign(text)).decode()

    return ApiKey(key, signature, recv_window_ms)


@dataclass(frozen=True, slots=True)
class Signature:
    """What goes with a signed request."""

    key: str
    timestamp: str
    nonce: str
    recv_window: str
    signature: str


def sign_parts(
    key: ApiKey, *, method: str, path: str, query: str, body: bytes, nonce: str | None = None
) -> Signature:
    """
    Return the signature of a request.

    What is signed is, on lines of their own: timestamp, nonce, window, method, path, raw query,
    and the SHA-256 of the body in hex.
    """
    timestamp = str(key.clock_ms())
    nonce = nonce or secrets.token_urlsafe(16)
    window = str(key.recv_window_ms)
    digest = hashlib.sha256(body).hexdigest()
    text = "\n".join((timestamp, nonce, window, method, path, query, digest))
    return Signature(key.key, timestamp, nonce, window, key.signer(text.encode()))


def sign(key: ApiKey, request: httpx.Request) -> dict[str, str]:
    """Return the headers that sign a request: exactly the path and query that are sent."""
    path, _, query = request.url.raw_path.decode("ascii").partition("?")
    signed = sign_parts(key, method=request.method, path=path, query=query, body=request.content)
    return {
        "X-API-Key": signed.key,
        "X-Timestamp": signed.timestamp,
        "X-Nonce": signed.nonce,
        "X-Recv-Window": signed.recv_window,
        "X-Signature": signed.signature,
    }
