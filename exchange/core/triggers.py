"""
Where conditional orders wait: fixed triggers sorted by price, trailing stops in buckets.

A price event costs two comparisons per market and trigger type while nothing fires, and one
per bucket of trailing stops at a new extreme, however many orders wait. What fires is
moved out whole price levels at a time, in the fixed order: orders that wait for a rise, then
those that wait for a fall, larger distance between trigger and price first, then the order of
placement; trailing stops after fixed ones, smaller callback first, then buys, then the order
of activation.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable

from exchange.core.enums import OrderType, Side
from exchange.core.state import Order, Terms
from exchange.core.units import RATE_ONE

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


def callback_reached(price_atoms: int, extreme_atoms: int, rate_e8: int, side: Side) -> bool:
    """Tell whether a price came back from the extreme by the callback rate."""
    if side is Side.SELL:
        return price_atoms * RATE_ONE <= extreme_atoms * (RATE_ONE - rate_e8)
    return price_atoms * RATE_ONE >= extreme_atoms * (RATE_ONE + rate_e8)


def best_price(side: Side, price_atoms: int, extreme_atoms: int) -> int:
    """Return the better of two prices for a trailing stop to fall back from."""
    if side is Side.SELL:
        return max(price_atoms, extreme_atoms)
    return min(price_atoms, extreme_atoms)


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


def _waiting_price(order: Order) -> int:
    terms = order.terms
    return 0 if terms is None else terms.trigger_price_atoms or terms.activation_price_atoms


def _priority_of_item(item: tuple[int, Order]) -> int:
    return item[1].priority


class TrailGroup:
    """Active trailing stops that share an extreme, oldest activation first."""

    __slots__ = ("extreme_atoms", "newest_number", "orders")

    def __init__(self, extreme_atoms: int, newest_number: int, orders: dict[int, Order]) -> None:
        """Make a group; ``newest_number`` is the highest activation number it ever had."""
        self.extreme_atoms = extreme_atoms
        self.newest_number = newest_number
        self.orders = orders


class TrailBucket:
    """
    Active trailing stops of one side and callback rate.

    ``groups`` are by age; a newer group's extreme is always worse, so a new extreme only
    merges groups at the end. Only the newest order of a group stores the group's extreme:
    an order's extreme is the best stored by it or any newer one, which loading uses.
    """

    __slots__ = ("groups", "rate_e8", "side")

    def __init__(self, side: Side, rate_e8: int) -> None:
        """Make an empty bucket."""
        self.side = side
        self.rate_e8 = rate_e8
        self.groups: list[TrailGroup] = []

    def push(self, order: Order, terms: Terms) -> None:
        """Add the newest order with its extreme; older ones that it reaches join it."""
        number = terms.activation_number
        self.groups.append(TrailGroup(terms.extreme_atoms, number, {order.order_id: order}))
        self.follow(terms.extreme_atoms)

    def follow(self, price_atoms: int) -> Order | None:
        """Take over a new extreme; return the order that must store it, if any."""
        groups = self.groups
        if not groups or not self._is_better(price_atoms, groups[-1].extreme_atoms):
            return None
        last = groups.pop()
        orders = last.orders
        while groups and self._is_better(price_atoms, groups[-1].extreme_atoms):
            older = groups.pop().orders
            older.update(orders)
            orders = older
        groups.append(TrailGroup(price_atoms, last.newest_number, orders))
        newest = orders[next(reversed(orders))]
        terms = newest.terms
        if terms is None or terms.extreme_atoms == price_atoms:
            return None
        terms.extreme_atoms = price_atoms
        return newest

    def start(self, extreme_atoms: int, number: int, orders: dict[int, Order]) -> None:
        """Add orders that became active at once; older ones that the extreme reaches join."""
        self.groups.append(TrailGroup(extreme_atoms, number, orders))
        self.follow(extreme_atoms)

    def put_back(self, fired: list[TrailGroup]) -> list[Order]:
        """
        Let groups that fired follow the price again, as if they never had.

        They are older than all that are here. Returns the orders that must store an extreme.
        """
        merged: list[TrailGroup] = []
        for group in reversed(fired + self.groups):
            newer = merged[-1] if merged else None
            if newer is not None and self._is_better(newer.extreme_atoms, group.extreme_atoms):
                group.orders.update(newer.orders)
                newer.orders = group.orders
            else:
                merged.append(group)
        self.groups = merged[::-1]
        storers = []
        for group in self.groups:
            newest = group.orders[next(reversed(group.orders))]
            if newest.terms is not None and newest.terms.extreme_atoms != group.extreme_atoms:
                newest.terms.extreme_atoms = group.extreme_atoms
                storers.append(newest)
        return storers

    def remove(self, order: Order, terms: Terms) -> Order | None:
        """Take an order out, if it is here; return one that must now store the extreme."""
        if not self.has(order, terms):
            return None
        groups = self.groups
        index = bisect_left(groups, terms.activation_number, key=_newest_number)
        group = groups[index]
        was_newest = next(reversed(group.orders)) == order.order_id
        del group.orders[order.order_id]
        if not group.orders:
            del groups[index]
            return None
        heir = group.orders[next(reversed(group.orders))]
        if not was_newest or heir.terms is None:
            return None
        heir.terms.extreme_atoms = group.extreme_atoms
        return heir

    def has(self, order: Order, terms: Terms) -> bool:
        """Tell whether an order is here."""
        index = bisect_left(self.groups, terms.activation_number, key=_newest_number)
        return index < len(self.groups) and order.order_id in self.groups[index].orders

    def is_reached(self, price_atoms: int) -> bool:
        """Tell whether a price fires anything here: the oldest group is the first to fire."""
        groups = self.groups
        return bool(groups) and callback_reached(
            price_atoms, groups[0].extreme_atoms, self.rate_e8, self.side
        )

    def take_reached(self, price_atoms: int) -> list[TrailGroup]:
        """Take out the groups whose callback a price reached, the oldest activation first."""
        count = 0
        for group in self.groups:
            if not callback_reached(price_atoms, group.extreme_atoms, self.rate_e8, self.side):
                break
            count += 1
        reached = self.groups[:count]
        del self.groups[:count]
        return reached

    def take_through(self, activation_number: int) -> list[Order]:
        """Take out the orders up to an activation number, the oldest first."""
        taken: list[Order] = []
        for group in list(self.groups):
            for order in list(group.orders.values()):
                terms = order.terms
                if terms is not None and terms.activation_number <= activation_number:
                    taken.append(order)
                    self.remove(order, terms)
        return taken

    def _is_better(self, price_atoms: int, extreme_atoms: int) -> bool:
        if self.side is Side.SELL:
            return price_atoms >= extreme_atoms
        return price_atoms <= extreme_atoms


def _newest_number(group: TrailGroup) -> int:
    return group.newest_number


class Triggers:
    """All conditional orders of one market that wait for one kind of price."""

    __slots__ = ("buckets", "falling", "falling_starts", "rising", "rising_starts")

    def __init__(self) -> None:
        """Start with nothing waiting."""
        self.rising = TriggerLevels(rising=True)
        self.falling = TriggerLevels(rising=False)
        # Trailing stops that wait for their activation price.
        self.rising_starts = TriggerLevels(rising=True)
        self.falling_starts = TriggerLevels(rising=False)
        self.buckets: dict[tuple[Side, int], TrailBucket] = {}

    @property
    def is_any_waiting(self) -> bool:
        """Whether a price can have any effect here."""
        return bool(
            self.rising.keys
            or self.falling.keys
            or self.buckets
            or self.rising_starts.keys
            or self.falling_starts.keys
        )

    def levels(self, order: Order) -> TriggerLevels:
        """Return where an order waits for its trigger or activation."""
        rising = is_rising(order.order_type, order.side)
        if order.order_type is OrderType.TRAILING_STOP:
            return self.rising_starts if rising else self.falling_starts
        return self.rising if rising else self.falling

    def bucket(self, side: Side, rate_e8: int) -> TrailBucket:
        """Return a bucket, made at first use."""
        bucket = self.buckets.get((side, rate_e8))
        if bucket is None:
            bucket = self.buckets[side, rate_e8] = TrailBucket(side, rate_e8)
        return bucket

    def ordered_buckets(self) -> Iterable[TrailBucket]:
        """Return the buckets in the order in which they fire."""
        return [self.buckets[key] for key in sorted(self.buckets, key=lambda key: key[::-1])]

    def add(self, order: Order, terms: Terms) -> None:
        """Let an order wait: for its trigger, its activation, or its callback."""
        if terms.activation_number:
            self.bucket(order.side, terms.callback_rate_e8).push(order, terms)
        else:
            self.levels(order).add(order, terms.trigger_price_atoms or terms.activation_price_atoms)

    def has(self, order: Order, terms: Terms) -> bool:
        """Tell whether an order still waits: no price has fired it yet."""
        if terms.activation_number:
            return self.bucket(order.side, terms.callback_rate_e8).has(order, terms)
        price = terms.trigger_price_atoms or terms.activation_price_atoms
        return order.order_id in self.levels(order).levels.get(price, ())

    def remove(self, order: Order, terms: Terms) -> Order | None:
        """Take an order out, if it still waits; return one whose stored extreme changed."""
        if terms.activation_number:
            return self.bucket(order.side, terms.callback_rate_e8).remove(order, terms)
        price = terms.trigger_price_atoms or terms.activation_price_atoms
        self.levels(order).remove(order, price)
        return None
