"""
Every channel rebuilt under random trading: snapshot before + events = snapshot after.

Real processes. While accounts trade, clients lose frames and connections, the subscriptions
that carry frames to the web process are cut in Redis, and the projector is killed. Every few
seconds trading rests, and what each client holds must become what a newcomer is told. A
difference that stays is a gap that nobody noticed.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import redis

from simulation.kill.world import World
from simulation.streams.listening import (
    PRIVATE,
    Listener,
    fresh_snapshots,
    private_differences,
    public_differences,
)
from simulation.streams.setup import Traders, prepare
from simulation.streams.trading import Trader

MARKET = (
    *("book:BTC-USDT", "book:BTC/USDT:100", "book:BTCUSDT:20"),
    *("trade:BTC-USDT", "ticker:BTC-USDT", "kline:BTC-USDT:1m", "kline:BTC-USDT:1h"),
)
PRICES = ("price:BTC/USDT", "statistics:BTC/USDT", "trade:BTC/USDT")
TRADERS = 3
ORDERS_PER_S = 40.0
LOSS = 0.1
ROUND_S = 6.0
# Well before a token ends.
RENEW_S = 120.0
# Long enough for a heartbeat, a fresh snapshot and a machine that is busy with other things.
AGREE_S = 15.0


class StreamRun:
    """One run; ``lines`` say what was done and found."""

    def __init__(self, seconds: float, *, seed: int) -> None:
        self.seconds = seconds
        self.seed = seed
        self.random = random.Random(seed)
        self.world = World(Path(tempfile.mkdtemp(prefix="exw-")), pauses="")
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self.traders: list[Trader] = []
        self.listeners: list[Listener] = []

    def run(self) -> bool:
        """Run; return whether every channel agreed every time. Keeps its files on failure."""
        try:
            self.world.start_all()
            self.world.start("projector")
            asyncio.run(self._run(prepare(TRADERS)))
        finally:
            self.world.end()
        if not self.problems:
            shutil.rmtree(self.world.directory, ignore_errors=True)
        return not self.problems

    def lines(self) -> list[str]:
        """Return the report."""
        frames: Counter[str] = Counter()
        for listener in self.listeners:
            frames += listener.counts
        shown = ", ".join(f"{count:,d} {what}" for what, count in sorted(frames.items()))
        refused: Counter[str] = Counter()
        for trader in self.traders:
            refused.update(trader.refused)
        return [
            f"seed {self.seed}, {sum(trader.sent for trader in self.traders):,d} messages of "
            f"{len(self.traders)} traders, refused {dict(refused)}",
            f"frames: {shown}",
            f"gaps noticed: {sum(listener.gaps() for listener in self.listeners):,d}; faults: "
            f"{dict(self.counts)}",
            *(self.problems or [f"{self.counts['checks']} checks, 0 undetected gaps"]),
            *([f"files are kept in {self.world.directory}"] if self.problems else []),
        ]

    async def _run(self, people: Traders) -> None:
        base = self.world.url.replace("http", "ws", 1)
        user = f"{base}/ws/user"
        goes_on = asyncio.Event()
        chance = self.random
        tokens = [people.token_of(number) for number in range(TRADERS)]
        self.traders = [Trader(user, token, random.Random(chance.random())) for token in tokens]
        options: dict[str, Any] = {"loss": LOSS, "chance": random.Random(chance.random())}
        market = Listener(f"{base}/ws/market", MARKET, **options)
        prices = Listener(f"{base}/ws/prices", PRICES, **options)
        private = [Listener(user, PRIVATE, token=token, **options) for token in tokens]
        self.listeners = [market, prices, *private]
        tasks = [asyncio.create_task(listener.run()) for listener in self.listeners]
        tasks += [
            asyncio.create_task(trader.run(goes_on, ORDERS_PER_S / TRADERS))
            for trader in self.traders
        ]
        ends = time.monotonic() + self.seconds
        renewed_at = time.monotonic()
        try:
            while time.monotonic() < ends and not self.problems:
                if time.monotonic() - renewed_at > RENEW_S:
                    renewed_at = time.monotonic()
                    await asyncio.to_thread(people.renew)
                goes_on.set()
                await asyncio.sleep(min(ROUND_S, max(1.0, ends - time.monotonic())) / 2)
                await self._strike()
                await asyncio.sleep(ROUND_S / 2)
                goes_on.clear()
                await self._check(people.tokens, private)
                self._notice_deaths(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _strike(self) -> None:
        """Do one of the things that lose frames for everybody."""
        fault = self.random.choice(("listener cut", "subscriptions cut", "projector killed"))
        self.counts[fault] += 1
        if fault == "listener cut":
            await self.random.choice(self.listeners).cut()
        elif fault == "subscriptions cut":
            with redis.Redis(unix_socket_path=str(self.world.redis_socket)) as client:
                client.client_kill_filter(_type="pubsub")
        else:
            self.world.kill("projector")
            self.world.start("projector")

    async def _check(self, tokens: list[str], private: list[Listener]) -> None:
        """Compare every channel with what a newcomer is told, until all agree."""
        market, prices = self.listeners[:2]
        self.counts["checks"] += 1
        deadline = time.monotonic() + AGREE_S
        while True:
            different = public_differences(
                market, await fresh_snapshots(market.url, market.channels)
            )
            different += public_differences(
                prices, await fresh_snapshots(prices.url, prices.channels)
            )
            for token, listener in zip(tokens, private, strict=True):
                snapshots = await fresh_snapshots(listener.url, PRIVATE, token)
                different += private_differences(listener.account, snapshots)
            if not different:
                return
            if time.monotonic() > deadline:
                self.problems.append(f"seed {self.seed}: differs unnoticed: {different}")
                return
            await asyncio.sleep(0.3)

    def _notice_deaths(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            if task.done():
                self.problems.append(f"seed {self.seed}: a client ended: {task.exception()!r}")
