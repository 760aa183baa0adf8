"""
A connection to PostgreSQL that is given up when its server no longer answers anybody.

The server's own limits (``statement_timeout``) end what takes too long as long as it runs. One
that is stopped, or whose disk or host hangs, keeps its sockets open and says nothing for ever.
So what stays quiet for long looks whether the server still takes connections: a statement that
is only slow goes on, one that nobody works on ends with an error.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import psycopg
from psycopg.waiting import Ready

from exchange import database_rest

# A healthy server takes a connection in milliseconds.
CONNECT_S = 2
# A statement that is quiet for longer has someone look after its server, and again so often.
QUIET_S = 1.0


class WatchedConnection(psycopg.Connection[Any]):
    """A connection whose waits end when the server is silent; see the module."""

    _arguments: tuple[str, dict[str, Any]]
    _quiet_max_s: float | None = None

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> WatchedConnection:
        """
        Connect.

        Raises:
            psycopg.OperationalError: if the server cannot be reached or refuses.
        """
        began = time.monotonic()
        try:
            connection = super().connect(conninfo, **kwargs)
        except psycopg.errors.ConnectionTimeout:
            database_rest.note_silence(since=began)
            raise
        database_rest.note_answer()
        connection._arguments = (conninfo, kwargs)
        return connection

    @contextmanager
    def answering_within(self, seconds: float) -> Iterator[None]:
        """Give the connection up if the server is quiet for longer while this is open."""
        self._quiet_max_s = seconds
        try:
            yield
        finally:
            self._quiet_max_s = None

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """
        Consume what the driver does on the connection.

        Raises:
            psycopg.OperationalError: if the server is silent; the connection is closed.
        """
        return super().wait(self._watched(gen), *args, **kwargs)

    def _watched(self, gen: Any) -> Any:
        """Pass on what a generator of the driver yields, and look at each pause of the server."""
        heard_at = looked_at = time.monotonic()
        ready = None
        with contextlib.closing(gen):
            while True:
                try:
                    wanted = gen.send(ready)
                except StopIteration as end:
                    _note_answer(ready)
                    return end.value
                _note_answer(ready)
                ready = yield wanted
                now = time.monotonic()
                if ready:
                    heard_at = now
                elif self._quiet_max_s is not None:
                    if now - heard_at >= self._quiet_max_s:
                        database_rest.note_silence(since=heard_at)
                        self._give_up()
                elif now - max(heard_at, looked_at) >= QUIET_S:
                    self._look_after_server(quiet_since=heard_at)
                    looked_at = time.monotonic()

    def _look_after_server(self, *, quiet_since: float) -> None:
        """Go on if the server answers anybody; else give the connection up."""
        if database_rest.has_answered(since=time.monotonic() - QUIET_S):
            return
        if database_rest.is_silent(since=quiet_since) or not self._takes_connections():
            self._give_up()

    def _takes_connections(self) -> bool:
        """Return whether the server answers a new connection, were it by a refusal."""
        conninfo, arguments = self._arguments
        try:
            WatchedConnection.connect(
                conninfo, **{**arguments, "connect_timeout": CONNECT_S}
            ).close()
        except psycopg.errors.ConnectionTimeout:
            return False
        except psycopg.Error:
            return True
        return True

    def _give_up(self) -> NoReturn:
        self.close()
        raise psycopg.OperationalError("the server does not answer")


def _note_answer(ready: int | None) -> None:
    """Note that something came, once the driver has taken it in: the end of a stream is none."""
    if ready and ready & Ready.R:
        database_rest.note_answer()
