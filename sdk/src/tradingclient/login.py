"""How a private WebSocket says who one is."""

from __future__ import annotations

from typing import Any

from tradingclient.rest_async import AsyncRestClient
from tradingclient.signing import ApiKey, sign_parts


class TokenLogin:
    """With the access token of the REST client's session."""

    def __init__(self, rest: AsyncRestClient) -> None:
        self._rest = rest
        self._used = ""

    async def auth_message(self, refused: bool) -> dict[str, Any]:
        """Return a token; another one when the last was refused."""
        if refused and self._used:
            self._used = await self._rest.renewed_token(self._used)
        else:
            self._used = await self._rest.access_token()
        return {"token": self._used}


class KeyLogin:
    """With a signature, as of a request ``GET`` of the namespace without query and body."""

    def __init__(self, key: ApiKey, path: str) -> None:
        self._key = key
        self._path = path

    async def auth_message(self, refused: bool) -> dict[str, Any]:
        """Return a fresh signature."""
        signed = sign_parts(self._key, method="GET", path=self._path, query="", body=b"")
        return {
            "key": signed.key,
            "timestamp": int(signed.timestamp),
            "nonce": signed.nonce,
            "recv_window": int(signed.recv_window),
            "signature": signed.signature,
        }
