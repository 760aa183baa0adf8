"""A program with an API key: signs requests as docs/API.md tells it to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.testing import ApiClient


class Signer:
    """Signs with an HMAC secret or an Ed25519 private key."""

    def __init__(self, key: str, secret: str | Ed25519PrivateKey) -> None:
        self.key = key
        self._secret = secret

    def sign(self, text: str) -> str:
        """Return the signature of a text."""
        if isinstance(self._secret, str):
            return hmac.new(self._secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return base64.b64encode(self._secret.sign(text.encode())).decode()

    def parts(
        self,
        method: str,
        path: str,
        query: str = "",
        body: bytes = b"",
        *,
        timestamp: int | None = None,
        nonce: str | None = None,
        recv_window: int | None = None,
    ) -> dict[str, Any]:
        """Return timestamp, nonce, window and signature of a request."""
        timestamp = int(time.time() * 1000) if timestamp is None else timestamp
        nonce = secrets.token_hex(8) if nonce is None else nonce
        lines = [
            str(timestamp),
            nonce,
            str(5000 if recv_window is None else recv_window),
            method,
            path,
            query,
            hashlib.sha256(body).hexdigest(),
        ]
        signed: dict[str, Any] = {
            "timestamp": timestamp,
            "nonce": nonce,
            "signature": self.sign("\n".join(lines)),
        }
        if recv_window is not None:
            signed["recv_window"] = recv_window
        return signed

    def headers(self, method: str, path: str, body: bytes = b"", **options: Any) -> dict[str, str]:
        """Return the headers of a signed request."""
        path, _, query = path.partition("?")
        signed = self.parts(method, path, query, body, **options)
        names = {
            "timestamp": "X-Timestamp",
            "nonce": "X-Nonce",
            "signature": "X-Signature",
            "recv_window": "X-Recv-Window",
        }
        return {"X-API-Key": self.key, **{names[name]: str(signed[name]) for name in signed}}

    def request(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Send a signed request to the application in this process."""
        raw = b"" if body is None else json.dumps(body).encode()
        headers = self.headers(method, path, raw, **options)
        return send(method, path, raw, headers)


def send(method: str, path: str, body: bytes, headers: dict[str, str], **environ: Any) -> Any:
    """Send a request with these headers alone."""
    return ApiClient(**environ).generic(
        method, path, body, content_type="application/json", headers=headers
    )
