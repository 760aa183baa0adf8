"""Who has waited for a database in vain spares the others the wait."""

from __future__ import annotations

import pytest

from exchange import database_rest


class Clock:
    """The monotonic clock, turned by hand."""

    def __init__(self, now: float) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(1_000.0)
    monkeypatch.setattr(database_rest, "time", made)
    for name in ("answer_at", "silence_at"):
        monkeypatch.setattr(database_rest._Heard, name, float("-inf"))
    return made


def test_a_server_that_left_someone_waiting_is_spared_for_a_while(clock: Clock) -> None:
    assert not database_rest.is_resting()

    database_rest.note_silence(since=999.0)

    assert database_rest.is_resting()
    clock.now += database_rest.REST_S
    assert not database_rest.is_resting()


def test_a_server_that_answered_others_meanwhile_is_there(clock: Clock) -> None:
    database_rest.note_answer()

    database_rest.note_silence(since=999.0)

    assert database_rest.has_answered(since=999.0)
    assert not database_rest.is_resting()
    assert not database_rest.is_silent(since=999.0)


def test_an_answer_ends_the_rest(clock: Clock) -> None:
    database_rest.note_silence(since=999.0)
    clock.now += 0.1

    database_rest.note_answer()

    assert not database_rest.is_resting()


def test_silence_is_told_to_who_waits_since_before(clock: Clock) -> None:
    database_rest.note_silence(since=999.0)

    assert database_rest.is_silent(since=999.5)
    assert not database_rest.is_silent(since=1_000.5)


def test_silence_can_be_forgotten(clock: Clock) -> None:
    database_rest.note_silence(since=999.0)

    database_rest.forget_silence()

    assert not database_rest.is_resting()
