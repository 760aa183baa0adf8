"""
All long proofs, one after the other, each in a process of its own.

A part that fails does not keep the others from running: the table at the end says of each what
became of it and how long it took.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from simulation.degraded.expected import NAMES

ROOT = Path(__file__).resolve().parent.parent
# How a part ends that lacks a program it needs; neither held nor failed.
NOT_RUN = 77
# Examples of one search of `make test`, which SEARCH_FACTOR multiplies (tests/support/searching).
ROUNDING_EXAMPLES = 210
MACHINE_EXAMPLES = 60
# Seeds of `make test` in tests/unit/markets/test_faulty_prices.py.
PRICE_SEEDS = 3
BACKUPS = "tests/integration/tradingplatform/test_backups.py"
UNDER_LOAD = "test_under_load_it_is_one_moment_of_the_exchange"


@dataclass(frozen=True, slots=True)
class Part:
    """One proof: the words after ``python -m``, and variables of its own."""

    name: str
    words: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """How a part ended: its exit code, 0 where all held, and the seconds it took."""

    name: str
    code: int
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether it ran and something did not hold."""
        return self.code not in (0, NOT_RUN)

    def __str__(self) -> str:
        """Return what became of it."""
        if self.failed:
            return f"FAILED with {self.code}"
        return "NOT RUN" if self.code else "held"


def of_simulation(action: str, **options: object) -> Part:
    """Return the part that is an action of ``python -m simulation``."""
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return Part(action, ("simulation", action, *words))


def of_degraded(database: str, *, passes: int) -> Part:
    """Return the part that goes through the matrix of degraded modes under a database."""
    words = ("--database", database, "--passes", str(passes))
    return Part(f"degraded on {NAMES[database]}", ("simulation", "degraded", *words))


def of_tests(name: str, *words: str, times: int = 1, factor: int = 1, seed: int = 1) -> Part:
    """
    Return the part that is a selection of tests, run one after the other.

    Each test runs ``times`` times, each search of hypothesis for ``factor`` times its examples.
    """
    repeat = ("-p", "tests.support.repeating", "--times", str(times))
    options = ("-q", "-n", "0", *repeat, "--hypothesis-seed", str(seed))
    return Part(name, ("pytest", *options, *words), {"SEARCH_FACTOR": str(factor)})


def parts(
    *,
    commands: int = 1_000_000,
    stops: int = 100_000,
    kills: int = 334,
    takeovers: int = 200,
    cuts: int = 24,
    stream_seconds: float = 600.0,
    requests: int = 100_000,
    messages: int = 200_000,
    ids: int = 20_000,
    worker_kills: int = 200,
    flips: int = 5_000,
    seeds: int = 10,
    soak_minutes: float = 60.0,
    passes: int = 1,
    accounts: int = 1_000,
    overload_seconds: float = 60.0,
    examples: int = 50_000,
    times: int = 100,
    price_seeds: int = 1_000,
) -> list[Part]:
    """Return everything that is proved, the quick parts first; see docs/RELIABILITY.md."""
    return [
        of_simulation("faults"),
        of_simulation("crash", stops=stops),
        of_simulation("deleveraging"),
        *(of_degraded(database, passes=passes) for database in NAMES),
        of_simulation("network", cuts=cuts),
        of_simulation("backlog", accounts=accounts),
        of_simulation("overload", seconds=overload_seconds),
        of_tests("slow tests", "-m", "slow", "tests"),
        of_tests(
            "rounding",
            "tests/property/test_rounding.py",
            factor=-(-2 * examples // ROUNDING_EXAMPLES),
        ),
        of_tests(
            "faulty prices",
            "tests/unit/markets/test_faulty_prices.py",
            factor=-(-price_seeds // PRICE_SEEDS),
        ),
        of_tests(
            "access",
            "tests/integration/security/test_access_matrix.py",
            "tests/integration/ws/test_canary.py",
            times=-(-times // 5),
        ),
        of_tests("endings", "tests/integration/ws/test_endings.py", times=times),
        of_tests("backups", f"{BACKUPS}::{UNDER_LOAD}", times=-(-times // 5)),
        of_simulation("streams", seconds=stream_seconds),
        of_simulation("siege", requests=requests),
        of_simulation("fuzz", messages=messages),
        of_simulation("ids", ids=ids),
        of_simulation("jobs", kills=worker_kills),
        of_simulation("takeovers", takeovers=takeovers),
        of_simulation("corruption", flips=flips),
        of_simulation("redisfile"),
        of_simulation("points", seeds=seeds),
        of_simulation("calls", seeds=seeds),
        of_simulation("kill", kills=kills),
        of_simulation("spot", commands=commands),
        of_simulation("perpetuals", commands=commands),
        of_tests(
            "state machine",
            "tests/property/test_engine_machine.py",
            factor=-(-examples // MACHINE_EXAMPLES),
        ),
        of_simulation("soak", minutes=soak_minutes),
    ]


def run_parts(chosen: Sequence[Part], *, say: Callable[[str], None]) -> list[Result]:
    """Run each part to its end, whatever became of those before it."""
    results = []
    for number, part in enumerate(chosen, 1):
        say(f"=== {number} of {len(chosen)}: {part.name}")
        began = time.monotonic()
        environment = os.environ | part.variables
        command = [sys.executable, "-m", *part.words]
        code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        results.append(Result(part.name, code, time.monotonic() - began))
    return results


def table(results: Sequence[Result]) -> list[str]:
    """Return a line for each part and one for the whole."""
    width = max(len(result.name) for result in results)
    lines = [
        f"{result.name:{width}}  {result.seconds / 60:7.1f} min  {result}" for result in results
    ]
    minutes = sum(result.seconds for result in results) / 60
    named = {
        "FAILED": [result.name for result in results if result.failed],
        "NOT RUN": [result.name for result in results if result.code == NOT_RUN],
    }
    verdict = "; ".join(f"{word}: {', '.join(names)}" for word, names in named.items() if names)
    return [*lines, f"{len(results)} parts in {minutes:.0f} minutes, {verdict or 'all held'}"]
