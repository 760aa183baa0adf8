"""
What a fill does to a position's numbers, on live positions and on copies alike.

A plan tries fills out on a copy (``msgspec.structs.replace``); carrying it out does the same to
the live one, so that both cannot differ.
"""

from __future__ import annotations

from exchange.core.enums import MarginMode, Side
from exchange.core.margin import initial_margin, open_loss
from exchange.core.state import Position
from exchange.core.units import ceil_div

_BUY = Side.BUY
_ISOLATED = MarginMode.ISOLATED


def reduces(position: Position | None, side: Side) -> bool:
    """Tell whether an order of a side works against an open position."""
    if position is None or not position.quantity_atoms:
        return False
    return (position.quantity_atoms > 0) is (side is not _BUY)


def fill(
    position: Position, *, side: Side, quantity_atoms: int, quote_atoms: int, mark_atoms: int
) -> int:
    """
    Apply a fill; return what the margin wallet gains by it, fees aside, in quote atoms.

    What is closed first realises its profit: the part of the cost that it releases is rounded
    so that the profit is the smaller; the rest of a larger fill opens the other side, with a
    cost of exactly what is left of the quote. An isolated position takes its initial margin
    and what the fill loses at the mark at once, and gives its share back as it closes.
    """
    sign = 1 if side is _BUY else -1
    held = position.quantity_atoms
    if held * sign >= 0:
        return _open(position, sign, quantity_atoms, quote_atoms, mark_atoms)
    size = abs(held)
    if quantity_atoms <= size:
        return _close(position, sign, quantity_atoms, quote_atoms)
    # Exact for trades, whose price times any number of lots is.
    closing_quote = quote_atoms * size // quantity_atoms
    gain = _close(position, sign, size, closing_quote)
    return gain + _open(
        position, sign, quantity_atoms - size, quote_atoms - closing_quote, mark_atoms
    )


def _open(position: Position, sign: int, quantity: int, quote: int, mark: int) -> int:
    position.quantity_atoms += sign * quantity
    position.cost_atoms += sign * quote
    position.opened_atoms += quantity
    position.opened_quote_atoms += quote
    if abs(position.quantity_atoms) > abs(position.quantity_max_atoms):
        position.quantity_max_atoms = position.quantity_atoms
    if position.mode is not _ISOLATED:
        return 0
    moved = initial_margin(quote, position.leverage) + open_loss(sign, quantity, quote, mark)
    position.isolated_atoms += moved
    return -moved


def _close(position: Position, sign: int, quantity: int, quote: int) -> int:
    size = abs(position.quantity_atoms)
    if quantity == size:
        cost, isolated = position.cost_atoms, position.isolated_atoms
    else:
        cost = ceil_div(position.cost_atoms * quantity, size)
        isolated = position.isolated_atoms * quantity // size
    realised = -sign * quote - cost
    position.quantity_atoms += sign * quantity
    position.cost_atoms -= cost
    position.isolated_atoms -= isolated
    position.realised_atoms += realised
    position.closed_atoms += quantity
    position.closed_quote_atoms += quote
    return realised + isolated


def start_anew(position: Position) -> None:
    """Clear the numbers of a position that ended; settings and slot stay."""
    position.position_id = 0
    position.cost_atoms = 0
    position.realised_atoms = 0
    position.fee_atoms = 0
    position.funding_atoms = 0
    position.quantity_max_atoms = 0
    position.opened_atoms = 0
    position.opened_quote_atoms = 0
    position.closed_atoms = 0
    position.closed_quote_atoms = 0
    position.opened_ms = 0
