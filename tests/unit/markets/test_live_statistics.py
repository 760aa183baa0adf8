"""24 h figures and open candles."""

from __future__ import annotations

import pytest

from exchange.core.units import ATOMS
from markets.live.statistics import DAY_MINUTES, MINUTE_MS, DayWindow, OpenCandle, percent_text

START_MS = 1_700_000_040_000 // MINUTE_MS * MINUTE_MS


def add(target: DayWindow | OpenCandle, time_ms: int, price: int, quantity: int = 1) -> object:
    return target.add(
        time_ms=time_ms,
        price_atoms=price * ATOMS,
        quantity_atoms=quantity * ATOMS,
        quote_atoms=price * quantity * ATOMS,
    )


def test_window_is_the_current_minute_and_the_1439_before() -> None:
    day = DayWindow()
    add(day, START_MS, 100, 2)
    add(day, START_MS + MINUTE_MS, 90, 1)

    kept = day.expire(START_MS + (DAY_MINUTES - 1) * MINUTE_MS + 59_999)
    before = (day.volume_atoms, day.range_atoms())
    dropped = day.expire(START_MS + DAY_MINUTES * MINUTE_MS)

    assert (kept, dropped) == (False, True)
    assert before == (3 * ATOMS, (100 * ATOMS, 100 * ATOMS, 90 * ATOMS))
    assert (day.volume_atoms, day.quote_atoms, day.count) == (ATOMS, 90 * ATOMS, 1)
    assert day.range_atoms() == (90 * ATOMS, 90 * ATOMS, 90 * ATOMS)


def test_last_price_outlives_the_window() -> None:
    day = DayWindow()
    add(day, START_MS, 100)

    day.expire(START_MS + 2 * DAY_MINUTES * MINUTE_MS)

    assert (day.range_atoms(), day.last_atoms) == (None, 100 * ATOMS)


def test_candle_gathers_and_ends_with_the_first_trade_after_it() -> None:
    candle = OpenCandle("1m", MINUTE_MS)

    first = [add(candle, START_MS + offset, price) for offset, price in ((0, 5), (9, 7), (10, 4))]
    ended = add(candle, START_MS + MINUTE_MS, 6)

    assert first == [None, None, None]
    assert ended is not None
    prices = (ended.open_atoms, ended.high_atoms, ended.low_atoms, ended.close_atoms)  # type: ignore[attr-defined]
    assert prices == (5 * ATOMS, 7 * ATOMS, 4 * ATOMS, 4 * ATOMS)
    assert candle.bar is not None
    assert (candle.bar.open_ms, candle.bar.count) == (START_MS + MINUTE_MS, 1)


def test_candle_closes_once_and_is_not_ended_again() -> None:
    candle = OpenCandle("1m", MINUTE_MS)
    add(candle, START_MS, 5)

    closings = [candle.close(START_MS + offset) for offset in (59_999, 60_000, 60_001)]
    ended = add(candle, START_MS + 2 * MINUTE_MS, 6)

    assert closings == [False, True, False]
    assert ended is None
    assert candle.closed is False


@pytest.mark.parametrize(
    ("change", "base", "text"),
    [
        (0, 100, "0.00"),
        (1, 3, "33.33"),
        (-1, 3, "-33.33"),
        (-1, 10**9, "0.00"),
        (250, 100, "250.00"),
    ],
)
def test_percent_is_truncated(change: int, base: int, text: str) -> None:
    assert percent_text(change, base) == text
