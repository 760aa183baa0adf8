"""How long answers took, out of two looks at counters that only rise."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from adminpanel.ack_figures import ack_counts, acks_between
from common.metrics import collect
from exchange.dispatch.ack_times import BOUNDS_S, AckTimes


def _look(times: AckTimes, member: str = "web:1") -> dict:
    registry = CollectorRegistry()
    registry.register(times)
    return ack_counts({member: collect("web", registry)})


def test_only_what_was_answered_between_two_looks_counts() -> None:
    times = AckTimes()
    times.observe(4.0)
    before = _look(times)
    for _ in range(99):
        times.observe(0.004)
    times.observe(0.9)

    found = acks_between(before, _look(times))

    assert found is not None
    assert found.count == 100
    assert found.mean_ms == pytest.approx(0.99 * 4 + 9, abs=0.001)
    # The bucket of 3 to 5 ms ends exactly at the 99th of a hundred.
    assert found.p99_ms == pytest.approx(5.0)


def test_nothing_answered_is_no_figure() -> None:
    times = AckTimes()
    times.observe(0.004)

    assert acks_between(_look(times), _look(times)) is None


def test_a_process_that_began_anew_counts_from_nothing() -> None:
    old, new = AckTimes(), AckTimes()
    for _ in range(10):
        old.observe(0.004)
    new.observe(0.002)

    found = acks_between(_look(old), _look(new))

    assert found is not None
    assert (found.count, found.mean_ms) == (1, 2.0)


def test_beyond_the_last_bound_the_bound_itself_is_told() -> None:
    times = AckTimes()
    times.observe(60.0)

    found = acks_between({}, _look(times))

    assert found is not None
    assert found.p99_ms == BOUNDS_S[-1] * 1_000
