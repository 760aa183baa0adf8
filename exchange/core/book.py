"""
Price-time order book of one market.

A side keeps its prices in one sorted list whose last element is the best, so that work near
the top of the book moves little memory, and a FIFO queue per price. Cancelling and moving are
O(1) inside a price: the place of an order that ended (nothing remaining) or left for another
place (its priority is no longer the one the place was taken with) stays in the queue as a
tombstone until the head passes it or the queue is compacted.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from exchange.core.enums import Side
from exchange.core.state import Order
from exchange.core.units import check

# A queue is rebuilt once it holds more tombstones than this and more than live orders.
_TOMBSTONES_MAX = 16


class Level:
    """
    All orders resting at one price, oldest first.

    ``priorities`` holds, beside each order in ``queue``, the priority it took its place with.
    """

    __slots__ = ("head", "live", "price_atoms", "priorities", "quantity_atoms", "queue")

    def __init__(self, price_atoms: int) -> None:
        """Make an empty level."""
        self.price_atoms = price_atoms
        self.quantity_atoms = 0
        self.queue: list[Order] = []
        self.priorities: list[int] = []
        self.head = 0
        self.live = 0

    def compact(self) -> None:
        """Drop the tombstones."""
        head = self.head
        self.queue = [
            order
            for order, priority in zip(self.queue[head:], self.priorities[head:], strict=True)
            if order.remaining_atoms and order.priority == priority
        ]
        self.priorities = [order.priority for order in self.queue]
        self.head = 0

    def orders(self) -> Iterator[Order]:
        """Yield the live orders, oldest first."""
        priorities = self.priorities
        for index in range(self.head, len(self.queue)):
            order = self.queue[index]
            if order.remaining_atoms and order.priority == priorities[index]:
                yield order


class BookSide:
    """
    Bids or asks. ``keys`` are prices (negated for asks), ascending: the best is the last.

    ``changed`` collects the prices whose level changed since it was last cleared.
    """

    __slots__ = ("changed", "keys", "levels", "sign")

    def __init__(self, side: Side) -> None:
        """Make an empty side."""
        self.sign = 1 if side is Side.BUY else -1
        self.keys: list[int] = []
        self.levels: dict[int, Level] = {}
        self.changed: dict[int, None] = {}

    def best_price(self) -> int:
        """Return the best price, 0 when the side is empty."""
        return self.keys[-1] * self.sign if self.keys else 0

    def insert(self, order: Order) -> None:
        """Add an order behind all others at its price."""
        price = order.price_atoms
        level = self.levels.get(price)
        if level is None:
            level = self.levels[price] = Level(price)
            key = price * self.sign
            keys = self.keys
            if not keys or key > keys[-1]:
                keys.append(key)
            else:
                insort(keys, key)
        level.queue.append(order)
        level.priorities.append(order.priority)
        level.live += 1
        level.quantity_atoms += order.remaining_atoms
        self.changed[price] = None

    def reduce(self, order: Order, quantity_atoms: int) -> None:
        """Take a quantity off a resting order; one with nothing left leaves the book."""
        price = order.price_atoms
        level = self.levels[price]
        level.quantity_atoms -= quantity_atoms
        order.remaining_atoms -= quantity_atoms
        self.changed[price] = None
        if order.remaining_atoms == 0:
            self._retire(level, order)

    def remove(self, order: Order) -> None:
        """
        Take a resting order out whole; what remains of it stays in the order.

        Its priority becomes 0. It may be inserted again once it has a new one, higher than
        any it had before.
        """
        price = order.price_atoms
        level = self.levels[price]
        level.quantity_atoms -= order.remaining_atoms
        order.priority = 0
        self.changed[price] = None
        self._retire(level, order)

    def move(self, order: Order, *, price_atoms: int, remaining_atoms: int, priority: int) -> None:
        """Put a resting order behind all others at a price, with a new remaining quantity."""
        self.remove(order)
        order.price_atoms = price_atoms
        order.remaining_atoms = remaining_atoms
        order.priority = priority
        self.insert(order)

    def _retire(self, level: Level, order: Order) -> None:
        level.live -= 1
        if level.live == 0:
            del self.levels[level.price_atoms]
            key = level.price_atoms * self.sign
            keys = self.keys
            if keys[-1] == key:
                keys.pop()
            else:
                del keys[bisect_left(keys, key)]
            return
        queue = level.queue
        head = level.head
        # The place at the head is always a live one, so it moves on only if this was it.
        if queue[head] is order:
            priorities = level.priorities
            while queue[head].remaining_atoms == 0 or queue[head].priority != priorities[head]:
                head += 1
            level.head = head
        tombstones = len(queue) - level.live
        if tombstones > _TOMBSTONES_MAX and tombstones > level.live:
            level.compact()

    def depth(self, levels_max: int) -> list[tuple[int, int]]:
        """Return (price, whole quantity) of the best levels, best first."""
        keys = self.keys[-levels_max:] if levels_max else self.keys
        sign = self.sign
        levels = self.levels
        return [(key * sign, levels[key * sign].quantity_atoms) for key in reversed(keys)]

    def check_invariants(self) -> None:
        """Stop the writer unless keys, levels, queues and sums agree (O(n), for tests)."""
        check(sorted(self.keys) == self.keys, "book keys are not sorted")
        check(
            {key * self.sign for key in self.keys} == set(self.levels),
            "book keys and levels differ",
        )
        for level in self.levels.values():
            orders = list(level.orders())
            check(len(orders) == level.live > 0, "level counts a wrong number of orders")
            check(
                sum(order.remaining_atoms for order in orders) == level.quantity_atoms,
                "level quantity is not the sum of its orders",
            )
            priorities = [order.priority for order in orders]
            check(priorities == sorted(set(priorities)), "queue is not in time priority")
            check(
                all(order.price_atoms == level.price_atoms for order in orders),
                "order rests at another price",
            )
            check(
                len(level.queue) == len(level.priorities), "queue and priorities differ in length"
            )


class OrderBook:
    """Both sides of one market."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        """Make an empty book."""
        self.bids = BookSide(Side.BUY)
        self.asks = BookSide(Side.SELL)

    def side(self, side: Side) -> BookSide:
        """Return where orders of a side rest."""
        return self.bids if side is Side.BUY else self.asks

    def opposite(self, side: Side) -> BookSide:
        """Return what orders of a side trade with."""
        return self.asks if side is Side.BUY else self.bids

    def check_invariants(self) -> None:
        """Stop the writer unless both sides are sound and the book is not crossed."""
        self.bids.check_invariants()
        self.asks.check_invariants()
        bid, ask = self.bids.best_price(), self.asks.best_price()
        check(not bid or not ask or bid < ask, f"book is crossed: bid {bid}, ask {ask}")
