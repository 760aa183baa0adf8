"""The exchange ends before calls that it makes to database and Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.kill.forks import CallCounter

ROOT = Path(__file__).parents[2]
# Of some two hundred calls; the offset is the seed's.
EVERY = 100


@pytest.mark.functional
def test_p1b_an_exchange_may_end_before_any_call() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "simulation", "calls", "--every", str(EVERY)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "PROBLEM" not in done.stdout
    assert "seed 1: 0 ends" not in done.stdout


def test_the_call_it_is_told_is_not_made(tmp_path: Path) -> None:
    child = os.fork()
    if not child:
        counter = CallCounter(3)
        for number in range(5):
            counter.call()
            (tmp_path / str(number)).touch()
        os._exit(0)

    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]


def test_rows_of_one_statement_are_one_call() -> None:
    counter = CallCounter(0)

    insert = 'INSERT INTO "orders_order" ("id", "account_id") VALUES'
    for sql in ("BEGIN", f"{insert} (1, 7)", f"{insert} (2, 7)", "COMMIT", "BEGIN"):
        counter.statement(sql)

    assert counter.calls == 4
