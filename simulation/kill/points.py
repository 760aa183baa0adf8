"""
Ends the exchange exactly at each of its named points while clients trade, then judges.

No window is widened: the process kills itself when it reaches a point for the n-th time
(``EXCHANGE_CRASH_AT``). It starts with the next point as its own end, so each start is also
the recovery from the strike before. After the last one it trades on and is asked to stop.
"""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from exchange.crash_points import PHASES
from simulation.kill.history import Tail, count_codes, read_claims
from simulation.kill.setup import prepare_gateway
from simulation.kill.verdict import check_books, check_orders
from simulation.kill.world import World, world_of_run

# Batches come some fifty times a second; a start makes the first by itself, alone.
NTH_MAX = 60
# From the start of a process to its end at a point, on a machine that is busy.
STRIKE_S = 120.0
EXCHANGE = "exchange"


@dataclass(slots=True)
class PointsRun:
    """One run over all points, in an order and at times that the seed gives."""

    seed: int
    points: tuple[str, ...] = PHASES
    struck: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    answers: int = 0
    seconds: float = 0.0

    def run(self) -> bool:
        """Prepare, strike at each point, judge; return whether everything held."""
        began = time.monotonic()
        with world_of_run("exq-", self.problems) as world:
            history = world.directory / "gateway.jsonl"
            start_trading(world, history)
            world.ask_to_stop(EXCHANGE)
            chance = random.Random(self.seed)
            for point in chance.sample(self.points, len(self.points)):
                self._strike(world, f"{point}:{chance.randint(1, NTH_MAX)}")
            self._finish(world, history)
        self.seconds = time.monotonic() - began
        return not self.problems

    def lines(self) -> list[str]:
        """Return the report as text."""
        counted = ", ".join(f"{name} {number:,d}" for name, number in self.counts.items())
        return [
            f"seed {self.seed}: killed at {', '.join(self.struck)}; {self.answers:,d} answers,"
            f" {counted}; {self.seconds:.0f} s",
            *(f"PROBLEM {problem}" for problem in self.problems),
        ]

    def _strike(self, world: World, point: str) -> None:
        """Start an exchange that ends at a point, and wait for its end."""
        world.start(EXCHANGE, settings={"EXCHANGE_CRASH_AT": point})
        world.wait(lambda: not world.alive(EXCHANGE), f"the end at {point}", STRIKE_S)
        code = world.processes[EXCHANGE].returncode
        if code == -signal.SIGKILL:
            self.struck.append(point)
        else:
            self.problems.append(f"{point}: ended with {code}")

    def _finish(self, world: World, history: Path) -> None:
        world.start(EXCHANGE)
        tail = Tail(history)
        seen = tail.look()
        world.wait(lambda: tail.look() > seen, "answers after the last start", STRIKE_S)
        self.counts = judge_trading(world, history, self.problems)
        self.answers = sum(count_codes([history]).values())


def start_trading(world: World, history: Path) -> None:
    """Start Redis, an exchange and clients of its gateway, and wait until they trade."""
    world.start_base()
    world.start(EXCHANGE)
    accounts = prepare_gateway()
    script = ("-m", "simulation.kill.clients", "gateway")
    world.start("gateway clients", *script, str(history), str(world.stop_file), *accounts)
    tail = Tail(history)
    world.wait(lambda: tail.look() > 0, "clients trade")


def judge_trading(world: World, history: Path, problems: list[str]) -> dict[str, int]:
    """Let clients settle, stop the exchange, hold both against the rows; return the counts."""
    world.stop_file.touch()
    world.processes["gateway clients"].wait(STRIKE_S)
    code = world.ask_to_stop(EXCHANGE, STRIKE_S)
    if code:
        problems.append(f"the exchange ended with {code} when asked to stop")
    counts = check_orders(read_claims([history]), problems)
    check_books(world.output(EXCHANGE), problems)
    return counts
