"""Degraded modes: a short pass over real processes holds, and what fails would be told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.degraded.expected import (
    ACTIONS,
    BEGIN,
    END,
    EXPECTED,
    expected_of,
    table,
    with_table,
)
from simulation.degraded.probes import Seen
from simulation.degraded.run import faults_of

ROOT = Path(__file__).parents[2]
# The rows in which most is away; the others take twice the time and are part of ``prove``.
SHORT = ("redis down", "database read-only")
# Other tests run beside it: what is answered is judged here, how soon by ``prove``.
SLOWER = "5"


@pytest.mark.functional
def test_p10_every_action_is_answered_in_time_while_a_part_is_away_and_recovers() -> None:
    words = [word for fault in SHORT for word in ("--fault", fault)]
    done = subprocess.run(
        [sys.executable, "-m", "simulation", "degraded", "--slower", SLOWER, *words],
        cwd=ROOT,
        env={**os.environ, "LOG_LEVEL": "error"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-2_000:]
    assert f"{len(SHORT) * len(ACTIONS)} cells, 0 problems" in done.stdout


class TestVerdict:
    @pytest.mark.parametrize("fault", EXPECTED)
    def test_takes_what_the_table_says(self, fault: str) -> None:
        seen = {action: Seen(outcome, 2.0) for action, outcome in expected_of(fault).items()}

        assert faults_of(fault, seen) == []

    @pytest.mark.parametrize("action", ACTIONS)
    def test_blames_another_outcome_and_a_late_one(self, action: str) -> None:
        seen = {name: Seen(outcome, 0.1) for name, outcome in expected_of("redis down").items()}
        wrong = seen | {action: Seen("500 INTERNAL_ERROR", 0.1)}
        late = seen | {action: Seen(seen[action].outcome, 2.01)}

        assert faults_of("redis down", wrong) == [
            f"redis down, {action}: 500 INTERNAL_ERROR instead of {seen[action].outcome}"
        ]
        assert faults_of("redis down", late) == [f"redis down, {action}: answered after 2.01 s"]


class TestDocument:
    def test_tells_what_is_asserted(self) -> None:
        document = (ROOT / "docs" / "RELIABILITY.md").read_text()

        assert with_table(document) == document

    def test_keeps_what_stands_around_the_table(self) -> None:
        assert with_table(f"a\n{BEGIN}\nold\n{END}\nb") == f"a\n{BEGIN}\n\n{table()}\n\n{END}\nb"

    @pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}"])
    def test_without_markers_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="no markers"):
            with_table(text)
