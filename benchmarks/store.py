"""
Core and store together: durable commands per second, on an empty and on a grown database.

The reference writes the very same rows to a copy of the same database with nothing around
it: no checks, no pauses, no core; see ``benchmarks.store_databases`` for each database.
Each measurement runs in a process of its own.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report import ROOT, Options, Section, median, percentile, say

if TYPE_CHECKING:
    from exchange.store.base import Fence, Group, Store

COMMANDS = 60_000
DEPTH = 10_000
GROWN_ORDERS = 1_000_000
GROWN_ROWS_PER_WRITE = 20_000
BOUND_EMPTY_PER_S = 20_000
BOUND_GROWN_PER_S = 10_000
BOUND_OF_RAW = 0.60
BATCH = 500


@dataclass(frozen=True)
class Task:
    """One measurement: how large the database is before, and what orders carry."""

    grown_orders: int
    commands: int
    client_ids: bool
    seed: int
    directory: str
    database: str = "sqlite"


@dataclass(frozen=True)
class Result:
    """What one process measured."""

    commands_per_s: float
    raw_commands_per_s: float
    rows_per_command: float
    write_ms_p50: float
    write_ms_p99: float
    database_mb: float
    load_s: float
    refused: int


def measure(options: Options) -> Section:
    """Return the table for SQLite; the quick run shows only that everything works."""
    section = measure_database(
        options, key="store", title="Core and store on SQLite, synchronous=FULL"
    )
    section.notes.append(
        f"60 % rest, 25 % cancel, 15 % cross; batches of {BATCH}; fsync at every commit; the write"
        " lock is left free 2 ms after each commit and a fifth of the time."
    )
    return section


@dataclass(frozen=True)
class Case:
    """A row of the table; ``bound_per_s`` 0 is none."""

    grown_orders: int
    client_ids: bool
    bound_per_s: int


CASES = (
    Case(0, False, BOUND_EMPTY_PER_S),
    Case(GROWN_ORDERS, False, BOUND_GROWN_PER_S),
    Case(GROWN_ORDERS, True, BOUND_GROWN_PER_S),
)


def measure_database(
    options: Options,
    *,
    key: str,
    title: str,
    database: str = "sqlite",
    url: str = "",
    cases: Sequence[Case] = CASES,
    commands: int = COMMANDS,
) -> Section:
    """Return the table for one database, a server's at ``url``."""
    section = Section(
        key=key,
        title=title,
        header=(
            "database before",
            "orders carry",
            "commands/s",
            "raw upsert of the same rows",
            "share",
            "rows/command",
            "write p50 / p99",
            "size",
            "bound",
        ),
    )
    for case in cases:
        orders = min(case.grown_orders, 20_000) if options.quick else case.grown_orders
        results = [
            _measure_in_process(
                Task(
                    grown_orders=orders,
                    commands=min(commands, 5_000) if options.quick else commands,
                    client_ids=case.client_ids,
                    seed=seed,
                    directory=str(options.work_dir / key),
                    database=database,
                ),
                url,
            )
            for seed in range(1, options.rounds + 1)
        ]
        section.rows.append(_row(section, orders, case, results))
        say("  " + " | ".join(section.rows[-1]))
    return section


def _row(section: Section, orders: int, case: Case, results: list[Result]) -> tuple[str, ...]:
    rate = median(result.commands_per_s for result in results)
    share = median(result.commands_per_s / result.raw_commands_per_s for result in results)
    some = results[len(results) // 2]
    return (
        f"{orders:,d} orders" if orders else "empty",
        "client ids" if case.client_ids else "none",
        f"{rate:,.0f}",
        f"{median(result.raw_commands_per_s for result in results):,.0f}",
        section.bound(share >= BOUND_OF_RAW, f"{share:.2f} of raw, bound {BOUND_OF_RAW:.2f}")
        if case.bound_per_s
        else f"{share:.2f} of raw",
        f"{some.rows_per_command:.1f}",
        f"{some.write_ms_p50:.1f} / {some.write_ms_p99:.1f} ms",
        f"{some.database_mb:,.0f} MB",
        section.bound(rate >= case.bound_per_s, f"{case.bound_per_s:,d}/s")
        if case.bound_per_s
        else "none",
    )


def _measure_in_process(task: Task, url: str) -> Result:
    directory = Path(task.directory)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    environment = {
        **os.environ,
        "ENV_FILE": os.devnull,
        "VAR_DIR": str(directory),
        "DATABASE_URL": "",
        "MONGODB_URI": "",
        **_address(task.database, url or f"sqlite:///{directory / 'exchange.sqlite3'}"),
        "DJANGO_SETTINGS_MODULE": "tradingplatform.settings",
    }
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.store", json.dumps(asdict(task))],
        cwd=ROOT,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    shutil.rmtree(directory, ignore_errors=True)
    return Result(**json.loads(output.splitlines()[-1]))


def _address(database: str, url: str) -> dict[str, str]:
    return {"MONGODB_URI" if database == "mongo" else "DATABASE_URL": url}


# --- in the process of its own --------------------------------------------------------------


class RecordingStore:
    """Keeps what it wrote, and how long that took."""

    def __init__(self, store: Store) -> None:
        """Write to a store."""
        self._store = store
        self.snapshot, self.find = self._store.snapshot, self._store.find
        self.newest_batch, self.pause_s = self._store.newest_batch, self._store.pause_s
        self.close = self._store.close
        self.writes: list[tuple[Fence, Sequence[Group]]] = []
        self.seconds: list[float] = []
        self.recording = False

    def write(self, fence: Fence, groups: Sequence[Group]) -> None:
        """Write, take the time, and keep both if told to."""
        if self.recording:
            self.writes.append((fence, groups))
        started = time.perf_counter()
        self._store.write(fence, groups)
        self.seconds.append(time.perf_counter() - started)


def _run(task: Task) -> Result:
    import gc
    import logging

    import django

    logging.disable(logging.INFO)
    django.setup()

    from django.core.management import call_command

    from benchmarks.core import command_of, setup_commands
    from benchmarks.flow import SPOT, make_flow
    from benchmarks.store_databases import DATABASES
    from exchange import lease
    from exchange.batch import Item, Offsets
    from exchange.core.commands import PlaceOrder, StartLeadership
    from exchange.core.enums import Lane
    from exchange.processor import Processor
    from exchange.store.factory import open_store
    from exchange.wire import Submission

    database = DATABASES[task.database](Path(task.directory))

    database.prepare()
    call_command("migrate", verbosity=0)
    preload, timed = make_flow(
        SPOT, depth=DEPTH, messages=task.commands, seed=task.seed, hold_depth=False
    )
    owners: dict[int, int] = {}
    taken = lease.acquire()
    assert taken is not None
    number = 0

    def items_of(commands: list[Any]) -> list[Item]:
        nonlocal number
        items = []
        for command in commands:
            number += 1
            if task.client_ids and isinstance(command, PlaceOrder):
                command = _with_client_id(command, f"bench-{task.seed}-{number}")
            items.append(Item(Submission(f"{number:032x}", command), Lane.ORDERS, "bench"))
        return items

    def feed(processor: Processor, items: list[Item]) -> list[Any]:
        """Return the answers, to be looked at when no time is taken."""
        answers: list[Any] = []
        begin = 0
        while begin < len(items):
            committed = processor.process(items[begin : begin + BATCH], lambda _: Offsets())
            assert committed is not None
            answers += committed.answers["bench"]
            begin += committed.consumed
        return answers

    first_store = open_store(paced=False)
    processor = Processor(first_store, epoch=taken.epoch)
    feed(processor, items_of([StartLeadership(taken.epoch, 0), *setup_commands()]))
    feed(processor, items_of([command_of(message, owners) for message in preload]))
    if task.grown_orders:
        grow(task.grown_orders, random.Random(task.seed))
    first_store.close()
    database.copy()
    started = time.perf_counter()
    store = RecordingStore(open_store(paced=database.paced))
    processor = Processor(store, epoch=taken.epoch)
    load_s = time.perf_counter() - started
    base = processor.position.last_order - DEPTH
    items = items_of([_shift(command_of(message, owners), base) for message in timed])
    gc.collect()
    gc.freeze()
    gc.disable()
    store.recording = True
    started = time.perf_counter()
    answers = feed(processor, items)
    seconds = time.perf_counter() - started
    writes = [groups for _, groups in store.writes]
    store.close()
    raw_seconds = database.write_raw(store.writes)
    rows = sum(len(rows) for groups in writes for _, rows in groups)
    return Result(
        commands_per_s=task.commands / seconds,
        raw_commands_per_s=task.commands / raw_seconds,
        rows_per_command=rows / task.commands,
        write_ms_p50=percentile(store.seconds, 0.5) * 1_000,
        write_ms_p99=percentile(store.seconds, 0.99) * 1_000,
        database_mb=database.size_bytes() / 2**20,
        load_s=load_s,
        refused=sum(answer.outcome.code != 0 for answer in answers),
    )


def _with_client_id(command: Any, client_order_id: str) -> Any:
    import msgspec

    return msgspec.structs.replace(command, client_order_id=client_order_id, request_hash=1)


def _shift(command: Any, base: int) -> Any:
    """Return a cancel that names the order's number after ``base`` others were added."""
    import msgspec

    from exchange.core.commands import CancelOrder

    if isinstance(command, CancelOrder) and command.order_id > DEPTH:
        return msgspec.structs.replace(command, order_id=command.order_id + base)
    return command


def grow(orders: int, chance: random.Random) -> None:
    """
    Add closed orders with their trades and ledger entries, as a long flow leaves them.

    The rows of an account are linked newest to oldest, and its balances know the newest.
    """
    from benchmarks.core import ACCOUNTS, FIRST_ACCOUNT
    from exchange.models import LogPosition
    from exchange.store.base import Fence
    from exchange.store.factory import open_store
    from orders.projection import ORDERS, TRADES
    from wallets.projection import ENTRIES

    position = LogPosition.objects.get()
    trades = orders // 4
    accounts = range(FIRST_ACCOUNT, FIRST_ACCOUNT + ACCOUNTS)
    now_ms = position.time_ms
    orders_before, entries_before = _Heads("last_order_id"), _Heads("last_entry_id")
    # Taker and maker of each trade.
    pairs = [(chance.choice(accounts), chance.choice(accounts)) for _ in range(trades)]

    def order_rows() -> Iterator[tuple[Any, ...]]:
        for key in range(position.last_order + 1, position.last_order + orders + 1):
            account = chance.choice(accounts)
            yield (
                *(key, account, 1, "", 0, 1 + key % 2, 1, 1, 0, 1),
                *(10**14, 10**8, 0, 10**8, 0, 0, 0, 0, 20_000, 40_000, 4, 1, 0, key * 4096),
                *(orders_before.link(account, key), now_ms, now_ms),
            )

    def trade_rows() -> Iterator[tuple[Any, ...]]:
        for key, (taker, maker) in enumerate(pairs, position.last_trade + 1):
            prices = (1, 10**14, 10**8, 10**14, 1)
            yield (key, *prices, key, key, taker, maker, 0, 0, now_ms, 1)

    def entry_rows() -> Iterator[tuple[Any, ...]]:
        for number in range(2 * trades):
            key, account = position.last_entry + 1 + number, pairs[number // 2][number % 2]
            trade = position.last_trade + 1 + number // 2
            previous = entries_before.link(account, key)
            yield (
                *(key, previous, account, 4, trade, 1, 1, 10**8, 10**8, 2, -(10**14), 10**14),
                *(10**6, now_ms, ""),
            )

    store = open_store(paced=False)
    heartbeat = {"heartbeat": position.heartbeat}
    for table, rows in ((ORDERS, order_rows()), (TRADES, trade_rows()), (ENTRIES, entry_rows())):
        while step := list(itertools.islice(rows, GROWN_ROWS_PER_WRITE)):
            store.write(Fence(position.epoch, heartbeat), [(table, step)])
    numbers = {
        "last_order": position.last_order + orders,
        "last_trade": position.last_trade + trades,
        "last_entry": position.last_entry + 2 * trades,
        # These rows are in no sums: the next start makes them, as of an older version's rows.
        "live_sums": b"",
        "checksum": 0,
    }
    store.write(Fence(position.epoch, numbers), [])
    store.close()
    orders_before.keep()
    entries_before.keep()


class _Heads:
    """The newest row of each account, as its balances know it under a column."""

    def __init__(self, column: str) -> None:
        from wallets.models import Balance

        self._balances = Balance.objects
        self._column = column
        self._newest: dict[int, int] = {}
        for account, key in self._balances.values_list("account_id", column):
            self._newest[account] = max(key, self._newest.get(account, 0))

    def link(self, account: int, key: int) -> int:
        """Make a row the newest of an account; return the one before."""
        previous = self._newest.get(account, 0)
        self._newest[account] = key
        return previous

    def keep(self) -> None:
        """Let the balances know."""
        for account, key in self._newest.items():
            self._balances.filter(account_id=account).update(**{self._column: key})


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(_run(Task(**json.loads(sys.argv[1]))))) + "\n")
