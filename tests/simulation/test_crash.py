"""Very many stops, one crash: the full size is part of ``make prove``."""

from __future__ import annotations

from simulation import crash


def test_stops_fire_in_order_each_once_while_cancels_are_served() -> None:
    result = crash.run(6_000)

    assert result.faults == []
    assert len(result.traded) + len(result.cancelled) == 6_000
    assert len(result.cancelled) > 10
    assert 0 < result.most_events <= crash.EVENTS_BOUND
    assert set(result.ended) == set(result.triggers)
