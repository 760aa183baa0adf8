"""The simplest HTTP client: one connection, whatever bytes, no opinion on headers."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import time
from typing import Any

from simulation.siege.requests import Request
from simulation.siege.verdict import Answer

TIMEOUT_S = 20.0


class Client:
    """A connection of one thread to the web process."""

    def __init__(self, host: str, port: int) -> None:
        """Connect with the first request."""
        self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)

    def send(self, request: Request) -> Answer:
        """
        Send a request and return its answer; a connection that was closed is opened anew.

        Raises:
            OSError: if the server does not answer at all.
        """
        try:
            return self._once(request)
        except (http.client.HTTPException, ConnectionError):
            self._connection.close()
            return self._once(request)

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        """Send JSON and return status and JSON."""
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        text = b"" if body is None else json.dumps(body).encode()
        answer = self.send(Request("", method, path, headers, text, ""))
        return answer.status, json.loads(answer.body) if answer.body else None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _once(self, request: Request) -> Answer:
        began = time.perf_counter()
        self._connection.putrequest(request.method, request.target, skip_accept_encoding=True)
        for name, value in request.headers.items():
            # What http.client refuses to write cannot reach a server either.
            with contextlib.suppress(ValueError, UnicodeEncodeError):
                self._connection.putheader(name, value.encode("latin-1", errors="replace"))
        if request.body or request.method in ("POST", "PUT", "PATCH"):
            self._connection.putheader("Content-Length", str(len(request.body)))
        self._connection.endheaders(request.body or None)
        response = self._connection.getresponse()
        body = response.read()
        if response.headers.get("Content-Encoding") == "gzip" and body:
            body = gzip.decompress(body)
        seconds = time.perf_counter() - began
        return Answer(response.status, response.headers.get("Content-Type", ""), body, seconds)
