"""
A day of NASDAQ order flow (LOBSTER, AMZN 2012-06-21) through our book.

The recording gives messages and, after each, the true best five levels of both sides. It
holds no message about deeper levels, so one synthetic order, the pool, stands for all that
was at a level when it came into view, and a level that leaves the view is dropped with its
orders. All else must follow from the messages alone.

Executions of one moment and side are planned as one marketable order before the first of
them is applied. What differs from the plan is of three kinds. A sweep may go on to levels
that were not in view. At the opening the file lists old orders of one price by age, yet
lacks some between them, which we can only put before them all. And nine times the venue
skipped an order that was first in a queue of which every order is known.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from exchange.core.book import OrderBook
from exchange.core.enums import SelfTradeMode, Side
from exchange.core.matching import FILL, plan_match
from exchange.core.state import Order
from exchange.core.units import ATOMS, check
from simulation.recorded.data import recording

ARCHIVE = "lobster/LOBSTER_SampleFile_AMZN_2012-06-21_5.zip"
DEPTH = 5

NEW, REDUCE, DELETE, EXECUTE, EXECUTE_HIDDEN = 1, 2, 3, 4, 5

# Recorded prices are dollars x 10,000 and sizes are whole shares.
_PRICE_UNIT = ATOMS // 10_000
_INVARIANTS_EVERY = 5_000
_TAKER = 1
_POOL_ID = 0


class Message(NamedTuple):
    """One row of the message file, in atoms, with the levels recorded after it."""

    time: bytes
    kind: int
    order_id: int
    quantity_atoms: int
    price_atoms: int
    side: Side
    levels: dict[Side, list[tuple[int, int]]]


def messages(archive: Path, count: int | None = None) -> Iterator[Message]:
    """Yield the (first ``count``) messages of a LOBSTER archive with the levels after each."""
    with zipfile.ZipFile(archive) as files:
        names = sorted(name for name in files.namelist() if name.endswith(".csv"))
        rows, books = (files.open(name) for name in names)
        for row, levels in islice(zip(rows, books, strict=True), count):
            time, *fields = row.split(b",")
            kind, order_id, size, price, direction = map(int, fields)
            cells = [int(cell) for cell in levels.split(b",")]
            yield Message(
                time,
                kind,
                order_id,
                size * ATOMS,
                price * _PRICE_UNIT,
                Side.BUY if direction == 1 else Side.SELL,
                {Side.SELL: _levels(cells, 0), Side.BUY: _levels(cells, 2)},
            )


def _levels(cells: list[int], first: int) -> list[tuple[int, int]]:
    return [
        (cells[index] * _PRICE_UNIT, cells[index + 1] * ATOMS)
        for index in range(first, 4 * DEPTH, 4)
    ]


class DisagreementError(Exception):
    """Our book shows other levels than the recorded one."""


class LobsterReplay:
    """Our book, fed with messages; ``counts`` says what was met and what differed."""

    def __init__(self) -> None:
        """Start with an empty book that the first message seeds."""
        self.book = OrderBook()
        self.counts: Counter[str] = Counter()
        self._orders: dict[int, Order] = {}
        self._pools: dict[tuple[Side, int], Order] = {}
        self._submitted: set[int] = set()
        self._priority = 0
        self._plan: list[tuple[Order, int]] = []

    def run(self, recorded: Iterator[Message]) -> Counter[str]:
        """
        Replay the messages, comparing after each.

        Raises:
            DisagreementError: if a level differs from the recorded one.
        """
        first = next(recorded)
        self.counts["messages"] += 1
        self.counts[f"messages of type {first.kind}"] += 1
        for side in Side:
            for price, quantity in first.levels[side]:
                self._seed(side, price, quantity)
                self.counts["levels seeded at the start"] += 1
        for run in _sweeps(recorded):
            self._plan_sweep(run)
            for message in run:
                self._apply(message)
                self._compare(message)
                if self.counts["messages"] % _INVARIANTS_EVERY == 0:
                    self.book.check_invariants()
        self.book.check_invariants()
        return self.counts

    def _apply(self, message: Message) -> None:
        self.counts["messages"] += 1
        self.counts[f"messages of type {message.kind}"] += 1
        if message.kind == NEW:
            self._submitted.add(message.order_id)
            self._orders[message.order_id] = self._insert(
                message.order_id, message.side, message.price_atoms, message.quantity_atoms
            )
        elif message.kind in (REDUCE, DELETE, EXECUTE):
            order = self._resolve(message)
            if message.kind == EXECUTE:
                self._check_execution(message, order)
            if message.kind == DELETE and order.order_id != _POOL_ID:
                left = order.remaining_atoms - message.quantity_atoms
                self.counts["known orders deleted whole"] += not left
                self.counts["known orders deleted in part"] += bool(left)
            self.book.side(message.side).reduce(order, message.quantity_atoms)

    def _resolve(self, message: Message) -> Order:
        """Return the order that a message names, or the pool of its level."""
        order = self._orders.get(message.order_id)
        if order is not None:
            return order
        if message.order_id in self._submitted:
            self.counts["rows naming an order that left the view with its level"] += 1
        else:
            self.counts["rows naming an order never submitted"] += 1
        pool = self._pools[message.side, message.price_atoms]
        check(pool.remaining_atoms >= message.quantity_atoms, "pool is smaller than an order in it")
        return pool

    def _plan_sweep(self, run: list[Message]) -> None:
        """Plan one marketable order of the size of a run of executions."""
        self._plan = []
        if run[0].kind != EXECUTE:
            return
        self.counts["marketable orders"] += 1
        plan = plan_match(
            self.book.side(run[0].side),
            account_id=_TAKER,
            mode=SelfTradeMode.EXPIRE_TAKER,
            limit_atoms=run[-1].price_atoms,
            quantity_atoms=sum(message.quantity_atoms for message in run),
            quote_atoms_max=0,
            lot_atoms=ATOMS,
            time_ms=0,
        )
        self._plan = [(maker, size) for kind, maker, size, _ in plan.steps if kind == FILL]

    def _check_execution(self, message: Message, order: Order) -> None:
        """Count an execution in one class, and once more if it can say something of time."""
        counts, side = self.counts, self.book.side(message.side)
        level = side.levels[message.price_atoms]
        pool = self._pools.get((message.side, message.price_atoms))
        known = order.order_id != _POOL_ID and not (pool and pool.remaining_atoms)
        first = next(level.orders()) is order
        counts["executions at the best price"] += side.best_price() == message.price_atoms
        if known:
            counts["executions where the queue is fully known"] += 1
            counts["executions first in a queue fully known"] += first
        if not self._plan:
            counts["executions by a sweep that went beyond the view"] += 1
        elif self._fits_plan(order, message.quantity_atoms):
            counts["executions as planned"] += 1
        elif known and not first:
            counts["executions not first in a queue fully known"] += 1
        elif not known and not first:
            counts["executions that passed the pool of the opening"] += 1
        else:
            counts["executions not as planned"] += 1

    def _fits_plan(self, order: Order, quantity_atoms: int) -> bool:
        maker, size = self._plan[0]
        if maker is not order or size < quantity_atoms:
            return False
        if size == quantity_atoms:
            del self._plan[0]
        else:
            self._plan[0] = (maker, size - quantity_atoms)
        return True

    def _compare(self, message: Message) -> None:
        """Compare both sides with the recorded levels, then follow the view."""
        for direction, recorded in message.levels.items():
            ours = self.book.side(direction).depth(DEPTH + 1)
            shown = min(len(ours), DEPTH)
            if shown < DEPTH - 1 or ours[:shown] != recorded[:shown]:
                raise DisagreementError(
                    f"message {self.counts['messages']}: expected {recorded}, was {ours}"
                )
            self.counts["levels compared"] += shown
            if shown < DEPTH:
                self._seed(direction, *recorded[-1])
                self.counts["levels seeded when they came into view"] += 1
            for price, _ in ours[DEPTH:]:
                self._drop(direction, price)

    def _seed(self, side: Side, price_atoms: int, quantity_atoms: int) -> None:
        pool = self._insert(_POOL_ID, side, price_atoms, quantity_atoms)
        self._pools[side, price_atoms] = pool

    def _insert(self, order_id: int, side: Side, price_atoms: int, quantity_atoms: int) -> Order:
        self._priority += 1
        order = Order(
            order_id=order_id,
            side=side,
            price_atoms=price_atoms,
            quantity_atoms=quantity_atoms,
            remaining_atoms=quantity_atoms,
            priority=self._priority,
        )
        self.book.side(side).insert(order)
        return order

    def _drop(self, direction: Side, price_atoms: int) -> None:
        """Forget a level that left the view, with its orders."""
        side = self.book.side(direction)
        for order in list(side.levels[price_atoms].orders()):
            self._orders.pop(order.order_id, None)
            side.reduce(order, order.remaining_atoms)
        self.counts["levels dropped from the view"] += 1


def _sweeps(recorded: Iterator[Message]) -> Iterator[list[Message]]:
    """Yield messages one by one, executions of one moment and side together."""
    run: list[Message] = []
    for message in recorded:
        if run and not (
            message.kind == run[-1].kind == EXECUTE
            and message.time == run[-1].time
            and message.side == run[-1].side
        ):
            yield run
            run = []
        run.append(message)
    if run:
        yield run


def replay() -> Counter[str]:
    """Replay the recording and return what was counted."""
    return LobsterReplay().run(messages(recording(ARCHIVE)))
