"""
The database engine that settings name for PostgreSQL: Django's, with a pool that tells who waits.

Nobody is kept waiting by a server that is away: a connection is looked at before a request gets
it, with a limit, and after one request has waited in vain the others are told so at once.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

import psycopg
from django.db.backends.postgresql.base import DatabaseWrapper as DjangoWrapper
from psycopg_pool import ConnectionPool

from exchange import database_rest
from exchange.store.postgres_connection import WatchedConnection

# A connection that was idle is asked for a sign of life: a round trip, if the server is there.
CHECK_S = 0.8


class DatabaseWrapper(DjangoWrapper):
    """Connections that are watched, from a pool that is not waited for in turn."""

    # Django's, which its stubs do not know.
    _connection_pools: ClassVar[dict[str, Any]] = DjangoWrapper._connection_pools  # type: ignore[attr-defined]
    _configure_connection: Any

    @property
    def pool(self) -> Any:
        """Return this process's pool of the alias, None where settings ask for none."""
        options = self.settings_dict["OPTIONS"].get("pool")
        if options and self.alias not in self._connection_pools:
            self._connection_pools.setdefault(
                self.alias,
                ConnectionPool(
                    kwargs={**self.get_connection_params(), "autocommit": True},
                    connection_class=WatchedConnection,
                    configure=self._configure_connection,
                    open=False,
                    **options,
                ),
            )
        return super().pool

    def get_new_connection(self, conn_params: Any) -> Any:
        """
        Return a connection that has just answered.

        Raises:
            psycopg.OperationalError: if there is none in time, or was none a moment ago.
        """
        if self.pool is None:
            return super().get_new_connection(conn_params)
        if database_rest.is_resting():
            raise psycopg.OperationalError("the server did not answer a moment ago")
        began = time.monotonic()
        try:
            return self._from_pool(conn_params, until=began + self.pool.timeout)
        except psycopg.OperationalError:
            database_rest.note_silence(since=began)
            raise

    def _from_pool(self, conn_params: Any, *, until: float) -> Any:
        """
        Take connections until one answers.

        After a restart of the server all that were idle are broken: each is found out at once,
        and the pool makes new ones. Its own check pauses between two of them.
        """
        while True:
            connection = super().get_new_connection(conn_params)
            try:
                with connection.answering_within(CHECK_S):
                    ConnectionPool.check_connection(connection)
            except psycopg.Error:
                self.pool.putconn(connection)
                if database_rest.is_resting() or time.monotonic() >= until:
                    raise
            except BaseException:
                self.pool.putconn(connection)
                raise
            else:
                return connection
