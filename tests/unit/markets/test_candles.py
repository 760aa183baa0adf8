"""Candles as plain values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.core.enums import Side
from exchange.core.events import TradeExecuted
from markets.candles import MINUTE_MS, Bar, Series, fill_gaps, gather, minute_bars
from markets.enums import CandleSource, Interval
from markets.feeds.history import cross_bars, fit

BASE = Series(1, CandleSource.TRADES, Interval.ONE_MINUTE)
HOUR = Series(1, CandleSource.TRADES, Interval.ONE_HOUR)


def trade(number: int, price: int, time_ms: int, *, market_id: int = 1) -> TradeExecuted:
    return TradeExecuted(
        number, market_id, price, 2, price * 2, Side.BUY, 1, 2, 1, 2, 0, 0, time_ms
    )


def bar(open_ms: int, *prices: int, volume: int = 1) -> Bar:
    return Bar(open_ms, prices[0], max(prices), min(prices), prices[-1], volume, volume, 1)


class TestKey:
    def test_orders_a_series_by_time_and_keeps_series_apart(self) -> None:
        keys = {
            Series(market, source, interval).key(minute * MINUTE_MS)
            for market in (1, 2, 2**20 - 1)
            for source in CandleSource
            for interval in Interval
            for minute in (0, 1, 2**32 - 1)
        }

        assert len(keys) == 3 * 3 * 6 * 3
        assert max(keys) < 2**57
        assert BASE.key(0) < BASE.key(MINUTE_MS) < HOUR.key(0)

    @pytest.mark.parametrize("open_ms", [1, -MINUTE_MS, 2**32 * MINUTE_MS])
    def test_refuses_a_time_it_cannot_hold(self, open_ms: int) -> None:
        with pytest.raises(ValueError, match="whole minute"):
            BASE.key(open_ms)

    @pytest.mark.parametrize("market_id", [0, 2**20])
    def test_refuses_a_market_it_cannot_hold(self, market_id: int) -> None:
        with pytest.raises(ValueError, match="market id"):
            Series(market_id, CandleSource.TRADES, Interval.ONE_DAY).key(0)


class TestMinuteBars:
    def test_follows_the_trades_of_each_market(self) -> None:
        bars = minute_bars(
            [
                trade(1, 10, 5),
                trade(2, 14, 6, market_id=2),
                trade(3, 8, 7),
                trade(4, 9, 59_999),
                trade(5, 11, 60_000),
            ]
        )

        assert bars[1] == [
            Bar(0, 10, 10, 8, 9, 6, 54, 3),
            Bar(60_000, 11, 11, 11, 11, 2, 22, 1),
        ]
        assert bars[2] == [Bar(0, 14, 14, 14, 14, 2, 28, 1)]


class TestGather:
    def test_adds_minutes_up(self) -> None:
        (hour,) = gather(HOUR, [bar(0, 5, 9), bar(MINUTE_MS, 2, 6), bar(59 * MINUTE_MS, 7, 3)])

        assert hour == Bar(0, 5, 9, 2, 3, 3, 3, 3)

    @given(st.lists(st.integers(1, 1_000), min_size=1, max_size=50), st.integers(0, 49))
    def test_does_not_depend_on_how_it_was_cut(self, prices: list[int], cut: int) -> None:
        minutes = [bar(number * MINUTE_MS, price) for number, price in enumerate(prices)]

        (whole,) = gather(HOUR, minutes)
        parts = gather(HOUR, minutes[:cut]) + gather(HOUR, minutes[cut:])
        joined = parts[0] if len(parts) == 1 else parts[0].then(parts[1])

        assert joined == whole


class TestFillGaps:
    def test_is_flat_at_the_last_close(self) -> None:
        filled = fill_gaps(
            [bar(MINUTE_MS, 5, 7)],
            length_ms=MINUTE_MS,
            first_ms=0,
            last_ms=3 * MINUTE_MS,
            before=bar(-MINUTE_MS, 4),
        )

        assert [(item.open_atoms, item.close_atoms, item.volume_atoms) for item in filled] == [
            (4, 4, 0),
            (5, 7, 1),
            (7, 7, 0),
            (7, 7, 0),
        ]

    def test_stays_empty_before_the_first_price(self) -> None:
        filled = fill_gaps(
            [bar(MINUTE_MS, 5)],
            length_ms=MINUTE_MS,
            first_ms=0,
            last_ms=MINUTE_MS,
            before=None,
        )

        assert [item.open_ms for item in filled] == [MINUTE_MS]


class TestHistory:
    def test_ends_at_the_time_and_the_price_asked_for(self) -> None:
        files = [[bar(0, 50, 60), bar(MINUTE_MS, 60, 80)], [bar(0, 200, 220), bar(9, 220, 400)]]

        past = fit(files, end_ms=10 * MINUTE_MS + 7, last_atoms=1_000, tick_atoms=1)

        assert [item.open_ms for item in past] == [n * MINUTE_MS for n in (6, 7, 8, 9)]
        assert past[-1].close_atoms == 1_000
        assert past[2].open_atoms == 500
        # The earlier file closes where the later one opens.
        assert past[1].close_atoms == 500
        assert all(item.recorded for item in past)

    def test_a_cross_takes_only_what_is_known(self) -> None:
        (crossed,) = cross_bars(
            [bar(0, 10, 30, 20), bar(MINUTE_MS, 1)], [bar(0, 2, 8, 4)], tick_atoms=1
        )

        assert (crossed.open_atoms, crossed.close_atoms) == (5 * 10**8, 5 * 10**8)
        assert (crossed.high_atoms, crossed.volume_atoms) == (5 * 10**8, 0)
