"""P16: a damaged SQLite file is refused in one line, or what is loaded from it is right."""

from __future__ import annotations

import sys
from pathlib import Path

from simulation.corruption import REFUSED, CorruptionRun

TRIALS = 20
COMMANDS = 400


def test_p16_twenty_damages_each_end_in_a_state_or_one_line(database_file: Path) -> None:
    run = CorruptionRun(TRIALS, seed=5, commands=COMMANDS)
    run.run()

    sys.stdout.write("\n".join(run.lines()))
    assert run.path == database_file
    assert len(run.done) == TRIALS
    assert run.problems() == []
    assert run.count(REFUSED) > 0
