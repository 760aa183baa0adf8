"""
Recorded days on which venues parted, minute by minute through our index.

DOGE and LINK on 10 October 2025 (two venues), bitcoin in March 2023 (three venues in USDT, of
which one is silent for hours; two in USDC, of which one prints 31,000). The recordings may not
be copied into the project; where they are absent these tests are skipped.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest

from exchange.core.units import RATE_ONE
from markets.enums import PriceState
from markets.feeds.catalogue import Instrument, Leg
from markets.feeds.engine import IndexEngine
from markets.feeds.index import CLIP_RATE_E8, median_atoms
from markets.feeds.validate import RawQuote, parse_price_atoms
from simulation.recorded.data import RecordingAbsentError, recording

MINUTE_S = 60
# By venue and minute, the last price.
Venues = dict[str, dict[int, str]]


def recorded(name: str) -> Path:
    try:
        return recording(name)
    except RecordingAbsentError as absent:
        pytest.skip(str(absent))


def rows(name: str) -> Iterator[dict[str, str]]:
    with gzip.open(recorded(name), "rt", encoding="ascii") as lines:
        yield from csv.DictReader(lines)


def last_trades(name: str) -> dict[int, str]:
    """Return the last price of each minute of a file of trades."""
    return {
        int(row["timestamp"]) // (MINUTE_S * 10**6): row["price"]
        for row in rows(f"crash-2025-10-10/{name}.csv.gz")
    }


def closes(name: str, first_s: int, last_s: int, column: str = "close") -> dict[int, str]:
    """Return the close, or another price, of each minute between two times of a file."""
    return {
        int(row["timestamp"]) // MINUTE_S: row[column]
        for row in rows(f"usdc-depeg-2023-03/{name}_1m.csv.gz")
        if first_s <= int(row["timestamp"]) < last_s
    }


@dataclass
class Report:
    """What the index did; distances in 10^-8."""

    states: dict[PriceState, int] = field(default_factory=dict)
    largest_e8: int = 0
    refused: int = 0
    by_minute: dict[int, PriceState] = field(default_factory=dict)

    def count(self, minute: int, state: PriceState) -> None:
        self.by_minute[minute] = state
        self.states[state] = self.states.get(state, 0) + 1


def index_of(venues: Venues, minutes: Iterable[int] | None = None) -> Report:
    """Feed one quote of each venue a minute and measure the index against the median of all."""
    instrument = Instrument("X-USDT", {name: Leg("X/USDT") for name in venues})
    engine = IndexEngine((instrument,))
    report = Report()
    for minute in minutes or sorted({minute for prices in venues.values() for minute in prices}):
        now_ms = minute * MINUTE_S * 1000
        for name, prices in venues.items():
            price = prices.get(minute)
            if price is not None:
                engine.offer(name, [RawQuote("X/USDT", price, price, price, now_ms)], now_ms=now_ms)
            else:
                engine.fail(name, "NO_TRADE")
        (view,) = engine.prices(now_ms)
        report.count(minute, view.state)
        said = [parse_price_atoms(prices[minute]) for prices in venues.values() if minute in prices]
        report.refused += len(said) - sum(source.price_atoms is not None for source in view.sources)
        if view.price_atoms and view.state is PriceState.LIVE:
            median = median_atoms(said)
            distance = abs(view.price_atoms - median) * RATE_ONE // median
            report.largest_e8 = max(report.largest_e8, distance)
    return report


MARCH_10, MARCH_14 = 1_678_406_400, 1_678_752_000


@pytest.fixture(scope="module")
def tether() -> Venues:
    return {
        venue: closes(f"{venue}_btcusdt", MARCH_10, MARCH_14)
        for venue in ("binance", "coinbase", "kraken")
    }


class TestCrashOfOctober:
    @pytest.mark.parametrize(("coin", "live", "refused"), [("DOGE", 765, 27), ("LINK", 511, 56)])
    def test_two_venues_stay_together_or_are_not_believed(
        self, coin: str, live: int, refused: int
    ) -> None:
        report = index_of(
            {
                "coinbase": last_trades(f"coinbase_trades_2025-10-10_{coin}-USD"),
                "gemini": last_trades(f"gemini_trades_2025-10-10_{coin}USD"),
            }
        )

        # The other minutes had one venue alone: Gemini's trades are rare.
        assert report.states == {PriceState.LIVE: live, PriceState.DEGRADED: 1_440 - live}
        assert report.refused == refused
        assert report.largest_e8 == 0


class TestDepegOfMarch:
    def test_a_venue_that_is_silent_for_hours_is_left_out(self, tether: Venues) -> None:
        report = index_of(tether)

        assert report.states == {PriceState.LIVE: 5_537, PriceState.DEGRADED: 223}
        # 0.13 % is the most that the index ever was from the median of the venues.
        assert report.largest_e8 == 133_886

    def test_hours_without_one_venue_change_nothing_but_the_quorum(self, tether: Venues) -> None:
        minutes = sorted(tether["kraken"])
        silent = set(minutes[1_000:1_240])
        stalled = {m: price for m, price in tether["kraken"].items() if m not in silent}

        report = index_of({**tether, "kraken": stalled}, minutes[900:1_300])

        assert PriceState.HALTED not in report.states
        assert report.largest_e8 <= CLIP_RATE_E8

    def test_one_print_of_31_000_is_of_one_source_alone(self) -> None:
        venues = {
            "binance": closes("binance_btcusdc", 0, 2**40, "high"),
            "kraken": closes("kraken_btcusdc", 0, 2**40),
        }
        (odd,) = [minute for minute, price in venues["binance"].items() if float(price) >= 31_000]

        report = index_of(venues, range(odd - 300, odd + 300))

        # The other venue had no trade in that minute: a hint at best, by which nobody is judged.
        assert odd not in venues["kraken"]
        assert report.by_minute[odd] is PriceState.DEGRADED
        assert report.largest_e8 == 0

    @pytest.mark.parametrize("factor", [Decimal("1.3"), Decimal("0.7")])
    def test_a_30_percent_print_on_one_moves_nothing(self, tether: Venues, factor: Decimal) -> None:
        minutes = sorted(set.intersection(*(set(prices) for prices in tether.values())))[
            1_900:2_100
        ]
        price = str(Decimal(tether["kraken"][minutes[100]]) * factor)
        printed = {**tether, "kraken": {**tether["kraken"], minutes[100]: price}}

        before, after = index_of(tether, minutes), index_of(printed, minutes)

        assert (before.refused, after.refused) == (0, 1)
        assert after.largest_e8 <= CLIP_RATE_E8

    def test_two_that_part_by_their_quote_currency_make_no_price(self) -> None:
        report = index_of(
            {
                "dollar": closes("kraken_btcusd", MARCH_10, MARCH_14),
                "coin": closes("kraken_btcusdc", MARCH_10, MARCH_14),
            }
        )

        assert report.states == {PriceState.LIVE: 2_982, PriceState.DEGRADED: 2_778}
        assert report.largest_e8 == 0
