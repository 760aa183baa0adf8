"""
Mutation score of the exchange's core: how many planted faults its tests notice.

Runs mutmut over ``exchange/core`` (settings in pyproject.toml) and prints killed and surviving
mutants by module. A full run takes hours; ``--sample`` draws so many mutants, the same for
the same ``--seed``, and ``--minutes`` ends the run earlier; then the score is that of the
mutants that had their turn: too low, for those that few tests reach come first. Results are
kept under ``mutants/``; ``mutmut show NAME`` shows one.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parent.parent
MUTANTS = ROOT / "mutants"
# A small module: running it first makes all mutants and learns which test reaches which.
FIRST = "exchange.core.units.*"
SURVIVED, UNTESTED, UNKNOWN = {0}, {5, 33}, {None, 2, 34, 35}
SHOWN_MAX = 200


def main() -> int:
    """Run and report; the exit code says whether the score reached the target."""
    parser = argparse.ArgumentParser(prog="tools/mutation.py", description=__doc__)
    parser.add_argument("--sample", type=int, default=0, help="so many mutants (0: all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=0, help="at most so long (0: no limit)")
    parser.add_argument("--target", type=float, default=90.0, help="score to reach, in per cent")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    workers = ["--max-children", str(options.workers)]
    if _mutmut([*workers, FIRST], minutes=0) != 0:
        sys.stdout.write("the tests fail without any mutant, or mutmut cannot run them\n")
        return 2
    names = sorted(_results())
    if options.sample:
        names = sorted(Random(options.seed).sample(names, min(options.sample, len(names))))  # noqa: S311
    _mutmut([*workers, *names] if options.sample else workers, minutes=options.minutes)
    return _report(names, target=options.target)


def _mutmut(arguments: list[str], *, minutes: float) -> int:
    """Run mutmut and return its exit code; after the time it stops and keeps its results."""
    command = [sys.executable, "-m", "mutmut", "run", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            return process.wait(minutes * 60 or None)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            return process.wait()


def _results() -> dict[str, int | None]:
    """Return the exit code of each mutant's tests, None where they have not been run."""
    results: dict[str, int | None] = {}
    for path in sorted(MUTANTS.glob("exchange/core/*.meta")):
        results.update(json.loads(path.read_text())["exit_code_by_key"])
    return results


def _report(names: list[str], *, target: float) -> int:
    results = _results()
    killed: Counter[str] = Counter()
    alive: dict[str, list[str]] = {}
    unknown = 0
    for name in names:
        module, code = name.rpartition(".")[0], results.get(name)
        if code in UNKNOWN:
            unknown += 1
        elif code in SURVIVED | UNTESTED:
            alive.setdefault(module, []).append(name)
        else:
            killed[module] += 1
    for module in sorted({*killed, *alive}):
        survivors = len(alive.get(module, []))
        total = killed[module] + survivors
        score = 100 * killed[module] / total
        sys.stdout.write(f"{score:6.1f} %  {killed[module]:5d} of {total:5d}  {module}\n")
    for name in [name for module in sorted(alive) for name in alive[module]][:SHOWN_MAX]:
        sys.stdout.write(f"  survived: {name}\n")
    total = sum(killed.values()) + sum(map(len, alive.values()))
    score = 100 * sum(killed.values()) / total if total else 0.0
    sys.stdout.write(
        f"{score:.1f} % of {total} mutants killed, {unknown} had no turn, target {target:.0f} %\n"
    )
    return 0 if score >= target else 1


if __name__ == "__main__":
    sys.exit(main())
