"""The shared eras of trailing stops against one extreme for each, and their bounds."""

from __future__ import annotations

import random

import pytest

from exchange.core.enums import OrderStatus, OrderType, Side, TriggerType
from exchange.core.state import Order, Terms
from exchange.core.trailing import Trail, callback_reached, in_turn

RATES = (100_000, 500_000, 1_000_000, 10_000_000)


def make(order_id: int, side: Side, number: int, extreme: int, rate: int) -> Order:
    terms = Terms(
        TriggerType.INDEX,
        callback_rate_e8=rate,
        extreme_atoms=extreme,
        activation_number=number,
    )
    return Order(
        order_id,
        side=side,
        order_type=OrderType.TRAILING_STOP,
        status=OrderStatus.UNTRIGGERED,
        priority=number,
        terms=terms,
    )


class Plain:
    """One extreme for each order, all of them looked at each time."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.extremes: dict[int, int] = {}
        self.orders: dict[int, Order] = {}
        self.fired: set[int] = set()

    def follow(self, price: int) -> None:
        best = max if self.side is Side.SELL else min
        for order_id, extreme in self.extremes.items():
            self.extremes[order_id] = best(extreme, price)

    def reached(self, price: int) -> list[int]:
        return [
            order_id
            for order_id, order in self.orders.items()
            if order_id not in self.fired
            and order.terms is not None
            and callback_reached(
                price, self.extremes[order_id], order.terms.callback_rate_e8, self.side
            )
        ]


def loaded_extremes(trail: Trail) -> dict[int, int]:
    """Return what loading takes an order's extreme for: the best stored by it or any newer."""
    best = max if trail.side is Side.SELL else min
    extremes: dict[int, int] = {}
    running = 0
    for order in reversed(trail.orders):
        assert order.terms is not None
        stored = order.terms.extreme_atoms
        running = best(running, stored) if running else stored
        extremes[order.order_id] = running
    return extremes


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("side", list(Side))
def test_agrees_with_one_extreme_for_each_order(side: Side, seed: int) -> None:
    chance = random.Random(seed)
    trail, plain = Trail(side), Plain(side)
    price, number = 10_000_000, 0
    for step in range(400):
        choice = chance.random()
        if choice < 0.35:
            number += 1
            order = make(number, side, number, price, chance.choice(RATES))
            trail.push(order, order.terms)  # type: ignore[arg-type]
            plain.orders[number], plain.extremes[number] = order, price
        elif choice < 0.5 and plain.orders:
            gone = chance.choice(list(plain.orders))
            order = plain.orders.pop(gone)
            del plain.extremes[gone]
            plain.fired.discard(gone)
            trail.remove(order, order.terms)  # type: ignore[arg-type]
        elif choice < 0.55 and plain.fired:
            trail.put_back([plain.orders[order_id] for order_id in sorted(plain.fired)])
            plain.fired.clear()
        else:
            price = max(1, price + chance.randint(-60_000, 60_000))
            trail.follow(price)
            plain.follow(price)
            expected = plain.reached(price)
            assert trail.is_reached(price) is bool(expected), step
            taken = trail.take_reached(price) if expected else []
            lines = [(rate, side, orders) for rate, _, orders in taken]
            fired = [order.order_id for order in in_turn(lines)]
            assert sorted(fired) == sorted(expected)
            plain.fired.update(fired)
        assert loaded_extremes(trail) == plain.extremes
        assert [order.order_id for order in trail.orders] == sorted(plain.orders)
        for order_id, order in plain.orders.items():
            waits = trail.has(order, order.terms)  # type: ignore[arg-type]
            assert waits is (order_id not in plain.fired)


class TestEras:
    def test_a_new_extreme_is_stored_once_whatever_the_rates(self) -> None:
        trail = Trail(Side.SELL)
        orders = [make(n, Side.SELL, n, 1_000, RATES[n % 4]) for n in range(1, 9)]
        for order in orders:
            trail.push(order, order.terms)  # type: ignore[arg-type]

        assert trail.follow(1_100) is orders[-1]

        assert len(trail.eras) == 1
        assert [o.terms.extreme_atoms for o in orders] == [1_000] * 7 + [1_100]  # type: ignore[union-attr]

    @pytest.mark.parametrize(("side", "worse"), [(Side.SELL, 999), (Side.BUY, 1_001)])
    def test_a_price_that_is_no_better_changes_nothing(self, side: Side, worse: int) -> None:
        trail = Trail(side)
        order = make(1, side, 1, 1_000, RATES[0])
        trail.push(order, order.terms)  # type: ignore[arg-type]

        assert trail.follow(1_000) is None
        assert trail.follow(worse) is None
        assert trail.eras[0].extreme_atoms == 1_000

    def test_follows_nothing_while_empty(self) -> None:
        trail = Trail(Side.BUY)

        assert trail.follow(5) is None
        assert not trail.is_reached(5)
        assert trail.take_reached(5) == []

    def test_removing_what_is_not_there_changes_nothing(self) -> None:
        trail = Trail(Side.SELL)
        order = make(1, Side.SELL, 1, 1_000, RATES[0])
        other = make(2, Side.SELL, 2, 1_000, RATES[0])
        trail.push(order, order.terms)  # type: ignore[arg-type]

        assert trail.remove(other, other.terms) is None  # type: ignore[arg-type]
        assert trail.orders == [order]

    def test_the_newest_that_leaves_hands_the_extreme_on(self) -> None:
        trail = Trail(Side.SELL)
        first, second = (make(n, Side.SELL, n, 1_000, RATES[n]) for n in (1, 2))
        for order in (first, second):
            trail.push(order, order.terms)  # type: ignore[arg-type]
        trail.follow(1_200)

        heir = trail.remove(second, second.terms)  # type: ignore[arg-type]

        assert heir is first
        assert first.terms is not None
        assert first.terms.extreme_atoms == 1_200
