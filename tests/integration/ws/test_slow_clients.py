"""
Clients that never read are cut off; they cost little and delay nobody (RELIABILITY T24).

Server and clients share one process here; with processes of their own the benchmark
``ws_fanout`` holds the 99th percentile to a control.
"""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from benchmarks.report import percentile
from benchmarks.ws_site import memory_bytes
from benchmarks.ws_wire import Client, connect
from common.ws.frames import PublicFrame, body
from common.ws.hub import Hub, get_hub
from tests.support.live import LiveClient, LivePipeline, LiveServer

pytestmark = pytest.mark.integration

SLOW = 50
FRAME_BYTES = 40_000
FRAMES = 40
MEMORY_MAX_BYTES = 64 * 2**20
# What a machine that is busy with other things adds by itself.
NOISE_S = 0.02


async def _deaf(port: int) -> Client:
    """Open a connection that subscribes and then reads nothing: its window is soon closed."""
    client = await connect(port, "/ws/market", lambda *_: None, receive_bytes=4_096)
    client.send(json.dumps({"op": "subscribe", "channels": ["trade:BTC-USDT"]}).encode())
    client.transport.pause_reading()
    return client


async def _delays(hub: Hub, reader: LiveClient, seq: int) -> list[float]:
    """Return how long frames take to a client that reads."""
    found = []
    for number in range(seq, seq + FRAMES):
        text = body(
            epoch=hub.public.epoch,
            seq=number,
            # Nothing before it: the one snapshot there is stays good for who comes later.
            prev=0,
            kind="update",
            time_ms=0,
            data=f'"{"x" * FRAME_BYTES}"',
        )
        began = hub.time()
        hub.public.route([PublicFrame("trade:1", number, 0, text)], began)
        await reader.until(type="update", seq=number)
        found.append(hub.time() - began)
        await asyncio.sleep(0.005)
    return found


async def _until_connections(hub: Hub, number: int) -> None:
    async with asyncio.timeout(8):
        while len(hub.connections) != number:  # noqa: ASYNC110 - no event for it
            await asyncio.sleep(0.02)


async def test_t24_fifty_clients_that_never_read_cost_little_and_delay_nobody(
    pipeline: LivePipeline, server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.ws.outbox.SEND_TIMEOUT_S", 1.0)
    hub = get_hub()
    reader = await server.connect("/ws/market", max_size=2**22, max_queue=None)
    await reader.send(op="subscribe", channels=["trade:BTC-USDT"])
    await reader.until(type="snapshot")
    # What follows is made up here, to be large.
    reader.is_held_to_contract = False
    await asyncio.to_thread(pipeline.stop)
    before = memory_bytes(os.getpid())

    delays: dict[str, list[float]] = {"alone": [], "beside": []}
    seq = 1
    for _ in range(2):
        delays["alone"] += await _delays(hub, reader, seq)
        deaf = [await _deaf(server.port) for _ in range(SLOW)]
        await _until_connections(hub, SLOW + 1)
        delays["beside"] += await _delays(hub, reader, seq + FRAMES)
        grown = memory_bytes(os.getpid()) - before
        seq += 2 * FRAMES
        # Nobody told them anything: they would not have read that either.
        await _until_connections(hub, 1)
        for client in deaf:
            client.transport.abort()

    half = {name: percentile(values, 0.5) for name, values in delays.items()}
    assert percentile(delays["beside"], 0.99) < 0.1
    assert half["beside"] <= max(1.5 * half["alone"], half["alone"] + NOISE_S)
    assert grown < MEMORY_MAX_BYTES
    await reader.send(op="ping")
    await reader.until(type="pong")
