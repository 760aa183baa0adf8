"""Hot queries of API and back-office on PostgreSQL use an index on every large table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

from accounts import selectors as accounts
from accounts.models import AuditEvent, Session, User
from exchange.client_lookup import find_client_order_id
from exchange.core.enums import LedgerKind, OrderStatus
from exchange.models import Batch, ClientKey
from orders import selectors as orders
from orders.models import Order, OrderTerms, Trade
from orders.projection import ORDERS, TERMS, TRADES
from positions import selectors as positions
from positions.models import ClosedPosition, FundingPayment, Position
from positions.projection import CLOSED, PAYMENTS, POSITIONS
from wallets import selectors as wallets
from wallets.models import Balance, LedgerEntry
from wallets.projection import BALANCES, ENTRIES

pytestmark = pytest.mark.django_db

ACCOUNTS, FIRST_ACCOUNT = 200, 1_000_001
ROWS, USERS = 20_000, 5_000
ACCOUNT = FIRST_ACCOUNT + 7
# What grows for as long as people trade.
LARGE = {
    model._meta.db_table
    for model in (
        AuditEvent,
        Balance,
        Batch,
        ClientKey,
        ClosedPosition,
        FundingPayment,
        LedgerEntry,
        Order,
        OrderTerms,
        Position,
        Session,
        Trade,
        User,
    )
}


def fill(table: str, columns: dict[str, str], rows: int = ROWS) -> None:
    """Insert rows made by the server: a column is an expression of ``n``, else empty or 0."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname, typname FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            " AND (attnotnull OR attname = ANY(%s))",
            [table, list(columns)],
        )
        kinds = dict(cursor.fetchall())
        plain = {"bool": "false", "bytea": "''", "varchar": "''", "text": "''"}
        values = [columns.get(name, plain.get(kind, "0")) for name, kind in kinds.items()]
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(kinds)}) SELECT {', '.join(values)}"  # noqa: S608
            f" FROM generate_series(1, {rows}) AS n"
        )
        cursor.execute(f"ANALYZE {table}")


def grow() -> None:
    """Fill the tables with what some weeks leave: 200 accounts, each with its chains."""
    account = f"{FIRST_ACCOUNT} + n % {ACCOUNTS}"
    chain = {"id": "n", "account_id": account, "previous_id": f"GREATEST(0, n - {ACCOUNTS})"}
    one_each = {"id": "n", "account_id": f"{FIRST_ACCOUNT} + n"}
    some_open = f"CASE WHEN n > {ROWS - 2 * ACCOUNTS} THEN 1 ELSE 0 END"
    ones = dict.fromkeys(
        ("market_id", "side", "order_type", "time_in_force", "self_trade_mode", "wallet"), "1"
    )
    heads = {"last_order_id": str(ROWS - 1), "last_entry_id": str(ROWS - 1)}
    positive = {"price_atoms": "1", "quantity_atoms": "1", "quote_atoms": "1"}
    filled = {"status": str(int(OrderStatus.FILLED)), "is_open": some_open}
    fill(ORDERS.name, ones | chain | filled)
    fill(TERMS.name, {"id": "n", "is_open": some_open})
    fill(TRADES.name, ones | positive | {"id": "n", "taker_side": "1", "kind": "1"})
    fill(ENTRIES.name, ones | chain | {"kind": str(int(LedgerKind.TRADE)), "asset_id": "1"})
    fill(BALANCES.name, ones | one_each | heads | {"asset_id": "1"})
    fill(POSITIONS.name, ones | one_each | {"position_id": "n", "is_open": "n % 2"})
    fill(CLOSED.name, {"id": "n", "account_id": account})
    fill(PAYMENTS.name, {"id": "n"})
    fill("exchange_batch", {"id": "n"})
    fill("exchange_clientkey", {"id": "n"})
    moment = {"created_at": "now()", "refreshed_at": "now()", "revoked_at": "NULL"}
    later = {"expires_at": "now() + interval '1 day'"}
    name = {"username": "'user' || n", "email": "'user' || n || '@example.com'"}
    person = {"id": "n", "account_id": "n", "role": "'trader'", "is_active": "true"}
    fill("accounts_user", person | name | moment | {"verified_email": name["email"]}, USERS)
    fill("accounts_session", {"id": "n", "user_id": f"n % {USERS} + 1"} | moment | later)
    fill("accounts_auditevent", {"id": "n"})


class Plans:
    """Explains every statement that is executed, and remembers what each reads."""

    def __init__(self) -> None:
        self.scans: list[tuple[str, str]] = []
        self.statements = 0

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        self.statements += 1
        with psycopg.ClientCursor(connection.connection) as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}".encode(), params)
            (found,) = cursor.fetchone() or ("[]",)
        for plan in found if isinstance(found, list) else json.loads(found):
            self.scans += [(table, sql) for table in _sequential(plan["Plan"])]
        return execute(sql, params, many, context)


def _sequential(node: dict[str, Any]) -> Iterator[str]:
    if node["Node Type"] == "Seq Scan":
        yield node["Relation Name"]
    for inner in node.get("Plans", ()):
        yield from _sequential(inner)


QUERIES: dict[str, Callable[[], object]] = {
    "an order": lambda: orders.order_of(ACCOUNT, 7),
    "orders by number": lambda: orders.orders_by_id(ACCOUNT, [7, 207, 407]),
    "an order by client id": lambda: find_client_order_id(ACCOUNT, "some id"),
    "open orders": lambda: orders.orders_open(ACCOUNT, limit=50),
    "open orders, next page": lambda: orders.orders_open(ACCOUNT, limit=50, below_id=ROWS - 300),
    "open orders of a market": lambda: orders.orders_open(ACCOUNT, limit=50, market_id=1),
    "finished orders": lambda: orders.orders_finished(ACCOUNT, limit=50),
    "fills": lambda: orders.fills_of(ACCOUNT, limit=50),
    "trades by number": lambda: orders.trades_by_id([1, 2, 3]),
    "ledger": lambda: wallets.entries_page(ACCOUNT, limit=50),
    "balances": lambda: wallets.balances_of(ACCOUNT),
    "open positions": lambda: positions.open_positions_of(ACCOUNT),
    "a position's market": lambda: positions.ever_market_of(ACCOUNT, 8),
    "login by name": lambda: accounts.user_by_login("user77"),
    "login by address": lambda: accounts.user_by_login("user77@example.com"),
    "sessions of a user": lambda: list(accounts.sessions_alive(77)[:20]),
}


def test_no_hot_query_reads_a_large_table_from_end_to_end() -> None:
    grow()
    found = {}
    for name, query in QUERIES.items():
        plans = Plans()
        with connection.execute_wrapper(plans):
            query()
        assert plans.statements, name
        found[name] = [scan for scan in plans.scans if scan[0] in LARGE]

    assert {name: scans for name, scans in found.items() if scans} == {}

    # The measure measures: what has no index is found.
    plans = Plans()
    with connection.execute_wrapper(plans):
        list(Order.objects.filter(priority=5))
    assert [table for table, _ in plans.scans] == ["orders_order"]
