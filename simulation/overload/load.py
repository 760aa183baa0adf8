"""
Offers orders over HTTP at a fixed rate, whether or not the last ones have been answered.

``python -m simulation.overload.load`` reads a job as JSON and prints what it measured. One
thread and plain sockets, so that the load costs the machine little.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# Made by hand: encoding it anew for each request would cost the machine more than sending it.
BODY = (
    '{{"symbol":"BTC-USDT","side":"buy","type":"limit","price":"{price}","quantity":"0.001",'
    '"client_order_id":"TAG-{number}"}}'
)
# What was sent last has so long to be answered.
LATE_S = 10.0


@dataclass(slots=True)
class Measured:
    """What a load got; ``unsent`` are requests for which every connection was taken."""

    answers: Counter[str] = field(default_factory=Counter)
    without_retry_after: int = 0
    sent: int = 0
    unsent: int = 0
    unanswered: int = 0
    broken: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON shows them."""
        names = (
            "without_retry_after",
            "sent",
            "unsent",
            "unanswered",
            "broken",
            "seconds",
            "slowest_s",
        )
        return {"answers": dict(self.answers)} | {name: getattr(self, name) for name in names}


class Answer(NamedTuple):
    """What a load reads of an answer; ``is_last``: the server closes the connection behind it."""

    status: str
    has_retry_after: bool
    is_last: bool


def read_answer(received: bytes) -> Answer | None:
    """Return a whole answer; None until it is."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return None
    lowered = head.lower()
    _, found, after = lowered.partition(b"content-length:")
    length = int(after.split(b"\r\n", 1)[0]) if found else 0
    if len(body) < length:
        return None
    return Answer(
        head[9:12].decode(), b"\r\nretry-after:" in lowered, b"\r\nconnection: close" in lowered
    )


class Load:
    """Offers ``rate`` requests a second over at most ``connections``; rate 0: as answered."""

    def __init__(self, job: dict[str, Any]) -> None:
        """Take a job: host, port, token, tag, rate, connections, seconds."""
        self._address = (job["host"], job["port"])
        self._head = (
            "POST /api/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {job['token']}\r\nContent-Length: "
        )
        self._body = BODY.replace("TAG", job["tag"])
        self._rate, self._seconds = job["rate"], job["seconds"]
        self._selector = selectors.DefaultSelector()
        self._connections = job["connections"]
        # Opened when they are needed: nginx closes one on which nothing comes for ten seconds.
        self._idle: list[socket.socket] = []
        self._busy: dict[socket.socket, tuple[float, bytearray]] = {}
        self._number = 0
        self.measured = Measured()

    def run(self) -> Measured:
        """Offer, then wait for what is still to be answered."""
        began = time.perf_counter()
        while (now := time.perf_counter()) < began + self._seconds:
            self._offer(now - began)
            self._take(0.001)
        self.measured.seconds = time.perf_counter() - began
        while self._busy and time.perf_counter() < began + self._seconds + LATE_S:
            self._take(0.1)
        self.measured.unanswered = len(self._busy)
        for connection in (*self._idle, *self._busy):
            connection.close()
        return self.measured

    def _open(self) -> socket.socket:
        connection = socket.create_connection(self._address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(connection, selectors.EVENT_READ)
        return connection

    def _offer(self, passed_s: float) -> None:
        free = self._connections - len(self._busy)
        due = int(passed_s * self._rate) - self._number if self._rate else free
        for _ in range(due):
            self._number += 1
            if len(self._busy) >= self._connections:
                self.measured.unsent += 1
                continue
            connection = self._idle.pop() if self._idle else self._open()
            self.measured.sent += 1
            self._busy[connection] = (time.perf_counter(), bytearray())
            try:
                connection.sendall(self._request())
            except OSError:
                self._forget(connection)

    def _request(self) -> bytes:
        body = self._body.format(price=30_000 + self._number % 5_000, number=self._number)
        return f"{self._head}{len(body)}\r\n\r\n{body}".encode()

    def _take(self, wait_s: float) -> None:
        for key, _ in self._selector.select(wait_s):
            connection: Any = key.fileobj
            sent_at, received = self._busy.get(connection, (0.0, bytearray()))
            try:
                chunk = connection.recv(65_536)
            except OSError:
                chunk = b""
            if not chunk:
                self._forget(connection)
                continue
            received += chunk
            answer = read_answer(bytes(received))
            if answer is None:
                continue
            del self._busy[connection]
            self._idle.append(connection)
            self.measured.answers[answer.status] += 1
            self.measured.slowest_s = max(self.measured.slowest_s, time.perf_counter() - sent_at)
            if answer.status in ("429", "503") and not answer.has_retry_after:
                self.measured.without_retry_after += 1
            if answer.is_last:
                # As nginx does after so many requests; one sent behind it would be lost.
                self._forget(connection)

    def _forget(self, connection: socket.socket) -> None:
        """Forget a connection that the server closed."""
        if self._busy.pop(connection, None) is not None:
            self.measured.broken += 1
        elif connection in self._idle:
            self._idle.remove(connection)
        self._selector.unregister(connection)
        connection.close()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(Load(json.loads(sys.stdin.read())).run().as_json()) + "\n")
