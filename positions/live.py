"""A trader's own positions as they change, for the private stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from common.ws.topics import POSITIONS
from exchange.core.enums import MarginMode
from exchange.core.events import AnyEvent, PositionChanged, PositionClosed
from exchange.core.memory import position_event
from exchange.core.units import format_atoms
from markets.selectors import market_by_id
from positions.models import Position
from positions.projection import POSITIONS as TABLE
from positions.projection import position_from_row
from positions.render import MODE_NAMES, SIDE_NAMES, average_atoms, render_closed


def position_frames(event: AnyEvent) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """
    Yield (account, channel, data) of what an event means to the owner of a position.

    The end of a position is told with its history; the flat slot that it leaves is not.
    """
    if isinstance(event, PositionChanged):
        if event.quantity_atoms:
            yield event.account_id, POSITIONS, render_held(event)
    elif isinstance(event, PositionClosed):
        yield event.account_id, POSITIONS, _render_end(event)


def positions_snapshot(account_id: int) -> dict[str, Any]:
    """Return the data of a snapshot: the open positions."""
    slots = Position.objects.filter(account_id=account_id).exclude(quantity_atoms=0)
    rows = slots.order_by("id").values_list(*TABLE.columns)
    held = (position_event(position_from_row(row)) for row in rows)
    return {"positions": [render_held(position) for position in held]}


def render_held(position: PositionChanged) -> dict[str, Any]:
    """
    Return an open position without what follows from the mark, which moves each second.

    Unrealised profit is (mark - entry) x quantity, negated for a short.
    """
    market = market_by_id(position.market_id)
    quote = market.quote_decimals
    isolated = position.mode is MarginMode.ISOLATED
    return {
        "id": str(position.position_id),
        "symbol": market.symbol,
        "side": SIDE_NAMES[position.quantity_atoms > 0],
        "quantity": market.quantity_text(abs(position.quantity_atoms)),
        "entry_price": market.price_text(
            average_atoms(position.cost_atoms, position.quantity_atoms)
        ),
        "cost": format_atoms(abs(position.cost_atoms), quote),
        "leverage": position.leverage,
        "margin_mode": MODE_NAMES[position.mode],
        "isolated_margin": format_atoms(position.isolated_atoms, quote) if isolated else None,
        "realised_profit": format_atoms(position.realised_atoms, quote),
        "fee": format_atoms(position.fee_atoms, quote),
        "funding": format_atoms(position.funding_atoms, quote),
        "currency": market.quote,
        "opened_at": position.opened_ms,
        "updated_at": position.updated_ms,
        "closed": None,
    }


def _render_end(closed: PositionClosed) -> dict[str, Any]:
    market = market_by_id(closed.market_id)
    history = render_closed(closed)
    nothing = format_atoms(0, market.quote_decimals)
    return {
        "id": history["id"],
        "symbol": market.symbol,
        "side": history["side"],
        "quantity": market.quantity_text(0),
        "entry_price": history["entry_price"],
        "cost": nothing,
        "leverage": closed.leverage,
        "margin_mode": history["margin_mode"],
        "isolated_margin": nothing if closed.mode is MarginMode.ISOLATED else None,
        "realised_profit": history["realised_profit"],
        "fee": history["fee"],
        "funding": history["funding"],
        "currency": market.quote,
        "opened_at": closed.opened_ms,
        "updated_at": closed.closed_ms,
        "closed": history,
    }
