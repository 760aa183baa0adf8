"""
Many subscribers of one channel in a process of its own: reads a job, prints what it measured.

The job names the port, the path, how many connections to open and what to say on each. This
process also plays the projector: it publishes packets as that does, so that one clock tells
how long a frame took from there to the last client. Against a server that broadcasts by
itself it says ``go`` over one more connection instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import Any, Protocol

import redis.asyncio
import uvloop

from benchmarks.report import percentile
from benchmarks.ws_site import memory_bytes
from benchmarks.ws_wire import Client, connect

# Frames on their way at most while throughput is measured.
WINDOW = 20
OPEN_AT_ONCE = 50
WAIT_S = 30.0
# As large as a frame of a trade or a small change of a book.
PADDING = 200


class Publisher(Protocol):
    """Whoever makes the server send a frame to all subscribers."""

    async def publish(self, seq: int) -> None:
        """Have one frame sent."""
        ...


class Projector:
    """Publishes packets with one frame each, through Redis as ``run_projector`` does."""

    def __init__(self, url: str, padding: int) -> None:
        from common.ws import topics

        self._padding = "x" * padding
        self._redis = redis.asyncio.Redis.from_url(url)
        self._topics = topics
        self._epoch = time.time_ns() // 1_000_000
        self._number = 0

    async def begin(self) -> None:
        """Open an epoch with a snapshot."""
        data = {"symbol": "BTC-USDT", "epoch": self._epoch, "seq": 0, "time": 0, "trades": []}
        await self._redis.set(self._topics.epoch_key(), self._epoch)
        await self._redis.set(self._topics.trades_key(1), json.dumps(data))
        await self._send([])

    async def publish(self, seq: int) -> None:
        """Publish one frame that carries the time."""
        from common.ws.frames import PublicFrame, body

        # Nothing before it: the one snapshot there is stays good for who comes later.
        data = f'{{"sent":{time.perf_counter_ns()},"padding":"{self._padding}"}}'
        text = body(epoch=self._epoch, seq=seq, prev=0, kind="update", time_ms=0, data=data)
        await self._send([PublicFrame("trade:1", seq, 0, text)])

    async def _send(self, frames: list[Any]) -> None:
        from common.ws.frames import Packet, encode_packet

        self._number += 1
        packet = Packet(self._epoch, self._number, 0, self._number == 1, frames, [], [])
        await self._redis.publish(self._topics.frames_channel(), encode_packet(packet))


class Bare:
    """Tells the reference server to broadcast."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def publish(self, seq: int) -> None:
        """Have one frame sent that carries the time."""
        frame = {"channel": "trade:BTC-USDT", "seq": seq, "sent": 0, "padding": "x" * PADDING}
        text = json.dumps(frame, separators=(",", ":"))
        self._client.send(text.replace('"sent":0', f'"sent":{time.perf_counter_ns()}').encode())


class Listeners:
    """All subscribers, and when the frames reached them."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.latencies_ms: list[float] = []
        self.received = 0
        self.subscribed = 0
        self.changed = asyncio.Event()

    def take(self, _client: Client, message: bytes) -> None:
        """Note a frame."""
        found = message.find(b'"sent":')
        if found < 0:
            if b'"type":"snapshot"' in message:
                self.subscribed += 1
            return
        sent = int(message[found + 7 : message.index(b",", found)])
        self.latencies_ms.append((time.perf_counter_ns() - sent) / 1e6)
        self.received += 1
        self.changed.set()

    async def open(self, port: int, path: str, number: int, hello: str) -> None:
        """Connect and subscribe."""
        while len(self.clients) < number:
            count = min(OPEN_AT_ONCE, number - len(self.clients))
            self.clients += await asyncio.gather(
                *(connect(port, path, self.take) for _ in range(count))
            )
        if hello:
            for client in self.clients:
                client.send(hello.encode())
            ends = time.perf_counter() + WAIT_S
            while self.subscribed < number and time.perf_counter() < ends:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            if self.subscribed < number:
                raise SystemExit(f"{self.subscribed} of {number} were subscribed")

    async def reached(self, total: int) -> None:
        """Wait until so many frames have arrived in all."""
        async with asyncio.timeout(WAIT_S):
            while self.received < total:
                self.changed.clear()
                await self.changed.wait()


async def _at_rate(
    publisher: Publisher, listeners: Listeners, seq: int, per_s: float, seconds: float
) -> int:
    """Publish at a fixed rate; return the last sequence."""
    listeners.latencies_ms.clear()
    before, first = listeners.received, seq
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        seq += 1
        await publisher.publish(seq)
        due = started + (seq - first) / per_s
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    await listeners.reached(before + (seq - first) * len(listeners.clients))
    return seq


async def _slow_clients(port: int, number: int) -> list[Client]:
    """Open clients that subscribe and read nothing: their windows close after a few kilobytes."""
    opened = []
    for _ in range(number):
        client = await connect(port, "/ws/market", lambda *_: None, receive_bytes=4_096)
        client.send(json.dumps({"op": "subscribe", "channels": ["trade:BTC-USDT"]}).encode())
        client.transport.pause_reading()
        opened.append(client)
    return opened


async def _with_slow_clients(
    publisher: Publisher, listeners: Listeners, job: dict[str, Any]
) -> dict[str, Any]:
    """Measure who reads in turn alone and beside clients that do not, and the server's memory."""
    p99: dict[str, list[float]] = {"alone": [], "beside": []}
    memory = [memory_bytes(job["web_pid"])]
    seq = 0
    for _ in range(job["turns"]):
        for name, latencies in p99.items():
            number = job["slow"] if name == "beside" else 0
            slow = await _slow_clients(job["port"], number)
            seq = await _at_rate(publisher, listeners, seq, job["per_s"], job["seconds"])
            latencies.append(percentile(listeners.latencies_ms, 0.99))
            memory.append(memory_bytes(job["web_pid"]))
            for client in slow:
                client.transport.abort()
            await asyncio.sleep(0.5)
    return {**p99, "grown_mb": (max(memory) - memory[0]) / 2**20}


async def _flat_out(publisher: Publisher, listeners: Listeners, seq: int, seconds: float) -> float:
    """Publish as fast as the subscribers hear; return frames received per second."""
    number = len(listeners.clients)
    before, first = listeners.received, seq
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        seq += 1
        await publisher.publish(seq)
        await listeners.reached(before + (seq - first - WINDOW) * number)
    await listeners.reached(before + (seq - first) * number)
    return (seq - first) * number / (time.perf_counter() - started)


async def _run(job: dict[str, Any]) -> dict[str, Any]:
    listeners = Listeners()
    publisher: Publisher
    if job["bare"]:
        await listeners.open(job["port"], "/", job["number"], "")
        publisher = Bare(await connect(job["port"], "/go", lambda *_: None))
    else:
        projector = Projector(job["redis"], job.get("padding", PADDING))
        await projector.begin()
        hello = json.dumps({"op": "subscribe", "channels": ["trade:BTC-USDT"]})
        await listeners.open(job["port"], "/ws/market", job["number"], hello)
        publisher = projector
    if not job["seconds"]:
        # Idle connections: whoever asked looks at the server now.
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        with contextlib.suppress(EOFError):
            await asyncio.to_thread(sys.stdin.readline)
        return {"left": sum(not client.is_lost for client in listeners.clients)}
    if job.get("slow"):
        return await _with_slow_clients(publisher, listeners, job)
    seq = await _at_rate(publisher, listeners, 0, job["per_s"], job["seconds"])
    p50, p99 = (percentile(listeners.latencies_ms, share) for share in (0.5, 0.99))
    rate = await _flat_out(publisher, listeners, seq, job["seconds"])
    return {"p50": p50, "p99": p99, "rate": rate}


def _main() -> None:
    job = json.loads(sys.stdin.readline())
    if not job["bare"]:
        import django

        django.setup()
    sys.stdout.write(json.dumps(uvloop.run(_run(job))) + "\n")


if __name__ == "__main__":
    _main()
