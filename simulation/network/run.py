"""
The platform over seven hosts: links are cut and healed while users trade through two of them.

Exchange and standby, two web hosts, workers, database and Redis each have a host of their own
(``simulation.network.hosts``). A cut link loses packets without a word: nothing is closed,
and every time-out on the way has to do what it is for.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulation.kill.history import Tail, count_codes, read_claims
from simulation.kill.setup import prepare_exchange
from simulation.kill.verdict import check_books, check_orders
from simulation.kill.world import World, python
from simulation.network.hosts import Hosts
from simulation.postgres_server import PostgresServer

HOSTS = ("db", "redis", "exchange-a", "exchange-b", "web-1", "web-2", "worker")
# With whom the exchange changes hosts; for how long others are cut off.
TAKEOVER_S = 5.0
CUT_S = 4.0
# Longer than connections live through: every other round of faults.
LONG_CUT_S = 12.0
RECOVERY_S = 10.0
# An exchange that was away for more than 10 s takes cancels first, then orders that only rest.
PHASES_S = 15.0
WAIT_S = 60.0
REPLACED = 70
PROBLEMS_SHOWN_MAX = 20


class NetworkRun:
    """One run; ``report`` holds what was counted."""

    def __init__(self, faults: int, *, seed: int, seconds: float = 0) -> None:
        """
        Make the hosts.

        Raises:
            HostsError: if that is not permitted here.
        """
        self.faults = faults
        self.seconds = seconds
        self.random = random.Random(seed)
        self.hosts = Hosts(HOSTS)
        self.directory = Path(tempfile.mkdtemp(prefix="exn-"))
        db = self.hosts.addresses["db"]
        self.postgres = PostgresServer(
            through=lambda words: self.hosts.words("db", words), listen_addresses=db
        )
        (self.postgres.directory / "data" / "pg_hba.conf").write_text(
            "host all all all trust\nlocal all all trust\n"
        )
        self.world = World(self.directory, pauses="")
        self.histories = {web: self.directory / f"{web}.jsonl" for web in ("web-1", "web-2")}
        self.tails = {web: Tail(path) for web, path in self.histories.items()}
        self.leader, self.standby = "exchange-a", "exchange-b"
        self._said_before: dict[str, int] = {}
        self.cut_s = CUT_S
        self.took_s: dict[str, list[float]] = defaultdict(list)
        self.problems: list[str] = []
        self.report: dict[str, Any] = {}
        self._kinds: dict[str, Callable[[], None]] = {
            "exchange cut off": self._exchange_cut,
            "web host cut off": self._web_cut,
            "exchange killed": self._exchange_killed,
            "redis cut off": lambda: self._server_cut("redis"),
            "database cut off": lambda: self._server_cut("db"),
            "workers cut off": self._workers_cut,
        }

    def run(self) -> bool:
        """Prepare, cut and heal, judge; return whether everything held."""
        started = time.monotonic()
        try:
            self._prepare()
            for number in range(self.faults):
                if self.seconds and time.monotonic() - started > self.seconds:
                    break
                round_number, at = divmod(number, len(self._kinds))
                kind = list(self._kinds)[at]
                self.cut_s = LONG_CUT_S if round_number % 2 else CUT_S
                self._everybody_trades(kind, "before")
                time.sleep(self.random.uniform(0, 0.5))
                self._kinds[kind]()
                self._everybody_trades(kind, "after")
            self._finish()
        finally:
            self.world.end()
            self.postgres.remove()
            self.hosts.remove()
        if self.problems:
            return False
        shutil.rmtree(self.directory)
        return True

    def _prepare(self) -> None:
        world, hosts = self.world, self.hosts
        db, redis = hosts.addresses["db"], hosts.addresses["redis"]
        world.environment |= {
            "DATABASE_URL": f"postgresql://postgres@{db}:5432/postgres",
            "REDIS_URL": f"redis://{redis}:6379",
            "PORT": "3000",
        }
        self.postgres.start()
        redis_words = world.redis_command("--port", "6379", "--bind", redis)
        world.start_command("redis", hosts.words("redis", redis_words))
        world.migrate()
        for name in ("exchange-a", "web-1", "web-2", "worker"):
            self._start(name)
        for web in self.histories:
            world.wait(lambda web=web: world.web_answers(self._url(web)), f"{web} answers")
        _, user_words = prepare_exchange(self._url("web-1"))
        for web, history in self.histories.items():
            world.start(
                f"clients of {web}",
                *("-m", "simulation.kill.clients", "http"),
                *(str(history), str(world.stop_file), user_words),
                settings={"KILL_URL": self._url(web)},
            )
        self._start(self.standby)

    def _url(self, web: str) -> str:
        return f"http://{self.hosts.addresses[web]}:3000"

    def _start(self, name: str) -> None:
        commands = {
            "exchange": ("manage.py", "run_exchange"),
            "web": ("manage.py", "run_web"),
            "worker": (
                *("-m", "celery", "-A", "tradingplatform", "worker"),
                *("--beat", "--concurrency", "1", "--loglevel", "warning"),
            ),
        }
        self._said_before[name] = len(self.world.output(name))
        words = python(*commands[name.partition("-")[0]])
        settings = {"HOST": self.hosts.addresses[name]}
        self.world.start_command(name, self.hosts.words(name, words), settings)

    def _everybody_trades(self, kind: str, when: str, *, supervised: bool = False) -> None:
        """Wait until both webs have answered; started again if need be, as everywhere."""
        for web, tail in self.tails.items():
            seen = tail.look()

            def answered(tail: Tail = tail, seen: int = seen) -> bool:
                if supervised:
                    self._keep_alive()
                return tail.look() > seen

            self.world.wait(answered, f"{web}, {kind}, {when}", WAIT_S)

    def _keep_alive(self) -> None:
        """Start again which exchange has ended, as what runs services does everywhere."""
        for name in (self.leader, self.standby):
            if not self.world.alive(name):
                self._start(name)

    def _exchange_cut(self) -> None:
        self._takeover("exchange cut off", lambda: self.hosts.cut(self.leader))

    def _exchange_killed(self) -> None:
        self._takeover("exchange killed", lambda: self.world.kill(self.leader))

    def _takeover(self, kind: str, strike: Callable[[], None]) -> None:
        world = self.world
        world.wait(self._standby_watches, "standby watches")
        time.sleep(0.5)
        began = time.monotonic()
        strike()
        world.wait(lambda: self._leads(self.standby), f"takeover, {kind}", WAIT_S)
        self._everybody_trades(kind, "with the next leader")
        self._note(kind, time.monotonic() - began, TAKEOVER_S)
        old, self.leader, self.standby = self.leader, self.standby, self.leader
        self.hosts.heal(old)
        code = world.processes[old].wait(WAIT_S)
        if code not in (REPLACED, -9):
            self.problems.append(f"{old}, {kind}, ended with {code}")
        self._start(old)

    def _leads(self, name: str) -> bool:
        """Tell whether the last thing of importance that a process said is that it leads."""
        said = self._said(name)
        return self.world.alive(name) and said.rfind('"leading"') > said.rfind('"leader_recorded"')

    def _standby_watches(self) -> bool:
        """Tell whether the standby watches."""
        self._keep_alive()
        return '"leader_recorded"' in self._said(self.standby)

    def _web_cut(self) -> None:
        """One web host is away: users of the other notice nothing."""
        self.hosts.cut("web-1")
        self._others_trade("web host cut off", ("web-2",))
        self._heal("web host cut off", "web-1")

    def _workers_cut(self) -> None:
        self.hosts.cut("worker")
        self._others_trade("workers cut off", tuple(self.tails))
        self._heal("workers cut off", "worker")

    def _server_cut(self, name: str) -> None:
        """Nobody trades; nobody is told that he did."""
        self.hosts.cut(name)
        time.sleep(self.cut_s)
        self._heal(f"{'database' if name == 'db' else name} cut off", name)
        # Whoever found the way back first may lead now: that is no fault.
        if self._leads(self.standby):
            self.leader, self.standby = self.standby, self.leader

    def _others_trade(self, kind: str, webs: tuple[str, ...]) -> None:
        ends = time.monotonic() + self.cut_s
        while time.monotonic() < ends:
            for web in webs:
                began, seen = time.monotonic(), self.tails[web].look()
                self.world.wait(
                    lambda web=web, seen=seen: self.tails[web].look() > seen, f"{web} trades"
                )
                self._note(f"longest wait elsewhere, {kind}", time.monotonic() - began, TAKEOVER_S)

    def _heal(self, kind: str, name: str) -> None:
        self.hosts.heal(name)
        began = time.monotonic()
        self._everybody_trades(kind, "healed", supervised=True)
        bound_s = RECOVERY_S + (PHASES_S if self.cut_s == LONG_CUT_S else 0)
        self._note(f"{kind} for {self.cut_s:.0f} s, healed", time.monotonic() - began, bound_s)

    def _note(self, kind: str, seconds: float, bound_s: float) -> None:
        self.took_s[kind].append(seconds)
        if seconds > bound_s:
            self.problems.append(f"{kind}: {seconds:.1f} s, bound {bound_s}")

    def _said(self, name: str) -> str:
        return self.world.output(name)[self._said_before[name] :]

    def _finish(self) -> None:
        from django.db import connections

        from exchange.models import Batch

        # Ours broke with the others, and nobody has asked for them since.
        connections["default"].close()
        connections["default"].close_pool()
        world = self.world
        world.stop_file.touch()
        for web in self.histories:
            world.processes[f"clients of {web}"].wait(WAIT_S)
        world.kill(self.standby)
        code = world.ask_to_stop(self.leader)
        if code:
            self.problems.append(f"the exchange ended with {code} when asked to stop")
        histories = list(self.histories.values())
        self.report = dict(check_orders(read_claims(histories), self.problems))
        self.report["codes"] = dict(count_codes(histories).most_common())
        self.report["hashes"] = check_books(world.output(self.leader), self.problems)
        epochs = list(Batch.objects.order_by("id").values_list("epoch", flat=True))
        if epochs != sorted(epochs):
            self.problems.append("a replaced leader committed after its successor")

    def lines(self) -> list[str]:
        """Return the report as text."""
        lines = ["seven hosts in network namespaces, PostgreSQL"]
        for kind, times in self.took_s.items():
            middle = sorted(times)[len(times) // 2]
            lines.append(f"{kind:<46}{len(times):>4}  p50 {middle:.2f} s, max {max(times):.2f} s")
        lines.append(str(self.report))
        lines += [f"PROBLEM {problem}" for problem in self.problems[:PROBLEMS_SHOWN_MAX]]
        if self.problems:
            lines.append(f"{len(self.problems)} problems; files are in {self.directory}")
        return lines
