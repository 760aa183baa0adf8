"""
Trailing stops that follow the price: who has which extreme, and whom a price fires.

The extreme of an order is the best price since it became active, so it depends on the
order's age alone: all orders of a side share one list of eras, whatever their callback
rates, and a new extreme is one change however many follow. An older era's extreme is always
better; a price that reaches it makes the two one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from exchange.core.enums import Side
from exchange.core.state import Order, Terms
from exchange.core.units import RATE_ONE, ceil_div, floor_div

# Callback rate, side and orders, oldest first, of those that one price fired.
FiredLine = tuple[int, Side, list[Order]]


def callback_reached(price_atoms: int, extreme_atoms: int, rate_e8: int, side: Side) -> bool:
    """Tell whether a price came back from the extreme by the callback rate."""
    if side is Side.SELL:
        return price_atoms * RATE_ONE <= extreme_atoms * (RATE_ONE - rate_e8)
    return price_atoms * RATE_ONE >= extreme_atoms * (RATE_ONE + rate_e8)


def age_of(order: Order) -> tuple[int, int, int]:
    """
    Return what trailing stops are ordered by, the oldest activation first.

    Of those that one price activated, the most distant activation came first, then the order
    of placement.
    """
    terms = order.terms
    if terms is None:
        raise TypeError("a trailing stop has terms")
    price = terms.activation_price_atoms
    return terms.activation_number, price if order.side is Side.SELL else -price, order.priority


def number_of(order: Order) -> int:
    """Return an order's activation number."""
    return age_of(order)[0]


class Era:
    """
    The extreme of the orders that became active in one stretch of time.

    ``newest_number`` is the highest activation number it ever had, the one before it bounds
    it on the other side.
    """

    __slots__ = ("extreme_atoms", "newest_number")

    def __init__(self, extreme_atoms: int, newest_number: int) -> None:
        """Begin with what just became active."""
        self.extreme_atoms = extreme_atoms
        self.newest_number = newest_number


def _newest_number(era: Era) -> int:
    return era.newest_number


class Trail:
    """
    The trailing stops of one side that follow one kind of price.

    ``orders`` are all of them by age, those too that a price has fired and whose turn has not
    come; ``lines`` those that wait for their callback, by rate. No era is without an order.
    Only the newest order of an era stores the era's extreme: an order's extreme is the best
    stored by it or any newer one, which loading uses.
    """

    __slots__ = ("_last_rate_e8", "_measured", "_reach_atoms", "eras", "lines", "orders", "side")

    def __init__(self, side: Side) -> None:
        """Begin with nobody following."""
        self.side = side
        self.eras: list[Era] = []
        self.orders: list[Order] = []
        self.lines: dict[int, list[Order]] = {}
        # What the oldest orders of all rates fire at: those of earlier eras at one price, those
        # of the last era by the smallest of their rates (0: there are none).
        self._measured = False
        self._reach_atoms = 0
        self._last_rate_e8 = 0

    def push(self, order: Order, terms: Terms) -> None:
        """Let the newest order follow, with its extreme; older ones that it reaches join it."""
        self.start(terms.extreme_atoms, terms.activation_number, [order])

    def start(self, extreme_atoms: int, number: int, orders: list[Order]) -> None:
        """Let orders follow that became active at once, by age; the last stores the extreme."""
        self._measured = False
        self.orders.extend(orders)
        for order in orders:
            rate_e8 = order.terms.callback_rate_e8 if order.terms is not None else 0
            self.lines.setdefault(rate_e8, []).append(order)
        self.eras.append(Era(extreme_atoms, number))
        self._join_eras(extreme_atoms)

    def follow(self, price_atoms: int) -> Order | None:
        """Take over a new extreme; return the order that must store it, if any."""
        eras = self.eras
        if not eras:
            return None
        last = eras[-1]
        if self.side is Side.SELL:
            if price_atoms <= last.extreme_atoms:
                return None
        elif price_atoms >= last.extreme_atoms:
            return None
        last.extreme_atoms = price_atoms
        self._join_eras(price_atoms)
        return self._store(self.orders[-1], price_atoms)

    def _join_eras(self, extreme_atoms: int) -> None:
        """Make earlier eras one with the last that its extreme reaches."""
        eras = self.eras
        sells = self.side is Side.SELL
        while len(eras) > 1:
            before = eras[-2].extreme_atoms
            if (extreme_atoms < before) if sells else (extreme_atoms > before):
                return
            del eras[-2]
            self._measured = False

    @staticmethod
    def _store(order: Order, extreme_atoms: int) -> Order | None:
        """Let an order store an extreme; return it if it did not."""
        terms = order.terms
        if terms is None or terms.extreme_atoms == extreme_atoms:
            return None
        terms.extreme_atoms = extreme_atoms
        return order

    def is_reached(self, price_atoms: int) -> bool:
        """Tell whether a price fires anything here."""
        if not self._measured:
            self._measure()
        rate_e8 = self._last_rate_e8
        if self.side is Side.SELL:
            if price_atoms <= self._reach_atoms:
                return True
        elif self._reach_atoms and price_atoms >= self._reach_atoms:
            return True
        return bool(rate_e8) and callback_reached(
            price_atoms, self.eras[-1].extreme_atoms, rate_e8, self.side
        )

    def _measure(self) -> None:
        """Find what the oldest order of each rate fires at: within a rate it fires first."""
        self._measured = True
        self._reach_atoms = self._last_rate_e8 = 0
        sells = self.side is Side.SELL
        before_last = self.eras[-2].newest_number if len(self.eras) > 1 else -1
        reaches: list[int] = []
        for rate_e8, line in self.lines.items():
            if not line:
                continue
            number = number_of(line[0])
            if number > before_last:
                if not self._last_rate_e8 or rate_e8 < self._last_rate_e8:
                    self._last_rate_e8 = rate_e8
                continue
            extreme = self._era_of(number).extreme_atoms
            if sells:
                reaches.append(floor_div(extreme * (RATE_ONE - rate_e8), RATE_ONE))
            else:
                reaches.append(ceil_div(extreme * (RATE_ONE + rate_e8), RATE_ONE))
        if reaches:
            self._reach_atoms = max(reaches) if sells else min(reaches)

    def _era_of(self, number: int) -> Era:
        return self.eras[bisect_left(self.eras, number, key=_newest_number)]

    def take_reached(self, price_atoms: int) -> list[tuple[int, int, list[Order]]]:
        """
        Take out of the lines what a price fires, as (rate, newest activation number, orders).

        The orders go on following: their turn may not come before the market stops.
        """
        taken = []
        for rate_e8 in sorted(self.lines):
            line = self.lines[rate_e8]
            if not line or not self._fires(price_atoms, number_of(line[0]), rate_e8):
                continue
            low, high = 0, len(self.eras)
            while low < high:  # eras fire from the oldest on
                middle = (low + high) // 2
                era = self.eras[middle]
                if callback_reached(price_atoms, era.extreme_atoms, rate_e8, self.side):
                    low = middle + 1
                else:
                    high = middle
            number = self.eras[low - 1].newest_number
            taken.append((rate_e8, number, self.take_through(rate_e8, number)))
        return taken

    def _fires(self, price_atoms: int, number: int, rate_e8: int) -> bool:
        extreme_atoms = self._era_of(number).extreme_atoms
        return callback_reached(price_atoms, extreme_atoms, rate_e8, self.side)

    def take_through(self, rate_e8: int, number: int) -> list[Order]:
        """Take orders of a rate out of their line, up to an activation number, by age."""
        line = self.lines.get(rate_e8, [])
        count = bisect_right(line, number, key=number_of)
        taken = line[:count]
        del line[:count]
        self._measured = False
        return taken

    def put_back(self, orders: Iterable[Order]) -> None:
        """Let orders that fired wait again, each at its old place."""
        touched: dict[int, None] = {}
        for order in orders:
            if order.terms is not None:
                rate_e8 = order.terms.callback_rate_e8
                self.lines.setdefault(rate_e8, []).append(order)
                touched[rate_e8] = None
        for rate_e8 in touched:
            self.lines[rate_e8].sort(key=age_of)
        self._measured = False

    def has(self, order: Order, terms: Terms) -> bool:
        """Tell whether an order waits for its callback: no price has fired it."""
        line = self.lines.get(terms.callback_rate_e8, [])
        return _place(line, order) >= 0

    def remove(self, order: Order, terms: Terms) -> Order | None:
        """Let an order follow no longer; return one that must now store the extreme."""
        orders, eras = self.orders, self.eras
        place = _place(orders, order)
        if place < 0:
            return None
        del orders[place]
        line = self.lines.get(terms.callback_rate_e8, [])
        in_line = _place(line, order)
        if in_line >= 0:
            del line[in_line]
        if in_line == 0:
            self._measured = False
        index = bisect_left(eras, terms.activation_number, key=_newest_number)
        era = eras[index]
        if place < len(orders) and number_of(orders[place]) <= era.newest_number:
            return None  # a newer one stores it
        before = eras[index - 1].newest_number if index else -1
        if place == 0 or number_of(orders[place - 1]) <= before:
            del eras[index]
            self._measured = False
            return None
        return self._store(orders[place - 1], era.extreme_atoms)


def _place(orders: list[Order], order: Order) -> int:
    """Return where an order is in a list by age, -1 when it is not there."""
    place = bisect_left(orders, age_of(order), key=age_of)
    return place if place < len(orders) and orders[place] is order else -1


def in_turn(lines: list[FiredLine]) -> list[Order]:
    """Return fired trailing stops in order: smaller callback, then buys, then the older."""
    turns: dict[tuple[int, Side], list[Order]] = {}
    for rate_e8, side, orders in lines:
        turn = turns.setdefault((rate_e8, side), [])
        turn.extend(orders)
    fired: list[Order] = []
    for key in sorted(turns):
        fired.extend(sorted(turns[key], key=age_of))
    return fired
