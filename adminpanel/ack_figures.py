"""How long callers waited for their orders' answers, out of what the processes published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from common.metrics import Publication
from exchange.dispatch.ack_times import BOUNDS_S, NAME

P99 = 0.99


class AckCounts(msgspec.Struct, frozen=True, array_like=True):
    """What one process has counted since it began: its buckets, cumulative, and the seconds."""

    buckets: list[float]
    sum_s: float


@dataclass(frozen=True, slots=True)
class AckFigures:
    """
    The answers of a time: how many, the mean, and a bound that 99 of 100 stayed under.

    The last is interpolated within its bucket, as Prometheus does; milliseconds.
    """

    count: int
    mean_ms: float
    p99_ms: float


def ack_counts(processes: Mapping[str, Publication]) -> dict[str, AckCounts]:
    """Return what each process has counted, by its name in the index."""
    found = {}
    for member, publication in processes.items():
        for family in publication.families:
            if family.name == NAME:
                buckets = [s.value for s in family.samples if s.name == f"{NAME}_bucket"]
                sums = [s.value for s in family.samples if s.name == f"{NAME}_sum"]
                if len(buckets) == len(BOUNDS_S) + 1 and sums:
                    found[member] = AckCounts(buckets, sums[0])
    return found


def acks_between(
    before: Mapping[str, AckCounts], after: Mapping[str, AckCounts]
) -> AckFigures | None:
    """Return the answers between two looks, None without any; a process new since counts whole."""
    grown = [0.0] * (len(BOUNDS_S) + 1)
    sum_s = 0.0
    for member, now in after.items():
        then = before.get(member)
        if then is None or now.buckets[-1] < then.buckets[-1]:
            then = AckCounts([0.0] * len(grown), 0.0)
        sum_s += now.sum_s - then.sum_s
        for number, (value, old) in enumerate(zip(now.buckets, then.buckets, strict=True)):
            grown[number] += value - old
    count = int(grown[-1])
    if not count:
        return None
    return AckFigures(count, round(sum_s / count * 1_000, 3), round(_quantile(grown) * 1_000, 3))


def _quantile(cumulative: list[float]) -> float:
    """Return the 99th percentile in seconds; beyond the last bound that bound itself."""
    rank = cumulative[-1] * P99
    low_s, below = 0.0, 0.0
    for bound_s, upto in zip(BOUNDS_S, cumulative, strict=False):
        if upto >= rank:
            share = (rank - below) / (upto - below) if upto > below else 1.0
            return low_s + (bound_s - low_s) * share
        low_s, below = bound_s, upto
    return BOUNDS_S[-1]
