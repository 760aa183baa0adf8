"""
Hours of modest, mixed load on real processes: do memory, files and logs stay what they are?

Accounts trade over REST and ``/ws/user``, others listen to every channel and open connections
anew. Every ten seconds each process's memory and files, the write-ahead log and the streams
are noted; the second half of the run is judged, when caches have filled.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import redis

from simulation.kill.verdict import check_books
from simulation.kill.world import World
from simulation.soak.figures import Sample, Verdict, judge, usage
from simulation.soak.load import RestTrader
from simulation.streams.listening import PRIVATE, Listener
from simulation.streams.run import MARKET, PRICES
from simulation.streams.setup import Traders, prepare
from simulation.streams.trading import Trader

SAMPLE_S = 10.0
SOCKET_TRADERS = 2
REST_TRADERS = 2
LISTENERS = 8
# Of all traders of a kind together.
MESSAGES_PER_S = 20.0
REQUESTS_PER_S = 10.0
# Listeners come and go, which a leak of closed connections would show.
CUT_EVERY_S = 5.0
# Well before a token ends.
RENEW_S = 120.0
ANSWERS_SHOWN_MAX = 12


class SoakRun:
    """One soak; ``lines`` say what was sent, used and found."""

    def __init__(self, minutes: float, *, seed: int, sample_s: float = SAMPLE_S) -> None:
        self.seconds = minutes * 60
        self.seed = seed
        self.sample_s = sample_s
        self.random = random.Random(seed)
        self.world = World(Path(tempfile.mkdtemp(prefix="exs-")), pauses="")
        self.samples: list[Sample] = []
        self.verdict = Verdict()
        self.rest: list[RestTrader] = []
        self.sockets: list[Trader] = []
        self.listeners: list[Listener] = []
        self.hashes: object = None

    def run(self) -> bool:
        """Run; return whether everything stayed within bounds. Keeps its files on failure."""
        try:
            self.world.start_all()
            self.world.start("projector")
            asyncio.run(self._run(prepare(SOCKET_TRADERS + REST_TRADERS)))
            code = self.world.ask_to_stop("exchange")
            self.verdict = judge(self.samples)
            self.hashes = check_books(self.world.output("exchange"), self.verdict.problems)
            if code:
                self.verdict.problems.append(f"the exchange ended with {code}")
        finally:
            self.world.end()
        errors = sum(trader.server_errors for trader in self.rest)
        if errors:
            self.verdict.problems.append(f"{errors} server errors that no document names")
        if not self.verdict.problems:
            shutil.rmtree(self.world.directory, ignore_errors=True)
        return not self.verdict.problems

    def lines(self) -> list[str]:
        """Return the report."""
        verdict = self.verdict
        answers = sum((trader.answers for trader in self.rest), start=Counter())
        shown = ", ".join(f"{code} {n:,d}" for code, n in answers.most_common(ANSWERS_SHOWN_MAX))
        refused: dict[str, int] = {}
        for trader in self.sockets:
            for code, number in trader.refused.items():
                refused[code] = refused.get(code, 0) + number
        sent = sum(trader.sent for trader in self.sockets)
        heard = sum(listener.counts.total() for listener in self.listeners)
        minutes = self.samples[-1].at_s / 60
        lines = [
            f"seed {self.seed}, {len(self.samples)} samples in {minutes:.1f} minutes",
            f"REST: {shown}",
            f"/ws/user: {sent:,d} messages, refused {refused}; {heard:,d} frames heard",
            f"hashes {self.hashes}",
        ]
        lines += [
            f"{growth.name}: {growth.rss_kib / 1024:.1f} MiB, {growth.rss_kib_per_min:+.0f} KiB"
            f" a minute; {growth.fds:.0f} files, {growth.fds_growth:+.0f}"
            for growth in verdict.growths
        ]
        streams = ", ".join(f"{name} {length:,d}" for name, length in verdict.streams.items())
        lines.append(f"write-ahead log at most {verdict.wal_bytes / 2**20:.1f} MiB; {streams}")
        lines += [f"PROBLEM {problem}" for problem in verdict.problems]
        if verdict.problems:
            lines.append(f"files are kept in {self.world.directory}")
        return lines

    async def _run(self, people: Traders) -> None:
        world, chance = self.world, self.random
        base = world.url.replace("http", "ws", 1)
        tokens = [people.token_of(number) for number in range(SOCKET_TRADERS + REST_TRADERS)]
        goes_on = asyncio.Event()
        goes_on.set()
        self.sockets = [
            Trader(f"{base}/ws/user", token, random.Random(chance.random()))
            for token in tokens[:SOCKET_TRADERS]
        ]
        self.rest = [
            RestTrader(world.url, token, random.Random(chance.random()))
            for token in tokens[SOCKET_TRADERS:]
        ]
        self.listeners = [self._listener(base, tokens, number) for number in range(LISTENERS)]
        tasks = [asyncio.create_task(listener.run()) for listener in self.listeners]
        tasks += [
            asyncio.create_task(trader.run(goes_on, MESSAGES_PER_S / SOCKET_TRADERS))
            for trader in self.sockets
        ]
        tasks += [
            asyncio.create_task(trader.run(REQUESTS_PER_S / REST_TRADERS)) for trader in self.rest
        ]
        tasks.append(asyncio.create_task(self._cut_now_and_then()))
        tasks.append(asyncio.create_task(_renew(people)))
        try:
            await self._sample(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _listener(self, base: str, tokens: list[Callable[[], str]], number: int) -> Listener:
        chance = random.Random(self.random.random())
        if number % 3 == 0:
            return Listener(f"{base}/ws/market", MARKET, loss=0.0, chance=chance)
        if number % 3 == 1:
            return Listener(f"{base}/ws/prices", PRICES, loss=0.0, chance=chance)
        token = tokens[number % len(tokens)]
        return Listener(f"{base}/ws/user", PRIVATE, token=token, loss=0.0, chance=chance)

    async def _cut_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(CUT_EVERY_S)
            await self.random.choice(self.listeners).cut()

    async def _sample(self, tasks: list[asyncio.Task[None]]) -> None:
        started = time.monotonic()
        with redis.Redis(unix_socket_path=str(self.world.redis_socket)) as client:
            while (at_s := time.monotonic() - started) <= self.seconds:
                self.samples.append(self._look(at_s, client))
                for task in tasks:
                    if task.done():
                        raise SystemExit(f"a client ended: {task.exception()!r}")
                await asyncio.sleep(self.sample_s)

    def _look(self, at_s: float, client: redis.Redis) -> Sample:
        from exchange import keys
        from exchange.core.enums import Lane

        used = {
            name: found
            for name, process in self.world.processes.items()
            if process.poll() is None and (found := usage(process.pid)) is not None
        }
        streams = {"events": keys.events(), "orders lane": keys.lane(Lane.ORDERS, 1)}
        wal = self.world.database.with_name(self.world.database.name + "-wal")
        size = 0
        with contextlib.suppress(FileNotFoundError):
            size = wal.stat().st_size
        lengths = {name: int(client.xlen(key)) for name, key in streams.items()}
        return Sample(at_s, used, size, lengths)


async def _renew(people: Traders) -> None:
    while True:
        await asyncio.sleep(RENEW_S)
        await asyncio.to_thread(people.renew)
