"""
A load generator for HTTP that costs little: one thread, keep-alive connections, no parsing.

Each connection sends its next request when the answer to the last one is complete. Runs as
a process of its own: ``python -m benchmarks.http_load`` reads a job as JSON and prints what
it measured.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections.abc import Callable

from benchmarks.report import percentile


class _Connection:
    """One keep-alive connection with one request in flight."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.received = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> int:
        """Return the status of a complete answer, 0 while it is not."""
        chunk = self.socket.recv(65_536)
        if not chunk:
            raise ConnectionError("the server closed a connection")
        self.received += chunk
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return 0
        lowered = head.lower()
        start = lowered.index(b"content-length:") + 15
        length = int(lowered[start:].split(b"\r\n", 1)[0])
        return int(head[9:12]) if len(body) >= length else 0


def run(
    address: tuple[str, int],
    make_request: Callable[[int], bytes],
    *,
    connections: int,
    seconds: float,
) -> tuple[dict[int, int], list[float], float]:
    """Send requests for a while; return counts per status, latencies, and seconds taken."""
    selector = selectors.DefaultSelector()
    statuses: dict[int, int] = {}
    latencies: list[float] = []
    number = 0
    opened = [_Connection(address) for _ in range(connections)]
    started = time.perf_counter()
    for connection in opened:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(make_request(number))
        number += 1
    ends = started + seconds
    waiting = connections
    while waiting:
        for key, _events in selector.select():
            connection = key.data
            status = connection.receive()
            if not status:
                continue
            now = time.perf_counter()
            statuses[status] = statuses.get(status, 0) + 1
            latencies.append(now - connection.sent_at)
            if now >= ends:
                waiting -= 1
                selector.unregister(connection.socket)
                connection.socket.close()
            else:
                connection.send(make_request(number))
                number += 1
    return statuses, latencies, time.perf_counter() - started


def main() -> None:
    """Carry out the job on standard input."""
    job = json.loads(sys.stdin.read())
    head = "".join(f"{name}: {value}\r\n" for name, value in job["headers"].items())
    prefix = f"POST {job['path']} HTTP/1.1\r\nHost: localhost\r\n{head}"

    def make_request(number: int) -> bytes:
        body = job["body"].replace("NUMBER", f"{job['tag']}-{number}")
        body = body.replace("PRICE", str(30_000 + number % 5_000))
        return f"{prefix}Content-Length: {len(body)}\r\n\r\n{body}".encode()

    statuses, latencies, took_s = run(
        (job["host"], job["port"]),
        make_request,
        connections=job["connections"],
        seconds=job["seconds"],
    )
    result = {
        "statuses": {str(status): count for status, count in statuses.items()},
        "per_s": sum(statuses.values()) / took_s,
        "p50_ms": percentile(latencies, 0.5) * 1_000,
        "p99_ms": percentile(latencies, 0.99) * 1_000,
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
