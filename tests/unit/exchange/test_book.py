"""The book alone: priority, sums, tombstones and depth, against a plain sorted list."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.core.book import BookSide, Level, OrderBook
from exchange.core.enums import Side
from exchange.core.state import Order
from exchange.core.units import InvariantError


class Shelf:
    """One side with orders numbered in the order in which they take their places."""

    def __init__(self, side: Side = Side.BUY) -> None:
        self.direction = side
        self.side = BookSide(side)
        self.numbers: Iterator[int] = count(1)

    def rest(self, price: int, quantity: int = 10) -> Order:
        number = next(self.numbers)
        order = Order(
            order_id=number,
            side=self.direction,
            price_atoms=price,
            remaining_atoms=quantity,
            priority=number,
        )
        self.side.insert(order)
        self.side.check_invariants()
        return order

    def cancel(self, order: Order) -> None:
        self.side.reduce(order, order.remaining_atoms)
        self.side.check_invariants()

    def move(self, order: Order, price: int, quantity: int) -> None:
        self.side.move(
            order, price_atoms=price, remaining_atoms=quantity, priority=next(self.numbers)
        )
        self.side.check_invariants()

    def queue(self, price: int) -> list[Order]:
        return list(self.side.levels[price].orders())


class TestInsert:
    @pytest.mark.parametrize(
        ("_case", "side", "best_first"),
        [
            ("the highest bid is the best", Side.BUY, [103, 102, 101, 100]),
            ("the lowest ask is the best", Side.SELL, [100, 101, 102, 103]),
        ],
    )
    def test_orders_prices_best_first(self, _case: str, side: Side, best_first: list[int]) -> None:
        shelf = Shelf(side)

        for price in (101, 103, 100, 102):
            shelf.rest(price)

        assert [price for price, _ in shelf.side.depth(0)] == best_first
        assert shelf.side.best_price() == best_first[0]

    def test_queues_orders_of_one_price_in_the_order_they_came(self) -> None:
        shelf = Shelf()

        orders = [shelf.rest(100, quantity) for quantity in (3, 1, 2)]

        assert shelf.queue(100) == orders
        assert shelf.side.depth(0) == [(100, 6)]

    def test_empty_side_has_best_price_0_and_no_depth(self) -> None:
        side = BookSide(Side.SELL)

        assert side.best_price() == 0
        assert side.depth(0) == []
        assert side.depth(5) == []


class TestReduce:
    def test_in_part_keeps_the_place_in_the_queue(self) -> None:
        shelf = Shelf()
        first, second = shelf.rest(100, 10), shelf.rest(100, 5)

        shelf.side.reduce(first, 9)

        shelf.side.check_invariants()
        assert shelf.queue(100) == [first, second]
        assert first.remaining_atoms == 1
        assert shelf.side.depth(0) == [(100, 6)]

    def test_to_nothing_leaves_the_others_in_order(self) -> None:
        shelf = Shelf()
        orders = [shelf.rest(100) for _ in range(4)]

        shelf.cancel(orders[2])
        shelf.cancel(orders[0])

        assert shelf.queue(100) == [orders[1], orders[3]]
        assert shelf.side.depth(0) == [(100, 20)]

    @pytest.mark.parametrize("price", [100, 101, 102], ids=["worst", "middle", "best"])
    def test_of_the_last_order_takes_the_price_away(self, price: int) -> None:
        shelf = Shelf()
        orders = {each: shelf.rest(each) for each in (100, 101, 102)}

        shelf.cancel(orders[price])

        assert [each for each, _ in shelf.side.depth(0)] == [
            each for each in (102, 101, 100) if each != price
        ]

    def test_to_nothing_and_again_at_the_price_starts_a_new_queue(self) -> None:
        shelf = Shelf()
        shelf.cancel(shelf.rest(100))

        later = shelf.rest(100, 7)

        assert shelf.queue(100) == [later]
        assert shelf.side.depth(0) == [(100, 7)]


class TestMove:
    def test_to_another_price_goes_behind_all_others_there(self) -> None:
        shelf = Shelf()
        mover, left = shelf.rest(100, 4), shelf.rest(100, 5)
        resident = shelf.rest(101, 6)

        shelf.move(mover, 101, 3)

        assert shelf.queue(101) == [resident, mover]
        assert shelf.queue(100) == [left]
        assert shelf.side.depth(0) == [(101, 9), (100, 5)]

    def test_at_the_same_price_goes_to_the_back_and_rests_once(self) -> None:
        shelf = Shelf()
        mover, other = shelf.rest(100, 4), shelf.rest(100, 5)

        shelf.move(mover, 100, 8)

        assert shelf.queue(100) == [other, mover]
        assert shelf.side.depth(0) == [(100, 13)]

    def test_there_and_back_leaves_no_live_place_behind(self) -> None:
        shelf = Shelf()
        mover, other = shelf.rest(100, 4), shelf.rest(100, 5)

        shelf.move(mover, 101, 4)
        shelf.move(mover, 100, 4)

        assert shelf.queue(100) == [other, mover]
        assert shelf.side.depth(0) == [(100, 9)]

    def test_of_the_only_order_at_its_price_takes_the_price_away(self) -> None:
        shelf = Shelf(Side.SELL)
        mover = shelf.rest(100, 4)

        shelf.move(mover, 99, 4)

        assert shelf.side.depth(0) == [(99, 4)]
        assert shelf.side.best_price() == 99

    def test_from_the_middle_is_passed_when_the_head_ends(self) -> None:
        shelf = Shelf()
        first, mover, last = shelf.rest(100), shelf.rest(100), shelf.rest(100)
        shelf.move(mover, 99, 10)

        shelf.cancel(first)

        assert shelf.queue(100) == [last]
        assert shelf.side.levels[100].head == 2


class TestRemove:
    def test_keeps_what_remains_in_the_order_and_its_priority_at_0(self) -> None:
        shelf = Shelf()
        order, other = shelf.rest(100, 4), shelf.rest(100, 5)

        shelf.side.remove(order)

        shelf.side.check_invariants()
        assert (order.remaining_atoms, order.priority) == (4, 0)
        assert shelf.queue(100) == [other]
        assert shelf.side.depth(0) == [(100, 5)]


class TestTombstones:
    def test_cancelled_places_stay_until_they_outnumber_the_living(self) -> None:
        shelf = Shelf()
        orders = [shelf.rest(100) for _ in range(40)]
        level = shelf.side.levels[100]

        for order in orders[1:21]:
            shelf.cancel(order)
        before = len(level.queue)
        shelf.cancel(orders[21])

        assert before == 40
        assert len(level.queue) == len(level.priorities) == level.live == 19
        assert shelf.queue(100) == [orders[0], *orders[22:]]

    def test_small_queues_are_not_rebuilt(self) -> None:
        shelf = Shelf()
        orders = [shelf.rest(100) for _ in range(18)]
        level = shelf.side.levels[100]

        for order in orders[1:17]:
            shelf.cancel(order)
        before = len(level.queue)
        shelf.cancel(orders[17])

        assert before == 18
        assert (len(level.queue), level.live) == (1, 1)

    def test_moved_places_are_dropped_as_cancelled_ones_are(self) -> None:
        shelf = Shelf()
        mover, other = shelf.rest(100), shelf.rest(100)

        for _ in range(1_000):
            shelf.move(mover, 100, 10)

        level = shelf.side.levels[100]
        assert shelf.queue(100) == [other, mover]
        assert len(level.queue) == len(level.priorities) <= 20

    def test_head_passes_a_run_of_tombstones_at_once(self) -> None:
        shelf = Shelf()
        orders = [shelf.rest(100) for _ in range(10)]
        for order in orders[1:5]:
            shelf.cancel(order)

        shelf.cancel(orders[0])

        level = shelf.side.levels[100]
        assert (level.head, level.live, level.queue[level.head]) == (5, 5, orders[5])

    def test_orders_that_pass_through_leave_a_short_queue(self) -> None:
        shelf = Shelf()
        waiting = shelf.rest(100)

        for _ in range(1_000):
            follower = shelf.rest(100)
            shelf.side.reduce(waiting, 10)
            waiting = follower

        assert len(shelf.side.levels[100].queue) <= 20


class TestDepth:
    @pytest.mark.parametrize(
        ("levels_max", "expected"),
        [
            (1, [(103, 4)]),
            (2, [(103, 4), (102, 3)]),
            (4, [(103, 4), (102, 3), (101, 2), (100, 1)]),
            (9, [(103, 4), (102, 3), (101, 2), (100, 1)]),
            (0, [(103, 4), (102, 3), (101, 2), (100, 1)]),
        ],
    )
    def test_gives_the_best_levels(self, levels_max: int, expected: list[tuple[int, int]]) -> None:
        shelf = Shelf()
        for price in (100, 101, 102, 103):
            shelf.rest(price, price - 99)

        assert shelf.side.depth(levels_max) == expected


class TestChanged:
    def test_names_every_price_touched_once(self) -> None:
        shelf = Shelf()
        reduced, moved = shelf.rest(100), shelf.rest(101)
        untouched = shelf.rest(102)
        shelf.side.changed.clear()

        shelf.side.reduce(reduced, 1)
        shelf.side.reduce(reduced, 1)
        shelf.move(moved, 103, 10)

        assert list(shelf.side.changed) == [100, 101, 103]
        assert untouched.price_atoms not in shelf.side.changed


def loses_a_key(side: BookSide) -> None:
    side.keys.pop(0)


def swaps_keys(side: BookSide) -> None:
    side.keys.reverse()


def miscounts(side: BookSide) -> None:
    side.levels[100].live += 1


def keeps_an_empty_level(side: BookSide) -> None:
    level = side.levels[101]
    level.queue[0].remaining_atoms = level.quantity_atoms = level.live = 0


def missums(side: BookSide) -> None:
    side.levels[100].quantity_atoms += 1


def swaps_places(side: BookSide) -> None:
    side.levels[100].queue.reverse()
    side.levels[100].priorities.reverse()


def rests_elsewhere(side: BookSide) -> None:
    side.levels[100].queue[0].price_atoms = 101


def forgets_a_priority(side: BookSide) -> None:
    # The place of an ended order: no live order is lost, only the two lists part.
    side.reduce(side.levels[100].queue[1], 10)
    side.levels[100].priorities.pop()


class TestInvariants:
    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (loses_a_key, "keys and levels differ"),
            (swaps_keys, "not sorted"),
            (miscounts, "wrong number of orders"),
            (keeps_an_empty_level, "wrong number of orders"),
            (missums, "not the sum"),
            (swaps_places, "time priority"),
            (rests_elsewhere, "another price"),
            (forgets_a_priority, "differ in length"),
        ],
        ids=lambda value: getattr(value, "__name__", ""),
    )
    def test_damage_stops_the_writer(self, damage: object, message: str) -> None:
        shelf = Shelf()
        for price in (100, 100, 101):
            shelf.rest(price)
        assert callable(damage)
        damage(shelf.side)

        with pytest.raises(InvariantError, match=message):
            shelf.side.check_invariants()

    @pytest.mark.parametrize("damaged", Side)
    def test_damage_of_either_side_is_found_from_the_book(self, damaged: Side) -> None:
        book = OrderBook()
        book.bids.insert(Order(price_atoms=100, remaining_atoms=1, priority=1))
        book.asks.insert(Order(side=Side.SELL, price_atoms=101, remaining_atoms=1, priority=2))
        next(iter(book.side(damaged).levels.values())).live = 2

        with pytest.raises(InvariantError, match="wrong number of orders"):
            book.check_invariants()

    @pytest.mark.parametrize("ask", [100, 99], ids=["locked", "crossed"])
    def test_bids_at_or_above_asks_stop_the_writer(self, ask: int) -> None:
        book = OrderBook()
        book.bids.insert(Order(price_atoms=100, remaining_atoms=1, priority=1))
        book.asks.insert(Order(side=Side.SELL, price_atoms=ask, remaining_atoms=1, priority=2))

        with pytest.raises(InvariantError, match="crossed"):
            book.check_invariants()

    def test_sound_book_passes(self) -> None:
        book = OrderBook()
        book.side(Side.BUY).insert(Order(price_atoms=100, remaining_atoms=1, priority=1))
        book.opposite(Side.BUY).insert(
            Order(side=Side.SELL, price_atoms=101, remaining_atoms=1, priority=2)
        )

        book.check_invariants()

        assert book.side(Side.SELL) is book.opposite(Side.BUY) is book.asks
        assert book.side(Side.BUY) is book.opposite(Side.SELL) is book.bids

    def test_new_level_is_empty(self) -> None:
        level = Level(100)

        assert (level.quantity_atoms, level.live, list(level.orders())) == (0, 0, [])


PRICES = st.integers(min_value=1, max_value=6)
QUANTITIES = st.integers(min_value=1, max_value=9)
CHOICES = st.integers(min_value=0, max_value=1_000)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("rest"), CHOICES, PRICES, QUANTITIES),
        st.tuples(st.just("reduce"), CHOICES, PRICES, QUANTITIES),
        st.tuples(st.just("cancel"), CHOICES, PRICES, QUANTITIES),
        st.tuples(st.just("move"), CHOICES, PRICES, QUANTITIES),
        st.tuples(st.just("remove"), CHOICES, PRICES, QUANTITIES),
    ),
    min_size=20,
    max_size=120,
)


class TestAgainstSortedList:
    """The same steps on the side and on a list of [price, priority, id, remaining]."""

    # make mutation runs the tests more than once in a process.
    @settings(
        max_examples=150,
        deadline=None,
        suppress_health_check=[HealthCheck.differing_executors],
    )
    @given(side=st.sampled_from(Side), steps=STEPS)
    def test_same_orders_in_the_same_order(
        self, side: Side, steps: list[tuple[str, int, int, int]]
    ) -> None:
        shelf = Shelf(side)
        live: dict[int, Order] = {}
        plain: list[tuple[int, int, int, int]] = []
        for action, choice, price, quantity in steps:
            if action == "rest" or not live:
                order = shelf.rest(price, quantity)
                live[order.order_id] = order
            else:
                order = live[sorted(live)[choice % len(live)]]
                entry = next(row for row in plain if row[2] == order.order_id)
                plain.remove(entry)
                _act(shelf, order, action, price, quantity)
                if action == "remove" or not order.remaining_atoms:
                    del live[order.order_id]
                    continue
                if action == "reduce":
                    price, _, _, left = entry
                    plain.append((price, entry[1], order.order_id, left - quantity))
                    continue
            plain.append((price, order.priority, order.order_id, quantity))

        shelf.side.check_invariants()
        assert _walk(shelf.side) == sorted(
            plain, key=lambda row: (-row[0] * shelf.side.sign, row[1])
        )
        assert shelf.side.depth(0) == _sums(_walk(shelf.side))


def _act(shelf: Shelf, order: Order, action: str, price: int, quantity: int) -> None:
    if action == "reduce":
        shelf.side.reduce(order, min(quantity, order.remaining_atoms))
    elif action == "cancel":
        shelf.cancel(order)
    elif action == "move":
        shelf.move(order, price, quantity)
    else:
        shelf.side.remove(order)


def _walk(side: BookSide) -> list[tuple[int, int, int, int]]:
    return [
        (price, order.priority, order.order_id, order.remaining_atoms)
        for price, _ in side.depth(0)
        for order in side.levels[price].orders()
    ]


def _sums(rows: list[tuple[int, int, int, int]]) -> list[tuple[int, int]]:
    sums: dict[int, int] = {}
    for price, _, _, remaining in rows:
        sums[price] = sums.get(price, 0) + remaining
    return list(sums.items())
