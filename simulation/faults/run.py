"""Plants each fault in turn and runs the short proofs that must notice it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from simulation.faults.catalogue import FAULTS
from simulation.faults.planting import VARIABLE

ROOT = Path(__file__).parents[2]
TIME_S = 300.0
FAILED = 1  # pytest's exit code; all others but 0 mean that it could not run


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one fault; ``proof`` is the first test that noticed it."""

    number: int
    noticed: bool
    proof: str
    output: str


def try_fault(number: int) -> Verdict:
    """Run the proofs of one fault, until the first notices it."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "--durations=0"),
            # Whatever database the caller's tests use: theirs are not to be dropped here.
            "--ds=tests.settings",
            *("-p", "simulation.faults.planting", *FAULTS[number].proofs),
        ],
        cwd=ROOT,
        env=os.environ | {VARIABLE: str(number), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=TIME_S,
        check=False,
    )
    failed = re.search(r"^FAILED (\S+)", done.stdout, re.MULTILINE)
    noticed = done.returncode == FAILED and failed is not None
    return Verdict(
        number, noticed, failed[1] if failed else "", (done.stdout + done.stderr)[-3_000:]
    )


def try_all() -> list[Verdict]:
    """Try every fault of the catalogue."""
    return [try_fault(number) for number in range(len(FAULTS))]
