"""
Kills the exchange, Redis and the web process in turn while clients trade, then judges.

A strike is aimed: the exchange marks its phase in a mapped byte, the harness waits until it
reads the phase that is due and sends SIGKILL at once. What counts is the mark that is found
after death, not the one that was aimed at.
"""

from __future__ import annotations

import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from simulation.kill.history import Tail, count_codes, read_claims
from simulation.kill.setup import prepare_exchange
from simulation.kill.verdict import check_books, check_orders
from simulation.kill.world import World

TARGETS = ("exchange", "redis", "web")
# Phases in the order in which they are aimed at; commit more often, since it matters most.
AIMS = ("in_commit", "in_batch", "in_publish", "in_commit", "idle", "before_commit")
AIM_S = 1.5
COMMIT_SHARE_MIN = 1 / 6
# The system counts as back when a client had a definite answer.
PROGRESS_S = 180.0
# One in so many strikes at the exchange also kills its standby: a cold start.
COLD_EVERY = 4
PROBLEMS_SHOWN_MAX = 20
# How a leader ends whose standby took over: killed by it, or by what the database told it.
REPLACED = (-signal.SIGKILL, 70)


class KillRun:
    """One run of the harness; ``report`` holds what was counted."""

    def __init__(self, kills: int, *, seed: int, seconds: float = 0) -> None:
        self.kills = kills
        self.seconds = seconds
        self.random = random.Random(seed)
        self.directory = Path(tempfile.mkdtemp(prefix="exk-"))
        self.world = World(self.directory)
        # Longer than any run: an expired token says nothing of the order that is asked about.
        self.world.environment["JWT_EXPIRES_IN"] = "7d"
        self.histories = [self.directory / f"{kind}.jsonl" for kind in ("gateway", "http")]
        self.tails = {path.stem: Tail(path) for path in self.histories}
        self.strikes: dict[str, Counter[str]] = {target: Counter() for target in TARGETS}
        self.back_s: dict[str, list[float]] = {name: [] for name in (*TARGETS, "cold start")}
        # Names of the two exchange processes; they change roles when the leader dies.
        self.leader, self.standby = "exchange a", "exchange b"
        self.replaced = 0
        self.web_struck = 0.0
        self.web_seen = 0
        self.report: dict[str, Any] = {}

    def run(self) -> bool:
        """Prepare, kill, judge; return whether everything held. Leaves its files on failure."""
        started = time.monotonic()
        try:
            self._prepare()
            prepared = time.monotonic()
            for number in range(self.kills * len(TARGETS)):
                if self.seconds and time.monotonic() - prepared > self.seconds:
                    break
                self._strike(TARGETS[number % len(TARGETS)], AIMS[number // 3 % len(AIMS)])
            killed = time.monotonic()
            self._finish()
        finally:
            self.world.end()
        seconds = (prepared - started, killed - prepared, time.monotonic() - killed)
        self.report["seconds"] = dict(
            zip(("preparing", "killing", "judging"), map(round, seconds), strict=True)
        )
        if self.report["problems"]:
            return False
        shutil.rmtree(self.directory)
        return True

    def _prepare(self) -> None:
        world = self.world
        world.start_all(self.leader)
        accounts, user = prepare_exchange(world.url)
        for kind, words in (("gateway", accounts), ("http", [user])):
            script = ("-m", "simulation.kill.clients", kind)
            files = (str(self.directory / f"{kind}.jsonl"), str(world.stop_file))
            world.start(f"{kind} clients", *script, *files, *words)
        for tail in self.tails.values():
            world.wait(lambda tail=tail: tail.look() > 0, "clients trade")

    def _strike(self, target: str, aim: str) -> None:
        time.sleep(self.random.uniform(0, 0.1))
        if target == "web":
            self._strike_web(aim)
            return
        world = self.world
        self._follow_leader()
        process = self.leader if target == "exchange" else target
        if not world.alive(process):
            raise SystemExit(f"{process} ended by itself: {world.output(process)[-2000:]}")
        seen = self.tails["gateway"].look()
        cold = target == "exchange" and sum(self.strikes[target].values()) % COLD_EVERY == 0
        if cold and world.alive(self.standby):
            world.kill(self.standby)
        self._wait_for(aim)
        phase = world.phase()
        world.kill(process)
        if target == "exchange":
            phase = world.phase()
            self.leader, self.standby = self.standby, self.leader
        struck = time.monotonic()
        self.strikes[target][phase] += 1
        if target == "redis" or cold:
            world.start(target if target == "redis" else self.leader)
        tail = self.tails["gateway"]
        seen = tail.look()
        world.wait(lambda: tail.look() > seen, f"answers after {target}", PROGRESS_S)
        self.back_s["cold start" if cold else target].append(time.monotonic() - struck)
        if target == "exchange":
            world.start(self.standby)

    def _follow_leader(self) -> None:
        """
        Change roles where the standby has replaced the leader by itself.

        It does, as it should, when a busy machine lets the leader wait longer than its lease.
        """
        world = self.world
        if world.alive(self.leader) or not world.alive(self.standby):
            return
        code = world.processes[self.leader].poll()
        if code not in REPLACED:
            tail = world.output(self.leader)[-2000:]
            raise SystemExit(f"{self.leader} ended by itself with {code}: {tail}")
        self.replaced += 1
        self.leader, self.standby = self.standby, self.leader
        world.start(self.standby)

    def _strike_web(self, aim: str) -> None:
        """Kill the web process; its slow start runs while the others are struck."""
        world, tail = self.world, self.tails["http"]
        self._web_is_back()
        self._wait_for(aim)
        self.strikes["web"][world.phase()] += 1
        world.kill("web")
        self.web_struck = time.monotonic()
        world.start("web")
        self.web_seen = tail.look()

    def _web_is_back(self) -> None:
        if not self.web_struck:
            return
        world, tail = self.world, self.tails["http"]
        world.wait(lambda: tail.look() > self.web_seen, "answers after web", PROGRESS_S)
        # Other strikes ran meanwhile, so this is at most how long it took.
        self.back_s["web"].append(time.monotonic() - self.web_struck)
        self.web_struck = 0.0

    def _wait_for(self, phase: str) -> None:
        deadline = time.monotonic() + AIM_S
        while self.world.phase() != phase and time.monotonic() < deadline:
            pass

    def _finish(self) -> None:
        world = self.world
        self._web_is_back()
        self._follow_leader()
        world.stop_file.touch()
        for kind in self.tails:
            world.processes[f"{kind} clients"].wait(180)
        if world.alive(self.standby):
            world.kill(self.standby)
        code = world.ask_to_stop(self.leader)
        problems: list[str] = []
        self.report = dict(check_orders(read_claims(self.histories), problems))
        self.report["codes"] = dict(count_codes(self.histories).most_common())
        self.report["hashes"] = check_books(world.output(self.leader), problems)
        if code:
            problems.append(f"the exchange ended with {code} when asked to stop")
        inside = sum(strikes["in_commit"] for strikes in self.strikes.values())
        strikes = sum(sum(strikes.values()) for strikes in self.strikes.values())
        if inside < COMMIT_SHARE_MIN * strikes:
            problems.append(f"only {inside} strikes were inside a commit")
        self.report["problems"] = problems

    def lines(self) -> list[str]:
        """Return the report as text."""
        phases = sorted({phase for strikes in self.strikes.values() for phase in strikes})
        done = sum(sum(strikes.values()) for strikes in self.strikes.values())
        lines = [f"{done} of {self.kills * len(TARGETS)} kills -9, by phase of the exchange"]
        lines.append(" " * 10 + "".join(f"{phase:>15}" for phase in phases))
        for target in TARGETS:
            cells = "".join(f"{self.strikes[target][phase]:>15}" for phase in phases)
            lines.append(f"{target:<10}{cells}")
        lines.append(f"{self.replaced} leaders replaced by their standby without a strike")
        for name, seconds in self.back_s.items():
            if seconds:
                middle = sorted(seconds)[len(seconds) // 2]
                lines.append(f"back after {name}: p50 {middle:.2f} s, max {max(seconds):.2f} s")
        names = (
            "requests",
            "accepted",
            "refused",
            "not_sent",
            "unknown",
            "unknown_existing",
            "asked_again",
            "cancelled",
        )
        lines.append(", ".join(f"{name} {self.report.get(name, 0):,d}" for name in names))
        codes = self.report.get("codes", {})
        lines.append("answers: " + ", ".join(f"{code} {n:,d}" for code, n in codes.items()))
        lines.append(f"hashes {self.report.get('hashes')}")
        lines.append(f"seconds {self.report.get('seconds')}")
        problems = self.report.get("problems", [])
        lines += [f"PROBLEM {problem}" for problem in problems[:PROBLEMS_SHOWN_MAX]]
        if problems:
            lines.append(f"{len(problems)} problems")
            lines.append(f"files are in {self.directory}")
        return lines
