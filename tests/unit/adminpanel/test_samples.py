"""Keys and roll-ups of samples."""

from __future__ import annotations

import itertools

import pytest

from adminpanel.metric_table import METRICS, MINUTE_MS, RANGES, Resolution, Rollup
from adminpanel.samples import Bucket, sample_key, series_hash

NOON_MS = 1_795_694_400_000


def test_the_same_bucket_has_one_key_and_each_next_one_a_higher() -> None:
    first = sample_key(7, Resolution.TEN_MINUTES, NOON_MS)

    assert sample_key(7, Resolution.TEN_MINUTES, NOON_MS + 10 * MINUTE_MS - 1) == first
    assert sample_key(7, Resolution.TEN_MINUTES, NOON_MS + 10 * MINUTE_MS) > first
    assert sample_key(8, Resolution.TEN_MINUTES, NOON_MS) == first + 1


def test_keys_of_resolutions_never_meet_and_fit_63_bits() -> None:
    far_ms = NOON_MS + 1_000 * 366 * 86_400_000
    highest = 2**31 - 1
    ranges = [
        (sample_key(0, resolution, NOON_MS), sample_key(highest, resolution, far_ms))
        for resolution in Resolution
    ]

    assert ranges == sorted(ranges)
    assert all(high < low for (_, high), (low, _) in itertools.pairwise(ranges))
    assert ranges[-1][1] < 2**63


@pytest.mark.parametrize(
    ("rollup", "expected"),
    [
        (Rollup.SUM, (12, 3)),
        (Rollup.LAST, (4, 3)),
        (Rollup.HIGHEST, (5, 3)),
        (Rollup.MEAN, (12, 3)),
    ],
)
def test_values_of_a_bucket_become_one(rollup: Rollup, expected: tuple[int, int]) -> None:
    bucket = Bucket()

    for value in (3, 5, 4):
        bucket.add(rollup, value)

    assert (bucket.value, bucket.number) == expected


def test_highest_of_negative_values_is_not_zero() -> None:
    bucket = Bucket()

    bucket.add(Rollup.HIGHEST, -3)

    assert bucket.value == -3


def test_a_sum_beyond_63_bits_stays_at_the_edge() -> None:
    bucket = Bucket()

    bucket.add(Rollup.SUM, 2**63 - 1)
    bucket.add(Rollup.SUM, 1)

    assert bucket.value == 2**63 - 1


def test_series_of_one_metric_have_different_keys() -> None:
    keys = {series_hash(metric, f"label {n}") for metric in METRICS for n in range(50)}

    assert len(keys) == len(METRICS) * 50
    assert all(0 <= key < 2**31 for key in keys)


def test_each_range_is_kept_whole() -> None:
    assert all(minutes <= resolution.kept_minutes for minutes, resolution in RANGES.values())
