"""Helpers of the test suite that several apps share; nothing of the platform imports this."""

import json
from typing import Any

from django.test import Client


class ApiClient(Client):
    """A client that speaks JSON, carries a token, and never raises a view's exception."""

    def __init__(self, token: str = "", **defaults: Any) -> None:
        """Send a token with each request unless it is empty."""
        super().__init__(raise_request_exception=False, **defaults)
        self.token = token

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str] | None) -> Any:
        sent = dict(headers or {})
        if self.token and "Authorization" not in sent:
            sent["Authorization"] = f"Bearer {self.token}"
        if body is None:
            data = b""
        elif isinstance(body, bytes):
            data = body
        else:
            data = json.dumps(body).encode()
        return self.generic(method, path, data, content_type="application/json", headers=sent)

    def get(self, path: str, headers: dict[str, str] | None = None) -> Any:  # type: ignore[override]
        """Send GET."""
        return self._send("GET", path, None, headers)

    def post(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:  # type: ignore[override]
        """Send POST with a JSON body (bytes are sent as they are)."""
        return self._send("POST", path, body, headers)

    def put(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:  # type: ignore[override]
        """Send PUT."""
        return self._send("PUT", path, body, headers)

    def delete(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:  # type: ignore[override]
        """Send DELETE."""
        return self._send("DELETE", path, body, headers)


def error_code(response: Any) -> str:
    """Return the code of an error answer."""
    code: str = response.json()["error"]["code"]
    return code
