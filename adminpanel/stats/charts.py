"""The charts of the dashboard: lines for drawing, out of the table of samples."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adminpanel import samples
from adminpanel.metric_table import METRICS, MINUTE_MS, RANGES, Resolution, Rollup
from adminpanel.samples import Bucket
from adminpanel.stats.board import Permits
from common.db import read_snapshot
from exchange.core.units import ATOMS, RATE_ONE
from markets.selectors import markets_all

# Charts are drawn anew every quarter of a minute; all operators of a process share one reading.
KEPT_MS = 10_000

Lines = Mapping[tuple[str, str], Mapping[int, Bucket]]
Value = float | None


@dataclass(frozen=True, slots=True)
class Chart:
    """
    One chart: which metrics its lines are, and how their integers become what is drawn.

    ``kind`` is "bar" or "line"; ``unit`` "quote" is the currency of most markets. Lines are named
    by ``names``, one for each metric, or else by their labels.
    """

    name: str
    title: str
    unit: str
    kind: str
    metrics: tuple[str, ...]
    scale: float = 1.0
    stacked: bool = False
    names: tuple[str, ...] = ()
    # Metrics whose values are divided by the seconds of a bucket.
    per_second: bool = False


CHARTS = (
    Chart("volume", "Volume", "quote", "bar", ("volume",), 1 / ATOMS, stacked=True),
    Chart("open_interest", "Open interest", "quote", "line", ("open_interest",), 1 / ATOMS),
    Chart("liquidations", "Liquidations", "steps", "bar", ("liquidations",), stacked=True),
    Chart("insurance", "Insurance fund", "", "line", ("insurance",), 1 / ATOMS),
    Chart("fees", "Fees earned", "quote", "bar", ("fees",), 1 / ATOMS, stacked=True),
    Chart("new_users", "New users", "users", "bar", ("new_users",), names=("new users",)),
    Chart(
        "order_to_ack",
        "Order to acknowledgement",
        "ms",
        "line",
        ("ack_mean_us", "ack_p99_us"),
        1 / 1_000,
        names=("mean", "highest p99"),
    ),
    Chart(
        "commands",
        "Commands",
        "per second",
        "line",
        ("commands",),
        names=("commands",),
        per_second=True,
    ),
    Chart("batch_size", "Batch size", "commands", "line", ("commands", "batches")),
    Chart("feed_age", "Age of price sources", "ms", "line", ("feed_age_ms",)),
    Chart(
        "feed_divergence",
        "Divergence of price sources",
        "%",
        "line",
        ("feed_divergence_e8",),
        100 / RATE_ONE,
    ),
)


class _Kept:
    """The last reading of each range in this process."""

    lock = threading.Lock()
    readings: dict[str, tuple[float, list[int], Lines]] = {}


def forget() -> None:
    """Forget what was kept; for tests."""
    with _Kept.lock:
        _Kept.readings.clear()


def charts_data(range_name: str, permits: Permits) -> dict[str, Any]:
    """
    Return the charts of a range that somebody may see, as numbers to draw.

    ``times`` are the beginnings of the buckets; a value is null where nothing was written down.
    Amounts are floats here: nothing but pixels is made of them.
    """
    resolution = RANGES[range_name][1]
    times, lines = _reading(range_name)
    return {
        "range": range_name,
        "step_ms": resolution.minutes * MINUTE_MS,
        "times": times,
        "charts": [
            _chart(chart, times, lines, resolution)
            for chart in CHARTS
            if all(permits(METRICS[metric].permission) for metric in chart.metrics)
        ],
    }


def _reading(range_name: str) -> tuple[list[int], Lines]:
    with _Kept.lock:
        kept = _Kept.readings.get(range_name)
        if kept is None or (time.monotonic() - kept[0]) * 1_000 >= KEPT_MS:
            kept = (time.monotonic(), *_read(range_name, time.time_ns() // 1_000_000))
            _Kept.readings[range_name] = kept
        return kept[1], kept[2]


def _read(range_name: str, now_ms: int) -> tuple[list[int], Lines]:
    minutes, resolution = RANGES[range_name]
    step_ms = resolution.minutes * MINUTE_MS
    # Days begin at midnight UTC, as the count of minutes does.
    last = now_ms - now_ms % step_ms
    first = last - minutes * MINUTE_MS + step_ms
    with read_snapshot():
        lines = samples.read(resolution, since_ms=first, until_ms=last)
    return list(range(first, last + step_ms, step_ms)), lines


def _chart(
    chart: Chart, times: Sequence[int], lines: Lines, resolution: Resolution
) -> dict[str, Any]:
    if chart.name == "batch_size":
        series = _batch_sizes(times, lines)
    else:
        scale = chart.scale / (resolution.minutes * 60) if chart.per_second else chart.scale
        series = [
            {"label": name, "values": _values(buckets, METRICS[metric].rollup, times, scale)}
            for metric, name, buckets in _named(chart, lines)
        ]
    unit = main_currency() if chart.unit == "quote" else chart.unit
    return {
        "name": chart.name,
        "title": chart.title,
        "unit": unit,
        "kind": chart.kind,
        "stacked": chart.stacked,
        "series": series,
    }


def _named(chart: Chart, lines: Lines) -> list[tuple[str, str, Mapping[int, Bucket]]]:
    """Return metric, name and buckets of a chart's lines, in the order of metrics and labels."""
    currencies = {market.symbol: market.quote for market in markets_all()}
    found = [
        (chart.metrics.index(metric), label, buckets)
        for (metric, label), buckets in lines.items()
        if metric in chart.metrics
    ]
    found.sort(key=lambda line: line[:2])
    return [
        (
            chart.metrics[number],
            chart.names[number] if chart.names else _line_name(chart, label, currencies),
            buckets,
        )
        for number, label, buckets in found
    ]


def _line_name(chart: Chart, label: str, currencies: Mapping[str, str]) -> str:
    """Return a label; amounts in another currency than the axis say so."""
    main = main_currency()
    currency = currencies.get(label, main) if chart.unit == "quote" else main
    return label if currency == main else f"{label} ({currency})"


def _values(
    buckets: Mapping[int, Bucket], rollup: Rollup, times: Sequence[int], scale: float
) -> list[Value]:
    nothing = 0.0 if rollup is Rollup.SUM else None
    return [
        nothing if (bucket := buckets.get(time_ms)) is None else _value(bucket, rollup, scale)
        for time_ms in times
    ]


def _value(bucket: Bucket, rollup: Rollup, scale: float) -> float:
    value = bucket.value / bucket.number if rollup is Rollup.MEAN else bucket.value
    return round(value * scale, 6)


def _batch_sizes(times: Sequence[int], lines: Lines) -> list[dict[str, Any]]:
    """Return the mean commands of a batch; a quotient of two metrics, so a chart of its own."""
    commands, batches = lines.get(("commands", ""), {}), lines.get(("batches", ""), {})
    values: list[Value] = []
    for time_ms in times:
        made, count = commands.get(time_ms), batches.get(time_ms)
        if made is None or count is None or not count.value:
            values.append(None)
        else:
            values.append(round(made.value / count.value, 3))
    return [{"label": "commands a batch", "values": values}] if commands else []


def main_currency() -> str:
    """Return the quote asset of most markets, whose amounts the charts' axes are in."""
    quotes = Counter(market.quote for market in markets_all())
    return quotes.most_common(1)[0][0] if quotes else ""
