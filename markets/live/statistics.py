"""Rolling 24 h figures and candles now being built, from trades; integers in atoms."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

MINUTE_MS = 60_000
DAY_MINUTES = 24 * 60


@dataclass(slots=True)
class OpenBar:
    """A bar that trades still go into; volumes in base and quote atoms."""

    open_ms: int
    open_atoms: int
    high_atoms: int
    low_atoms: int
    close_atoms: int
    volume_atoms: int = 0
    quote_atoms: int = 0
    count: int = 0

    @classmethod
    def at(cls, open_ms: int, price_atoms: int) -> OpenBar:
        """Return a bar that begins with a price and holds no volume yet."""
        return cls(open_ms, price_atoms, price_atoms, price_atoms, price_atoms)

    def add(self, *, price_atoms: int, quantity_atoms: int, quote_atoms: int) -> None:
        """Take one more trade in."""
        self.high_atoms = max(self.high_atoms, price_atoms)
        self.low_atoms = min(self.low_atoms, price_atoms)
        self.close_atoms = price_atoms
        self.volume_atoms += quantity_atoms
        self.quote_atoms += quote_atoms
        self.count += 1


class DayWindow:
    """
    The last 24 hours of one market in minutes.

    The window moves by whole minutes: it holds the current minute and the 1,439 before it.
    """

    def __init__(self) -> None:
        """Start without a trade."""
        self._bars: deque[OpenBar] = deque()
        self.last_atoms = 0
        self.volume_atoms = 0
        self.quote_atoms = 0
        self.count = 0

    def restore(self, bars: list[OpenBar]) -> None:
        """Take minute bars, oldest first, as the whole window."""
        self._bars = deque(bars)
        self.last_atoms = bars[-1].close_atoms if bars else 0
        self.volume_atoms = sum(bar.volume_atoms for bar in bars)
        self.quote_atoms = sum(bar.quote_atoms for bar in bars)
        self.count = sum(bar.count for bar in bars)

    def add(self, *, time_ms: int, price_atoms: int, quantity_atoms: int, quote_atoms: int) -> None:
        """Count one trade; times never fall."""
        open_ms = time_ms - time_ms % MINUTE_MS
        if not self._bars or self._bars[-1].open_ms < open_ms:
            self._bars.append(OpenBar.at(open_ms, price_atoms))
        self._bars[-1].add(
            price_atoms=price_atoms, quantity_atoms=quantity_atoms, quote_atoms=quote_atoms
        )
        self.last_atoms = price_atoms
        self.volume_atoms += quantity_atoms
        self.quote_atoms += quote_atoms
        self.count += 1

    def expire(self, time_ms: int) -> bool:
        """Drop minutes older than a day; return whether any was."""
        oldest_ms = time_ms - time_ms % MINUTE_MS - (DAY_MINUTES - 1) * MINUTE_MS
        bars = self._bars
        dropped = False
        while bars and bars[0].open_ms < oldest_ms:
            bar = bars.popleft()
            self.volume_atoms -= bar.volume_atoms
            self.quote_atoms -= bar.quote_atoms
            self.count -= bar.count
            dropped = True
        return dropped

    def range_atoms(self) -> tuple[int, int, int] | None:
        """Return open, high and low of the window, None when nothing traded in it."""
        if not self._bars:
            return None
        return (
            self._bars[0].open_atoms,
            max(bar.high_atoms for bar in self._bars),
            min(bar.low_atoms for bar in self._bars),
        )


def percent_text(change_atoms: int, base_atoms: int) -> str:
    """Return change / base in percent with two decimals, truncated toward zero."""
    hundredths = abs(change_atoms) * 10_000 // base_atoms
    sign = "-" if change_atoms < 0 and hundredths else ""
    return f"{sign}{hundredths // 100}.{hundredths % 100:02d}"


@dataclass(slots=True)
class OpenCandle:
    """The candle of one interval that trades go into; ``closed`` once its time is over."""

    interval: str
    length_ms: int
    bar: OpenBar | None = None
    closed: bool = False

    def add(
        self, *, time_ms: int, price_atoms: int, quantity_atoms: int, quote_atoms: int
    ) -> OpenBar | None:
        """Count one trade; return the candle that it ended, if it was not yet closed."""
        open_ms = time_ms - time_ms % self.length_ms
        ended = None
        if self.bar is None or self.bar.open_ms < open_ms:
            ended = None if self.closed else self.bar
            self.bar = OpenBar.at(open_ms, price_atoms)
            self.closed = False
        self.bar.add(
            price_atoms=price_atoms, quantity_atoms=quantity_atoms, quote_atoms=quote_atoms
        )
        return ended

    def close(self, time_ms: int) -> bool:
        """Close the candle if its time is over; return whether it just was."""
        if self.bar is None or self.closed or time_ms < self.bar.open_ms + self.length_ms:
            return False
        self.closed = True
        return True
