"""
Two schedulers and three workers, of which one after the other is killed: each period once.

Beats and workers are those of the Procfile, over a real Redis and with an exchange that leads.
A worker dies at a random moment and comes back; meanwhile the others take what both beats send.
Each worker logs the job and the period of every run that it ended well: no pair may be there
twice, and of the sweep's periods, one a second, most must be there once.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from simulation.kill.world import World
from simulation.procfile import command_of

WORKERS = ("worker a", "worker b", "worker c")
BEATS = ("beat a", "beat b")
# Runs each second, so every kill meets some of them.
SWEEP = "riskengine.sweep"
# A worker that was killed takes its runs of that second with it; a busy machine lets others
# expire. Fewer than this would mean that the rest did not take over.
COVERED_MIN = 0.5
STRIKE_WITHIN_S = 1.0
BACK_S = 120.0
SHOWN_MAX = 20


class JobsRun:
    """One run with so many kills of workers; ``lines`` say what ran, and how often."""

    def __init__(self, kills: int, *, seed: int) -> None:
        self.kills = kills
        self.seed = seed
        self.random = random.Random(seed)
        self.world = World(Path(tempfile.mkdtemp(prefix="exj-")), pauses="")
        # The record of a run is written at this level.
        self.world.environment["LOG_LEVEL"] = "debug"
        self.logs = {name: _Log(self.world.directory / f"{name}.out") for name in WORKERS}
        self.killed = 0
        self.seconds = 0.0
        self.runs: Counter[tuple[str, int]] = Counter()
        self.problems: list[str] = []

    def run(self) -> bool:
        """Run; return whether every period had at most one run. Keeps its files on failure."""
        world = self.world
        try:
            world.start_base()
            world.start("exchange")
            for name in (*BEATS, *WORKERS):
                self._start(name)
            for name in WORKERS:
                self._wait_for_runs(name, 0)
            began = time.monotonic()
            for number in range(self.kills):
                self._strike(WORKERS[number % len(WORKERS)])
            for name in WORKERS:
                self._wait_for_runs(name, self.logs[name].look())
            self.seconds = time.monotonic() - began
            self._judge()
        finally:
            world.end()
        if not self.problems:
            shutil.rmtree(world.directory, ignore_errors=True)
        return not self.problems

    def lines(self) -> list[str]:
        """Return the report."""
        jobs = Counter(job for job, _ in self.runs.elements())
        lines = [
            f"seed {self.seed}, {self.killed} workers killed in {self.seconds:.0f} s,"
            f" {len(BEATS)} beats, {len(WORKERS)} workers",
            *(f"{number:8,d}  {job}" for job, number in sorted(jobs.items())),
            f"{len(self.runs):,d} periods, {len(self.problems)} problems",
            *(f"PROBLEM {problem}" for problem in self.problems),
        ]
        if self.problems:
            lines.append(f"files are kept in {self.world.directory}")
        return lines

    def _start(self, name: str) -> None:
        self.world.start_command(name, command_of(name.partition(" ")[0]), {"LOG_DIR": "-"})

    def _strike(self, name: str) -> None:
        """Kill a worker that has come to work, at a random moment, and start it again."""
        world = self.world
        for other in (*BEATS, *WORKERS, "exchange", "redis"):
            if not world.alive(other):
                raise SystemExit(f"{other} ended by itself: {world.output(other)[-2000:]}")
        time.sleep(self.random.uniform(0, STRIKE_WITHIN_S))
        world.kill(name)
        self.killed += 1
        seen = self.logs[name].look()
        self._start(name)
        # Before the next one is struck, so that two at least always work.
        self._wait_for_runs(name, seen)

    def _wait_for_runs(self, name: str, seen: int) -> None:
        self.world.wait(lambda: self.logs[name].look() > seen, f"{name} works", BACK_S)

    def _judge(self) -> None:
        for log in self.logs.values():
            log.look()
            self.runs.update(log.runs)
        self.problems += problems_of(self.runs)


class _Log:
    """Follows what a worker prints, over all its lives."""

    def __init__(self, path: Path) -> None:
        self.runs: list[tuple[str, int]] = []
        self._path = path
        self._offset = 0

    def look(self) -> int:
        """Read on, whole lines only; return how many runs have ended well by now."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._offset)
                text, _, _ = file.read().rpartition(b"\n")
            if text:
                self._offset += len(text) + 1
                self.runs += runs_of(text.decode(errors="replace"))
        return len(self.runs)


def runs_of(log: str) -> list[tuple[str, int]]:
    """Return job and period of each run that a worker's log says ended well."""
    found = []
    for line in log.splitlines():
        if '"job_run"' not in line:
            continue
        try:
            record = json.loads(line)
        except ValueError:
            # A kill cut the last line of a life, and the next one wrote on.
            continue
        if record.get("outcome") == "success" and record.get("period") is not None:
            found.append((str(record["job"]), int(record["period"])))
    return found


def problems_of(runs: Counter[tuple[str, int]]) -> list[str]:
    """Return which periods ran more than once, and whether too few of the sweep's ran."""
    problems = [
        f"{job} ran {number} times in period {period}"
        for (job, period), number in sorted(runs.items())
        if number > 1
    ][:SHOWN_MAX]
    swept = [period for job, period in runs if job == SWEEP]
    if not swept:
        return [*problems, f"{SWEEP} never ran"]
    due = max(swept) - min(swept) + 1
    if len(swept) < COVERED_MIN * due:
        problems.append(f"{SWEEP} ran in {len(swept)} of {due} periods")
    return problems
