"""
Starting with many open orders: from the start of the process to its first answer.

``python -m benchmarks.restart start|failover ORDERS ROUNDS`` is the measuring process; it fills
a database through the inline exchange, then kills -9 and starts ``run_exchange``, or has a standby
take over, and asks until there is an answer.
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
from typing import TYPE_CHECKING

from benchmarks.report import ROOT, Options, Section, median

if TYPE_CHECKING:
    from exchange.core.commands import AnyCommand
    from simulation.kill.world import World

# What is measured, open orders, and the bound in seconds.
BOUNDS = (
    ("start", 10_000, 2.0),
    ("start", 100_000, 5.0),
    ("start", 1_000_000, 30.0),
    ("failover", 10_000, 5.0),
)
ACCOUNTS = 100
FIRST_ACCOUNT = 8_000_000
CHUNK = 500
ORDERS_BEFORE = 200
# What a standby says once it has seen the leader.
WATCHING = "leader_recorded"


def measure(options: Options) -> Section:
    """Return the table of start times."""
    section = Section(
        key="restart",
        title="Start with open orders, after kill -9",
        header=(
            "what",
            "open orders",
            "first answer, s",
            "of it loading, s",
            "database, MB",
            "bound",
        ),
    )
    for what, orders, bound_s in BOUNDS:
        count = orders // 10 if options.quick else orders
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.restart", what, str(count), str(options.rounds)],
            cwd=ROOT,
            env={**os.environ, "LOG_LEVEL": "error"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=3_600,
        )
        result = json.loads(done.stdout.splitlines()[-1])
        seconds = median(result["seconds"])
        section.rows.append(
            (
                what,
                f"{count:,d}",
                f"{seconds:.2f}",
                f"{result['load_seconds']:.2f}",
                f"{result['megabytes']:.0f}",
                section.bound(seconds < bound_s, f"< {bound_s:.0f} s"),
            )
        )
    section.notes.append(
        "Start: from exec of manage.py run_exchange to the first answered order through the "
        "gateway. Failover: from kill -9 of the leader to the first order that its standby "
        "answers, which loads only then; every order that was answered before is looked for. "
        f"SQLite, median of {options.rounds} kills."
    )
    return section


def main() -> None:
    """Measure once and print one JSON object."""
    from simulation.kill.world import World

    what, count, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    directory = Path(tempfile.mkdtemp(prefix="exb-"))
    world = World(directory, pauses="")
    try:
        world.start("redis")
        world.use_here()
        _fill(count)
        world.wait(world.redis_answers, "Redis answers")
        measured = _starts if what == "start" else _failovers
        seconds = measured(world, rounds)
        load_seconds = _time_load()
        megabytes = sum(path.stat().st_size for path in directory.glob("exchange.sqlite3*")) / 1e6
    finally:
        world.end()
    shutil.rmtree(directory)
    result = {"seconds": seconds, "load_seconds": load_seconds, "megabytes": megabytes}
    sys.stdout.write(json.dumps(result) + "\n")


def _starts(world: World, rounds: int) -> list[float]:
    """Start and kill the exchange so many times; return the seconds to each first answer."""
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        world.start("exchange")
        _wait_for_answer(world, "exchange", _resting_order(0))
        seconds.append(time.perf_counter() - started)
        world.kill("exchange")
    return seconds


def _failovers(world: World, rounds: int) -> list[float]:
    """Kill the leader so many times while it answers; return the seconds to each first answer."""
    leader, standby = "exchange a", "exchange b"
    world.start(leader)
    _wait_for_answer(world, leader, _resting_order(0))
    answered: dict[str, int] = {}
    seconds = []
    for number in range(rounds):
        _start_standby(world, standby)
        answered |= _place_orders(f"before-{number}")
        world.kill(leader)
        struck = time.perf_counter()
        name = f"after-{number}"
        answered[name] = _wait_for_answer(world, standby, _resting_order(0, name))
        seconds.append(time.perf_counter() - struck)
        leader, standby = standby, leader
    if lost := [name for name, order_id in answered.items() if _ask_again(name) != order_id]:
        raise SystemExit(f"answered and lost: {lost}")
    world.kill(leader)
    return seconds


def _start_standby(world: World, name: str) -> None:
    before = world.output(name).count(WATCHING)
    world.start(name)
    world.wait(lambda: world.output(name).count(WATCHING) > before, "standby watches")


def _place_orders(prefix: str) -> dict[str, int]:
    """Place orders one after the other; return their ids by the client's."""
    from exchange import gateway

    names = [f"{prefix}-{number}" for number in range(ORDERS_BEFORE)]
    return {
        name: gateway.submit(_resting_order(0, name), timeout_s=5.0).reference_id for name in names
    }


def _ask_again(client_order_id: str) -> int:
    """Return the order that a client id had before, 0 if it is a new one."""
    from exchange import gateway

    outcome = gateway.submit(_resting_order(0, client_order_id), timeout_s=5.0)
    return outcome.reference_id if outcome.repeated else 0


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


def _resting_order(number: int, client_order_id: str = "") -> AnyCommand:
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
        client_order_id=client_order_id or f"resting-{number}",
    )


def _wait_for_answer(world: World, exchange: str, order: AnyCommand) -> int:
    """Ask until the exchange answers an order; return that order's id."""
    from exchange import gateway

    while True:
        try:
            return gateway.submit(order, timeout_s=5.0).reference_id
        except gateway.ExchangeError:
            if not world.alive(exchange):
                raise SystemExit(world.output(exchange)[-2000:]) from None
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
