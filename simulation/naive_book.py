"""
Matching as slowly and plainly as it can be said: one list, searched from the start.

Written from the trading rules alone, as an oracle for ``exchange.core``; it shares no
code with it except the vocabulary of commands and events. Nothing here changes an order:
``dry_run`` says what would happen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from exchange.core.enums import (
    FINAL_STATUSES,
    EndReason,
    LinkKind,
    OrderStatus,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
    TriggerType,
)

ATOMS = 10**8
STEPS_MAX = 500

# Which way the price must go to reach the trigger (for a trailing stop: the activation).
WAITS_FOR_RISE = {
    (OrderType.STOP_LOSS, Side.BUY): True,
    (OrderType.STOP_LOSS_LIMIT, Side.BUY): True,
    (OrderType.TAKE_PROFIT, Side.SELL): True,
    (OrderType.TAKE_PROFIT_LIMIT, Side.SELL): True,
    (OrderType.TRAILING_STOP, Side.SELL): True,
    (OrderType.STOP_LOSS, Side.SELL): False,
    (OrderType.STOP_LOSS_LIMIT, Side.SELL): False,
    (OrderType.TAKE_PROFIT, Side.BUY): False,
    (OrderType.TAKE_PROFIT_LIMIT, Side.BUY): False,
    (OrderType.TRAILING_STOP, Side.BUY): False,
}
WITHOUT_PRICE = (
    OrderType.MARKET,
    OrderType.STOP_LOSS,
    OrderType.TAKE_PROFIT,
    OrderType.TRAILING_STOP,
)
MAY_REST = (TimeInForce.GTC, TimeInForce.GTD)


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
    """
    One order; ``fee_e8`` is the fee of all fills before rounding, in 10^-8 atoms.

    ``remaining`` is what the book shows, ``hidden`` an iceberg's reserve. ``turn`` is its
    time priority; ``since`` when it began to wait for its trigger, or to follow the price.
    ``fired`` says that a price has reached the trigger and its turn has not come.
    """

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
    slippage: int = 0
    trigger_type: TriggerType = TriggerType.NONE
    trigger: int = 0
    activation: int = 0
    callback: int = 0
    display: int = 0
    expires: int = 0
    reprice: bool = False
    price_protect: bool = False
    filled: int = 0
    quote_filled: int = 0
    fee_e8: int = 0
    fee: int = 0
    status: OrderStatus = OrderStatus.OPEN
    reason: EndReason = EndReason.NONE
    hidden: int = 0
    turn: int = 0
    since: int = 0
    extreme: int = 0
    fired: bool = False
    cap: int = 0
    link: int = 0
    link_kind: LinkKind = LinkKind.NONE
    holds: bool = True
    margined: bool = False
    reduce_only: bool = False
    closes: bool = False

    def reduces(self) -> bool:
        """Tell whether the order may only make a position smaller."""
        return self.reduce_only or self.closes

    def is_open(self) -> bool:
        """Tell whether the order has not ended."""
        return self.status not in FINAL_STATUSES

    def is_in_book(self) -> bool:
        """Tell whether the order rests."""
        return self.status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)

    def is_conditional(self) -> bool:
        """Tell whether the order waits, or waited, for a price."""
        return (self.order_type, self.side) in WAITS_FOR_RISE

    def waits_for_rise(self) -> bool:
        """Tell which way the price must go to reach the trigger or the activation."""
        return WAITS_FOR_RISE[self.order_type, self.side]

    def threshold(self) -> int:
        """Return the price that fires a stop, or starts a trailing one."""
        return self.trigger or self.activation

    def is_reached(self, price: int) -> bool:
        """Tell whether a price reaches the trigger or the activation; equality does."""
        if self.waits_for_rise():
            return price >= self.threshold()
        return price <= self.threshold()

    def came_back(self, price: int) -> bool:
        """Tell whether a price is off the extreme by the callback rate or more."""
        if self.side is Side.SELL:
            return price * ATOMS <= self.extreme * (ATOMS - self.callback)
        return price * ATOMS >= self.extreme * (ATOMS + self.callback)

    def is_due(self, now: int) -> bool:
        """Tell whether the order's time is over."""
        return 0 < self.expires <= now

    def crosses(self, price: int) -> bool:
        """Tell whether the limit reaches a price of the other side."""
        return self.price >= price if self.side is Side.BUY else self.price <= price

    def hold(self) -> int:
        """
        Return what the open order must keep back: base for a seller, quote for a buyer.

        A buyer keeps the rest at its limit, or a conditional market buy at its cap, and the
        fee of that rest at the higher of both rates; fees of an order are rounded up once
        over all its fills. The children of a bracket and one leg of an OCO keep nothing, nor
        does an order of a perpetual market.
        """
        if self.margined:
            return 0
        if not self.is_open() or self.status is OrderStatus.WAITING or not self.holds:
            return 0
        left = self.remaining + self.hidden
        if self.side is Side.SELL:
            return left
        notional = rounded_up((self.price or self.cap) * left)
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
    is_due: bool = False
    lacks_margin: bool = False

    def expires(self) -> EndReason:
        """Return why the maker expires if nothing is filled or taken off."""
        if self.is_due:
            return EndReason.TIME_EXPIRED
        return EndReason.INSUFFICIENT_MARGIN if self.lacks_margin else EndReason.SELF_TRADE


class Judge(Protocol):
    """What a perpetual market asks of makers while a taker is tried out."""

    def offered(self, maker: NaiveOrder, shown: int) -> int:
        """Return what a maker may give of what it shows, 0 to pass it by."""
        ...

    def affords(self, maker: NaiveOrder, quantity: int) -> bool:
        """Let a maker trade; False if it cannot afford that."""
        ...


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


@dataclass
class Offer:
    """What one maker shows now, and what it has behind that."""

    maker: NaiveOrder
    shown: int
    hidden: int


def opposite_in_turn(orders: list[NaiveOrder], taker: NaiveOrder) -> list[NaiveOrder]:
    """Return resting orders of the other side: best price first, then the oldest."""
    found = [
        order
        for order in orders
        if order.market_id == taker.market_id and order.side != taker.side and order.is_in_book()
    ]
    sign = 1 if taker.side is Side.BUY else -1
    return sorted(found, key=lambda order: (sign * order.price, order.turn))


def price_cap(side: Side, reference: int, rate: int) -> int:
    """Return the worst price a market order may trade at, rounded toward the reference."""
    if side is Side.BUY:
        return reference * (ATOMS + rate) // ATOMS
    return max(1, rounded_up(reference * (ATOMS - rate)))


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


def dry_run(  # noqa: C901 - one walk through the book; each branch is a rule of it
    orders: list[NaiveOrder],
    taker: NaiveOrder,
    *,
    cap: int | None,
    lot: int,
    now: int,
    reference: int = 0,
    band: int = 0,
    judge: Judge | None = None,
) -> DryRun:
    """
    Walk the other side of the book without changing it.

    ``cap`` is the worst price allowed (None: any). A quote-sized order has no quantity
    and takes at each maker what the rest of its quote buys. An iceberg that has shown all
    it showed comes back behind the others at its price. One whose time is over expires. With
    a ``reference`` nothing trades further from it than the rate ``band``.
    """
    run = DryRun(remaining=taker.remaining)
    by_quote = taker.quote_quantity > 0
    run.stop = EndReason.NO_LIQUIDITY
    price_met = 0
    offers = [Offer(o, o.remaining, o.hidden) for o in opposite_in_turn(orders, taker)]
    # A taker that has all it wanted meets nobody any more, not even one whose time is over.
    while offers and (by_quote or run.remaining):
        offer = offers.pop(0)
        maker = offer.maker
        if _is_beyond(maker.price, cap, taker.side):
            run.stop = EndReason.PRICE_CAP
            break
        if judge and not maker.is_due(now) and maker.account_id != taker.account_id:
            offer.shown = judge.offered(maker, offer.shown)
            if not offer.shown:
                continue
        if len(run.steps) == STEPS_MAX:
            run.stop = EndReason.MATCH_LIMIT
            return run
        price_met = maker.price
        if maker.is_due(now):
            run.steps.append(Step(maker, is_due=True))
            continue
        wanted = affordable(run, taker, price_met, lot) if by_quote else run.remaining
        if wanted == 0:
            run.spent = by_quote
            break
        if maker.account_id == taker.account_id:
            if not _prevent(run, taker, offer, offers):
                return run
            continue
        if reference and abs(maker.price - reference) * ATOMS > reference * band:
            run.stop = EndReason.CIRCUIT_BREAKER
            return run
        quantity = min(wanted, offer.shown)
        if judge and not judge.affords(maker, quantity):
            run.steps.append(Step(maker, lacks_margin=True))
            continue
        _fill(run, taker, maker, quantity)
        if by_quote and quantity < offer.shown:
            # What is left buys no lot here; passing a better price by would be wrong.
            run.spent = True
            break
        _come_back(offers, offer)
    return _used_up(run, taker, price_met, lot)


def _used_up(run: DryRun, taker: NaiveOrder, price: int, lot: int) -> DryRun:
    """Note whether a walk that nothing else ended used the taker's size up."""
    by_quote = taker.quote_quantity > 0
    used_up = by_quote and run.filled > 0 and affordable(run, taker, price, lot) == 0
    run.spent = run.spent or used_up
    if run.spent or (not by_quote and run.remaining == 0):
        run.stop = EndReason.NONE
    return run


def _is_beyond(price: int, cap: int | None, side: Side) -> bool:
    if cap is None:
        return False
    return price > cap if side is Side.BUY else price < cap


def _fill(run: DryRun, taker: NaiveOrder, maker: NaiveOrder, quantity: int) -> None:
    notional = value_of(maker.price, quantity)
    run.steps.append(Step(maker, filled=quantity))
    run.filled += quantity
    run.quote_filled += notional
    run.fee_e8 += notional * taker.taker_rate
    run.remaining -= 0 if taker.quote_quantity else quantity


def _come_back(offers: list[Offer], offer: Offer) -> None:
    """Let an iceberg show its next part, behind all others at its price."""
    shown = min(offer.hidden, offer.maker.display)
    if not shown:
        return
    place = 0
    while place < len(offers) and offers[place].maker.price == offer.maker.price:
        place += 1
    offers.insert(place, Offer(offer.maker, shown, offer.hidden - shown))


def _prevent(run: DryRun, taker: NaiveOrder, offer: Offer, offers: list[Offer]) -> bool:
    """Note what self-trade prevention does; tell whether the taker goes on to the next."""
    mode, maker = taker.self_trade_mode, offer.maker
    if mode is SelfTradeMode.EXPIRE_MAKER:
        run.steps.append(Step(maker, maker_prevented=offer.shown))
        return True
    if mode is SelfTradeMode.EXPIRE_BOTH:
        run.steps.append(Step(maker, maker_prevented=offer.shown))
    if mode is SelfTradeMode.DECREMENT and not taker.quote_quantity:
        both = min(run.remaining, offer.shown)
        run.steps.append(Step(maker, maker_prevented=both, taker_prevented=both))
        run.remaining -= both
        if run.remaining:
            _come_back(offers, offer)
            return True
    run.stop = EndReason.SELF_TRADE
    return False
