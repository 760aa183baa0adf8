"""
Orders through the gateway from an event loop, as a WebSocket process sends them.

A real Redis (appendonly), a real ``manage.py run_exchange``, every order acknowledged after
its commit. An open loop at a fixed rate shows the latency, a closed loop of many clients the
throughput; both run in a process beside the exchange.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.report import ROOT, Options, Section, median, percentile

ATOMS = 10**8
CLIENTS = 200
BOUND_PER_S = 10_000
BOUND_P99_HALF_MS = 50
BOUND_P99_1000_MS = 10
ACCOUNTS = 500
FIRST_ACCOUNT = 1_000_000


@dataclass(frozen=True)
class Result:
    """What one run of the load process measured; latencies in milliseconds."""

    closed_per_s: float
    closed_p99_ms: float
    half_p50_ms: float
    half_p99_ms: float
    thousand_p50_ms: float
    thousand_p99_ms: float
    refused: int


def measure(options: Options) -> Section:
    """Return the table of throughput and latency."""
    section = Section(
        key="gateway",
        title="Orders acknowledged after commit, from an event loop through Redis",
        header=("load", "orders/s", "p50", "p99", "bound"),
    )
    seconds = 1.0 if options.quick else 5.0
    results = [_round(seconds) for _ in range(options.rounds)]
    rate = median(result.closed_per_s for result in results)
    closed_p99 = median(result.closed_p99_ms for result in results)
    half_p99 = median(result.half_p99_ms for result in results)
    thousand_p99 = median(result.thousand_p99_ms for result in results)
    section.rows = [
        (
            f"{CLIENTS} clients, each its next after its answer",
            f"{rate:,.0f}",
            "",
            f"{closed_p99:.1f} ms",
            section.bound(rate >= BOUND_PER_S, f"{BOUND_PER_S:,d}/s"),
        ),
        (
            "at half of that",
            f"{rate / 2:,.0f}",
            f"{median(result.half_p50_ms for result in results):.1f} ms",
            f"{half_p99:.1f} ms",
            section.bound(half_p99 < BOUND_P99_HALF_MS, f"{BOUND_P99_HALF_MS} ms"),
        ),
        (
            "at 1,000/s",
            "1,000",
            f"{median(result.thousand_p50_ms for result in results):.1f} ms",
            f"{thousand_p99:.1f} ms",
            section.bound(thousand_p99 < BOUND_P99_1000_MS, f"{BOUND_P99_1000_MS} ms"),
        ),
    ]
    section.notes.append(
        "Load generator, exchange and Redis share the machine; appendfsync everysec."
    )
    return section


def _round(seconds: float) -> Result:
    directory = Path(tempfile.mkdtemp(prefix="exb-"))
    environment = {
        **os.environ,
        "ENV_FILE": os.devnull,
        "VAR_DIR": str(directory),
        "DATABASE_URL": f"sqlite:///{directory / 'exchange.sqlite3'}",
        "REDIS_URL": f"unix://{directory / 'r.sock'}",
        "DJANGO_SETTINGS_MODULE": "tradingplatform.settings",
        "LOG_LEVEL": "warn",
    }
    redis_server = _start_redis(directory)
    exchange: subprocess.Popen[bytes] | None = None
    try:
        arguments = [sys.executable, "manage.py"]
        subprocess.run([*arguments, "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
        exchange = subprocess.Popen(
            [*arguments, "run_exchange"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
        )
        output = subprocess.run(
            [sys.executable, "-m", "benchmarks.gateway", str(seconds)],
            cwd=ROOT,
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
        return Result(**json.loads(output.splitlines()[-1]))
    finally:
        if exchange is not None:
            exchange.send_signal(signal.SIGTERM)
            exchange.wait(20)
        redis_server.kill()
        redis_server.wait()
        shutil.rmtree(directory)


def _start_redis(directory: Path) -> subprocess.Popen[bytes]:
    from tradingplatform.supervisor.redis_server import find_binary

    binary = find_binary()
    if binary is None:
        raise SystemExit("no Redis binary was found")
    return subprocess.Popen(
        [
            binary,
            *("--port", "0", "--unixsocket", str(directory / "r.sock")),
            *("--dir", str(directory), "--appendonly", "yes", "--save", ""),
        ],
        stdout=subprocess.DEVNULL,
    )


# --- in the load process --------------------------------------------------------------------


class Load:
    """Places and cancels orders that never trade, as 60 % rest and 40 % cancel."""

    def __init__(self) -> None:
        self.random = Random(1)
        self.open: list[tuple[int, int]] = []
        self.latencies_ms: list[float] = []
        self.refused = 0

    async def one(self) -> None:
        """Send one command and note how long its answer took."""
        from exchange import gateway
        from exchange.core.commands import AnyCommand, CancelOrder, PlaceOrder
        from exchange.core.enums import OrderType, Side, TimeInForce

        account = FIRST_ACCOUNT + self.random.randrange(ACCOUNTS)
        command: AnyCommand
        if self.open and self.random.random() < 0.4:
            index = self.random.randrange(len(self.open))
            self.open[index], self.open[-1] = self.open[-1], self.open[index]
            command = CancelOrder(*self.open.pop())
        else:
            price = self.random.randrange(10_000, 20_000) * ATOMS // 100
            command = PlaceOrder(
                account, 1, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, price, ATOMS // 10
            )
        started = time.perf_counter()
        outcome = await gateway.submit_async(command)
        self.latencies_ms.append((time.perf_counter() - started) * 1_000)
        self.refused += outcome.code != 0
        if isinstance(command, PlaceOrder) and outcome.code == 0:
            self.open.append((account, outcome.reference_id))

    async def closed(self, seconds: float) -> float:
        """Let all clients send one after the other; return commands per second."""
        self.latencies_ms = []
        end = time.perf_counter() + seconds

        async def client() -> None:
            while time.perf_counter() < end:
                await self.one()

        started = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        return len(self.latencies_ms) / (time.perf_counter() - started)

    async def at_rate(self, per_second: float, seconds: float) -> None:
        """Send at a fixed rate whatever the answers do."""
        self.latencies_ms = []
        started = time.perf_counter()
        tasks = []
        sent = 0
        while (now := time.perf_counter() - started) < seconds:
            due = int(now * per_second)
            tasks += [asyncio.create_task(self.one()) for _ in range(due - sent)]
            sent = max(sent, due)
            await asyncio.sleep(0.001)
        await asyncio.gather(*tasks)

    def percentile_ms(self, share: float) -> float:
        """Return a percentile of what the last run noted."""
        return percentile(self.latencies_ms, share)


async def _run(seconds: float) -> Result:
    from exchange.dispatch.loop import dispatcher

    load = Load()
    await load.closed(seconds / 5)
    rate = await load.closed(seconds)
    closed_p99 = load.percentile_ms(0.99)
    await load.at_rate(rate / 2, seconds)
    half = load.percentile_ms(0.5), load.percentile_ms(0.99)
    await load.at_rate(1_000, seconds)
    result = Result(
        closed_per_s=rate,
        closed_p99_ms=closed_p99,
        half_p50_ms=half[0],
        half_p99_ms=half[1],
        thousand_p50_ms=load.percentile_ms(0.5),
        thousand_p99_ms=load.percentile_ms(0.99),
        refused=load.refused,
    )
    await dispatcher().aclose()
    return result


def _seed() -> None:
    from benchmarks.core import setup_commands
    from exchange import gateway
    from exchange.core.commands import AnyCommand

    deadline = time.monotonic() + 60
    while not gateway.status().leader and time.monotonic() < deadline:
        time.sleep(0.05)
    commands: list[AnyCommand] = [
        command
        for command in setup_commands()
        if getattr(command, "account_id", 0) < FIRST_ACCOUNT + ACCOUNTS
    ]
    for start in range(0, len(commands), 500):
        gateway.submit_many(commands[start : start + 500])


def _main(seconds: float) -> dict[str, Any]:
    import logging

    import django
    import uvloop

    logging.disable(logging.INFO)
    django.setup()
    _seed()
    return asdict(uvloop.run(_run(seconds)))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_main(float(sys.argv[1]))) + "\n")
