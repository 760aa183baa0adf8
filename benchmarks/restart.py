"""
Starting with many open orders: from the start of the process to its first answer.

``python -m benchmarks.restart ORDERS ROUNDS`` is the measuring process; it fills a database
through the inline exchange, then kills -9 and starts ``run_exchange`` and asks it until it
answers.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import ROOT, Options, Section, median

# Open orders and the bound in seconds.
BOUNDS = ((10_000, 2.0), (100_000, 5.0))
ACCOUNTS = 100
FIRST_ACCOUNT = 8_000_000
CHUNK = 500


def measure(options: Options) -> Section:
    """Return the table of start times."""
    section = Section(
        key="restart",
        title="Start with open orders, after kill -9",
        header=("open orders", "first answer, s", "of it loading, s", "database, MB", "bound"),
    )
    for orders, bound_s in BOUNDS:
        count = orders // 10 if options.quick else orders
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.restart", str(count), str(options.rounds)],
            cwd=ROOT,
            env={**os.environ, "LOG_LEVEL": "error"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=900,
        )
        result = json.loads(done.stdout.splitlines()[-1])
        seconds = median(result["seconds"])
        section.rows.append(
            (
                f"{count:,d}",
                f"{seconds:.2f}",
                f"{result['load_seconds']:.2f}",
                f"{result['megabytes']:.0f}",
                section.bound(seconds < bound_s, f"< {bound_s:.0f} s"),
            )
        )
    section.notes.append(
        "From exec of manage.py run_exchange to the first answered order through the gateway; "
        f"SQLite, median of {options.rounds} kills."
    )
    return section


def main() -> None:
    """Measure once and print one JSON object."""
    from simulation.kill.world import World

    count, rounds = int(sys.argv[1]), int(sys.argv[2])
    directory = Path(tempfile.mkdtemp(prefix="exb-"))
    world = World(directory, pauses="")
    try:
        world.start("redis")
        world.use_here()
        _fill(count)
        world.wait(world.redis_answers, "Redis answers")
        seconds = []
        for _ in range(rounds):
            seconds.append(_time_start(world))
            world.kill("exchange")
        load_seconds = _time_load()
        megabytes = sum(path.stat().st_size for path in directory.glob("exchange.sqlite3*")) / 1e6
    finally:
        world.end()
    shutil.rmtree(directory)
    result = {"seconds": seconds, "load_seconds": load_seconds, "megabytes": megabytes}
    sys.stdout.write(json.dumps(result) + "\n")


def _fill(count: int) -> None:
    """Write a database with so many open orders through the store that writes real ones."""
    from django.core.management import call_command

    from exchange import lease
    from exchange.core import commands as c
    from exchange.core.enums import Lane, WalletKind
    from exchange.inline import InlineExchange
    from exchange.wire import Submission, make_command_id
    from simulation.kill.setup import ATOMS, configuration

    call_command("migrate", verbosity=0)
    inline = InlineExchange()
    commands: list[c.AnyCommand] = list(configuration())
    for account in range(FIRST_ACCOUNT, FIRST_ACCOUNT + ACCOUNTS):
        commands.append(c.ConfigureAccount(account, open_orders_max=count + rounds_reserve()))
        commands.append(c.Credit(account, WalletKind.SPOT, 2, 10**8 * ATOMS, "bench", "bench"))
    commands += [_resting_order(number) for number in range(count)]
    for start in range(0, len(commands), CHUNK):
        chunk = commands[start : start + CHUNK]
        inline.submit([Submission(make_command_id(), one) for one in chunk], Lane.SYSTEM)
    lease.release(inline.processor.epoch)


def rounds_reserve() -> int:
    """Return how many more orders than the filled ones an account may open."""
    return 1_000


def _resting_order(number: int) -> object:
    from exchange.core.commands import PlaceOrder
    from exchange.core.enums import OrderType, Side, TimeInForce
    from simulation.kill.setup import ATOMS

    return PlaceOrder(
        account_id=FIRST_ACCOUNT + number % ACCOUNTS,
        market_id=1,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        price_atoms=(40_000 + number * 7_919 % 5_000) * ATOMS,
        quantity_atoms=ATOMS // 1_000,
        client_order_id=f"resting-{number}",
    )


def _time_start(world: object) -> float:
    """Start the exchange and return the seconds until it answers an order."""
    from exchange import gateway
    from simulation.kill.world import World

    assert isinstance(world, World)
    started = time.perf_counter()
    world.start("exchange")
    while True:
        try:
            gateway.submit(_resting_order(0), timeout_s=5.0)
            return time.perf_counter() - started
        except gateway.ExchangeError:
            if not world.alive("exchange"):
                raise SystemExit(world.output("exchange")[-2000:]) from None
            time.sleep(0.005)


def _time_load() -> float:
    """Return the seconds that reading the rows into the live state takes."""
    from exchange.processor import make_projections
    from exchange.store.factory import open_store
    from exchange.store.loader import load_state

    started = time.perf_counter()
    load_state(open_store(), make_projections())
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
