"""The rate of commands that the leader tells."""

from __future__ import annotations

import pytest

from exchange.throughput import WINDOW_S, Throughput

BEAT_S = 0.5


def _rates(growths: list[int], *, start: int = 0) -> list[int]:
    throughput, number = Throughput(), start
    rates = [throughput.per_second(number, now_s=0.0)]
    for beat, growth in enumerate(growths, 1):
        number += growth
        rates.append(throughput.per_second(number, now_s=beat * BEAT_S))
    return rates


def test_a_burst_each_second_is_its_mean_at_whatever_beat_it_is_asked() -> None:
    # As seen of a platform with a market maker: every other half second has one command.
    rates = _rates([1, 77] * 20)

    assert rates[10:] == pytest.approx([78] * 31, abs=8)
    assert min(rates[10:]) > 67


def test_the_first_beat_of_a_leader_with_a_long_log_is_no_rate() -> None:
    assert _rates([], start=5_000_000) == [0]
    assert _rates([50], start=5_000_000) == [0, 100]


def test_what_was_before_the_window_does_not_count() -> None:
    beats = int(WINDOW_S / BEAT_S)

    assert _rates([1_000] * 4 + [0] * beats)[-1] == 0
