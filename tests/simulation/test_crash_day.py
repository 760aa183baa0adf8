"""A short crash day: the ladder works, the fund stays whole, money balances out."""

from __future__ import annotations

from simulation.crash_day import DAY_MS, CrashDay, published
from simulation.crash_picture import svg


def test_a_crash_of_an_hour_is_borne_by_those_who_took_the_risk() -> None:
    start, end = DAY_MS + 1_245 * 60_000, DAY_MS + 1_285 * 60_000
    ticks = [tick for tick in published() if start <= tick[0] <= end]

    day = CrashDay(ticks, accounts=150, source="published figures").run()

    assert day.counts["entered"] == 150
    assert day.counts["in the book"] + day.counts["taken over"] > 20
    assert day.counts["settled"] == 0
    assert day.fund_low >= 0
    assert day.fund() >= day.fund_start * 9 // 10
    assert "fund at its lowest" in "\n".join(day.lines())
    assert svg(day, "short").count("<polyline") == 2
