"""Candles in the database: counted once, whoever builds them."""

import pytest

from exchange.core.enums import Side
from exchange.core.events import TradeExecuted
from exchange.core.units import ATOMS, INT64_MAX
from markets.candle_store import (
    bars_read,
    candles_build,
    candles_forget,
    price_minutes_store,
    progress,
)
from markets.candles import MINUTE_MS, Bar, Series
from markets.enums import CandleSource, Interval
from markets.models import Candle, CandleProgress

pytestmark = pytest.mark.django_db

START = 1_700_000_000_000 // 86_400_000 * 86_400_000


class Trades:
    """Trades in memory, read the way the task reads them."""

    def __init__(self, count: int, *, every_ms: int = 10_000) -> None:
        self.all = [
            TradeExecuted(
                number,
                1,
                (100 + number % 7) * ATOMS,
                ATOMS,
                (100 + number % 7) * ATOMS,
                Side.BUY,
                1,
                2,
                1,
                2,
                0,
                0,
                START + number * every_ms,
            )
            for number in range(1, count + 1)
        ]
        self.shown = count

    def __call__(self, after: int, limit: int) -> list[TradeExecuted]:
        return [item for item in self.all[: self.shown] if item.trade_id > after][:limit]


def day() -> Candle:
    return Candle.objects.get(interval=Interval.ONE_DAY)


class TestCandlesBuild:
    def test_builds_every_interval(self) -> None:
        candles_build(Trades(100))

        assert day().trade_count == 100
        assert day().volume_units == 100
        per_interval = {
            interval: sum(
                Candle.objects.filter(interval=interval).values_list("trade_count", flat=True)
            )
            for interval in Interval
        }
        assert set(per_interval.values()) == {100}
        assert progress() == 100

    def test_counts_nothing_twice(self) -> None:
        trades = Trades(100)
        trades.shown = 40

        first = candles_build(trades)
        trades.shown = 100
        second = candles_build(trades)
        third = candles_build(trades)

        assert (first, second, third) == (40, 60, 0)
        assert day().trade_count == 100

    def test_a_run_that_lost_the_race_changes_nothing(self) -> None:
        trades = Trades(10)

        def read(after: int, limit: int) -> list[TradeExecuted]:
            found = trades(after, limit)
            if after == 0:
                # Another process counts the same trades in between.
                candles_build(trades)
            return found

        counted = candles_build(read)

        assert counted == 0
        assert day().trade_count == 10

    def test_a_failure_leaves_progress_and_candles_as_they_were(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trades = Trades(10)
        trades.shown = 5
        candles_build(trades)
        trades.shown = 10
        monkeypatch.setattr(
            "markets.candle_store._add", lambda *_: (_ for _ in ()).throw(RuntimeError("stop"))
        )

        with pytest.raises(RuntimeError, match="stop"):
            candles_build(trades)

        assert progress() == 5
        assert day().trade_count == 5

    def test_can_be_forgotten_and_built_again(self) -> None:
        trades = Trades(30)
        candles_build(trades)
        before = list(Candle.objects.order_by("id").values())

        candles_forget()
        emptied = (Candle.objects.count(), CandleProgress.objects.count())
        candles_build(trades)

        assert emptied == (0, 0)
        assert list(Candle.objects.order_by("id").values()) == before

    def test_volumes_beyond_64_bits_are_kept_exactly(self) -> None:
        trades = Trades(0)
        trades.all = [
            TradeExecuted(
                number, 1, ATOMS, 2**62, 2**62, Side.BUY, 1, 2, 1, 2, 0, 0, START + number
            )
            for number in range(1, 9)
        ]
        trades.shown = 8

        candles_build(trades)
        (bar,) = bars_read(
            Series(1, CandleSource.TRADES, Interval.ONE_DAY),
            start_ms=START,
            end_ms=START,
            limit=1,
        )

        assert bar.volume_atoms == 8 * 2**62 > INT64_MAX


class TestIndexMinutes:
    def test_a_minute_is_stored_once(self) -> None:
        minute = Bar.flat(START, 5 * ATOMS)

        stored = price_minutes_store(1, CandleSource.INDEX, [minute])
        again = price_minutes_store(
            1, CandleSource.INDEX, [minute, Bar.flat(START + MINUTE_MS, 7 * ATOMS)]
        )

        assert (stored, again) == (1, 1)
        assert (day().open_atoms, day().close_atoms) == (5 * ATOMS, 7 * ATOMS)
        assert day().source == CandleSource.INDEX


class TestBarsRead:
    def test_the_open_minute_is_part_of_every_interval(self) -> None:
        price_minutes_store(1, CandleSource.INDEX, [Bar.flat(START, 5 * ATOMS)])
        open_minute = Bar.flat(START + MINUTE_MS, 9 * ATOMS)
        series = Series(1, CandleSource.INDEX, Interval.ONE_HOUR)

        (bar,) = bars_read(
            series, start_ms=None, end_ms=START + 90_000, limit=5, open_minute=open_minute
        )

        assert (bar.open_atoms, bar.close_atoms) == (5 * ATOMS, 9 * ATOMS)

    def test_start_takes_the_first_and_no_start_the_last(self) -> None:
        candles_build(Trades(60, every_ms=MINUTE_MS))
        series = Series(1, CandleSource.TRADES, Interval.ONE_MINUTE)

        first = bars_read(series, start_ms=START + 1, end_ms=START + 86_400_000, limit=3)
        last = bars_read(series, start_ms=None, end_ms=START + 60 * MINUTE_MS, limit=3)

        assert [bar.open_ms for bar in first] == [START + n * MINUTE_MS for n in (1, 2, 3)]
        assert [bar.open_ms for bar in last] == [START + n * MINUTE_MS for n in (58, 59, 60)]
