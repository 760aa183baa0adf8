"""
Mutation score of the exchange's core: how many planted faults its tests notice.

Runs mutmut over ``exchange/core`` (settings in pyproject.toml) and prints killed and surviving
mutants by module. A full run takes hours; ``--sample`` draws so many mutants at random, from
each module as many as its share, another set each time unless ``--seed`` repeats one, and
prints the score with its interval of 95 % (Wilson). ``--minutes`` ends the run earlier; then
the score is that of the mutants that had their turn: too low, for those that few tests reach
come first. Results are kept under ``mutants/``; ``mutmut show NAME`` shows one.
"""

from __future__ import annotations

import argparse
import json
import math
import secrets
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parent.parent
MUTANTS = ROOT / "mutants"
OUTPUT = MUTANTS / "output.txt"
# A small module: running it first makes all mutants and learns which test reaches which.
FIRST = "exchange.core.units.*"
SURVIVED, UNTESTED, UNKNOWN = {0}, {5, 33}, {None, 2, 34, 35}
# Ended by the limit on time: endless loops mostly, but on a busy machine worth a look.
TIMED_OUT = {-24, 24, 36, 152, 255}
SHOWN_MAX = 200
# Of an output that names no test, its end.
TOLD_MAX = 20


def main() -> int:
    """Run and report; the exit code says whether the score reached the target."""
    parser = argparse.ArgumentParser(prog="tools/mutation.py", description=__doc__)
    parser.add_argument("--sample", type=int, default=0, help="so many mutants (0: all)")
    parser.add_argument("--seed", type=int, help="of the sample (default: a new one)")
    parser.add_argument("--minutes", type=float, default=0, help="at most so long (0: no limit)")
    parser.add_argument("--target", type=float, default=90.0, help="score to reach, in per cent")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    workers = ["--max-children", str(options.workers)]
    if _mutmut([*workers, FIRST], minutes=0) != 0:
        sys.stdout.write("the tests fail without any mutant, or mutmut cannot run them\n")
        for line in told(OUTPUT.read_text(errors="replace")):
            sys.stdout.write(f"  {line}\n")
        sys.stdout.write(f"all of its output is in {OUTPUT.relative_to(ROOT)}\n")
        return 2
    names = sorted(_results())
    if options.sample:
        seed = secrets.randbelow(10**6) if options.seed is None else options.seed
        sys.stdout.write(f"{options.sample} of {len(names)} mutants, seed {seed}\n")
        sys.stdout.flush()
        names = stratified(names, size=options.sample, random=Random(seed))  # noqa: S311
    _mutmut([*workers, *names] if options.sample else workers, minutes=options.minutes)
    return _report(names, target=options.target)


def stratified(names: list[str], *, size: int, random: Random) -> list[str]:
    """
    Draw ``size`` names so that each module has the share it has of all names.

    Shares are rounded by largest remainder, so the sizes add up to exactly ``size``; with
    fewer names than that all of them are drawn.
    """
    by_module: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        by_module[name.rpartition(".")[0]].append(name)
    size = min(size, len(names))
    quota = {module: divmod(size * len(group), len(names)) for module, group in by_module.items()}
    left = size - sum(whole for whole, _ in quota.values())
    rounded_up = sorted(quota, key=lambda module: (-quota[module][1], module))[:left]
    drawn: list[str] = []
    for module, group in by_module.items():
        drawn += random.sample(group, quota[module][0] + (module in rounded_up))
    return sorted(drawn)


def wilson(killed: int, total: int, *, z: float = 1.96) -> tuple[float, float]:
    """Return the interval of a share in per cent that was seen as ``killed`` of ``total``."""
    if not total:
        return 0.0, 100.0
    share = killed / total
    centre = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return 100 * (centre - spread) / scale, 100 * (centre + spread) / scale


def told(output: str) -> list[str]:
    """Return the lines that name failed tests and why; without any, the last lines there are."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    named = [line for line in lines if line.startswith(("FAILED ", "ERROR ", "E  "))]
    return (named or lines)[-TOLD_MAX:]


def _mutmut(arguments: list[str], *, minutes: float) -> int:
    """Run mutmut and return its exit code; after the time it stops and keeps its results."""
    command = [sys.executable, "-m", "mutmut", "run", *arguments]
    MUTANTS.mkdir(exist_ok=True)
    with (
        OUTPUT.open("wb") as output,
        subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
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
    for name in names:
        if results.get(name) in TIMED_OUT:
            sys.stdout.write(f"  timed out: {name}\n")
    total = sum(killed.values()) + sum(map(len, alive.values()))
    score = 100 * sum(killed.values()) / total if total else 0.0
    low, high = wilson(sum(killed.values()), total)
    sys.stdout.write(
        f"{score:.1f} % of {total} mutants killed (95 %: {low:.1f} to {high:.1f}), "
        f"{unknown} had no turn, target {target:.0f} %\n"
    )
    return 0 if score >= target else 1


if __name__ == "__main__":
    sys.exit(main())
