"""The database under a platform: its server where it has one, and the ways in which it is away."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from simulation.kill.world import World

NO_FILE_GROWS = 0

Action = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Way:
    """How a database goes away, and how it comes back."""

    strike: Action
    repair: Action


class Database(Protocol):
    """What a platform needs of its database, and a proof to break it."""

    # By the names of rows of the matrix.
    ways: dict[str, Way]

    def start(self) -> None:
        """Start the server, if there is one, and name the database to the world's processes."""
        ...

    def remove(self) -> None:
        """End the server and delete its files."""
        ...


class Sqlite:
    """A file, which can only be kept from growing: by a full disk, or one that is read-only."""

    def __init__(self, world: World) -> None:
        """Use the file that a world has anyway."""
        self._world = world
        self.ways = {"database read-only": Way(self._fill_disk, self._empty_disk)}

    def start(self) -> None:
        """Do nothing: there is no server."""

    def remove(self) -> None:
        """Do nothing: the file goes with the world's directory."""

    def _fill_disk(self) -> None:
        self._limit_files(NO_FILE_GROWS)

    def _empty_disk(self) -> None:
        self._limit_files(resource.RLIM_INFINITY)

    def _limit_files(self, bytes_max: int) -> None:
        for name, process in self._world.processes.items():
            if name == "redis":
                continue
            pid = process.pid
            _, hardest = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (bytes_max, hardest))


class Postgres:
    """A server of its own: ended as a crash does, stopped, or switched to reading only."""

    def __init__(self, world: World) -> None:
        """
        Make the cluster.

        Raises:
            NoPostgresError: if no server can be had here.
        """
        from simulation.postgres_server import PostgresServer

        self._world = world
        self._server = server = PostgresServer()
        self.ways = {
            "database down": Way(lambda: server.stop(signal.SIGQUIT), server.start),
            "database hung": Way(server.freeze, server.thaw),
            "database read-only": Way(
                lambda: server.set_read_only(on=True), lambda: server.set_read_only(on=False)
            ),
        }

    def start(self) -> None:
        """Start the server and name it to the world's processes."""
        self._server.start()
        self._world.environment["DATABASE_URL"] = self._server.url

    def remove(self) -> None:
        """End the server and delete its files."""
        self._server.remove()


class Mongo:
    """A SecantusDB of its own: killed, or stopped."""

    def __init__(self, world: World) -> None:
        """
        Choose its directory.

        Raises:
            NoMongoError: if no server can be had here.
        """
        from simulation.mongo_server import MongoServer

        self._world = world
        # What is acknowledged must be there after the kill.
        self._server = server = MongoServer(sync=True)
        self.ways = {
            "database down": Way(server.stop, server.start),
            "database hung": Way(server.freeze, server.thaw),
        }

    def start(self) -> None:
        """Start the server and name it to the world's processes."""
        self._server.start()
        del self._world.environment["DATABASE_URL"]
        self._world.environment["MONGODB_URI"] = self._server.url

    def remove(self) -> None:
        """End the server and delete its files."""
        self._server.remove()


DATABASES: dict[str, Callable[[World], Database]] = {
    "sqlite": Sqlite,
    "postgres": Postgres,
    "mongodb": Mongo,
}
