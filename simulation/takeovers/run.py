"""
Two exchanges of two hosts, one leading: its faults, one after the other, while clients trade.

Each fault must end with the other one leading within five seconds. The replaced leader, once
woken or connected again, must commit nothing, publish nothing and end.
"""

from __future__ import annotations

import random
import shutil
import signal
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis import Redis

from simulation.kill.history import Tail, count_codes, read_claims
from simulation.kill.setup import prepare_gateway
from simulation.kill.verdict import check_books, check_orders
from simulation.kill.world import World
from simulation.takeovers.proxy import FaultProxy

# From the fault to the first order that a client sees accepted or refused.
BOUND_S = 5.0
WAIT_S = 60.0
REPLACED = 70
PROBLEMS_SHOWN_MAX = 20
# A standby must have seen the leader for a while before its clock says anything.
SETTLED_S = 0.5
LISTEN_MS = 100


class EpochListener(threading.Thread):
    """Follows the events stream, which leaders trim, and keeps each batch's epoch."""

    def __init__(self, socket: Path) -> None:
        """Follow the stream in the Redis of this socket, from its beginning."""
        super().__init__(name="epochs", daemon=True)
        self._redis = Redis(unix_socket_path=str(socket))
        self._ended = threading.Event()
        self._epochs: list[int] = []

    def run(self) -> None:
        """Read until told to end and nothing is left."""
        from exchange.events_stream import EventReader

        reader, after = EventReader(self._redis), "0"
        while True:
            ended = self._ended.is_set()
            page = reader.read(after, LISTEN_MS)
            self._epochs += [batch.epoch for _, batch in page]
            if page:
                after = page[-1][0]
            elif ended:
                return

    def end(self) -> list[int]:
        """Return the epochs of all published batches, in the order of the stream."""
        self._ended.set()
        self.join()
        return self._epochs


class TakeoverRun:
    """One run; ``report`` holds what was counted."""

    def __init__(self, takeovers: int, *, seed: int, seconds: float = 0) -> None:
        self.takeovers = takeovers
        self.seconds = seconds
        self.random = random.Random(seed)
        self.directory = Path(tempfile.mkdtemp(prefix="ext-"))
        self.world = World(self.directory)
        self.history = self.directory / "gateway.jsonl"
        self.tail = Tail(self.history)
        self.leader, self.standby = "exchange a", "exchange b"
        self.links: dict[str, FaultProxy] = {}
        self._said_before: dict[str, int] = {}
        self.took_s: dict[str, list[float]] = defaultdict(list)
        self.ended: dict[str, int] = defaultdict(int)
        self.problems: list[str] = []
        self.report: dict[str, Any] = {}
        self._faults: dict[str, Callable[[], None]] = {
            "killed": self._killed,
            "stopped": self._stopped,
            "cut off from Redis": self._cut_off,
            "asked to stop": self._asked,
            "both killed, both started": self._both,
        }

    def run(self) -> bool:
        """Prepare, break, judge; return whether everything held. Leaves its files on failure."""
        started = time.monotonic()
        try:
            self._prepare()
            for number in range(self.takeovers):
                if self.seconds and time.monotonic() - started > self.seconds:
                    break
                name = list(self._faults)[number % len(self._faults)]
                self._take_over(name)
            self._finish()
        finally:
            for link in self.links.values():
                link.close()
            self.world.end()
        if self.problems:
            return False
        shutil.rmtree(self.directory)
        return True

    def _prepare(self) -> None:
        world = self.world
        world.start_base()
        self.listener = EpochListener(world.redis_socket)
        self.listener.start()
        self._start(self.leader)
        accounts = prepare_gateway()
        words = (str(self.history), str(world.stop_file), *accounts)
        world.start("clients", "-m", "simulation.kill.clients", "gateway", *words)
        world.wait(lambda: self.tail.look() > 0, "clients trade")
        self._start(self.standby)

    def _start(self, name: str) -> None:
        """Start an exchange on a host of its own, behind a link of its own to Redis."""
        letter = name[-1]
        self._said_before[name] = len(self.world.output(name))
        if name not in self.links:
            place = self.directory / f"r{letter}.sock"
            self.links[name] = FaultProxy(place, self.world.redis_socket)
        self.world.start(
            name,
            *("-m", "simulation.takeovers.elsewhere"),
            settings={
                "EXCHANGE_HOST": f"host {letter}",
                "REDIS_URL": f"unix://{self.directory}/r{letter}.sock",
            },
        )

    def _take_over(self, fault: str) -> None:
        world = self.world
        world.wait(lambda: "leader_recorded" in self._said(self.standby), "standby watches", WAIT_S)
        time.sleep(SETTLED_S + self.random.uniform(0, 0.3))
        seen = self.tail.look()
        world.wait(lambda: self.tail.look() > seen, "clients trade", WAIT_S)
        began = time.monotonic()
        self._faults[fault]()
        # What was on its way when the fault struck is not an answer of the next leader.
        world.wait(lambda: self._leads(self.standby), f"takeover, {fault}", WAIT_S)
        seen = self.tail.look()
        world.wait(lambda: self.tail.look() > seen, f"answers, {fault}", WAIT_S)
        took_s = time.monotonic() - began
        self.took_s[fault].append(took_s)
        self._retire(self.leader, fault)
        self.leader, self.standby = self.standby, self.leader
        self._start(self.standby)

    def _retire(self, name: str, fault: str) -> None:
        """Wake the replaced leader up and wait until it has understood."""
        process = self.world.processes[name]
        # One that is cut off may have found out through the database, and ended already.
        self.links[name].heal()
        if self.world.alive(name):
            process.send_signal(signal.SIGCONT)
        code = process.wait(WAIT_S)
        self.ended[f"{fault}: {code}"] += 1
        if code not in (REPLACED, 0, -signal.SIGKILL):
            self.problems.append(f"{name}, {fault}, ended with {code}")

    def _killed(self) -> None:
        self.world.kill(self.leader)

    def _stopped(self) -> None:
        """Stop the leader where it holds no lock of the database: on SQLite that is the file's."""
        process = self.world.processes[self.leader]
        while True:
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.005)
            if self.world.phase() not in ("before_commit", "in_commit"):
                return
            process.send_signal(signal.SIGCONT)
            time.sleep(0.001)

    def _cut_off(self) -> None:
        self.links[self.leader].cut()

    def _asked(self) -> None:
        self.world.processes[self.leader].send_signal(signal.SIGTERM)

    def _both(self) -> None:
        for name in (self.leader, self.standby):
            self.world.kill(name)
        for name in (self.standby, self.leader):
            self._start(name)
        self.world.wait(
            lambda: self._leads(self.leader) or self._leads(self.standby), "one leads", WAIT_S
        )
        if self._leads(self.leader):
            self.leader, self.standby = self.standby, self.leader
        self.world.kill(self.leader)

    def _said(self, name: str) -> str:
        """Return what a process has said in its present life."""
        return self.world.output(name)[self._said_before[name] :]

    def _leads(self, name: str) -> bool:
        return '"leading"' in self._said(name)

    def _finish(self) -> None:
        world = self.world
        world.stop_file.touch()
        world.processes["clients"].wait(WAIT_S)
        world.kill(self.standby)
        code = world.ask_to_stop(self.leader)
        if code:
            self.problems.append(f"the exchange ended with {code} when asked to stop")
        self.report = dict(check_orders(read_claims([self.history]), self.problems))
        self.report["codes"] = dict(count_codes([self.history]).most_common())
        self.report["hashes"] = check_books(world.output(self.leader), self.problems)
        self._check_epochs()
        for fault, times in self.took_s.items():
            late = [f"{took_s:.2f}" for took_s in times if took_s > BOUND_S]
            if late:
                self.problems.append(f"{fault}: took {', '.join(late)} s, bound {BOUND_S}")

    def _check_epochs(self) -> None:
        """No batch committed, and none published, under an epoch after one of a later leader."""
        from exchange.models import Batch

        committed = list(Batch.objects.order_by("id").values_list("epoch", flat=True))
        published = self.listener.end()
        for what, epochs in (("committed", committed), ("published", published)):
            if epochs != sorted(epochs):
                self.problems.append(f"a replaced leader {what} after its successor")
            self.report[f"batches {what}"] = len(epochs)
        self.report["epochs"] = len(set(committed))

    def lines(self) -> list[str]:
        """Return the report as text."""
        done = sum(map(len, self.took_s.values()))
        lines = [f"{done} takeovers"]
        for fault, times in self.took_s.items():
            middle = sorted(times)[len(times) // 2]
            lines.append(f"{fault:<28}{len(times):>5}  p50 {middle:.2f} s, max {max(times):.2f} s")
        lines.append("replaced leaders, fault and exit code: " + str(dict(self.ended)))
        lines.append(str(self.report))
        lines += [f"PROBLEM {problem}" for problem in self.problems[:PROBLEMS_SHOWN_MAX]]
        if self.problems:
            lines.append(f"{len(self.problems)} problems; files are in {self.directory}")
        return lines
