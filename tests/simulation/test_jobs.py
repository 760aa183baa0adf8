"""The proof of jobs: what it reads from workers' logs, and what it would find."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from simulation.jobs import SWEEP, _Log, problems_of, runs_of


def line(job: str, period: int | None, outcome: str = "success") -> str:
    return json.dumps({"event": "job_run", "job": job, "period": period, "outcome": outcome})


def test_only_runs_that_ended_well_and_have_a_period_count() -> None:
    log = [
        "Task of a worker that says job_run",
        line("a", 7),
        line("a", 8, "failure"),
        line("b", None),
        '{"event": "job_run", "jo' + line("c", 1),
        line("b", 9),
    ]

    assert runs_of("\n".join(log)) == [("a", 7), ("b", 9)]


def test_a_log_is_followed_by_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "worker a.out"
    log = _Log(path)
    assert log.look() == 0

    with path.open("a") as file:
        file.write(line("a", 1) + "\n" + line("a", 2)[:20])
        file.flush()
        assert log.look() == 1
        file.write(line("a", 2)[20:] + "\n")
    assert log.look() == 2
    assert log.runs == [("a", 1), ("a", 2)]


@pytest.mark.parametrize(
    ("periods", "problem"),
    [
        ([*range(10)], ""),
        ([*range(10), 3], f"{SWEEP} ran 2 times in period 3"),
        ([0, 9], f"{SWEEP} ran in 2 of 10 periods"),
        ([], f"{SWEEP} never ran"),
    ],
)
def test_p20_a_period_that_ran_twice_and_too_few_runs_are_found(
    periods: list[int], problem: str
) -> None:
    runs = Counter((SWEEP, period) for period in periods)

    assert problems_of(runs) == ([problem] if problem else [])
