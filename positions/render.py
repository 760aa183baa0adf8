"""How positions look outside: one form for REST and WebSocket."""

from __future__ import annotations

from typing import Any

from exchange.core.enums import CloseReason, MarginMode, TriggerType
from exchange.core.events import FundingPaid, PositionClosed
from exchange.core.units import ATOMS, RATE_ONE, ceil_div, floor_div, format_atoms
from markets.selectors import market_by_id
from markets.types import MarketInfo
from positions.types import MarketSetting, PositionExit, PositionView

MODE_NAMES = {mode: mode.name.lower() for mode in MarginMode}
CLOSE_REASON_NAMES = {reason: reason.name.lower() for reason in CloseReason}
TRIGGER_NAMES: dict[TriggerType, str] = {
    kind: kind.name.lower() for kind in TriggerType if kind is not TriggerType.NONE
}
SIDE_NAMES = {True: "long", False: "short"}

# Ratios of 10^-8 as fractions: 0.8 is 80 %.
_RATIO_DECIMALS = 4


def average_atoms(quote_atoms: int, quantity_atoms: int) -> int:
    """Return an average price, rounded down; 0 without a quantity."""
    return floor_div(abs(quote_atoms) * ATOMS, abs(quantity_atoms)) if quantity_atoms else 0


def render_position(view: PositionView) -> dict[str, Any]:
    """
    Return an open position with amounts as decimal strings.

    Prices that follow from divisions are rounded down, margins and the margin ratio up; the
    liquidation price is rounded away from safety, to the tick.
    """
    slot = view.slot
    market = market_by_id(slot.market_id)
    price, quote = market.price_text, market.quote_decimals
    is_long = slot.quantity_atoms > 0
    isolated = slot.mode is MarginMode.ISOLATED
    return {
        "id": str(slot.position_id),
        "symbol": market.symbol,
        "side": SIDE_NAMES[is_long],
        "quantity": market.quantity_text(abs(slot.quantity_atoms)),
        "entry_price": price(average_atoms(slot.cost_atoms, slot.quantity_atoms)),
        "mark_price": price(view.mark_atoms),
        "notional": format_atoms(view.notional_atoms, quote),
        "leverage": slot.leverage,
        "margin_mode": MODE_NAMES[slot.mode],
        "initial_margin": format_atoms(view.initial_atoms, quote),
        "maintenance_margin": format_atoms(view.maintenance_atoms, quote),
        "isolated_margin": format_atoms(slot.isolated_atoms, quote) if isolated else None,
        "removable_margin": format_atoms(view.removable_atoms, quote) if isolated else None,
        "margin_ratio": ratio_text(view.backed_atoms, view.balance_atoms),
        "unrealised_profit": format_atoms(view.profit_atoms, quote),
        "realised_profit": format_atoms(slot.realised_atoms, quote),
        "roe": _roe(view),
        "liquidation_price": _liquidation_price(view, market, is_long=is_long),
        "bankruptcy_price": price(view.bankruptcy_atoms) if view.bankruptcy_atoms else None,
        "fee": format_atoms(slot.fee_atoms, quote),
        "funding": format_atoms(slot.funding_atoms, quote),
        "adl_light": view.light,
        "take_profit": _render_exit(view.take_profit, market),
        "stop_loss": _render_exit(view.stop_loss, market),
        "currency": market.quote,
        "opened_at": slot.opened_ms,
        "updated_at": slot.updated_ms,
    }


def ratio_text(part_atoms: int, whole_atoms: int) -> str | None:
    """Return part / whole as a fraction, rounded up; None once nothing of the whole is left."""
    if whole_atoms <= 0:
        return None
    return format_atoms(ceil_div(part_atoms * RATE_ONE, whole_atoms), _RATIO_DECIMALS)


def _roe(view: PositionView) -> str | None:
    """Return the profit as a fraction of the initial margin at the mark, rounded down."""
    if not view.initial_atoms:
        return None
    rate = floor_div(view.profit_atoms * RATE_ONE, view.initial_atoms)
    return format_atoms(rate, _RATIO_DECIMALS)


def _liquidation_price(view: PositionView, market: MarketInfo, *, is_long: bool) -> str | None:
    atoms, tick = view.liquidation_atoms, market.tick_atoms
    atoms = (ceil_div(atoms, tick) if is_long else floor_div(atoms, tick)) * tick
    return market.price_text(atoms) if atoms else None


def _render_exit(exit_: PositionExit | None, market: MarketInfo) -> dict[str, Any] | None:
    if exit_ is None:
        return None
    return {
        "order_id": str(exit_.order_id),
        "trigger_price": market.price_text(exit_.trigger_atoms),
        "trigger_by": TRIGGER_NAMES[exit_.trigger_type],
    }


def render_closed(closed: PositionClosed) -> dict[str, Any]:
    """Return a position that ended; average prices are rounded down."""
    market = market_by_id(closed.market_id)
    quote = market.quote_decimals
    exit_atoms = average_atoms(closed.closed_quote_atoms, closed.closed_atoms)
    net = closed.realised_atoms - closed.fee_atoms + closed.funding_atoms
    return {
        "id": str(closed.position_id),
        "symbol": market.symbol,
        "side": SIDE_NAMES[closed.quantity_max_atoms > 0],
        "max_quantity": market.quantity_text(abs(closed.quantity_max_atoms)),
        "closed_quantity": market.quantity_text(closed.closed_atoms),
        "entry_price": market.price_text(
            average_atoms(closed.opened_quote_atoms, closed.opened_atoms)
        ),
        "exit_price": market.price_text(exit_atoms),
        "leverage": closed.leverage,
        "margin_mode": MODE_NAMES[closed.mode],
        "realised_profit": format_atoms(closed.realised_atoms, quote),
        "fee": format_atoms(closed.fee_atoms, quote),
        "funding": format_atoms(closed.funding_atoms, quote),
        "net_profit": format_atoms(net, quote),
        "currency": market.quote,
        "reason": CLOSE_REASON_NAMES[closed.reason],
        "opened_at": closed.opened_ms,
        "closed_at": closed.closed_ms,
    }


def render_payment(paid: FundingPaid) -> dict[str, Any]:
    """Return what an account received (positive) or paid at one funding."""
    market = market_by_id(paid.market_id)
    return {
        "id": str(paid.entry_id),
        "symbol": market.symbol,
        "position_id": str(paid.position_id),
        "side": SIDE_NAMES[paid.quantity_atoms > 0],
        "quantity": market.quantity_text(abs(paid.quantity_atoms)),
        "mark_price": market.price_text(paid.mark_atoms),
        "rate": format_atoms(paid.rate_e8, _RATIO_DECIMALS),
        "amount": format_atoms(paid.amount_atoms, market.quote_decimals),
        "currency": market.quote,
        "funding_time": paid.funding_ms,
        "paid_at": paid.time_ms,
    }


def render_setting(setting: MarketSetting) -> dict[str, Any]:
    """Return leverage and margin mode of an account in a market."""
    return {
        "symbol": market_by_id(setting.market_id).symbol,
        "leverage": setting.leverage,
        "margin_mode": MODE_NAMES[setting.mode],
        "max_leverage": setting.leverage_max,
    }
