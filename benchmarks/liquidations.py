"""
From a mark to the committed liquidation, on SQLite: a thousand accounts fall at each mark.

Marks come once a second of the exchange's time and as fast as they are done with here. At each
the next thousand accounts are below maintenance; each has so many open orders, which the ladder
cancels first, and is then taken over. Timed is the core and the store from the mark's arrival to
the commit that holds an account's takeover.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import perpetual
from benchmarks.report import ROOT, Options, Section, percentile, say
from exchange.batch import Item, Offsets
from exchange.core import commands as c
from exchange.core.enums import Lane, Side, TradeKind, WalletKind
from exchange.core.events import LiquidationStepped
from exchange.core.rejects import Code
from exchange.wire import Submission

PER_MARK = 1_000
MARKS = 5
BOUND_MS = 250
ORDERS = (3, 20)
DRAIN_BOUND_S = 5
ATOMS = 10**8


def measure(options: Options) -> Section:
    """Return the table, for few and for many open orders each."""
    section = Section(
        key="liquidations",
        title="Mark to committed liquidation, SQLite, synchronous=FULL",
        header=("open orders each", "liquidations", "p50", "p99", "all of a mark done in", "bound"),
    )
    for orders in ORDERS:
        marks, each = (1, 100) if options.quick else (MARKS, PER_MARK)
        directory = options.work_dir / "liquidations"
        latencies, drains = _in_process(orders, marks, each, directory)
        p99, slowest = percentile(latencies, 0.99), max(drains)
        if orders == ORDERS[0]:
            bound = section.bound(p99 < BOUND_MS, f"p99 {BOUND_MS} ms")
        else:
            bound = section.bound(slowest < DRAIN_BOUND_S, f"drained in {DRAIN_BOUND_S} s")
        row = (
            str(orders),
            f"{len(latencies):,d}",
            f"{percentile(latencies, 0.5):.0f} ms",
            f"{p99:.0f} ms",
            f"{slowest * 1_000:.0f} ms",
            bound,
        )
        section.rows.append(row)
        say("  " + " | ".join(row))
    section.notes.append(
        f"{PER_MARK:,d} accounts fall at each mark; fsync at every commit; the write lock is left"
        " free as in the runner."
    )
    return section


def _in_process(
    orders: int, marks: int, each: int, directory: Path
) -> tuple[list[float], list[float]]:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    environment = {
        **os.environ,
        "ENV_FILE": os.devnull,
        "VAR_DIR": str(directory),
        "DATABASE_URL": f"sqlite:///{directory / 'exchange.sqlite3'}",
        "DJANGO_SETTINGS_MODULE": "tradingplatform.settings",
    }
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.liquidations", str(orders), str(marks), str(each)],
        cwd=ROOT,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    shutil.rmtree(directory, ignore_errors=True)
    latencies, drains = json.loads(output.splitlines()[-1])
    return latencies, drains


# --- in the process of its own --------------------------------------------------------------


class Drill:
    """An exchange on its own database, with accounts that fall group by group."""

    def __init__(self) -> None:
        from django.core.management import call_command

        from exchange import lease
        from exchange.processor import Processor
        from exchange.store.sqlite import SqliteStore

        call_command("migrate", verbosity=0)
        taken = lease.acquire()
        if taken is None:
            raise RuntimeError("the lease is taken")
        self.clock_ms = int(time.time() * 1_000)
        self.number = 0
        self.processor = Processor(SqliteStore(), epoch=taken.epoch, clock_ms=lambda: self.clock_ms)
        self.feed([c.StartLeadership(taken.epoch, 0)], Lane.INTERNAL)

    def feed(self, commands: list[c.AnyCommand], lane: Lane = Lane.ORDERS) -> int:
        """Carry commands out, or one internal step; return how many takeovers that committed."""
        items = []
        for command in commands:
            self.number += 1
            submission = Submission(f"{self.number:032x}", command)
            items.append(Item(submission, lane, "bench"))
        takeovers = 0
        while True:
            batch = self.processor.process(items[:500], lambda _: Offsets())
            if batch is None:
                raise RuntimeError("the database refused to commit")
            for answer in batch.answers.get("bench", ()):
                if answer.outcome.code is not Code.OK:
                    raise RuntimeError(answer.outcome)
            takeovers += sum(
                isinstance(event, LiquidationStepped) and event.kind is TradeKind.TAKEOVER
                for event in batch.events.events
            )
            items = items[batch.consumed :]
            if not items:
                return takeovers

    def open(self, orders: int, marks: int, each: int) -> None:
        """Let accounts open, so that so many fall at each mark, one per cent below the last."""
        price = perpetual.PRICE
        self.feed(perpetual.setup_commands(0))
        self.feed([c.MoveInsurance(1, 2, 10**9 * ATOMS)])
        for index in range(marks * each):
            account_id = perpetual.FIRST_ACCOUNT + index
            group = index // each + 1
            # A tenth of a coin loses 60 at each mark; a group's margin lasts until its own.
            margin = (60 * group + 24) * ATOMS
            exits = [
                perpetual.order(account_id, Side.SELL, (price + 100 + k) * ATOMS, ATOMS // 1_000)
                for k in range(orders)
            ]
            opening: list[c.AnyCommand] = [
                c.ConfigureAccount(account_id),
                c.Credit(account_id, WalletKind.MARGIN, 2, margin, "bench", "bench"),
                c.SetLeverage(account_id, 1, 125 if group == 1 else 50),
                perpetual.order(account_id, Side.BUY, (price + 1) * ATOMS, ATOMS // 10),
            ]
            self.feed([*opening, *exits])
        self.feed([c.CancelAllOrders(maker) for maker in perpetual.MAKERS])
        while self.processor.has_work:
            self.feed([])

    def fall(self, mark: int) -> list[float]:
        """Set a mark so many per cent down; return the ms to the commit of each takeover."""
        self.clock_ms = max(self.clock_ms + 1_000, int(time.time() * 1_000))
        price = perpetual.PRICE * (100 - mark) * ATOMS // 100
        started = time.perf_counter()
        taken_over = self.feed([c.UpdateIndexPrices(((1, price),))], Lane.SYSTEM)
        latencies = [(time.perf_counter() - started) * 1_000] * taken_over
        while self.processor.has_work:
            taken_over = self.feed([])
            latencies += [(time.perf_counter() - started) * 1_000] * taken_over
        return latencies


def _run(orders: int, marks: int, each: int) -> tuple[list[float], list[float]]:
    import django

    logging.disable(logging.INFO)
    django.setup()
    drill = Drill()
    drill.open(orders, marks, each)
    gc.collect()
    gc.freeze()
    gc.disable()
    latencies: list[float] = []
    drains: list[float] = []
    for mark in range(1, marks + 1):
        found = drill.fall(mark)
        latencies += found
        drains.append(max(found) / 1_000)
    return latencies, drains


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_run(*(int(value) for value in sys.argv[1:4]))) + "\n")
