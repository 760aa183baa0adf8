"""The whole platform on a machine of its own, and the ways in which a part of it can fail."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from exchange.alive import alive_file
from simulation.degraded.databases import DATABASES
from simulation.degraded.expected import SQLITE
from simulation.degraded.probes import Probes
from simulation.kill.setup import prepare_exchange
from simulation.kill.world import World

# For so long a web process knows a session without asking anybody (accounts.sessions).
PROCESS_CACHE_S = 1.1


@dataclass(frozen=True, slots=True)
class Fault:
    """How a part fails, when the others must have noticed, and how it is repaired."""

    strike: Callable[[], None]
    repair: Callable[[], None]
    noticed: Callable[[], bool]


class Platform:
    """Redis, database, exchange, projector, web, feed and worker, none of them supervised."""

    def __init__(self, directory: Path, database: str = SQLITE) -> None:
        """
        Prepare; nothing is started yet.

        Raises:
            NoPostgresError, NoMongoError: if the database's server cannot be had here.
        """
        self.world = World(directory, pauses="")
        self.database = DATABASES[database](self.world)
        self.faults = {
            "redis down": Fault(self._kill("redis"), self._start("redis"), self._no_leader),
            "redis hung": Fault(self._stop("redis"), self._continue("redis"), self._no_leader),
            "exchange down": Fault(
                self._kill("exchange"), self._start("exchange"), self._no_leader
            ),
            "feed down": Fault(self._kill("feed"), self._start("feed"), self._dead("feed")),
            "celery down": Fault(self._kill("worker"), self._start("worker"), self._dead("worker")),
            "channel layer down": Fault(self._forbid_channels, self._allow_channels, _at_once),
        } | {
            name: Fault(way.strike, way.repair, self._no_leader)
            for name, way in self.database.ways.items()
        }

    def start(self, faults: Sequence[str]) -> Probes:
        """Start all (the worker only to fail) and return a user's actions once it trades."""
        world = self.world
        self.database.start()
        world.start_all()
        # Without prices coming in, an exchange has nothing to commit and notices no full disk.
        for name in ("projector", "feed"):
            world.start(name)
        if "celery down" in faults:
            self._start("worker")()
        world.wait(lambda: not self._no_leader(), "an exchange leads")
        # One that finds no database at its start ends; nobody here starts it again.
        world.wait(alive_file(world.directory, "feed").exists, "the feed turns")
        _, login = prepare_exchange(world.url)
        account_id, _, token = login.partition(":")
        return Probes(world.url, int(account_id), token)

    def end(self) -> None:
        """Kill whatever still runs."""
        self.world.end()
        self.database.remove()

    def forget_sessions(self) -> None:
        """Bring on what time does anyway: nobody but the database knows a session any more."""
        for key in self._redis().scan_iter("*session:*"):
            self._redis().delete(key)
        time.sleep(PROCESS_CACHE_S)

    def newest_order_entry(self) -> str:
        """Return the id of the newest entry in the lane of orders, empty without one."""
        lanes = self._redis().scan_iter("*exchange:orders:*")
        return max(
            (str(self._redis().xinfo_stream(lane)["last-generated-id"]) for lane in lanes),
            default="",
        )

    def _kill(self, name: str) -> Callable[[], None]:
        return lambda: self.world.kill(name)

    def _stop(self, name: str) -> Callable[[], None]:
        """Let a process be there and do nothing, as one that swaps or whose host is frozen."""
        return lambda: self.world.processes[name].send_signal(signal.SIGSTOP)

    def _continue(self, name: str) -> Callable[[], None]:
        return lambda: self.world.processes[name].send_signal(signal.SIGCONT)

    def _start(self, name: str) -> Callable[[], None]:
        if name != "worker":
            return lambda: self.world.start(name)

        def start_worker() -> None:
            from tradingplatform.management.commands.run_all import worker_command

            self.world.start_command(name, worker_command())

        return start_worker

    def _dead(self, name: str) -> Callable[[], bool]:
        return lambda: not self.world.alive(name)

    @staticmethod
    def _no_leader() -> bool:
        from exchange import gateway

        status = gateway.status()
        return status.down or not status.leader

    def _forbid_channels(self) -> None:
        """
        Take publish and subscribe from everyone, and cut off whoever listens.

        Celery listens by pattern, which stays allowed: its absence is a row of its own.
        """
        redis = self._redis()
        redis.execute_command("ACL", "SETUSER", "default", "-subscribe", "-publish")
        redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

    def _allow_channels(self) -> None:
        self._redis().execute_command("ACL", "SETUSER", "default", "+subscribe", "+publish")

    def _redis(self) -> Redis:
        return Redis(unix_socket_path=str(self.world.redis_socket))


def _at_once() -> bool:
    return True
