"""
Message flows for order books alone: who adds, cancels and takes, decided by one seed.

A flow starts with a preload that builds a book of a given depth. A
message is (kind, id, side, price, quantity) with prices in ticks; kind 0 adds a limit
order (it may cross), 1 cancels an order that still rests. Cancels name live orders only,
so every correct book does the same work; a small book of its own decides who is alive.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

Message = tuple[int, int, int, int, int]
ADD, CANCEL = 0, 1
BUY, SELL = 1, 2
MIDDLE = 1_000_000


@dataclass(frozen=True)
class Mix:
    """
    Shares of 100 messages; what is neither added, cancelled nor moved takes.

    A move is a cancel and an add of the same side at another price: not every book can do it
    in one. ``take_most`` is the largest quantity of a take; resting orders have 1 to 100.
    """

    name: str
    add: int
    cancel: int
    take_most: int = 160
    move: int = 0


MIXED = Mix("mixed 50 add / 35 cancel / 15 take", 50, 35)
TAKER_HEAVY = Mix("taker-heavy 50 add / 10 cancel / 40 take", 50, 10)
# The mix that exchange-core publishes its figures for.
MOVES = Mix("moves 9 add / 6 cancel / 82 move / 3 take", 9, 6, move=82)
SPOT = Mix("spot 60 rest / 25 cancel / 15 cross", 60, 25, take_most=50)


class _Book:
    """The least that knows which orders are alive: FIFO queues in heaps of prices."""

    def __init__(self) -> None:
        self.queues: dict[tuple[int, int], deque[int]] = {}
        self.heaps: dict[int, list[int]] = {BUY: [], SELL: []}
        self.left: dict[int, int] = {}
        self.alive: list[int] = []
        self.place: dict[int, int] = {}

    def best(self, side: int) -> int | None:
        heap = self.heaps[side]
        sign = -1 if side == BUY else 1
        while heap:
            queue = self.queues[side, heap[0] * sign]
            while queue and queue[0] not in self.left:
                queue.popleft()
            if queue:
                return heap[0] * sign
            del self.queues[side, heap[0] * sign]
            heapq.heappop(heap)
        return None

    def remove(self, order_id: int) -> None:
        del self.left[order_id]
        index = self.place.pop(order_id)
        last = self.alive.pop()
        if last != order_id:
            self.alive[index] = last
            self.place[last] = index

    def add(self, order_id: int, side: int, price: int, quantity: int) -> None:
        other = SELL if side == BUY else BUY
        while quantity:
            best = self.best(other)
            if best is None or (best > price if side == BUY else best < price):
                break
            queue = self.queues[other, best]
            maker = queue[0]
            size = min(quantity, self.left[maker])
            quantity -= size
            self.left[maker] -= size
            if self.left[maker] == 0:
                self.remove(maker)
        if quantity:
            if (side, price) not in self.queues:
                self.queues[side, price] = deque()
                heapq.heappush(self.heaps[side], -price if side == BUY else price)
            self.queues[side, price].append(order_id)
            self.left[order_id] = quantity
            self.place[order_id] = len(self.alive)
            self.alive.append(order_id)


class _Maker:
    """Makes messages by chance, each possible in the book as it then is."""

    def __init__(self, mix: Mix, depth: int, seed: int) -> None:
        self.mix = mix
        self.random = Random(seed)
        self.book = _Book()
        # Levels grow with depth but slower, as in real books.
        self.spread = max(20, int(depth**0.6))
        self.next_id = 0

    def add(self) -> Message:
        side = self.random.choice((BUY, SELL))
        # Dense near the middle: the smaller of two draws.
        draws = (self.random.randrange(self.spread), self.random.randrange(self.spread))
        away = 1 + min(draws)
        price = MIDDLE - away if side == BUY else MIDDLE + away
        return self._added(side, price, self.random.randint(1, 100))

    def take(self) -> Message:
        side = self.random.choice((BUY, SELL))
        best = self.book.best(SELL if side == BUY else BUY)
        if best is None:
            return self.add()
        # What is not filled at three levels rests there: no book is asked for IOC.
        price = best + 2 if side == BUY else best - 2
        return self._added(side, price, self.random.randint(1, self.mix.take_most))

    def cancel(self) -> Message:
        order_id = self.random.choice(self.book.alive)
        self.book.remove(order_id)
        return (CANCEL, order_id, 0, 0, 0)

    def by_mix(self) -> list[Message]:
        roll = self.random.randrange(100)
        if roll < self.mix.add:
            return [self.add()]
        if roll < self.mix.add + self.mix.cancel:
            return [self.cancel()]
        if roll < self.mix.add + self.mix.cancel + self.mix.move:
            return [self.cancel(), self.add()]
        return [self.take()]

    def _added(self, side: int, price: int, quantity: int) -> Message:
        self.next_id += 1
        self.book.add(self.next_id, side, price, quantity)
        return (ADD, self.next_id, side, price, quantity)


def make_flow(
    mix: Mix, *, depth: int, messages: int, seed: int = 1, hold_depth: bool = True
) -> list[list[Message]]:
    """
    Return the preload and the messages that are timed.

    ``hold_depth`` keeps the depth within two per cent, at the cost of the exact shares.
    """
    maker = _Maker(mix, depth, seed)
    preload = [maker.add() for _ in range(depth)]
    timed: list[Message] = []
    while len(timed) < messages:
        alive = len(maker.book.alive)
        if hold_depth and alive > depth * 1.02:
            # Adds would outrun takers' fills: the depth that a row names must stay.
            timed.append(maker.cancel())
        elif hold_depth and alive < depth * 0.98:
            timed.append(maker.add())
        else:
            timed += maker.by_mix()
    return [preload, timed[:messages]]


# What a recorded row did, as ``recorded_flow`` takes it.
NEW, REDUCE, DELETE, EXECUTE = 1, 2, 3, 4


def recorded_flow(
    rows: Iterable[tuple[int, int, int, int, int]], messages: int
) -> list[list[Message]]:
    """
    Return recorded order flow as messages: (kind, recorded id, side, price, quantity) rows.

    Orders that were there before the recording are not known, so what is done to them is left
    out; less of an order is a cancel and an add of the rest, an execution an order that takes
    just that from the front of the queue.
    """
    book = _Book()
    own: dict[int, Message] = {}
    timed: list[Message] = []

    def add(side: int, price: int, quantity: int) -> Message:
        message = (ADD, len(timed) + 1, side, price, quantity)
        book.add(*message[1:])
        timed.append(message)
        return message

    for kind, recorded_id, side, price, quantity in rows:
        if len(timed) >= messages:
            break
        known = own.get(recorded_id)
        alive = known is not None and known[1] in book.left
        if kind == NEW:
            own[recorded_id] = add(side, price, quantity)
        elif kind == EXECUTE:
            if book.best(side) == price:
                first = book.queues[side, price][0]
                add(SELL if side == BUY else BUY, price, min(quantity, book.left[first]))
        elif known is not None and alive:
            left = book.left[known[1]] - quantity
            book.remove(known[1])
            timed.append((CANCEL, known[1], 0, 0, 0))
            if kind == REDUCE and left > 0:
                own[recorded_id] = add(known[2], known[3], left)
    return [[], timed[:messages]]
