"""
The back-office's pages on a grown database: lists, filters, searches, tabs, sections.

The time is that of the whole request in the server: middleware, session from Redis, queries,
rendering. Nothing else runs. Each page is asked for in turn, so that none has the database's
pages to itself; the first round is not counted.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT, Options, Section, median, say

GROWN_ORDERS = 1_000_000
USERS = 100_000
AUDIT_EVENTS = 100_000
DEPTH = 10_000
ROUNDS = 10
BOUND_MS = 300.0

# What is asked for; {account}, {user} and {order} are of one of the traders.
PAGES: dict[str, str] = {
    "dashboard": "",
    "orders": "orders/order/",
    "orders, in the middle": "orders/order/?before=500000",
    "open orders": "orders/order/?open=1",
    "orders of an account": "orders/order/?q={account}",
    "fills": "orders/trade/",
    "ledger": "wallets/ledgerentry/",
    "ledger of an account": "wallets/ledgerentry/?q={account}",
    "wallets": "wallets/balance/",
    "users": "accounts/user/",
    "users, one role": "accounts/user/?role__exact=trader",
    "users, start of a name": "accounts/user/?q=trader5",
    "user, profile": "accounts/user/{user}/change/",
    "user, open orders": "accounts/user/{user}/tab/open-orders/",
    "user, finished orders": "accounts/user/{user}/tab/orders/",
    "user, fills": "accounts/user/{user}/tab/fills/",
    "user, ledger": "accounts/user/{user}/tab/ledger/",
    "user, wallets": "accounts/user/{user}/tab/wallets/",
    "audit log": "accounts/auditevent/",
    "audit log of an actor": "accounts/auditevent/?q=trader500",
    "operator commands": "exchange/operatorcommand/",
    "deposits and withdrawals": "sections/deposits/",
    "trial balance": "sections/trial-balance/",
    "system status": "sections/status/",
}


def measure(options: Options) -> Section:
    """Return the table; the quick run shows only that everything works."""
    section = Section(
        key="admin",
        title="Pages of the back-office",
        header=("page", "queries", "processor ms", "p50 ms", "slowest ms", "bound"),
    )
    orders = 20_000 if options.quick else GROWN_ORDERS
    users = 2_000 if options.quick else USERS
    found = _child(options.work_dir / "admin", orders=orders, users=users)
    for name, (queries, times, busy) in found["pages"].items():
        slowest = max(times)
        section.rows.append(
            (
                name,
                str(queries),
                f"{median(busy):.0f}",
                f"{median(times):.0f}",
                f"{slowest:.0f}",
                section.bound(slowest < BOUND_MS, f"{name}: {slowest:.0f} of {BOUND_MS:.0f} ms"),
            )
        )
        say("  " + " | ".join(section.rows[-1]))
    section.notes.append(
        f"{orders:,d} orders, {orders // 4:,d} trades, {orders // 2:,d} ledger entries of trades,"
        f" {users:,d} users, {found['events']:,d} audit events; SQLite of {found['megabytes']:,.0f}"
        f" MB; {ROUNDS} requests a page, a trial balance of it counted in"
        f" {found['trial_ms']:,d} ms by its task."
    )
    return section


def _child(directory: Path, *, orders: int, users: int) -> dict[str, Any]:
    from tradingplatform.supervisor import redis_server

    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    binary = redis_server.find_binary()
    if binary is None:
        raise SystemExit(redis_server.MISSING)
    url = f"unix://{redis_server.socket_path(directory)}"
    environment = {
        **os.environ,
        "ENV_FILE": os.devnull,
        "VAR_DIR": str(directory),
        "DATABASE_URL": f"sqlite:///{directory / 'exchange.sqlite3'}",
        "REDIS_URL": url,
        "DJANGO_SETTINGS_MODULE": "benchmarks.admin_settings",
    }
    server = subprocess.Popen(
        redis_server.command(binary, var_dir=directory, fsync="no"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while redis_server.ping_problem(url):
            time.sleep(0.05)
        output = subprocess.run(
            [sys.executable, "-m", "benchmarks.admin", str(orders), str(users)],
            cwd=ROOT,
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(directory, ignore_errors=True)
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


# --- in the process of its own --------------------------------------------------------------


def _run(orders: int, users: int) -> dict[str, Any]:
    import logging

    import django

    logging.disable(logging.CRITICAL)
    django.setup()

    from django.conf import settings
    from django.core.management import call_command
    from django.test import Client

    from accounts.models import AuditEvent, User
    from benchmarks.core import FIRST_ACCOUNT
    from positions.tasks import trial_balance_count

    call_command("migrate", verbosity=0)
    _trade(orders)
    _people(users)
    started = time.monotonic()
    trial_balance_count()
    trial_ms = round((time.monotonic() - started) * 1_000)
    client = Client()
    client.force_login(User.objects.get(username="trader0"))
    subject = User.objects.get(account_id=FIRST_ACCOUNT + 500)
    names = {"account": subject.account_id, "user": subject.pk}
    pages: dict[str, tuple[int, list[float], list[float]]] = {name: (0, [], []) for name in PAGES}
    for number in range(ROUNDS + 1):
        for name, path in PAGES.items():
            queries, wall, busy = _ask(client, f"/{settings.ADMIN_PATH}/{path.format(**names)}")
            if number:
                _, walls, busies = pages[name]
                pages[name] = (queries, [*walls, wall], [*busies, busy])
    path = Path(settings.DATABASES["default"]["NAME"])
    return {
        "pages": pages,
        "events": AuditEvent.objects.count(),
        "megabytes": path.stat().st_size / 2**20,
        "trial_ms": trial_ms,
    }


def _trade(orders: int) -> None:
    """Let an engine trade a little, then add what a long flow leaves."""
    from benchmarks.core import command_of, setup_commands
    from benchmarks.flow import SPOT, make_flow
    from benchmarks.store import BATCH, grow
    from exchange import lease
    from exchange.batch import Item, Offsets
    from exchange.core.commands import StartLeadership
    from exchange.core.enums import Lane
    from exchange.processor import Processor
    from exchange.store.factory import open_store
    from exchange.wire import Submission

    taken = lease.acquire()
    if taken is None:
        raise SystemExit("somebody else leads this database")
    processor = Processor(open_store(paced=False), epoch=taken.epoch)
    preload, _ = make_flow(SPOT, depth=DEPTH, messages=1, seed=1, hold_depth=False)
    owners: dict[int, int] = {}
    commands = [
        StartLeadership(taken.epoch, 0),
        *setup_commands(),
        *(command_of(message, owners) for message in preload),
    ]
    items = [
        Item(Submission(f"{number:032x}", command), Lane.ORDERS, "bench")
        for number, command in enumerate(commands, 1)
    ]
    while items:
        committed = processor.process(items[:BATCH], lambda _: Offsets())
        if committed is None:
            raise SystemExit("the lease was lost")
        items = items[committed.consumed :]
    grow(orders, random.Random(1))


def _people(users: int) -> None:
    """Add users, the first of whom have the accounts that traded, and a log of what they did."""
    from accounts.models import AuditEvent, User
    from benchmarks.core import FIRST_ACCOUNT

    made = [
        User.objects.build(
            username=f"trader{number}",
            email=f"trader{number}@example.com",
            password="!",  # noqa: S106 - nobody logs in with it
            account_id=FIRST_ACCOUNT + number,
        )
        for number in range(users)
    ]
    # So many in one millisecond that random numbers would meet.
    for number, user in enumerate(made):
        user.id = FIRST_ACCOUNT + number
    made[0].role = "admin"
    User.objects.bulk_create(made, batch_size=2_000)
    AuditEvent.objects.bulk_create(
        (
            AuditEvent(
                id=number,
                time_ms=1_700_000_000_000 + number,
                actor_id=user.pk,
                actor=user.username,
                action="session.open",
                target=f"user:{user.pk}",
                previous_seal="0" * 64,
                seal="0" * 64,
            )
            for number, user in enumerate(made[:AUDIT_EVENTS], 1)
        ),
        batch_size=2_000,
    )


def _ask(client: Any, address: str) -> tuple[int, float, float]:
    """Return a page's queries, its milliseconds and those of the processor, uncounted."""
    from django.db import connection, reset_queries
    from django.test.utils import CaptureQueriesContext

    reset_queries()
    with CaptureQueriesContext(connection) as captured:
        _get(client, address)
    # Counted before the next request begins a new log.
    queries = len(captured)
    started, worked = time.perf_counter(), time.process_time()
    _get(client, address)
    wall, busy = time.perf_counter() - started, time.process_time() - worked
    return queries, wall * 1_000, busy * 1_000


def _get(client: Any, address: str) -> None:
    answer = client.get(address)
    if answer.status_code != 200:
        raise SystemExit(f"{address}: {answer.status_code}")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_run(int(sys.argv[1]), int(sys.argv[2]))) + "\n")
