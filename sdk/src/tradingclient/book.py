"""A local order book: a snapshot, and every change since."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from decimal import Decimal

import msgspec

Level = tuple[Decimal, Decimal]

ZERO = Decimal(0)


class BookChange(msgspec.Struct, gc=False):
    """The data of a book's snapshot or delta: whole quantities, zero removes a level."""

    bids: list[Level] = []
    asks: list[Level] = []
    symbol: str = ""
    time: int = 0


decode_change = msgspec.json.Decoder(BookChange).decode


class OrderBook:
    """
    The book of one market as the platform last told it.

    ``is_live`` says whether it may be trusted: it is false before the first snapshot, after a
    gap or reset until the next one, and while the connection is down or silent. The levels are
    kept then, so that they can be shown as stale. ``seq`` is the last command it contains.
    """

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.epoch = 0
        self.seq = 0
        self.time = 0
        self.is_live = False

    def replace(self, change: BookChange, *, epoch: int, seq: int, time: int) -> None:
        """Take a snapshot."""
        self.bids = dict(change.bids)
        self.asks = dict(change.asks)
        self.epoch, self.seq, self.time = epoch, seq, time
        self.is_live = True

    def apply(self, change: BookChange, *, epoch: int, seq: int, time: int) -> None:
        """Take the changes since the last one."""
        _set_levels(self.bids, change.bids)
        _set_levels(self.asks, change.asks)
        self.epoch, self.seq, self.time = epoch, seq, time

    @property
    def best_bid(self) -> Level | None:
        """Return the highest bid as (price, quantity), None without bids."""
        price = max(self.bids, default=None)
        return None if price is None else (price, self.bids[price])

    @property
    def best_ask(self) -> Level | None:
        """Return the lowest ask as (price, quantity), None without asks."""
        price = min(self.asks, default=None)
        return None if price is None else (price, self.asks[price])

    @property
    def middle(self) -> Decimal | None:
        """Return the price halfway between the best ones, exact; None if a side is empty."""
        bid, ask = self.best_bid, self.best_ask
        return None if bid is None or ask is None else (bid[0] + ask[0]) / 2

    def levels(self, depth: int) -> tuple[list[Level], list[Level]]:
        """Return up to ``depth`` bids and asks, best first."""
        return (
            heapq.nlargest(depth, self.bids.items()),
            heapq.nsmallest(depth, self.asks.items()),
        )


def _set_levels(side: dict[Decimal, Decimal], levels: Iterable[Level]) -> None:
    for price, quantity in levels:
        if quantity == ZERO:
            side.pop(price, None)
        else:
            side[price] = quantity
