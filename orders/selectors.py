"""Reads of orders and fills, always scoped by account."""

from collections.abc import Iterator, Sequence

from exchange.client_lookup import find_client_order_id
from exchange.core.enums import (
    EndReason,
    LinkKind,
    MarketKind,
    OrderStatus,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
    TradeKind,
    TriggerType,
)
from exchange.core.events import OrderChanged, OrderTerms, TradeExecuted
from exchange.core.ledger import hold_of
from exchange.core.state import Order as CoreOrder
from exchange.core.state import Terms
from markets.selectors import market_by_id
from markets.types import MarketInfo
from orders.models import Order, Trade
from orders.models import OrderTerms as TermsRow
from orders.recent_ids import RECENT_IDS
from orders.types import FillPage, OrderPage
from wallets.chains import Row, seek_chain, walk_chain
from wallets.selectors import chain_heads, trade_entries_page

# Rows that one page of a filtered history reads at most.
SCAN_ROWS_MAX = 2_000

# Rows fetched at once when all open orders are read.
HOLD_ROWS_CHUNK = 2_000

# Orders whose terms one query fetches; databases limit the parameters of a statement.
TERMS_CHUNK = 500

# The fields of an OrderChanged, in its order, its terms left out; enums are rebuilt by position.
_EVENT_COLUMNS = (
    "id",
    "account_id",
    "market_id",
    "client_order_id",
    "side",
    "order_type",
    "time_in_force",
    "post_only",
    "price_atoms",
    "quantity_atoms",
    "quote_quantity_atoms",
    "filled_atoms",
    "quote_filled_atoms",
    "fee_atoms",
    "status",
    "reason",
    "self_trade_mode",
    "created_ms",
    "updated_ms",
    "remaining_atoms",
)
# The fields of an OrderTerms, in its order; then an iceberg's reserve.
_TERMS_COLUMNS = (
    "trigger_type",
    "trigger_price_atoms",
    "activation_price_atoms",
    "callback_rate_e8",
    "extreme_atoms",
    "display_atoms",
    "expires_ms",
    "triggered_ms",
    "link_id",
    "link_kind",
    "price_protect",
    "reduce_only",
    "close_position",
    "hidden_atoms",
)
_TERMS_ENUMS = (
    (_TERMS_COLUMNS.index("trigger_type"), TriggerType),
    (_TERMS_COLUMNS.index("link_kind"), LinkKind),
    (_TERMS_COLUMNS.index("price_protect"), bool),
    (_TERMS_COLUMNS.index("reduce_only"), bool),
    (_TERMS_COLUMNS.index("close_position"), bool),
)
_ENUMS = (
    (_EVENT_COLUMNS.index("side"), Side),
    (_EVENT_COLUMNS.index("order_type"), OrderType),
    (_EVENT_COLUMNS.index("time_in_force"), TimeInForce),
    (_EVENT_COLUMNS.index("post_only"), bool),
    (_EVENT_COLUMNS.index("status"), OrderStatus),
    (_EVENT_COLUMNS.index("reason"), EndReason),
    (_EVENT_COLUMNS.index("self_trade_mode"), SelfTradeMode),
)
# A chain row: the two links first, then what is needed to choose, then the order.
_CHAIN_COLUMNS = ("id", "previous_id", "is_open", "market_id", *_EVENT_COLUMNS)
_TRADE_COLUMNS = (
    "id",
    "market_id",
    "price_atoms",
    "quantity_atoms",
    "quote_atoms",
    "taker_side",
    "taker_order_id",
    "maker_order_id",
    "taker_account_id",
    "maker_account_id",
    "taker_fee_atoms",
    "maker_fee_atoms",
    "time_ms",
    "kind",
)
_TRADE_ENUMS = (
    (_TRADE_COLUMNS.index("taker_side"), Side),
    (_TRADE_COLUMNS.index("kind"), TradeKind),
)


def order_of(account_id: int, order_id: int) -> OrderChanged | None:
    """Return an order of this account, or None: another's looks like one that never was."""
    row = (
        Order.objects.filter(id=order_id, account_id=account_id)
        .values_list(*_EVENT_COLUMNS)
        .first()
    )
    return None if row is None else _orders_from_rows([row])[0]


def orders_by_id(account_id: int, order_ids: Sequence[int]) -> list[OrderChanged]:
    """Return those of the orders that this account has, in the order of their numbers."""
    rows = Order.objects.filter(id__in=order_ids, account_id=account_id)
    return _orders_from_rows(list(rows.order_by("id").values_list(*_EVENT_COLUMNS)))


def order_of_client_id(account_id: int, client_order_id: str) -> OrderChanged | None:
    """
    Return the order that this account placed under a client id, None if there is none.

    The newest ids are in no table yet; their orders are the newest of the account.
    """
    lookup = find_client_order_id(account_id, client_order_id)
    if lookup.reference_id:
        return order_of(account_id, lookup.reference_id)
    if lookup.unmerged_since_ms is None:
        return None
    since_ms = lookup.unmerged_since_ms
    order_id = RECENT_IDS.find(account_id, client_order_id, since_ms=since_ms)
    order = order_of(account_id, order_id) if order_id else None
    if order is not None and order.client_order_id != client_order_id:
        # Of another database: a backup was put in place of the one that was read.
        RECENT_IDS.forget(account_id)
        order_id = RECENT_IDS.find(account_id, client_order_id, since_ms=since_ms)
        order = order_of(account_id, order_id) if order_id else None
    return order


def orders_open(
    account_id: int, *, limit: int, market_id: int | None = None, below_id: int | None = None
) -> OrderPage:
    """Return a page of an account's open orders, newest first."""
    rows = Order.objects.filter(account_id=account_id, is_open=1)
    if market_id is not None:
        rows = rows.filter(market_id=market_id)
    if below_id is not None:
        rows = rows.filter(id__lte=below_id)
    values = list(rows.order_by("-id").values_list(*_EVENT_COLUMNS)[: limit + 1])
    next_id = values[limit][0] if len(values) > limit else 0
    return OrderPage(orders=_orders_from_rows(values[:limit]), next_id=next_id)


def orders_finished(
    account_id: int, *, limit: int, market_id: int | None = None, from_id: int | None = None
) -> OrderPage:
    """
    Return a page of an account's finished orders, newest first, read along its chain.

    A page reads at most ``SCAN_ROWS_MAX`` orders, so it may be short and have a next one.
    """
    start_id = chain_heads(account_id).order_id
    if from_id is not None:
        start_id = seek_chain(Order, head_id=start_id, account_id=account_id, below_id=from_id)
    finished: list[Row] = []
    next_id = start_id
    rows = walk_chain(
        Order,
        start_id=start_id,
        account_id=account_id,
        columns=_CHAIN_COLUMNS,
        rows_max=SCAN_ROWS_MAX,
    )
    for _id, previous_id, is_open, row_market_id, *row in rows:
        next_id = previous_id
        if not is_open and market_id in (None, row_market_id):
            finished.append(tuple(row))
            if len(finished) == limit:
                break
    return OrderPage(orders=_orders_from_rows(finished), next_id=next_id)


def fills_of(
    account_id: int,
    *,
    limit: int,
    from_entry_id: int | None = None,
    market: MarketInfo | None = None,
) -> FillPage:
    """
    Return a page of an account's trades, newest first, of one market where asked.

    Trades have no account index: the account's ledger entries name them.
    """
    page = trade_entries_page(
        account_id,
        limit=limit,
        from_id=from_entry_id,
        assets=_entry_assets(market) if market else None,
    )
    trades = [
        trade
        for trade in trades_by_id([entry.reference_id for entry in page.entries])
        if account_id in (trade.taker_account_id, trade.maker_account_id)
        # Entries of all perpetual markets look alike: they move the quote asset alone.
        and (market is None or trade.market_id == market.market_id)
    ]
    return FillPage(trades=trades, next_id=page.next_id)


def fills_of_order(
    account_id: int, *, order: OrderChanged, limit: int, from_entry_id: int | None = None
) -> FillPage:
    """
    Return the trades of an order of this account, newest first, at most ``limit``.

    Reads a bounded part of the account's ledger entries since the order was placed, so the
    page may be short and have a next one.
    """
    market = market_by_id(order.market_id)
    page = trade_entries_page(
        account_id,
        limit=SCAN_ROWS_MAX,
        from_id=from_entry_id,
        assets=_entry_assets(market),
        since_ms=order.created_ms,
    )
    entries = {entry.reference_id: entry for entry in page.entries}
    trades = [
        trade
        for trade in trades_by_id(list(entries))
        if order.order_id in (trade.taker_order_id, trade.maker_order_id)
    ]
    next_id = page.next_id
    if len(trades) > limit:
        trades = trades[:limit]
        next_id = entries[trades[-1].trade_id].previous_id
    if sum(trade.quantity_atoms for trade in trades) == order.filled_atoms:
        next_id = 0
    return FillPage(trades=trades, next_id=next_id)


def _entry_assets(market: MarketInfo) -> tuple[int, int]:
    """Return both assets of the ledger entries of a market's trades; a perpetual moves one."""
    if market.kind is MarketKind.PERPETUAL:
        return market.quote_asset_id, 0
    return market.base_asset_id, market.quote_asset_id


def trades_by_id(trade_ids: list[int]) -> list[TradeExecuted]:
    """Return trades in the order of the given ids, without those that do not exist."""
    rows = Trade.objects.filter(id__in=trade_ids).values_list(*_TRADE_COLUMNS)
    found = {row[0]: _trade_from_row(row) for row in rows}
    return [found[trade_id] for trade_id in dict.fromkeys(trade_ids) if trade_id in found]


def holds_needed() -> dict[tuple[int, int], int]:
    """
    Return what the open orders of each (account, asset) need to be held, in atoms.

    Orders of perpetual markets hold nothing: their margin is computed when it is needed.
    """
    needs: dict[tuple[int, int], int] = {}
    for order in _open_orders_holding():
        market = market_by_id(order.market_id)
        if market.kind is MarketKind.PERPETUAL:
            continue
        is_buy = order.side is Side.BUY
        key = (order.account_id, market.quote_asset_id if is_buy else market.base_asset_id)
        needs[key] = needs.get(key, 0) + hold_of(order)
    return needs


def _open_orders_holding() -> Iterator[CoreOrder]:
    """Yield every open order with just the fields that decide what it holds."""
    special = {
        order_id: Terms(hidden_atoms=hidden, cap_atoms=cap, holds=bool(holds))
        for order_id, hidden, cap, holds in TermsRow.objects.filter(is_open=1)
        .values_list("id", "hidden_atoms", "cap_atoms", "holds")
        .iterator(chunk_size=HOLD_ROWS_CHUNK)
    }
    rows = Order.objects.filter(is_open=1).values_list(
        "id",
        "account_id",
        "market_id",
        "side",
        "price_atoms",
        "remaining_atoms",
        "fee_remainder",
        "maker_rate_e8",
        "taker_rate_e8",
    )
    for order_id, account, market, side, price, remaining, remainder, maker, taker in rows.iterator(
        chunk_size=HOLD_ROWS_CHUNK
    ):
        yield CoreOrder(
            order_id=order_id,
            account_id=account,
            market_id=market,
            side=Side(side),
            price_atoms=price,
            remaining_atoms=remaining,
            fee_remainder=remainder,
            maker_rate_e8=maker,
            taker_rate_e8=taker,
            terms=special.get(order_id),
        )


def _orders_from_rows(rows: Sequence[Row]) -> list[OrderChanged]:
    """Return the orders of rows of ``_EVENT_COLUMNS``, special ones with their terms."""
    terms = _terms_by_order([row[0] for row in rows])
    return [_order_from_row(row, *terms.get(row[0], (None, 0))) for row in rows]


def _terms_by_order(order_ids: Sequence[int]) -> dict[int, tuple[OrderTerms, int]]:
    """Return, for the special ones of some orders, their terms and an iceberg's reserve."""
    found: dict[int, tuple[OrderTerms, int]] = {}
    for start in range(0, len(order_ids), TERMS_CHUNK):
        chunk = order_ids[start : start + TERMS_CHUNK]
        rows = TermsRow.objects.filter(id__in=chunk).values_list("id", *_TERMS_COLUMNS)
        for order_id, *values, hidden_atoms in rows:
            for index, kind in _TERMS_ENUMS:
                values[index] = kind(values[index])
            found[order_id] = (OrderTerms(*values), hidden_atoms)
    return found


def _order_from_row(row: Row, terms: OrderTerms | None, hidden_atoms: int) -> OrderChanged:
    *values, remaining_atoms = row
    for index, kind in _ENUMS:
        values[index] = kind(values[index])
    values += (terms, remaining_atoms + hidden_atoms)
    return OrderChanged(*values)


def _trade_from_row(row: Row) -> TradeExecuted:
    values = list(row)
    for index, kind in _TRADE_ENUMS:
        values[index] = kind(values[index])
    return TradeExecuted(*values)
