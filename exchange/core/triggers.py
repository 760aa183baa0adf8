"""
Where conditional orders wait: fixed triggers sorted by price, trailing stops by their age.

A price event costs a few comparisons per market and trigger type while nothing fires, and one
change at a new extreme of trailing stops, however many orders wait. What fires is
moved out whole price levels at a time, in the fixed order: orders that wait for a rise, then
those that wait for a fall, larger distance between trigger and price first, then the order of
placement; trailing stops after fixed ones, smaller callback first, then buys, then the order
of activation.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator

from exchange.core.enums import OrderType, Side
from exchange.core.state import Order, Terms
from exchange.core.trailing import Trail

_RISING_KINDS = frozenset(
    {
        (OrderType.STOP_LOSS, Side.BUY),
        (OrderType.STOP_LOSS_LIMIT, Side.BUY),
        (OrderType.TAKE_PROFIT, Side.SELL),
        (OrderType.TAKE_PROFIT_LIMIT, Side.SELL),
        # A trailing stop's activation: a sell follows the price up, a buy down.
        (OrderType.TRAILING_STOP, Side.SELL),
    }
)

CONDITIONAL_TYPES = frozenset(
    {
        OrderType.STOP_LOSS,
        OrderType.STOP_LOSS_LIMIT,
        OrderType.TAKE_PROFIT,
        OrderType.TAKE_PROFIT_LIMIT,
        OrderType.TRAILING_STOP,
    }
)

# Types that trade at any price up to a cap and never rest.
MARKET_TYPES = frozenset(
    {OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT, OrderType.TRAILING_STOP}
)


def is_rising(order_type: OrderType, side: Side) -> bool:
    """Tell whether an order waits for the price to rise to its trigger or activation."""
    return (order_type, side) in _RISING_KINDS


def is_reached(price_atoms: int, trigger_atoms: int, *, rising: bool) -> bool:
    """Tell whether a price fires a trigger; equality does."""
    return price_atoms >= trigger_atoms if rising else price_atoms <= trigger_atoms


class TriggerLevels:
    """Orders by trigger price, in order of placement inside a price."""

    __slots__ = ("keys", "levels", "rising")

    def __init__(self, *, rising: bool) -> None:
        """Make an empty list for one direction of the price."""
        self.rising = rising
        self.keys: list[int] = []
        self.levels: dict[int, dict[int, Order]] = {}

    def add(self, order: Order, price_atoms: int) -> None:
        """Let an order wait at a price."""
        level = self.levels.get(price_atoms)
        if level is None:
            level = self.levels[price_atoms] = {}
            insort(self.keys, price_atoms)
        level[order.order_id] = order

    def remove(self, order: Order, price_atoms: int) -> bool:
        """Take an order out; tell whether it was there."""
        level = self.levels.get(price_atoms)
        if level is None or level.pop(order.order_id, None) is None:
            return False
        if not level:
            del self.levels[price_atoms]
            del self.keys[bisect_left(self.keys, price_atoms)]
        return True

    def is_reached(self, price_atoms: int) -> bool:
        """Tell whether a price fires anything here."""
        keys = self.keys
        if not keys:
            return False
        return price_atoms >= keys[0] if self.rising else price_atoms <= keys[-1]

    def take_reached(self, price_atoms: int) -> list[dict[int, Order]]:
        """Take out the levels that a price fires, the most distant trigger first."""
        keys = self.keys
        if self.rising:
            end = bisect_right(keys, price_atoms)
            reached = keys[:end]
            del keys[:end]
        else:
            start = bisect_left(keys, price_atoms)
            reached = keys[start:][::-1]
            del keys[start:]
        return [self.levels.pop(key) for key in reached]

    def put_back(self, orders: Iterable[Order]) -> None:
        """Let orders that were taken out wait again, each at its old place in its level."""
        shared: dict[int, None] = {}
        for order in orders:
            price = _waiting_price(order)
            if price in self.levels:
                shared[price] = None
            self.add(order, price)
        for price in shared:
            level = self.levels[price]
            self.levels[price] = dict(sorted(level.items(), key=_priority_of_item))

    def take_older(self, price_atoms: int, below_priority: int) -> list[Order]:
        """Take out the orders of an earlier price event: reached, and waiting before it."""
        reached = (
            [key for key in self.keys if key <= price_atoms]
            if self.rising
            else [key for key in reversed(self.keys) if key >= price_atoms]
        )
        orders = [
            order
            for key in reached
            for order in self.levels[key].values()
            if order.priority < below_priority
        ]
        for order in orders:
            self.remove(order, _waiting_price(order))
        return orders


def turn_of(order: Order) -> tuple[int, int]:
    """Return what fired orders of a direction are ordered by: distance, then placement."""
    price = _waiting_price(order)
    return price if is_rising(order.order_type, order.side) else -price, order.priority


def _waiting_price(order: Order) -> int:
    terms = order.terms
    return 0 if terms is None else terms.trigger_price_atoms or terms.activation_price_atoms


def _priority_of_item(item: tuple[int, Order]) -> int:
    return item[1].priority


class Triggers:
    """
    All conditional orders of one market that wait for one kind of price.

    Those with price protection wait apart: while last and mark price are too far from each
    other none of them is looked at, however many there are.
    """

    __slots__ = (
        "falling",
        "falling_starts",
        "protected_falling",
        "protected_rising",
        "rising",
        "rising_starts",
        "trails",
    )

    def __init__(self) -> None:
        """Start with nothing waiting."""
        self.rising = TriggerLevels(rising=True)
        self.falling = TriggerLevels(rising=False)
        self.protected_rising = TriggerLevels(rising=True)
        self.protected_falling = TriggerLevels(rising=False)
        # Trailing stops that wait for their activation price.
        self.rising_starts = TriggerLevels(rising=True)
        self.falling_starts = TriggerLevels(rising=False)
        # Those that follow, by side and whether they are protected.
        self.trails: dict[tuple[Side, bool], Trail] = {}

    @property
    def is_any_waiting(self) -> bool:
        """Whether a price can have any effect here."""
        return bool(
            self.rising.keys
            or self.falling.keys
            or any(trail.orders for trail in self.trails.values())
            or self.protected_rising.keys
            or self.protected_falling.keys
            or self.rising_starts.keys
            or self.falling_starts.keys
        )

    def orders(self) -> Iterator[Order]:
        """Yield all that wait, in an order that loading repeats."""
        for levels in (
            self.rising,
            self.falling,
            self.protected_rising,
            self.protected_falling,
            self.rising_starts,
            self.falling_starts,
        ):
            for key in levels.keys:
                yield from levels.levels[key].values()
        for side_key in sorted(self.trails):
            yield from self.trails[side_key].orders

    def fixed(self, *, rising: bool, protected: bool) -> TriggerLevels:
        """Return the fixed triggers of one direction."""
        if rising:
            return self.protected_rising if protected else self.rising
        return self.protected_falling if protected else self.falling

    def levels(self, order: Order, terms: Terms) -> TriggerLevels:
        """Return where an order waits for its trigger or activation."""
        rising = is_rising(order.order_type, order.side)
        if order.order_type is OrderType.TRAILING_STOP:
            return self.rising_starts if rising else self.falling_starts
        return self.fixed(rising=rising, protected=terms.price_protect)

    def trail(self, side: Side, *, protected: bool) -> Trail:
        """Return the trailing stops of a side that follow, made at first use."""
        trail = self.trails.get((side, protected))
        if trail is None:
            trail = self.trails[side, protected] = Trail(side)
        return trail

    def trail_of(self, order: Order, terms: Terms) -> Trail:
        """Return where an active trailing stop follows the price."""
        return self.trail(order.side, protected=terms.price_protect)

    def add(self, order: Order, terms: Terms) -> None:
        """Let an order wait: for its trigger, its activation, or its callback."""
        if terms.activation_number:
            self.trail_of(order, terms).push(order, terms)
        else:
            price = terms.trigger_price_atoms or terms.activation_price_atoms
            self.levels(order, terms).add(order, price)

    def has(self, order: Order, terms: Terms) -> bool:
        """Tell whether an order still waits: no price has fired it yet."""
        if terms.activation_number:
            return self.trail_of(order, terms).has(order, terms)
        price = terms.trigger_price_atoms or terms.activation_price_atoms
        return order.order_id in self.levels(order, terms).levels.get(price, ())

    def remove(self, order: Order, terms: Terms) -> Order | None:
        """Take an order out, if it still waits; return one whose stored extreme changed."""
        if terms.activation_number:
            return self.trail_of(order, terms).remove(order, terms)
        price = terms.trigger_price_atoms or terms.activation_price_atoms
        self.levels(order, terms).remove(order, price)
        return None
