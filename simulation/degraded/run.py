"""Each part fails once; every action is asserted meanwhile, and again after the repair."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from simulation.degraded.expected import (
    ANSWER_S,
    BY_FAULT,
    OR,
    RECOVERY_S,
    SQLITE,
    expected_of,
    faults_on,
    healthy,
)
from simulation.degraded.platform import Platform
from simulation.degraded.probes import Listener, Probes, Seen
from simulation.degraded.trader import Trader
from simulation.kill.verdict import check_books, check_ledger, check_orders

POLL_S = 0.1
# How long a part of the platform may take to notice that another is gone.
NOTICE_S = 4.0
# Each pass over a fault cancels one; so do the polls after its repair.
RESTING_ORDERS = 5


class DegradedRun:
    """Goes through the matrix ``passes`` times; ``faults`` names the rows, none means all."""

    def __init__(
        self,
        passes: int,
        faults: Sequence[str] = (),
        *,
        database: str = SQLITE,
        slower: float = 1.0,
    ) -> None:
        """
        Prepare a directory; nothing is started yet.

        ``slower`` multiplies all bounds on time, for a machine that does much else.

        Raises:
            NoPostgresError, NoMongoError: if the database's server cannot be had here.
        """
        self.passes = passes
        self.slower = slower
        self.faults = tuple(faults) or faults_on(database)
        self.directory = Path(tempfile.mkdtemp(prefix="exd-"))
        self.platform = Platform(self.directory, database)
        self.problems: list[str] = []
        self.cells = 0
        self.slowest: dict[str, float] = {}
        self.recovered: dict[str, float] = {}

    def run(self) -> bool:
        """Start, break and repair; tell whether all held. The directory stays if not."""
        try:
            probes = self.platform.start(self.faults)
            probes.rest_orders(RESTING_ORDERS)
            if self._healthy_after(probes, time.monotonic()) is None:
                self.problems.append("the platform was never healthy")
            else:
                for _ in range(self.passes):
                    for fault in self.faults:
                        self._go_through(fault, probes)
                self._check_books()
        finally:
            self.platform.end()
        if not self.problems:
            shutil.rmtree(self.directory, ignore_errors=True)
        return not self.problems

    @property
    def _recovery_s(self) -> float:
        return RECOVERY_S * self.slower

    def lines(self) -> list[str]:
        """Return what to print."""
        lines = [f"{self.cells} cells, {len(self.problems)} problems"]
        for fault, seconds in self.slowest.items():
            recovery = f"{self.recovered[fault]:.2f} s" if fault in self.recovered else "never"
            lines.append(f"{fault:<20} slowest answer {seconds:.2f} s, recovered {recovery}")
        lines += [f"PROBLEM {problem}" for problem in self.problems]
        if self.problems:
            lines.append(f"files are in {self.directory}")
        return lines

    def _go_through(self, name: str, probes: Probes) -> None:
        fault = self.platform.faults[name]
        probes.rest_orders(RESTING_ORDERS)
        with Trader(probes.actions["place"], slower=self.slower) as trader:
            fault.strike()
            self.platform.world.wait(fault.noticed, f"{name} is noticed", NOTICE_S * self.slower)
            with probes.listener() as listener:
                self._look(name, probes)
                if OR in "".join(BY_FAULT[name].outcomes):
                    self.platform.forget_sessions()
                    self._look(name, probes)
                began = time.monotonic()
                fault.repair()
                self._await_recovery(name, probes, listener, began)
        self.problems += [f"{name}: {problem}" for problem in trader.problems]
        self.problems += [f"{name}: {problem}" for problem in _wrong_rows(probes)]
        self.problems += [
            f"{name}: {process} ended by itself"
            for process in self.platform.world.processes
            if not self.platform.world.alive(process)
        ]

    def _look(self, name: str, probes: Probes) -> None:
        """Do everything once, and hold what is answered against the table."""
        seen = probes.all_at_once()
        self.cells += len(seen)
        self.problems += faults_of(name, seen, answer_s=ANSWER_S * self.slower)
        slowest = max(one.seconds for one in seen.values())
        self.slowest[name] = max(slowest, self.slowest.get(name, 0.0))

    def _await_recovery(self, name: str, probes: Probes, listener: Listener, began: float) -> None:
        seconds = self._healthy_after(probes, began)
        if seconds is None:
            self.problems.append(f"{name}: not healthy {self._recovery_s} s after the repair")
        else:
            self.recovered[name] = max(seconds, self.recovered.get(name, 0.0))
        left_s = began + self._recovery_s - time.monotonic()
        if not listener.gets_snapshot(max(0.0, left_s)):
            self.problems.append(f"{name}: an open socket got no snapshot after the repair")

    def _check_books(self) -> None:
        """After all: the state in memory, the rows and the replayed log are one."""
        world = self.platform.world
        world.ask_to_stop("exchange")
        check_books(world.output("exchange"), self.problems)

    def _healthy_after(self, probes: Probes, began: float) -> float | None:
        """Return the seconds since ``began`` until all is well; None if not in time."""
        while time.monotonic() - began <= self._recovery_s:
            outcomes = {name: one.outcome for name, one in probes.all_at_once().items()}
            if outcomes == healthy():
                return time.monotonic() - began
            time.sleep(POLL_S)
        return None


def _wrong_rows(probes: Probes) -> list[str]:
    """Return what of the orders contradicts what was told of them, and of the ledger itself."""
    from django.db import connections

    # One that was open before the fault is broken now.
    connections.close_all()
    found: list[str] = []
    check_orders(probes.claims, found)
    check_ledger(found)
    return found


def faults_of(fault: str, seen: dict[str, Seen], *, answer_s: float = ANSWER_S) -> list[str]:
    """Return which actions did not get what the table says, or not within ``answer_s``."""
    found = []
    for action, expected in expected_of(fault).items():
        one = seen[action]
        if one.outcome not in expected:
            found.append(f"{fault}, {action}: {one.outcome} instead of {OR.join(expected)}")
        if one.seconds > answer_s:
            found.append(f"{fault}, {action}: answered after {one.seconds:.2f} s")
    return found
