"""
Matching as slowly and plainly as it can be said: one list, searched from the start.

Written from the trading rules alone, as an oracle for ``exchange.core``; it shares no
code with it except the vocabulary of commands and events. Nothing here changes an order:
``dry_run`` says what would happen.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from exchange.core.enums import (
    EndReason,
    OrderStatus,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
)

ATOMS = 10**8
STEPS_MAX = 500


def value_of(price: int, quantity: int) -> int:
    """Return price times quantity, which never has a remainder."""
    value, remainder = divmod(price * quantity, ATOMS)
    if remainder:
        raise ValueError(f"price {price} x quantity {quantity} has a remainder")
    return value


def rounded_up(amount_e8: int) -> int:
    """Return an amount of 10^-8 atoms in whole atoms, against who pays it."""
    return -(-amount_e8 // ATOMS)


@dataclass
class NaiveOrder:
    """One order; ``fee_e8`` is the fee of all fills before rounding, in 10^-8 atoms."""

    order_id: int
    account_id: int
    market_id: int
    client_order_id: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    post_only: bool
    price: int
    quantity: int
    quote_quantity: int
    self_trade_mode: SelfTradeMode
    maker_rate: int
    taker_rate: int
    remaining: int
    filled: int = 0
    quote_filled: int = 0
    fee_e8: int = 0
    fee: int = 0
    status: OrderStatus = OrderStatus.OPEN
    reason: EndReason = EndReason.NONE

    def is_open(self) -> bool:
        """Tell whether the order rests."""
        return self.status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)

    def hold(self) -> int:
        """
        Return what the open order must keep back: base for a seller, quote for a buyer.

        A buyer keeps the rest at its limit and the fee of that rest at the higher of both
        rates; fees of an order are rounded up once over all its fills.
        """
        if not self.is_open():
            return 0
        if self.side is Side.SELL:
            return self.remaining
        notional = value_of(self.price, self.remaining)
        rate = max(self.maker_rate, self.taker_rate)
        fee = rounded_up(self.fee_e8 + notional * rate) - self.fee
        return notional + max(0, fee)


@dataclass
class Step:
    """One thing that happens between a taker and one maker."""

    maker: NaiveOrder
    filled: int = 0
    maker_prevented: int = 0
    taker_prevented: int = 0


@dataclass
class DryRun:
    """
    Everything that would happen; ``stop`` says why the taker went no further.

    ``spent`` says that the quote left of a quote-sized order buys no further lot.
    """

    steps: list[Step] = field(default_factory=list)
    filled: int = 0
    quote_filled: int = 0
    fee_e8: int = 0
    remaining: int = 0
    stop: EndReason = EndReason.NONE
    spent: bool = False


def opposite_in_turn(orders: list[NaiveOrder], taker: NaiveOrder) -> list[NaiveOrder]:
    """Return open orders of the other side: best price first, then the oldest."""
    found = [
        order
        for order in orders
        if order.is_open() and order.market_id == taker.market_id and order.side != taker.side
    ]
    sign = 1 if taker.side is Side.BUY else -1
    # The list is in order of arrival and the sort keeps that order inside a price.
    return sorted(found, key=lambda order: sign * order.price)


def price_cap(side: Side, reference: int, rate: int) -> int:
    """Return the worst price a market order may trade at, rounded toward the reference."""
    if side is Side.BUY:
        return reference * (ATOMS + rate) // ATOMS
    return rounded_up(reference * (ATOMS - rate))


def affordable(run: DryRun, taker: NaiveOrder, price: int, lot: int) -> int:
    """Return the largest quantity on the lot that a quote-sized order still takes at a price."""
    most = (taker.quote_quantity - run.quote_filled) // value_of(price, lot)
    if taker.side is Side.SELL:
        return most * lot
    fits, too_many = 0, most + 1
    while too_many - fits > 1:
        lots = (fits + too_many) // 2
        spent = run.quote_filled + value_of(price, lots * lot)
        fee_e8 = run.fee_e8 + value_of(price, lots * lot) * taker.taker_rate
        if spent + rounded_up(fee_e8) <= taker.quote_quantity:
            fits = lots
        else:
            too_many = lots
    return fits * lot


def dry_run(orders: list[NaiveOrder], taker: NaiveOrder, *, cap: int | None, lot: int) -> DryRun:
    """
    Walk the other side of the book without changing it.

    ``cap`` is the worst price allowed (None: any). A quote-sized order has no quantity
    and takes at each maker what the rest of its quote buys.
    """
    run = DryRun(remaining=taker.quantity)
    by_quote = taker.quote_quantity > 0
    run.stop = EndReason.NO_LIQUIDITY
    price_met = 0
    for maker in opposite_in_turn(orders, taker):
        if cap is not None and (maker.price > cap if taker.side is Side.BUY else maker.price < cap):
            run.stop = EndReason.PRICE_CAP
            break
        if len(run.steps) == STEPS_MAX:
            run.stop = EndReason.MATCH_LIMIT
            return run
        price_met = maker.price
        wanted = affordable(run, taker, price_met, lot) if by_quote else run.remaining
        if wanted == 0:
            run.spent = by_quote
            break
        if maker.account_id == taker.account_id:
            if _prevent(run, taker, maker):
                continue
            return run
        quantity = min(wanted, maker.remaining)
        notional = value_of(price_met, quantity)
        run.steps.append(Step(maker, filled=quantity))
        run.filled += quantity
        run.quote_filled += notional
        run.fee_e8 += notional * taker.taker_rate
        run.remaining -= 0 if by_quote else quantity
        if by_quote and quantity < maker.remaining:
            # What is left buys no lot here; passing a better price by would be wrong.
            run.spent = True
            break
    if by_quote and run.filled and affordable(run, taker, price_met, lot) == 0:
        run.spent = True
    if run.spent or (not by_quote and run.remaining == 0):
        run.stop = EndReason.NONE
    return run


def _prevent(run: DryRun, taker: NaiveOrder, maker: NaiveOrder) -> bool:
    """Note what self-trade prevention does; tell whether the taker goes on to the next."""
    mode = taker.self_trade_mode
    if mode is SelfTradeMode.EXPIRE_MAKER:
        run.steps.append(Step(maker, maker_prevented=maker.remaining))
        return True
    if mode is SelfTradeMode.EXPIRE_BOTH:
        run.steps.append(Step(maker, maker_prevented=maker.remaining))
    if mode is SelfTradeMode.DECREMENT and not taker.quote_quantity:
        both = min(run.remaining, maker.remaining)
        run.steps.append(Step(maker, maker_prevented=both, taker_prevented=both))
        run.remaining -= both
        if run.remaining:
            return True
    run.stop = EndReason.SELF_TRADE
    return False
