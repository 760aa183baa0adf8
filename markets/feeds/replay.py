"""
Recorded prices, trades and depth played back by the clock.

What is played follows from when the replay was started, the speed and the time now, so all
processes see the same moment and nothing has to be saved. The first pass plays prices exactly
as recorded. Later passes hide the seam: each starts at the price the recording ends with and
the difference fades linearly to nothing until its end, so prices never jump and never drift.
"""

import gzip
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec

from exchange.core.enums import Side
from exchange.core.units import ATOMS, ceil_div, floor_div

FORMAT = 1
DEPTH_LEVELS = 20

# A recording is 650 s long; a reader that was away for longer has missed it.
TRADES_MAX = 5_000

Level = tuple[int, int]


@dataclass(frozen=True, slots=True)
class RecordedTrade:
    """A trade of the recording; ``number`` rises through all passes."""

    number: int
    price_atoms: int
    quantity_atoms: int
    taker_side: Side


@dataclass(frozen=True, slots=True)
class Depth:
    """The best levels of both sides, best first: (price, quantity) in atoms."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a replay stands: completed passes and recorded milliseconds into this one."""

    loop: int
    position_ms: int


@dataclass(slots=True)
class Recording:
    """One market's recording, by recorded milliseconds since its start."""

    symbol: str
    start_ms: int
    duration_ms: int
    quote_times: list[int] = field(default_factory=list)
    quotes: list[tuple[int, int]] = field(default_factory=list)
    depth_times: list[int] = field(default_factory=list)
    depths: list[tuple[list[Level], list[Level]]] = field(default_factory=list)
    trade_times: list[int] = field(default_factory=list)
    trades: list[tuple[int, int, Side]] = field(default_factory=list)

    def mid_atoms(self, offset_ms: int) -> int:
        """Return the middle of the recorded best bid and ask at a time, rounded down."""
        bid, ask = self.quotes[max(0, bisect_right(self.quote_times, offset_ms) - 1)]
        return (bid + ask) // 2

    def depth(self, offset_ms: int) -> tuple[list[Level], list[Level]]:
        """Return the recorded bids and asks at a time, best first."""
        return self.depths[max(0, bisect_right(self.depth_times, offset_ms) - 1)]


class RecordingError(Exception):
    """A recording is missing or damaged; the message names the file."""


def recording_load(path: Path) -> Recording:
    """
    Read one recording (format: data/replay/SOURCE.md).

    Raises:
        RecordingError: if the file is missing, damaged or of another format.
    """
    try:
        lines = gzip.decompress(path.read_bytes()).splitlines()
        header = msgspec.json.decode(lines[0], type=dict[str, Any])
        if header["format"] != FORMAT:
            raise RecordingError(f"{path}: expected format {FORMAT}, was {header['format']}")
        recording = Recording(
            symbol=header["symbol"],
            start_ms=header["start_ms"],
            duration_ms=header["duration_ms"],
        )
        for line in lines[1:]:
            _take(recording, msgspec.json.decode(line))
    except (OSError, EOFError, msgspec.DecodeError, LookupError, ValueError, TypeError) as error:
        raise RecordingError(f"{path}: {error}") from error
    if not (recording.quotes and recording.depths and recording.trades):
        raise RecordingError(f"{path}: expected quotes, depth and trades")
    return recording


def _take(recording: Recording, record: list[Any]) -> None:
    kind, offset, *values = record
    if kind == "q":
        bid, _bid_quantity, ask, _ask_quantity = values
        recording.quote_times.append(offset)
        recording.quotes.append((bid, ask))
    elif kind == "d":
        bids, asks = values
        recording.depth_times.append(offset)
        recording.depths.append(([(p, q) for p, q in bids], [(p, q) for p, q in asks]))
    elif kind == "t":
        _trade_id, price, quantity, maker_bought = values
        recording.trade_times.append(offset)
        recording.trades.append((price, quantity, Side.SELL if maker_bought else Side.BUY))
    else:
        raise ValueError(f"unknown record {kind!r}")


class Replay:
    """
    Several recordings of the same time, played together.

    ``cross`` markets have no recording: their price is the quotient of two that do, and so
    is their depth, with the base recording's quantities.
    """

    def __init__(
        self,
        recordings: list[Recording],
        *,
        started_ms: int,
        speed: Fraction = Fraction(1),
        ticks_atoms: dict[str, int] | None = None,
        crosses: dict[str, tuple[str, str]] | None = None,
    ) -> None:
        """
        Play the time that all recordings cover.

        Raises:
            ValueError: if the speed is not positive or the recordings do not overlap.
        """
        if speed <= 0:
            raise ValueError(f"expected a positive speed, was {speed}")
        self._recordings = {recording.symbol: recording for recording in recordings}
        self._start_ms = max(recording.start_ms for recording in recordings)
        self._end_ms = min(item.start_ms + item.duration_ms for item in recordings)
        if self._end_ms <= self._start_ms:
            raise ValueError("expected recordings of the same time")
        self._started_ms = started_ms
        self._speed = speed
        self._ticks = ticks_atoms or {}
        self._crosses = crosses or {}

    @property
    def duration_ms(self) -> int:
        """Recorded milliseconds of one pass."""
        return self._end_ms - self._start_ms

    @property
    def symbols(self) -> list[str]:
        """The markets that have prices."""
        return [*self._recordings, *self._crosses]

    def moment(self, now_ms: int) -> Moment:
        """Return what is played now; before the start it is the start."""
        elapsed = max(0, int((now_ms - self._started_ms) * self._speed))
        loop, position = divmod(elapsed, self.duration_ms)
        return Moment(loop=loop, position_ms=position)

    def price_atoms(self, symbol: str, now_ms: int) -> int:
        """
        Return the middle price of a market now, rounded down.

        Raises:
            KeyError: if the market is not part of the replay.
        """
        if symbol in self._crosses:
            base, quote = self._crosses[symbol]
            return self.price_atoms(base, now_ms) * ATOMS // self.price_atoms(quote, now_ms)
        moment = self.moment(now_ms)
        numerator, denominator = self._scale(symbol, moment)
        return self._mid(symbol, moment.position_ms) * numerator // denominator

    def depth(self, symbol: str, now_ms: int) -> Depth:
        """
        Return the best levels of a market now, on its tick.

        Bids round down and asks up, so the book is never crossed; levels that fall on one
        price are added up.
        """
        tick = self._ticks.get(symbol, 1)
        if symbol in self._crosses:
            base, quote = self._crosses[symbol]
            whole = self.depth(base, now_ms)
            against = self.depth(quote, now_ms)
            return Depth(
                bids=_levels(whole.bids, ATOMS, against.asks[0][0], tick, floor_div),
                asks=_levels(whole.asks, ATOMS, against.bids[0][0], tick, ceil_div),
            )
        moment = self.moment(now_ms)
        numerator, denominator = self._scale(symbol, moment)
        recording = self._recordings[symbol]
        bids, asks = recording.depth(self._offset(recording, moment.position_ms))
        return Depth(
            bids=_levels(bids, numerator, denominator, tick, floor_div),
            asks=_levels(asks, numerator, denominator, tick, ceil_div),
        )

    def trades(self, symbol: str, *, after_ms: int, now_ms: int) -> Iterator[RecordedTrade]:
        """
        Yield the recorded trades that fall in (after, now], oldest first.

        At most ``TRADES_MAX``; a market made by division has none.
        """
        recording = self._recordings.get(symbol)
        if recording is None:
            return
        first = self._trade_number(recording, self.moment(after_ms))
        last = self._trade_number(recording, self.moment(now_ms))
        for number in range(max(first, last - TRADES_MAX), last):
            loop, index = divmod(number, len(recording.trades))
            price, quantity, side = recording.trades[index]
            position = recording.trade_times[index] - self._offset(recording, 0)
            numerator, denominator = self._scale(symbol, Moment(loop, max(0, position)))
            tick = self._ticks.get(symbol, 1)
            yield RecordedTrade(
                number=number,
                price_atoms=price * numerator // denominator // tick * tick,
                quantity_atoms=quantity,
                taker_side=side,
            )

    def _trade_number(self, recording: Recording, moment: Moment) -> int:
        offset = self._offset(recording, moment.position_ms)
        return moment.loop * len(recording.trades) + bisect_right(recording.trade_times, offset)

    def _offset(self, recording: Recording, position_ms: int) -> int:
        return position_ms + self._start_ms - recording.start_ms

    def _mid(self, symbol: str, position_ms: int) -> int:
        recording = self._recordings[symbol]
        return recording.mid_atoms(self._offset(recording, position_ms))

    def _scale(self, symbol: str, moment: Moment) -> tuple[int, int]:
        """Return by what fraction recorded prices are multiplied to hide the seam."""
        if moment.loop == 0:
            return 1, 1
        first = self._mid(symbol, 0)
        last = self._mid(symbol, self.duration_ms - 1)
        left = self.duration_ms - moment.position_ms
        return first * self.duration_ms + (last - first) * left, first * self.duration_ms


def _levels(
    levels: list[Level] | tuple[Level, ...],
    numerator: int,
    denominator: int,
    tick: int,
    rounding: Any,
) -> tuple[Level, ...]:
    """Return levels with their prices scaled to the tick, equal prices added up."""
    merged: dict[int, int] = {}
    for price, quantity in levels[:DEPTH_LEVELS]:
        scaled = rounding(price * numerator, denominator * tick) * tick
        merged[scaled] = merged.get(scaled, 0) + quantity
    return tuple((price, quantity) for price, quantity in merged.items() if price > 0)
