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
from dataclasses import dataclass
from random import Random

Message = tuple[int, int, int, int, int]
ADD, CANCEL = 0, 1
BUY, SELL = 1, 2
MIDDLE = 1_000_000


@dataclass(frozen=True)
class Mix:
    """
    Shares of 100 messages; what is neither added nor cancelled takes.

    ``take_most`` is the largest quantity of a take; resting orders have 1 to 100.
    """

    name: str
    add: int
    cancel: int
    take_most: int = 160


MIXED = Mix("mixed 50 add / 35 cancel / 15 take", 50, 35)
TAKER_HEAVY = Mix("taker-heavy 50 add / 10 cancel / 40 take", 50, 10)
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


def make_flow(
    mix: Mix, *, depth: int, messages: int, seed: int = 1, hold_depth: bool = True
) -> list[list[Message]]:
    """
    Return the preload and the messages that are timed.

    ``hold_depth`` keeps the depth within two per cent, at the cost of the exact shares.
    """
    random = Random(seed)
    book = _Book()
    # Levels grow with depth but slower, as in real books.
    spread = max(20, int(depth**0.6))
    next_id = 0

    def resting_price(side: int) -> int:
        # Dense near the middle: the smaller of two draws.
        away = 1 + min(random.randrange(spread), random.randrange(spread))
        return MIDDLE - away if side == BUY else MIDDLE + away

    def add() -> Message:
        nonlocal next_id
        next_id += 1
        side = random.choice((BUY, SELL))
        message = (ADD, next_id, side, resting_price(side), random.randint(1, 100))
        book.add(*message[1:])
        return message

    def take() -> Message:
        nonlocal next_id
        next_id += 1
        side = random.choice((BUY, SELL))
        best = book.best(SELL if side == BUY else BUY)
        if best is None:
            return add()
        # What is not filled at three levels rests there: no book is asked for IOC.
        price = best + 2 if side == BUY else best - 2
        message = (ADD, next_id, side, price, random.randint(1, mix.take_most))
        book.add(*message[1:])
        return message

    def cancel() -> Message:
        order_id = random.choice(book.alive)
        book.remove(order_id)
        return (CANCEL, order_id, 0, 0, 0)

    preload = [add() for _ in range(depth)]
    timed: list[Message] = []
    for _ in range(messages):
        roll = random.randrange(100)
        if hold_depth and len(book.alive) > depth * 1.02:
            # Adds would outrun takers' fills: the depth that a row names must stay.
            timed.append(cancel())
        elif roll < mix.add or (hold_depth and len(book.alive) < depth * 0.98):
            timed.append(add())
        elif roll < mix.add + mix.cancel:
            timed.append(cancel())
        else:
            timed.append(take())
    return [preload, timed]
