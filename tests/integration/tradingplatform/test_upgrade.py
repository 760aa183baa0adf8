"""A database of an earlier release, with orders and positions open, goes on under this code."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from exchange import gateway
from exchange.core.commands import AnyCommand, CancelOrder, PlaceOrder
from exchange.core.enums import OrderType, Side, TimeInForce
from exchange.core.rejects import Code
from exchange.core.units import ATOMS
from exchange.models import LogPosition
from exchange.processor import make_projections
from exchange.replay import replay_log
from exchange.store.base import StoreUnusableError
from exchange.store.factory import open_store
from exchange.store.loader import rows_hash
from exchange.store.schema import check_schema
from tests.support.databases import default_database
from tests.support.exchange import BTC_USDT, FakeClock, limit_order
from tests.support.margin import MarginHarness

pytestmark = pytest.mark.integration

DUMP = Path(__file__).parents[2] / "data" / "earlier_release.sql"
ALICE, BOB, CAROL, DAVE = 1_000_001, 1_000_002, 1_000_003, 1_000_004
# Of the fixture, see its README.
BID, CANCELLED_BID, STOP, REDUCING_STOP = 3, 4, 5, 11


@pytest.fixture
def earlier(tmp_path: Path, django_db_blocker: object) -> Iterator[None]:
    """The database as the earlier release left it."""
    if connection.vendor != "sqlite":
        pytest.skip("the fixture is a database of SQLite")
    path = tmp_path / "exchange.sqlite3"
    with sqlite3.connect(path) as database:
        database.executescript(DUMP.read_text())
    database.close()
    with django_db_blocker.unblock(), default_database(str(path)):  # type: ignore[attr-defined]
        yield


@pytest.fixture
def upgraded(earlier: None) -> None:
    """The same after ``migrate``."""
    call_command("migrate", verbosity=0)


def verify_ledger() -> tuple[int, str]:
    """Return exit code and text of ``manage.py verify_ledger``."""
    out = StringIO()
    try:
        call_command("verify_ledger", stdout=out)
    except SystemExit as stop:
        return int(str(stop.code)), out.getvalue()
    return 0, out.getvalue()


def do(command: AnyCommand) -> None:
    """Carry out a command that must be accepted."""
    outcome = gateway.submit(command)
    assert outcome.code is Code.OK, outcome


def open_orders(exchange: MarginHarness) -> dict[int, int]:
    """Return what remains of each order that waits, in base atoms."""
    return {order.order_id: order.remaining_atoms for order in exchange.exchange.image().orders}


def test_is_refused_in_one_line_before_it_is_migrated(earlier: None) -> None:
    with pytest.raises(StoreUnusableError) as raised:
        check_schema()

    assert str(raised.value).endswith(": run manage.py migrate")
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("upgraded")
def test_its_rows_are_the_state_that_its_log_replays() -> None:
    store = open_store()

    assert rows_hash(store, make_projections()) == replay_log(store).state_hash()
    assert verify_ledger()[0] == 0


@pytest.mark.usefixtures("upgraded")
def test_its_orders_fill_fire_and_cancel_and_the_books_balance() -> None:
    clock = FakeClock(LogPosition.objects.get().time_ms + 1_000)
    exchange = MarginHarness(clock_ms=clock)
    exchange.clock = clock
    gateway.use_inline(exchange)
    assert {BID, CANCELLED_BID, STOP, REDUCING_STOP} <= set(open_orders(exchange))

    do(CancelOrder(BOB, CANCELLED_BID))
    do(PlaceOrder(CAROL, BTC_USDT, Side.SELL, OrderType.MARKET, TimeInForce.IOC, 0, ATOMS // 4))
    waiting = open_orders(exchange)
    assert CANCELLED_BID not in waiting
    assert waiting[BID] == 3 * ATOMS // 4
    again = limit_order(
        BOB,
        Side.BUY,
        price=49_000,
        quantity_atoms=ATOMS,
        client_order_id="old-49000",
        request_hash=49_000,
    )
    outcome = gateway.submit(again)
    assert (outcome.repeated, outcome.reference_id) == (True, BID)

    # Half of Alice's order at 50,000 is left; then 51,000 is traded, which fires the stop.
    do(limit_order(DAVE, Side.SELL, price=51_000, quantity_atoms=ATOMS))
    do(limit_order(BOB, Side.BUY, price=51_000, quantity_atoms=ATOMS))
    assert STOP not in open_orders(exchange)
    exchange.mark(59_890)
    assert REDUCING_STOP not in open_orders(exchange)

    exchange.assert_hashes_agree()
    code, text = verify_ledger()
    assert code == 0, text
