"""What can be exported: columns, filters, where the rows come from and who may have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from accounts import archive as users
from accounts.permissions import Permission
from adminpanel.exports.cells import Cell, atoms_cell, moment_cell, time_cell
from adminpanel.exports.filters import Filters
from adminpanel.exports.statement import STATEMENT_HEADER, statement_plan
from adminpanel.exports.writing import Plan
from common.ids import RANDOM_BITS
from common.key_ranges import KeyRange
from exchange.core.enums import EndReason, OrderStatus, OrderType, Side, TimeInForce, TradeKind
from exchange.core.events import LedgerPosted
from markets.selectors import AssetNotFound, MarketNotFound, asset_by_id, market_by_id
from orders import archive as orders
from wallets import archive as ledger

# Keys read between two reports of progress.
ROWS_STEP = 20_000
DAY_OF_IDS = 86_400_000 << RANDOM_BITS


@dataclass(frozen=True, slots=True)
class Kind:
    """
    One kind of export.

    ``filters`` are those of "account_id" and "symbol" that it takes, ``needed`` those that it
    cannot do without; all take a period.
    """

    name: str
    title: str
    permission: Permission
    header: tuple[str, ...]
    plan: Callable[[Filters], Plan]
    filters: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()


def symbol_of(market_id: int) -> str:
    """Return a market's symbol, its number when it is gone."""
    try:
        return market_by_id(market_id).symbol
    except MarketNotFound:
        return str(market_id)


def code_of(asset_id: int) -> str:
    """Return an asset's code, "" for none."""
    try:
        return asset_by_id(asset_id).code if asset_id else ""
    except AssetNotFound:
        return str(asset_id)


def _plan(
    keys: KeyRange, rows: Callable[[KeyRange], Iterator[tuple[Cell, ...]]], step: int = ROWS_STEP
) -> Plan:
    return Plan(rows=(rows(part) for part in keys.parts(step)), parts=len(keys.parts(step)))


_ORDER_HEADER = (
    *("order_id", "account_id", "symbol", "client_order_id", "side", "type", "time_in_force"),
    *("post_only", "price", "quantity", "quote_quantity", "filled", "quote_filled", "fee"),
    *("status", "reason", "created", "updated"),
)


def _orders(filters: Filters) -> Plan:
    def rows(keys: KeyRange) -> Iterator[tuple[Cell, ...]]:
        found = orders.orders_in(keys, account_id=filters.account_id, market_id=filters.market_id)
        for values in found:
            row = dict(zip(orders.ORDER_COLUMNS, values, strict=True))
            yield (
                row["id"],
                row["account_id"],
                symbol_of(row["market_id"]),
                row["client_order_id"],
                Side(row["side"]).name.lower(),
                OrderType(row["order_type"]).name.lower(),
                TimeInForce(row["time_in_force"]).name,
                "yes" if row["post_only"] else "no",
                *(
                    atoms_cell(row[name])
                    for name in (
                        *("price_atoms", "quantity_atoms", "quote_quantity_atoms"),
                        *("filled_atoms", "quote_filled_atoms", "fee_atoms"),
                    )
                ),
                OrderStatus(row["status"]).name.lower(),
                EndReason(row["reason"]).name.lower(),
                time_cell(row["created_ms"]),
                time_cell(row["updated_ms"]),
            )

    return _plan(orders.order_keys(since_ms=filters.since_ms, until_ms=filters.until_ms), rows)


_FILL_HEADER = (
    *("trade_id", "time", "symbol", "kind", "price", "quantity", "quote_amount", "taker_side"),
    *("taker_order_id", "taker_account_id", "taker_fee"),
    *("maker_order_id", "maker_account_id", "maker_fee"),
)


def _fills(filters: Filters) -> Plan:
    def rows(keys: KeyRange) -> Iterator[tuple[Cell, ...]]:
        found = orders.trades_in(keys, account_id=filters.account_id, market_id=filters.market_id)
        for values in found:
            row = dict(zip(orders.TRADE_COLUMNS, values, strict=True))
            yield (
                row["id"],
                time_cell(row["time_ms"]),
                symbol_of(row["market_id"]),
                TradeKind(row["kind"]).name.lower(),
                atoms_cell(row["price_atoms"]),
                atoms_cell(row["quantity_atoms"]),
                atoms_cell(row["quote_atoms"]),
                Side(row["taker_side"]).name.lower(),
                row["taker_order_id"],
                row["taker_account_id"],
                atoms_cell(row["taker_fee_atoms"]),
                row["maker_order_id"],
                row["maker_account_id"],
                atoms_cell(row["maker_fee_atoms"]),
            )

    return _plan(orders.trade_keys(since_ms=filters.since_ms, until_ms=filters.until_ms), rows)


_LEDGER_HEADER = (
    *("entry_id", "time", "account_id", "kind", "reference_id", "wallet", "currency", "amount"),
    *("balance", "quote_currency", "quote_amount", "quote_balance", "fee", "note"),
)


def _ledger(filters: Filters) -> Plan:
    def rows(keys: KeyRange) -> Iterator[tuple[Cell, ...]]:
        return map(_ledger_row, ledger.entries_in(keys, account_id=filters.account_id))

    return _plan(ledger.entry_keys(since_ms=filters.since_ms, until_ms=filters.until_ms), rows)


def _ledger_row(entry: LedgerPosted) -> tuple[Cell, ...]:
    quote = bool(entry.quote_asset_id)
    return (
        entry.entry_id,
        time_cell(entry.time_ms),
        entry.account_id,
        entry.kind.name.lower(),
        entry.reference_id,
        entry.wallet.name.lower(),
        code_of(entry.asset_id),
        atoms_cell(entry.amount_atoms),
        atoms_cell(entry.balance_atoms),
        code_of(entry.quote_asset_id),
        atoms_cell(entry.quote_amount_atoms) if quote else "",
        atoms_cell(entry.quote_balance_atoms) if quote else "",
        atoms_cell(entry.fee_atoms),
        entry.note,
    )


_USER_HEADER = (
    *("user_id", "account_id", "username", "email", "verified_email", "role", "limit_tier"),
    *("active", "second_factor", "last_login", "registered"),
)


def _users(filters: Filters) -> Plan:
    def rows(keys: KeyRange) -> Iterator[tuple[Cell, ...]]:
        for row in users.users_in(keys, account_id=filters.account_id):
            *texts, active, confirmed, last_login, created = row
            yield (
                *texts,
                "yes" if active else "no",
                "yes" if confirmed else "no",
                moment_cell(last_login),
                moment_cell(created),
            )

    keys = users.user_keys(since_ms=filters.since_ms, until_ms=filters.until_ms)
    return _plan(keys, rows, DAY_OF_IDS)


_AUDIT_HEADER = (
    *("number", "time", "actor_id", "actor", "action", "target", "before", "after", "reason"),
    *("ip", "request_id", "seal"),
)


def _audit(filters: Filters) -> Plan:
    def rows(keys: KeyRange) -> Iterator[tuple[Cell, ...]]:
        for number, time_ms, *rest in users.audit_events_in(keys):
            yield (number, time_cell(time_ms), *rest)

    return _plan(users.audit_keys(since_ms=filters.since_ms, until_ms=filters.until_ms), rows)


_P = Permission
_BOTH = ("account_id", "symbol")
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("orders", "Orders", _P.MONEY_VIEW, _ORDER_HEADER, _orders, _BOTH),
        Kind("fills", "Fills", _P.MONEY_VIEW, _FILL_HEADER, _fills, _BOTH),
        Kind("ledger", "Ledger", _P.MONEY_VIEW, _LEDGER_HEADER, _ledger, ("account_id",)),
        Kind("users", "Users", _P.USERS_VIEW, _USER_HEADER, _users, ("account_id",)),
        Kind("audit", "Audit log", _P.AUDIT_VIEW, _AUDIT_HEADER, _audit),
        Kind(
            "statement",
            "Statement of account",
            _P.MONEY_VIEW,
            STATEMENT_HEADER,
            statement_plan,
            ("account_id",),
            needed=("account_id",),
        ),
    )
}
