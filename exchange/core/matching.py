"""
Plan, then apply: what an order would do, found without changing anything.

FOK, post-only, self-trade prevention, slippage caps, exact costs and the public preview all
use the same plan, and applying it cannot fail.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from exchange.core.book import BookSide
from exchange.core.enums import EndReason, SelfTradeMode
from exchange.core.state import Order
from exchange.core.units import AMOUNT_MAX, ATOMS

# A taker meets at most this many makers; what is left of it expires (MATCH_LIMIT).
STEPS_MAX = 500

FILL = 0
EXPIRE_MAKER = 1
DECREMENT = 2


class Plan(msgspec.Struct, gc=False):
    """
    What a taker would do, in order.

    ``steps`` are (kind, maker, quantity, notional): trade it, expire the maker, or take the
    quantity off both. ``unfilled_atoms`` is what is left of a quantity-sized order;
    ``stop`` says why it went no further (NONE: its size was used up).
    """

    steps: list[tuple[int, Order, int, int]]
    filled_atoms: int
    quote_atoms: int
    unfilled_atoms: int
    stop: EndReason


def plan_match(
    opposite: BookSide,
    *,
    account_id: int,
    mode: SelfTradeMode,
    limit_atoms: int,
    quantity_atoms: int,
    quote_atoms_max: int,
    lot_atoms: int,
) -> Plan:
    """
    Return the plan of a taker against one side of the book.

    ``limit_atoms`` is the worst acceptable price (0: any). The size is ``quantity_atoms``
    in base, or, when that is 0, as many lots as ``quote_atoms_max`` of notional buys. A size
    in quote is used up when what is left of it buys no lot of a maker that still has some (a
    seller does not go on to a worse price), or, at the end of the book, none at the last
    price met. It cannot be decremented.
    """
    steps: list[tuple[int, Order, int, int]] = []
    filled = quote = price = 0
    left = quantity_atoms or AMOUNT_MAX
    quote_left = quote_atoms_max
    stop = EndReason.NONE
    for maker, size, price in _makers(opposite, limit_atoms):
        if len(steps) == STEPS_MAX:
            stop = EndReason.MATCH_LIMIT
            break
        if not quantity_atoms:
            size = min(size, quote_left // (price * lot_atoms // ATOMS) * lot_atoms)
            if not size:
                break
        elif left < size:
            size = left
        if maker.account_id == account_id:
            left -= _plan_self_trade(steps, mode, maker, size)
            if mode in _STOPPING_MODES or not left:
                stop = EndReason.SELF_TRADE
                break
            continue
        notional = price * size // ATOMS
        steps.append((FILL, maker, size, notional))
        filled += size
        quote += notional
        quote_left -= notional
        left -= size
        # A maker that is not used up ends the walk: the size, or the budget, is.
        if not left or size < maker.remaining_atoms:
            break
    else:
        spent = not quantity_atoms and filled and quote_left < price * lot_atoms // ATOMS
        if not spent:
            more = limit_atoms and opposite.keys and opposite.keys[0] < limit_atoms * opposite.sign
            stop = EndReason.PRICE_CAP if more else EndReason.NO_LIQUIDITY
    return Plan(steps, filled, quote, left if quantity_atoms else 0, stop)


def _makers(opposite: BookSide, limit_atoms: int) -> Iterator[tuple[Order, int, int]]:
    """Yield (maker, its remaining quantity, price) in price-time order, up to the limit."""
    sign, levels = opposite.sign, opposite.levels
    limit_key = limit_atoms * sign if limit_atoms else None
    for key in reversed(opposite.keys):
        if limit_key is not None and key < limit_key:
            return
        level = levels[key * sign]
        for maker in level.orders():
            yield maker, maker.remaining_atoms, level.price_atoms


def _plan_self_trade(
    steps: list[tuple[int, Order, int, int]], mode: SelfTradeMode, maker: Order, size: int
) -> int:
    """Add the step that prevents a self-trade; return what it takes off the taker."""
    if mode is SelfTradeMode.DECREMENT:
        steps.append((DECREMENT, maker, size, 0))
        return size
    if mode is not SelfTradeMode.EXPIRE_TAKER:
        steps.append((EXPIRE_MAKER, maker, maker.remaining_atoms, 0))
    return 0


# Modes under which a taker goes no further once it met an order of its own account.
_STOPPING_MODES = (SelfTradeMode.EXPIRE_TAKER, SelfTradeMode.EXPIRE_BOTH)
