"""How orders and fills look outside: one form for REST and WebSocket."""

from typing import Any

from exchange.core.enums import (
    EndReason,
    LinkKind,
    OrderStatus,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
    TradeKind,
    TriggerType,
)
from exchange.core.events import OrderChanged, OrderTerms, TradeExecuted
from exchange.core.rejects import MESSAGES
from exchange.core.units import ATOMS, ceil_div, floor_div, format_atoms
from markets.selectors import market_by_id
from markets.types import MarketInfo
from orders.types import OrderPreview

SIDE_NAMES = {side: side.name.lower() for side in Side}
ORDER_TYPE_NAMES = {kind: kind.name.lower() for kind in OrderType}
TIME_IN_FORCE_NAMES = {value: value.name.lower() for value in TimeInForce}
SELF_TRADE_NAMES = {mode: mode.name.lower() for mode in SelfTradeMode}
STATUS_NAMES = {status: status.name.lower() for status in OrderStatus}
REASON_NAMES = {
    reason: None if reason is EndReason.NONE else reason.name.lower() for reason in EndReason
}
TRIGGER_NAMES = {
    kind: None if kind is TriggerType.NONE else kind.name.lower() for kind in TriggerType
}
TRADE_KIND_NAMES = {kind: kind.name.lower() for kind in TradeKind}
LINK_NAMES = {kind: None if kind is LinkKind.NONE else kind.name.lower() for kind in LinkKind}

# What a preview shows of the order that placing would leave.
PREVIEW_FIELDS = (
    "status",
    "reason",
    "price",
    "filled_quantity",
    "filled_quote",
    "remaining_quantity",
    "average_price",
    "fee",
    "fee_currency",
)

# Callback rates come in steps of 0.001.
_RATE_DECIMALS = 3

# What a plain order shows of all that only special ones have.
_NO_TERMS: dict[str, Any] = {
    "trigger_by": None,
    "trigger_price": None,
    "activation_price": None,
    "callback_rate": None,
    "activated": None,
    "price_protect": None,
    "triggered_at": None,
    "display_quantity": None,
    "expire_time": None,
    "group_id": None,
    "group_role": None,
    "reduce_only": False,
    "close_position": False,
}


def render_order(order: OrderChanged) -> dict[str, Any]:
    """
    Return an order with amounts as decimal strings in its market's decimals.

    What does not apply is null: the price of a market order, the size that was not given,
    the average price before the first fill (rounded down), the reason while nothing ended it,
    what only special orders have.
    """
    market = market_by_id(order.market_id)
    filled_atoms = order.filled_atoms
    price_decimals, quote_decimals = market.price_decimals, market.quote_decimals
    average = None
    if filled_atoms:
        average_atoms = floor_div(order.quote_filled_atoms * ATOMS, filled_atoms)
        average = format_atoms(average_atoms, price_decimals)
    quantity_atoms, quote_quantity_atoms = order.quantity_atoms, order.quote_quantity_atoms
    return {
        "id": str(order.order_id),
        "client_order_id": order.client_order_id or None,
        "symbol": market.symbol,
        "side": SIDE_NAMES[order.side],
        "type": ORDER_TYPE_NAMES[order.order_type],
        "time_in_force": TIME_IN_FORCE_NAMES[order.time_in_force],
        "post_only": order.post_only,
        "self_trade_prevention": SELF_TRADE_NAMES[order.self_trade_mode],
        "price": format_atoms(order.price_atoms, price_decimals) if order.price_atoms else None,
        "quantity": (
            format_atoms(quantity_atoms, market.quantity_decimals) if quantity_atoms else None
        ),
        "quote_quantity": (
            format_atoms(quote_quantity_atoms, quote_decimals) if quote_quantity_atoms else None
        ),
        "filled_quantity": format_atoms(filled_atoms, market.quantity_decimals),
        "remaining_quantity": format_atoms(order.open_atoms, market.quantity_decimals),
        "filled_quote": format_atoms(order.quote_filled_atoms, quote_decimals),
        "average_price": average,
        "fee": format_atoms(order.fee_atoms, quote_decimals),
        "fee_currency": market.quote,
        "status": STATUS_NAMES[order.status],
        "reason": REASON_NAMES[order.reason],
        "created_at": order.created_ms,
        "updated_at": order.updated_ms,
        **(_NO_TERMS if order.terms is None else _render_terms(order.terms, market)),
    }


def _render_terms(terms: OrderTerms, market: MarketInfo) -> dict[str, Any]:
    """Return what only special orders have, in the order of ``_NO_TERMS``."""
    decimals = market.price_decimals
    trigger, activation = terms.trigger_price_atoms, terms.activation_price_atoms
    rate, display = terms.callback_rate_e8, terms.display_atoms
    return {
        "trigger_by": TRIGGER_NAMES[terms.trigger_type],
        "trigger_price": format_atoms(trigger, decimals) if trigger else None,
        "activation_price": format_atoms(activation, decimals) if activation else None,
        "callback_rate": format_atoms(rate, _RATE_DECIMALS) if rate else None,
        "activated": bool(terms.extreme_atoms) if rate else None,
        "price_protect": terms.price_protect if terms.trigger_type else None,
        "triggered_at": terms.triggered_ms or None,
        "display_quantity": format_atoms(display, market.quantity_decimals) if display else None,
        "expire_time": terms.expires_ms or None,
        "group_id": str(terms.link_id) if terms.link_id else None,
        "group_role": LINK_NAMES[terms.link_kind],
        "reduce_only": terms.reduce_only,
        "close_position": terms.close_position,
    }


def render_preview(preview: OrderPreview, market: MarketInfo) -> dict[str, Any]:
    """Return what an order would do; without the order, which was never placed, but its values."""
    refusal, order = preview.refusal, preview.order
    shown = render_order(order) if order is not None else dict.fromkeys(PREVIEW_FIELDS)
    worst = preview.worst_price_atoms
    return {
        "symbol": market.symbol,
        "accepted": order is not None,
        "refusal": None
        if order is not None
        else {"code": refusal.name, "message": MESSAGES[refusal]},
        **{name: shown[name] for name in PREVIEW_FIELDS},
        "margin": _render_margin(preview, market),
        "worst_price": format_atoms(worst, market.price_decimals) if worst else None,
        "book_sequence": preview.book_seq,
        "book_time": preview.book_time_ms,
    }


def _render_margin(preview: OrderPreview, market: MarketInfo) -> dict[str, Any] | None:
    """
    Return what the order does to margin; null on spot and for a refused order.

    ``required`` is how much less may be opened with afterwards, profit and fee included.
    """
    before, after = preview.margin_before, preview.margin
    if before is None or after is None:
        return None
    quote = market.quote_decimals
    quantity, liquidation = after.quantity_atoms, after.liquidation_atoms
    tick = market.tick_atoms
    # Rounded away from safety: up for a long, down for a short.
    liquidation = (ceil_div(liquidation, tick) if quantity > 0 else liquidation // tick) * tick
    return {
        "required": format_atoms(before.available_atoms - after.available_atoms, quote),
        "initial_margin": format_atoms(after.initial_atoms, quote),
        "available": format_atoms(after.available_atoms, quote),
        "isolated_margin": (
            format_atoms(after.isolated_atoms, quote) if after.isolated_atoms else None
        ),
        "position_quantity": market.quantity_text(quantity),
        "liquidation_price": market.price_text(liquidation) if liquidation else None,
    }


def render_fill(trade: TradeExecuted, account_id: int) -> dict[str, Any]:
    """
    Return a trade as one of its two accounts sees it: own order, own side, own fee.

    ``trade_id`` is the same on both sides and on the public tape. Self-trades never
    happen, so an account has one side of a trade. What did not meet in the book, as a takeover
    of a position, is no order's.
    """
    market = market_by_id(trade.market_id)
    is_taker = trade.taker_account_id == account_id
    side = trade.taker_side
    if not is_taker:
        side = Side.SELL if side is Side.BUY else Side.BUY
    fee_atoms = trade.taker_fee_atoms if is_taker else trade.maker_fee_atoms
    order_id = trade.taker_order_id if is_taker else trade.maker_order_id
    return {
        "trade_id": str(trade.trade_id),
        "kind": TRADE_KIND_NAMES[trade.kind],
        "order_id": str(order_id) if order_id else None,
        "symbol": market.symbol,
        "side": SIDE_NAMES[side],
        "role": "taker" if is_taker else "maker",
        "price": format_atoms(trade.price_atoms, market.price_decimals),
        "quantity": format_atoms(trade.quantity_atoms, market.quantity_decimals),
        "quote_quantity": format_atoms(trade.quote_atoms, market.quote_decimals),
        "fee": format_atoms(fee_atoms, market.quote_decimals),
        "fee_currency": market.quote,
        "executed_at": trade.time_ms,
    }
