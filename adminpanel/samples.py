"""
The table of samples: keys, writing, reading, pruning.

Every value is added to its buckets of all resolutions when it is written, so nothing has to be
rolled up later and a chart reads as many rows as it has points. A value counts in the same
transaction in which the position of its source moves: no run of the worker, repeated, late or
beside another, counts anything twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from adminpanel.metric_table import METRICS, MINUTE_MS, Resolution, Rollup
from adminpanel.models import Sample, SampleCursor, Series
from common.db import atomic

SERIES_BITS = 31
BUCKET_BITS = 30
# Minutes are counted from 2020, as ids are; 30 bits of them last for two thousand years.
_EPOCH_MINUTE = 1_577_836_800_000 // MINUTE_MS
_VALUE_MAX = 2**63 - 1
# Keys of one IN; databases limit the parameters of a statement.
_KEYS_CHUNK = 500


class Source(IntEnum):
    """Where samples come from; the key of the row that says how far each was read."""

    MINUTE = 1
    TRADES = 2
    LIQUIDATIONS = 3
    USERS = 4
    COMMANDS = 5
    BATCHES = 6


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a series at a time."""

    metric: str
    label: str
    time_ms: int
    value: int


@dataclass(slots=True)
class Bucket:
    """The values of a bucket so far, as the metric sums them up."""

    value: int = 0
    number: int = 0

    def add(self, rollup: Rollup, value: int, number: int = 1) -> None:
        """Take in a value, or (``number`` of them) another bucket's; saturates at 63 bits."""
        if rollup in (Rollup.SUM, Rollup.MEAN):
            value += self.value
        elif rollup is Rollup.HIGHEST and self.number:
            value = max(self.value, value)
        # A day's volume beyond 92 billion must not stop the figures of that day.
        self.value = max(-_VALUE_MAX, min(_VALUE_MAX, value))
        self.number += number


@dataclass(frozen=True, slots=True)
class Position:
    """How far a source was read, and how many there were."""

    position: int
    total: int


def sample_key(series_id: int, resolution: Resolution, time_ms: int) -> int:
    """Return the key of the bucket of a series that a time lies in."""
    minute = time_ms // MINUTE_MS - _EPOCH_MINUTE
    return _key_from(resolution, minute - minute % resolution.minutes) | series_id


def _key_from(resolution: Resolution, minute: int) -> int:
    return (resolution.number << BUCKET_BITS | minute) << SERIES_BITS


def series_hash(metric: str, label: str) -> int:
    """Return the key that a series has unless another had it first."""
    digest = hashlib.blake2b(f"{metric} {label}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - SERIES_BITS)


def series_all() -> dict[tuple[str, str], int]:
    """Return the key of every series by metric and label."""
    rows = Series.objects.order_by("id").values_list("metric", "label", "id")
    return {(metric, label): key for metric, label, key in rows}


def position_of(source: Source) -> Position | None:
    """Return how far a source was read, None before its first time."""
    row = SampleCursor.objects.filter(id=source.value).values_list("position", "total").first()
    return None if row is None else Position(*row)


def advance(
    source: Source,
    *,
    before: Position | None,
    position: int,
    counted: int = 0,
    points: Iterable[Point] = (),
    now_ms: int,
) -> bool:
    """
    Move a source's position and count the points that lay between, or nothing if it has moved.

    ``before`` is what ``position_of`` returned when the points were read, ``counted`` is added to
    the source's total.
    """
    with atomic():
        if before is None:
            first = SampleCursor(id=source.value, position=0)
            SampleCursor.objects.bulk_create([first], ignore_conflicts=True)
            before = Position(0, 0)
        rows = SampleCursor.objects.filter(id=source.value, position=before.position)
        if rows.update(position=position, total=before.total + counted) != 1:
            return False
        _add(list(points), now_ms)
    return True


def _add(points: list[Point], now_ms: int) -> None:
    """Add points to their buckets, but for those that would be pruned at once."""
    keys = _series_keys({(point.metric, point.label) for point in points})
    rollups: dict[int, Rollup] = {}
    found: dict[int, Bucket] = {}
    for point in points:
        rollup = METRICS[point.metric].rollup
        series_id = keys[point.metric, point.label]
        for resolution in Resolution:
            if point.time_ms <= now_ms - resolution.kept_minutes * MINUTE_MS:
                continue
            key = sample_key(series_id, resolution, point.time_ms)
            rollups[key] = rollup
            found.setdefault(key, Bucket()).add(rollup, point.value)
    ids = sorted(found)
    for start in range(0, len(ids), _KEYS_CHUNK):
        _write({key: found[key] for key in ids[start : start + _KEYS_CHUNK]}, rollups)


def _write(new: Mapping[int, Bucket], rollups: Mapping[int, Rollup]) -> None:
    stored = Sample.objects.filter(id__in=list(new))
    merged: dict[int, Bucket] = {
        key: Bucket(value, number) for key, value, number in stored.values_list()
    }
    for key, bucket in new.items():
        merged.setdefault(key, Bucket()).add(rollups[key], bucket.value, bucket.number)
    # Written whole rather than updated one by one: two statements on every database.
    stored.delete()
    Sample.objects.bulk_create(
        Sample(id=key, value=bucket.value, number=bucket.number) for key, bucket in merged.items()
    )


def _series_keys(wanted: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Return the keys of series, made where they are missing."""
    known = series_all()
    used = set(known.values())
    for metric, label in sorted(wanted - known.keys()):
        key = series_hash(metric, label)
        while key in used:
            key = (key + 1) % 2**SERIES_BITS
        Series.objects.create(id=key, metric=metric, label=label)
        known[metric, label] = key
        used.add(key)
    return known


def read(
    resolution: Resolution, *, since_ms: int, until_ms: int
) -> dict[tuple[str, str], dict[int, Bucket]]:
    """
    Return the buckets of all series that begin in a time, by series and beginning (ms).

    Two queries: the series, and one range of keys.
    """
    names = {key: name for name, key in series_all().items()}
    low = _key_from(resolution, max(0, since_ms // MINUTE_MS - _EPOCH_MINUTE))
    high = _key_from(resolution, max(0, until_ms // MINUTE_MS - _EPOCH_MINUTE + 1))
    rows = Sample.objects.filter(id__gte=low, id__lt=high).order_by("id").values_list()
    found: dict[tuple[str, str], dict[int, Bucket]] = {}
    mask = 2**SERIES_BITS - 1
    for key, value, number in rows:
        name = names.get(key & mask)
        if name is not None:
            minute = (key >> SERIES_BITS) & (2**BUCKET_BITS - 1)
            buckets = found.setdefault(name, {})
            buckets[(minute + _EPOCH_MINUTE) * MINUTE_MS] = Bucket(value, number)
    return found


def prune(now_ms: int) -> int:
    """Delete buckets that are older than their resolution is kept; return how many."""
    deleted = 0
    for resolution in Resolution:
        minute = now_ms // MINUTE_MS - _EPOCH_MINUTE - resolution.kept_minutes
        low, high = _key_from(resolution, 0), _key_from(resolution, max(0, minute))
        deleted += Sample.objects.filter(id__gte=low, id__lt=high).delete()[0]
    return deleted
