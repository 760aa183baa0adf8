"""When a job is due, and when it is late."""

import pytest

from common.jobs import LATE_GRACE_MS, JobRun, JobSending, job_state

PERIOD_MS = 60_000
# Three periods and the grace after the moment that counts.
BOUND_MS = 3 * PERIOD_MS + LATE_GRACE_MS


def ran(started_ms: int) -> JobRun:
    return JobRun("job", started_ms, 1.0, "success")


@pytest.mark.parametrize(
    ("_case", "last", "sending", "due_ms", "since_ms"),
    [
        ("ran when it was sent", ran(1_002), JobSending(1, 1_000), 61_002, 1_002),
        ("its worker died with it", ran(1_002), JobSending(1, 61_000), 121_000, 1_002),
        ("of a time when beat did not say", ran(1_002), None, 61_002, 1_002),
        ("sent, never run", None, JobSending(1_000, 301_000), 361_000, 1_000),
    ],
)
def test_is_due_after_its_last_turn_and_late_after_its_last_run(
    _case: str, last: JobRun | None, sending: JobSending | None, due_ms: int, since_ms: int
) -> None:
    at_bound = job_state("job", PERIOD_MS, last, sending, now_ms=since_ms + BOUND_MS)
    beyond = job_state("job", PERIOD_MS, last, sending, now_ms=since_ms + BOUND_MS + 1)

    assert (at_bound.due_ms, at_bound.is_late) == (due_ms, False)
    assert (beyond.due_ms, beyond.is_late) == (due_ms, True)


def test_a_job_that_no_beat_has_sent_is_neither_due_nor_late() -> None:
    state = job_state("job", PERIOD_MS, None, None, now_ms=10**12)

    assert (state.due_ms, state.is_late) == (None, False)
