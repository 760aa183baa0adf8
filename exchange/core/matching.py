"""
Plan, then apply: what an order would do, found without changing anything.

FOK, post-only, self-trade prevention, slippage caps, exact costs and the public preview all
use the same plan, and applying it cannot fail.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Protocol

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
EXPIRE_DUE = 3
EXPIRE_MARGIN = 4


class MakerJudge(Protocol):
    """What a perpetual market asks of makers; see ``judging``."""

    def offered(self, maker: Order, offered_atoms: int) -> int:
        """Return what a maker offers at most, 0 to pass it by."""
        ...

    def affords(self, maker: Order, quantity_atoms: int, quote_atoms: int) -> bool:
        """Try a fill out; False lets the maker's order expire."""
        ...


class Plan(msgspec.Struct, gc=False):
    """
    What a taker would do, in order.

    ``steps`` are (kind, maker, quantity, notional): trade it, expire the maker (it is one's
    own, its time is over, or it lacks margin), or take the quantity off both.
    ``unfilled_atoms`` is what is left of a quantity-sized order; ``stop`` says why it went no
    further (NONE: its size was used up).
    """

    steps: list[tuple[int, Order, int, int]]
    filled_atoms: int
    quote_atoms: int
    unfilled_atoms: int
    stop: EndReason


def plan_match(  # noqa: C901 - one walk through the book; each branch is a rule of it
    opposite: BookSide,
    *,
    account_id: int,
    mode: SelfTradeMode,
    limit_atoms: int,
    quantity_atoms: int,
    quote_atoms_max: int,
    lot_atoms: int,
    time_ms: int,
    price_range: tuple[int, int] = (0, AMOUNT_MAX),
    judge: MakerJudge | None = None,
) -> Plan:
    """
    Return the plan of a taker against one side of the book.

    ``limit_atoms`` is the worst acceptable price (0: any). The size is ``quantity_atoms``
    in base, or, when that is 0, as many lots as ``quote_atoms_max`` of notional buys. A size
    in quote is used up when what is left of it buys no lot of a maker that still has some (a
    seller does not go on to a worse price), or, at the end of the book, none at the last
    price met. It cannot be decremented. A trade outside of ``price_range`` breaks the market's
    circuit (CIRCUIT_BREAKER): the walk ends before it.
    """
    lowest, highest = price_range
    steps: list[tuple[int, Order, int, int]] = []
    filled = quote = price = 0
    left = quantity_atoms or AMOUNT_MAX
    quote_left = quote_atoms_max
    stop = EndReason.NONE
    ended: set[int] = set()
    makers = _makers(opposite, limit_atoms, time_ms, ended)
    for maker, offered, price in _judged(makers, judge, account_id) if judge else makers:
        if len(steps) == STEPS_MAX:
            stop = EndReason.MATCH_LIMIT
            break
        if not offered:
            steps.append((EXPIRE_DUE, maker, 0, 0))
            continue
        size = offered if offered < left else left
        if not quantity_atoms:
            size = min(size, quote_left // (price * lot_atoms // ATOMS) * lot_atoms)
            if not size:
                break
        if maker.account_id == account_id:
            left -= _plan_self_trade(steps, mode, maker, size, ended)
            if mode in _STOPPING_MODES or not left:
                stop = EndReason.SELF_TRADE
                break
            continue
        if not lowest <= price <= highest:
            stop = EndReason.CIRCUIT_BREAKER
            break
        notional = price * size // ATOMS
        if judge is not None and not judge.affords(maker, size, notional):
            steps.append((EXPIRE_MARGIN, maker, 0, 0))
            ended.add(maker.order_id)
            continue
        steps.append((FILL, maker, size, notional))
        filled += size
        quote += notional
        quote_left -= notional
        left -= size
        # A maker that is not used up ends the walk: the size, or the budget, is.
        if not left or size < offered:
            break
    else:
        spent = not quantity_atoms and filled and quote_left < price * lot_atoms // ATOMS
        stop = EndReason.NONE if spent else _end_of_walk(opposite, limit_atoms)
    return Plan(steps, filled, quote, left if quantity_atoms else 0, stop)


def _end_of_walk(opposite: BookSide, limit_atoms: int) -> EndReason:
    """Return why there are no more makers: the limit, or the end of the book."""
    more = limit_atoms and opposite.keys and opposite.keys[0] < limit_atoms * opposite.sign
    return EndReason.PRICE_CAP if more else EndReason.NO_LIQUIDITY


def _makers(
    opposite: BookSide, limit_atoms: int, time_ms: int, ended: set[int]
) -> Iterator[tuple[Order, int, int]]:
    """
    Yield (maker, what it offers, price) in price-time order, up to the limit.

    A good-till-date order that is due offers 0. Icebergs offer part by part, each further
    part behind all that was visible at the price; those in ``ended`` offer no more.
    """
    sign, levels = opposite.sign, opposite.levels
    limit_key = limit_atoms * sign if limit_atoms else None
    for key in reversed(opposite.keys):
        if limit_key is not None and key < limit_key:
            return
        level = levels[key * sign]
        reserves: deque[tuple[Order, int, int]] = deque()
        for maker in level.orders():
            terms = maker.terms
            if terms is None:
                yield maker, maker.remaining_atoms, level.price_atoms
            elif terms.expires_ms and terms.expires_ms <= time_ms:
                yield maker, 0, level.price_atoms
            else:
                yield maker, maker.remaining_atoms, level.price_atoms
                if terms.hidden_atoms:
                    reserves.append((maker, terms.hidden_atoms, terms.display_atoms))
        while reserves:
            maker, hidden, display = reserves.popleft()
            if maker.order_id in ended:
                continue
            part = min(hidden, display)
            yield maker, part, level.price_atoms
            if hidden > part:
                reserves.append((maker, hidden - part, display))


def _judged(
    makers: Iterator[tuple[Order, int, int]], judge: MakerJudge, account_id: int
) -> Iterator[tuple[Order, int, int]]:
    """Yield makers with what they may give; own ones and those that are due as they are."""
    for maker, offered, price in makers:
        if not offered or maker.account_id == account_id:
            yield maker, offered, price
            continue
        allowed = judge.offered(maker, offered)
        if allowed:
            yield maker, allowed, price


def _plan_self_trade(
    steps: list[tuple[int, Order, int, int]],
    mode: SelfTradeMode,
    maker: Order,
    size: int,
    ended: set[int],
) -> int:
    """Add the step that prevents a self-trade; return what it takes off the taker."""
    if mode is SelfTradeMode.DECREMENT:
        steps.append((DECREMENT, maker, size, 0))
        return size
    if mode is not SelfTradeMode.EXPIRE_TAKER:
        steps.append((EXPIRE_MAKER, maker, maker.remaining_atoms, 0))
        ended.add(maker.order_id)
    return 0


# Modes under which a taker goes no further once it met an order of its own account.
_STOPPING_MODES = (SelfTradeMode.EXPIRE_TAKER, SelfTradeMode.EXPIRE_BOTH)
