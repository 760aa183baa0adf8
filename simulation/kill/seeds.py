"""One proof with many seeds, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from simulation.kill.world import ROOT


def run_seeds(action: str, seeds: int) -> int:
    """Run ``python -m simulation ACTION`` with seeds from 1; return 1 if one did not hold."""
    failed = 0
    for seed in range(1, seeds + 1):
        words = ("-m", "simulation", action, "--seed", str(seed))
        failed += bool(subprocess.run([sys.executable, *words], cwd=ROOT, check=False).returncode)
    verdict = f"{failed} of {seeds} did not hold" if failed else "all held"
    sys.stdout.write(f"{action}: {seeds} seeds, {verdict}\n")
    return 1 if failed else 0
