"""
Marks, qualities and funding rates of perpetual markets, in the naive exchange.

Written from DOMAIN.md 3.2, 3.3 and "Adopted here" 12 to 14: exact fractions over all orders,
samples kept in full, rounded only where the document says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

from exchange.core import commands as c
from exchange.core.enums import PriceQuality, Side
from simulation.naive_book import ATOMS, NaiveOrder

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
SPREAD_MOST = Fraction(1, 100)
AGREE_WITHIN = Fraction(1, 100)
INTEREST_WITHIN = Fraction(5, 10_000)
# A cap of the funding rate that a market does not set: this share of its lowest maintenance rate.
CAP_SHARE = Fraction(3, 4)
# The mark may leave the index by this share of what the highest leverage allows.
CLAMP_SHARE = Fraction(1, 4)


@dataclass
class Noted:
    """One time's funding as history has it."""

    market_id: int
    time_ms: int
    rate: int
    mark: int
    skipped: bool


@dataclass
class NaiveMark:
    """What a market remembers of its prices; samples are (time, value)."""

    index: int = 0
    index_ms: int = 0
    mark: int = 0
    quality: PriceQuality = PriceQuality.MISSING
    doubtful_since: int = 0
    sampled_ms: int = 0
    halted: bool = False
    rate: int = 0
    predicted: int = 0
    next_ms: int = 0
    basis: list[tuple[int, int]] = field(default_factory=list)
    premiums: list[int] = field(default_factory=list)

    def is_long_doubtful(self, now: int) -> bool:
        """Tell whether the price has been doubtful for more than a minute."""
        return self.doubtful_since > 0 and now - self.doubtful_since > MINUTE

    def judge(self, given: PriceQuality, now: int, mid: Fraction | None) -> None:
        """Take a quality over; one source alone counts again once the own book agrees with it."""
        if given is PriceQuality.LIVE:
            self.doubtful_since = 0
        elif not self.doubtful_since:
            self.doubtful_since = now
        self.quality = given
        if given is PriceQuality.DEGRADED and self.is_long_doubtful(now) and mid is not None:
            told_now = self.index_ms == now
            if told_now and abs(floor(mid) - self.index) <= self.index * AGREE_WITHIN:
                self.quality = PriceQuality.LIVE

    def move(self, book: Book, terms: c.ConfigureContract, now: int, last: int) -> None:
        """Sample the book, then set mark and predicted rate; ``last`` is 0 when too old."""
        self.basis = [sample for sample in self.basis if now - sample[0] < 30 * SECOND]
        if now - self.sampled_ms >= SECOND:
            self.sampled_ms = now
            mid = book.middle()
            if mid is not None:
                self.basis.append((now, floor(mid) - self.index))
            self.premiums.append(book.premium(self.index))
        left = Fraction(max(0, self.next_ms - now), terms.funding_interval_ms)
        carried = self.index + floor(self.index * Fraction(self.rate, ATOMS) * left)
        own = self.index + floor(average([value for _, value in self.basis]))
        middle = sorted([carried, own, last or own])[1]
        reach = floor(self.index * CLAMP_SHARE / terms.brackets[0][2])
        self.mark = max(1, min(self.index + reach, max(self.index - reach, middle)))
        self.predicted = self.rate_now(terms)

    def rate_now(self, terms: c.ConfigureContract) -> int:
        """Return what funding would be charged now, in 10^-8, rounded toward zero."""
        premium = Fraction(towards_zero(average(self.premiums)), ATOMS)
        interest = Fraction(terms.interest_rate_e8, ATOMS)
        away = max(-INTEREST_WITHIN, min(INTEREST_WITHIN, interest - premium))
        rate = (premium + away) * Fraction(terms.funding_interval_ms, 8 * HOUR)
        cap = Fraction(terms.funding_cap_e8 or floor(terms.brackets[0][1] * CAP_SHARE), ATOMS)
        return towards_zero(max(-cap, min(cap, rate)) * ATOMS)

    def fund(self, market_id: int, terms: c.ConfigureContract, now: int) -> list[Noted]:
        """Return the funding that is due now: the latest time, and what was missed before."""
        interval = terms.funding_interval_ms
        latest = now // interval * interval
        if not self.next_ms:
            self.next_ms = latest + interval
        if now < self.next_ms:
            return []
        rate = self.rate_now(terms)
        times = [time for time in (self.next_ms, max(self.next_ms, latest))]
        noted = [
            Noted(market_id, time, rate, self.mark, time != times[-1] or now - time > HOUR)
            for time in dict.fromkeys(times)
        ]
        self.next_ms, self.premiums = latest + interval, []
        if not noted[-1].skipped:
            self.rate = rate
        return noted


class Book:
    """The resting orders of a market, looked at as prices need them."""

    def __init__(self, orders: Iterable[NaiveOrder], notional: int) -> None:
        self.sides: dict[Side, list[tuple[int, int]]] = {Side.BUY: [], Side.SELL: []}
        for order in orders:
            if order.is_in_book():
                self.sides[order.side].append((order.price, order.remaining))
        self.sides[Side.BUY].sort(reverse=True)
        self.sides[Side.SELL].sort()
        self.notional = notional

    def impact(self, side: Side) -> Fraction | None:
        """Return the average price at which the impact notional fills against a side."""
        left, bought = Fraction(self.notional), Fraction(0)
        # Orders of a price are one level, whose value is rounded down as a whole.
        levels: dict[int, int] = {}
        for price, quantity in self.sides[side]:
            levels[price] = levels.get(price, 0) + quantity
        for price, quantity in levels.items():
            value = price * quantity // ATOMS
            if value >= left:
                bought += left * ATOMS / price
                return Fraction(self.notional * ATOMS) / bought
            bought += quantity
            left -= value
        return None

    def middle(self) -> Fraction | None:
        """Return the middle of a book that is two-sided, narrow and deep."""
        bids, asks = self.sides[Side.BUY], self.sides[Side.SELL]
        if not bids or not asks:
            return None
        bid, ask = bids[0][0], asks[0][0]
        deep = self.impact(Side.BUY) is not None and self.impact(Side.SELL) is not None
        return Fraction(bid + ask, 2) if deep and ask - bid <= bid * SPREAD_MOST else None

    def premium(self, index: int) -> int:
        """Return the premium in 10^-8, toward zero; impact prices are rounded against it."""
        bid, ask = self.impact(Side.BUY), self.impact(Side.SELL)
        above = max(0, floor(bid) - index) if bid is not None else 0
        below = max(0, index - ceil(ask)) if ask is not None else 0
        return towards_zero(Fraction((above - below) * ATOMS, index))


def average(values: list[int]) -> Fraction:
    """Return the mean, 0 of none."""
    return Fraction(sum(values), len(values)) if values else Fraction(0)


def towards_zero(value: Fraction) -> int:
    """Drop the fraction."""
    return floor(value) if value >= 0 else ceil(value)
