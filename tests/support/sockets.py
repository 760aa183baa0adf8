"""An ASGI WebSocket without a server: what a consumer receives and sends."""

from __future__ import annotations

import asyncio
import json
from typing import Any


class FakeSocket:
    """
    One connection of an ASGI application.

    ``stall()`` makes ``send`` wait, as a server does whose client does not read.
    """

    def __init__(
        self,
        application: Any,
        *,
        path: str = "/ws/test",
        query: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.sent: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self.close_reason = ""
        self.denied: int | None = None
        self.accepted = False
        self._changed = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": query.encode(),
            "headers": [
                (name.lower().encode(), value.encode()) for name, value in (headers or {}).items()
            ],
            "client": ("127.0.0.1", 1),
            "extensions": {"websocket.http.response": {}},
        }
        self.task = asyncio.ensure_future(application(scope, self._incoming.get, self._send))

    def stall(self) -> None:
        """Read nothing more."""
        self._reading.clear()

    def text(self, text: str) -> None:
        """Let the client send a text."""
        self._incoming.put_nowait({"type": "websocket.receive", "text": text})

    def binary(self, data: bytes) -> None:
        """Let the client send bytes."""
        self._incoming.put_nowait({"type": "websocket.receive", "bytes": data})

    def send(self, **message: Any) -> None:
        """Let the client send a message."""
        self.text(json.dumps(message))

    def disconnect(self) -> None:
        """Let the client go away."""
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1001})

    async def receive(self, number: int = 1, timeout_s: float = 30.0) -> list[dict[str, Any]]:
        """Return and forget the next messages to the client."""
        async with asyncio.timeout(timeout_s):
            while len(self.sent) < number:
                self._changed.clear()
                await self._changed.wait()
        taken, self.sent = self.sent[:number], self.sent[number:]
        return taken

    async def closed(self, timeout_s: float = 30.0) -> int | None:
        """Wait until the application is done; return the close code."""
        await asyncio.wait_for(asyncio.shield(self.task), timeout_s)
        return self.close_code

    async def _send(self, event: dict[str, Any]) -> None:
        await self._reading.wait()
        kind = event["type"]
        if kind == "websocket.accept":
            self.accepted = True
        elif kind == "websocket.send":
            self.sent.append(json.loads(event["text"]))
        elif kind == "websocket.close":
            self.close_code = event.get("code", 1000)
            self.close_reason = event.get("reason", "")
        elif kind == "websocket.http.response.start":
            self.denied = event["status"]
        self._changed.set()
