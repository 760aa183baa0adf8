"""
Many WebSocket clients at once: how late frames arrive, and whether any are missed.

    NUM_CLIENTS=100 TEST_DURATION=60 make ws-stress

Each client follows book, trades and ticker of every market (``SYMBOLS`` names some) by the rule
of the protocol, on a connection of its own. The latency of a frame is the time from its ``ts``,
when it was published, until it was read; all clients share one process and one clock, so it
contains the wait for the others. ``EXCHANGE_URL`` names the platform; other machines than this
one only with ``ALLOW_REMOTE=1``, and then their clock must agree with ours.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tradingclient import AsyncRestClient, TradingError
from tradingclient.frames import Message, Verdict
from tradingclient.socket import Connection
from tradingclient.subscriptions import Channel

KINDS = ("book", "trade", "ticker")
CLIENTS_MAX = 20_000
# Handshakes under way at once: a crowd at the door is not what is measured.
OPENING_AT_ONCE = 50


@dataclass
class Tally:
    """What all clients saw; latencies in whole milliseconds, the resolution of ``ts``."""

    frames: int = 0
    gaps: int = 0
    resets: int = 0
    latencies_ms: Counter[int] = field(default_factory=Counter)
    recent_ms: Counter[int] = field(default_factory=Counter)
    opened_ms: Counter[int] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    def take(self, frame: Message, verdict: Verdict, now_ms: int) -> None:
        """Count a frame."""
        self.frames += 1
        if verdict is Verdict.GAP:
            self.gaps += 1
        elif verdict is Verdict.FORGET:
            self.resets += 1
        elif verdict is Verdict.CHANGE:
            late_ms = max(now_ms - frame.ts, 0)
            self.latencies_ms[late_ms] += 1
            self.recent_ms[late_ms] += 1


def percentile(counts: Counter[int], share: float) -> int | None:
    """Return the smallest value that at least a share of all are not above; None of none."""
    left = sum(counts.values()) * share
    for value in sorted(counts):
        left -= counts[value]
        if left <= 0:
            return value
    return None


def shown(counts: Counter[int]) -> str:
    """Return percentiles in a line."""
    names = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
    values = [(name, percentile(counts, share)) for name, share in names]
    return "  ".join(f"{name} {'-' if value is None else value} ms" for name, value in values)


def is_loopback(url: str) -> bool:
    """Return whether an address is this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Stress:
    """The run: opens clients, counts until the time is over, reports."""

    def __init__(self, *, url: str, clients: int, duration_s: float, symbols: list[str]) -> None:
        self.tally = Tally()
        self.connections: list[Connection] = []
        self._url = url.replace("http", "ws", 1).rstrip("/") + "/ws/market"
        self._clients = clients
        self._duration_s = duration_s
        self._symbols = symbols

    async def run(self, tell: Callable[[float, str], None]) -> None:
        """Open every client, then follow the clock; ``tell`` hears the progress each second."""
        opening = asyncio.Semaphore(OPENING_AT_ONCE)
        await asyncio.gather(*(self._open(opening) for _ in range(self._clients)))
        started = time.monotonic()
        before = self.tally.frames
        # By the clock, so that late ticks do not add up.
        for tick in range(1, round(self._duration_s) + 1):
            await asyncio.sleep(max(started + tick - time.monotonic(), 0.0))
            tell(tick, self._line(before))
            before = self.tally.frames
            self.tally.recent_ms.clear()
        await asyncio.gather(*(connection.close() for connection in self.connections))

    async def _open(self, opening: asyncio.Semaphore) -> None:
        async with opening:
            connection = Connection(self._url)
            began = time.monotonic()
            try:
                await connection.subscribe(
                    Channel(f"{kind}:{symbol}", self._take)
                    for kind in KINDS
                    for symbol in self._symbols
                )
            except TradingError as error:
                self.tally.failed.append(error.code)
                await connection.close()
                return
            self.tally.opened_ms[round((time.monotonic() - began) * 1000)] += 1
            self.connections.append(connection)

    def _take(self, frame: Message, verdict: Verdict) -> None:
        self.tally.take(frame, verdict, time.time_ns() // 1_000_000)

    @property
    def drops(self) -> int:
        """Return how often a connection was lost and made again."""
        return sum(connection.reconnects for connection in self.connections)

    def _line(self, before: int) -> str:
        tally = self.tally
        return (
            f"{len(self.connections)} clients  {tally.frames - before:,} frames/s  "
            f"{shown(tally.recent_ms)}  gaps {tally.gaps}  drops {self.drops}"
        )

    def report(self) -> Table:
        """Return the figures of the whole run."""
        tally = self.tally
        table = Table(title="WebSocket stress", show_header=False)
        table.add_row("clients", f"{len(self.connections)} of {self._clients}")
        table.add_row("channels of each", str(len(KINDS) * len(self._symbols)))
        table.add_row("connect and subscribe", shown(tally.opened_ms))
        table.add_row("frames", f"{tally.frames:,} ({tally.frames / self._duration_s:,.0f}/s)")
        table.add_row("latency", shown(tally.latencies_ms))
        table.add_row("gaps, resets, drops", f"{tally.gaps}, {tally.resets}, {self.drops}")
        for code, count in Counter(tally.failed).items():
            table.add_row("not connected", f"{count} x {code}")
        return table


async def measure(console: Console, stress: Stress, duration_s: float) -> None:
    """Run with a bar on a terminal, with a line each second elsewhere."""
    if not console.is_terminal:
        await stress.run(lambda passed_s, line: console.print(f"{passed_s:5.0f} s  {line}"))
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("connecting", total=duration_s)
        await stress.run(
            lambda passed_s, line: progress.update(bar, completed=passed_s, description=line)
        )


def whole(name: str, default: int, most: int) -> int:
    """Return a whole number of the environment; ends the program when it is none."""
    text = os.environ.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise SystemExit(f"{name} must be a number from 1 to {most}, was {text!r}")
    return int(text)


async def main() -> int:
    """Measure; the exit code is 1 when clients could not connect or frames were missed."""
    url = os.environ.get("EXCHANGE_URL", "http://localhost:3000")
    if not is_loopback(url) and os.environ.get("ALLOW_REMOTE") != "1":
        raise SystemExit(f"{url} is not this machine: ALLOW_REMOTE=1 says that you mean it")
    clients = whole("NUM_CLIENTS", 100, CLIENTS_MAX)
    duration_s = whole("TEST_DURATION", 60, 86_400)
    async with AsyncRestClient(url) as rest:
        try:
            symbols = [market.symbol for market in await rest.markets()]
        except TradingError as error:
            raise SystemExit(f"{url}: {error}") from error
    chosen = os.environ.get("SYMBOLS", "").split()
    stress = Stress(url=url, clients=clients, duration_s=duration_s, symbols=chosen or symbols)
    console = Console()
    await measure(console, stress, duration_s)
    console.print(stress.report())
    return 1 if stress.tally.failed or stress.tally.gaps else 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        sys.exit(130)
