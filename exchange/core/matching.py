"""
Plan, then apply: what an order would do, found without changing anything.

FOK, post-only, self-trade prevention, slippage caps, exact costs and the public preview all
use the same plan, and applying it cannot fail.
"""

from __future__ import annotations

import msgspec

from exchange.core.book import BookSide
from exchange.core.enums import EndReason, SelfTradeMode
from exchange.core.state import Order
from exchange.core.units import ATOMS

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
    in base, or, when that is 0, as many lots as ``quote_atoms_max`` of notional buys.
    """
    steps: list[tuple[int, Order, int, int]] = []
    filled = quote = 0
    by_quote = quantity_atoms == 0
    left = quantity_atoms
    quote_left = quote_atoms_max
    sign = opposite.sign
    limit_key = limit_atoms * sign if limit_atoms else None
    stop = EndReason.NO_LIQUIDITY
    for key in reversed(opposite.keys):
        if limit_key is not None and key < limit_key:
            stop = EndReason.PRICE_CAP
            break
        price = key * sign
        lot_quote = price * lot_atoms // ATOMS
        for maker in opposite.levels[price].orders():
            if len(steps) == STEPS_MAX:
                return Plan(steps, filled, quote, left, EndReason.MATCH_LIMIT)
            size = maker.remaining_atoms
            if by_quote:
                size = min(size, quote_left // lot_quote * lot_atoms)
                if size == 0:
                    return Plan(steps, filled, quote, 0, EndReason.NONE)
            elif left < size:
                size = left
            if maker.account_id == account_id:
                if mode is SelfTradeMode.EXPIRE_TAKER:
                    return Plan(steps, filled, quote, left, EndReason.SELF_TRADE)
                if mode is SelfTradeMode.DECREMENT:
                    steps.append((DECREMENT, maker, size, 0))
                    left -= size
                    if left == 0:
                        return Plan(steps, filled, quote, 0, EndReason.SELF_TRADE)
                    continue
                steps.append((EXPIRE_MAKER, maker, maker.remaining_atoms, 0))
                if mode is SelfTradeMode.EXPIRE_BOTH:
                    return Plan(steps, filled, quote, left, EndReason.SELF_TRADE)
                continue
            notional = price * size // ATOMS
            steps.append((FILL, maker, size, notional))
            filled += size
            quote += notional
            if by_quote:
                quote_left -= notional
            else:
                left -= size
                if left == 0:
                    return Plan(steps, filled, quote, 0, EndReason.NONE)
    return Plan(steps, filled, quote, left, stop)
