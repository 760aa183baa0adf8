"""
Orders over WebSocket from a process of its own: ``python -m benchmarks.ws_load`` reads a job.

Each of the connections belongs to another account; 60 % of the messages place an order that
rests, 40 % cancel one. A closed loop keeps a number of messages on their way and shows the
throughput, an open loop at a fixed rate the latency.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from random import Random
from typing import Any

import uvloop

from benchmarks.report import percentile
from benchmarks.ws_wire import Client, connect

CANCEL_SHARE = 0.4
DRAIN_S = 10.0


class Load:
    """All connections of one run and what they have measured."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.random = Random(1)
        self.clients: list[Client] = []
        self.open: dict[Client, list[str]] = {}
        self.sent_at: dict[int, float] = {}
        self.latencies_ms: list[float] = []
        self.orders = 0
        self.refused = 0
        self.number = 0
        self.goes_on = False
        self.ready: dict[Client, asyncio.Event] = {}

    async def connect(self, port: int, tokens: list[str]) -> None:
        """Open one connection for each token and log in."""
        for token in tokens:
            client = await connect(port, "/ws/user", self.take)
            self.open[client], self.ready[client] = [], asyncio.Event()
            client.send(json.dumps({"op": "auth", "token": token}).encode())
            await asyncio.wait_for(self.ready[client].wait(), 10)
            self.clients.append(client)

    def send(self, client: Client) -> None:
        """Send one message and note when."""
        self.number += 1
        self.sent_at[self.number] = time.perf_counter()
        resting = self.open[client]
        if self.batch == 1 and resting and self.random.random() < CANCEL_SHARE:
            order_id = resting.pop(self.random.randrange(len(resting)))
            text = f'{{"op":"cancel","id":{self.number},"params":{{"order_id":"{order_id}"}}}}'
        elif self.batch == 1:
            text = f'{{"op":"place","id":{self.number},"params":{self._order()}}}'
        else:
            orders = ",".join(self._order() for _ in range(self.batch))
            text = f'{{"op":"place_batch","id":{self.number},"params":{{"orders":[{orders}]}}}}'
        client.send(text.encode())

    def take(self, client: Client, message: bytes) -> None:
        """Take an answer; in a closed loop the next message follows it."""
        if not message.startswith(b'{"type":"result","id":'):
            if message.startswith(b'{"type":"authenticated"'):
                self.ready[client].set()
                return
            self.refused += 1
            if not message.startswith(b'{"type":"error","id":'):
                raise SystemExit(message.decode()[:300])
        number = int(message[message.index(b'"id":') + 5 : message.index(b',"op"')])
        self.latencies_ms.append((time.perf_counter() - self.sent_at.pop(number)) * 1_000)
        self.orders += self.batch
        if b'"op":"place","status":201' in message:
            begin = message.index(b'"data":{"id":"') + 14
            self.open[client].append(message[begin : message.index(b'"', begin)].decode())
        if self.goes_on:
            self.send(client)

    async def closed(self, seconds: float, in_flight: int) -> float:
        """Keep so many messages on their way; return orders answered per second."""
        await self.settle()
        self.latencies_ms, self.orders, self.goes_on = [], 0, True
        started = time.perf_counter()
        for number in range(in_flight):
            self.send(self.clients[number % len(self.clients)])
        await asyncio.sleep(seconds)
        self.goes_on = False
        return self.orders / (time.perf_counter() - started)

    async def at_rate(self, per_second: float, seconds: float) -> None:
        """Send at a fixed rate whatever the answers do."""
        await self.settle()
        self.latencies_ms = []
        started = time.perf_counter()
        sent = 0
        while (now := time.perf_counter() - started) < seconds:
            due = int(now * per_second)
            for number in range(sent, due):
                self.send(self.clients[number % len(self.clients)])
            sent = max(sent, due)
            await asyncio.sleep(0.001)
        await self.settle()

    async def settle(self) -> None:
        """Wait for what is still on its way."""
        self.goes_on = False
        ends = time.perf_counter() + DRAIN_S
        while self.sent_at and time.perf_counter() < ends:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        if self.sent_at:
            raise SystemExit(f"{len(self.sent_at)} messages were never answered")

    def latency_ms(self, share: float) -> float:
        """Return a percentile of what the last run noted."""
        return percentile(self.latencies_ms, share)

    def _order(self) -> str:
        price = self.random.randrange(10_000, 20_000)
        return (
            '{"symbol":"BTC-USDT","side":"buy","type":"limit",'
            f'"quantity":"0.1","price":"{price // 100}.{price % 100:02d}"}}'
        )


async def _run(job: dict[str, Any]) -> dict[str, float]:
    load = Load(job["batch"])
    await load.connect(job["port"], job["tokens"])
    seconds, in_flight = job["seconds"], job["in_flight"]
    await load.closed(seconds / 4, in_flight)
    rate = await load.closed(seconds, in_flight)
    found = {"rate": rate, "p50": load.latency_ms(0.5), "p99": load.latency_ms(0.99)}
    for name, per_second in (("half", rate / 2), ("thousand", 1_000)):
        if job["batch"] == 1:
            await load.at_rate(per_second, seconds)
            found[f"{name}_p50"] = load.latency_ms(0.5)
            found[f"{name}_p99"] = load.latency_ms(0.99)
    await load.settle()
    return {**found, "refused": load.refused}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(uvloop.run(_run(json.loads(sys.stdin.read())))) + "\n")
