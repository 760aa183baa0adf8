"""
The store on PostgreSQL: one statement per table and batch, on a connection of its own.

A column travels as one array and ``unnest`` makes rows of them again. The connection has
short limits: a leader that stands still in a transaction, or whose machine is gone, loses its
row locks to the server's clock before a standby wants them.
"""
# ruff: noqa: S608

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import psycopg
from django.db import DatabaseError, connections
from psycopg.pq import TransactionStatus

from exchange.crash_points import reach
from exchange.projection import Row, Table
from exchange.store.base import (
    DataError,
    Fence,
    Group,
    LeaseLostError,
    StoreBusyError,
    StoreUnusableError,
)
from exchange.store.postgres_arrays import DUMPERS, PACKERS, PackedArray, pack_integers
from exchange.store.postgres_connection import WatchedConnection
from exchange.store.sql import fence_sql, insert_sql, last_key_sql, select_sql
from exchange.store.tables import POSITION

ROWS_PER_FETCH = 5_000

# A standby takes over after 2 s without a heartbeat: by then the server has ended the
# transaction of a leader that stands still, and with it the lock of the position row.
LIMITS_MS = {
    "idle_in_transaction_session_timeout": 1_500,
    "lock_timeout": 1_500,
    "statement_timeout": 10_000,
}
# What a commit must have reached before it is answered; the weaker ones lose it with a server.
DURABLE_COMMITS = frozenset({"on", "remote_apply"})

# Classes of SQLSTATE that blame a value: cardinality, data, integrity.
_DATA_CLASSES = ("21", "22", "23")
_CURSOR_NUMBERS = itertools.count()


def _refused_value(error: psycopg.Error) -> bool:
    """Tell whether an error blames a value of the batch."""
    if error.sqlstate is not None:
        return error.sqlstate[:2] in _DATA_CLASSES
    # Without a state it comes from the driver, which found a value that cannot be sent.
    return isinstance(error, psycopg.DataError | psycopg.ProgrammingError)


def check_server(connection: psycopg.Connection[Any]) -> None:
    """
    Refuse a server that would lose commits or texts.

    Raises:
        StoreUnusableError: with the remedy in one line.
    """
    with psycopg.Cursor(connection) as cursor:
        found = cursor.execute(
            "SELECT current_setting('fsync'), current_setting('synchronous_commit'),"
            " pg_is_in_recovery(), current_setting('server_encoding')"
        ).fetchone()
    fsync, commit, replica, encoding = found or ("", "", True, "")
    if replica:
        raise StoreUnusableError("PostgreSQL is a replica: connect to its primary")
    if fsync != "on":
        raise StoreUnusableError(f"PostgreSQL has fsync = {fsync}: set it to on")
    if commit not in DURABLE_COMMITS:
        raise StoreUnusableError(f"PostgreSQL has synchronous_commit = {commit}: set it to on")
    if encoding != "UTF8":
        raise StoreUnusableError(
            f"PostgreSQL's database is encoded in {encoding}: make one with ENCODING 'UTF8'"
        )


class PostgresReader:
    """Reads whole tables inside the transaction its store has opened."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """Read through the given connection."""
        self._connection = connection

    def rows(self, table: Table, *, equals: Mapping[str, int] | None = None) -> Iterator[Row]:
        """Yield rows in the order of the key, filtered by equality."""
        sql = select_sql(table)
        if equals:
            # Written out: a partial index is found for a constant, not for a parameter.
            terms = [f'"{name}" = {int(value)}' for name, value in equals.items()]
            sql += f" WHERE {' AND '.join(terms)}"
        return self._fetch(f'{sql} ORDER BY "{table.key}"')

    def rows_from(self, table: Table, first_key: int) -> Iterator[Row]:
        """Yield rows from a key on, in the order of the key."""
        rows = select_sql(table)
        return self._fetch(
            f'{rows} WHERE "{table.key}" >= {int(first_key)} ORDER BY "{table.key}"'  # nosec B608
        )

    def last_key(self, table: Table) -> int:
        """Return the highest key of a table, 0 when it is empty."""
        with psycopg.Cursor(self._connection) as cursor:
            found = cursor.execute(last_key_sql(table).encode()).fetchone()
        return int(found[0] or 0) if found else 0

    def _fetch(self, sql: str) -> Iterator[Row]:
        name = f"exchange_{next(_CURSOR_NUMBERS)}"
        with psycopg.ServerCursor(self._connection, name) as cursor:
            cursor.execute(sql.encode(), binary=True)
            while rows := cursor.fetchmany(ROWS_PER_FETCH):
                yield from rows


class PostgresStore:
    """
    The exchange's connection to a PostgreSQL database.

    It is not Django's: its limits are those of a leader. Inside an open transaction of Django
    (a test) it shares that one by savepoints, so that inline tests roll back with their test.
    """

    def __init__(self, using: str = "default") -> None:
        """
        Connect and check that commits are durable.

        Raises:
            StoreUnusableError: if the server cannot be reached or would lose commits.
        """
        self._django = connections[using]
        self._own: psycopg.Connection[Any] | None = None
        self._types: dict[Table, list[str]] = {}
        try:
            with self._errors():
                check_server(self._connection())
        except StoreBusyError as error:
            raise StoreUnusableError(str(error)) from error

    def pause_s(self) -> float:
        """Return 0: a writer here holds up nobody."""
        return 0.0

    def newest_batch(self) -> int:
        """Return 0: the server keeps checksums of its own log."""
        return 0

    def write(self, fence: Fence, groups: Sequence[Group]) -> None:
        """Commit the fence and all rows in one transaction; see ``Store.write``."""
        with self._errors():
            connection = self._connection()
            statements = [self._statement(connection, *group) for group in groups if group[1]]
            values = (*fence.values.values(), fence.epoch)
            with self._transaction(connection), psycopg.Cursor(connection) as cursor:
                cursor.execute(_fence_sql(tuple(fence.values)), values, prepare=True)
                if cursor.rowcount != 1:
                    raise LeaseLostError(f"epoch {fence.epoch} no longer leads")
                # Not in a pipeline: the driver ends one with a flush, after which the server
                # no longer counts how long the transaction has been idle (seen on 16.2).
                for sql, columns in statements:
                    cursor.execute(sql, columns, prepare=True)
                reach("in_commit")

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[PostgresReader]:
        """Open a reader that sees one consistent state of all tables."""
        try:
            connection = self._connection()
            if self._django.in_atomic_block:
                yield PostgresReader(connection)
                return
            # A load computes between its reads, for as long as it takes; it locks no rows.
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            connection.execute("SET LOCAL statement_timeout = 0")
            connection.execute("SET LOCAL cursor_tuple_fraction = 1")
            try:
                yield PostgresReader(connection)
            finally:
                _roll_back(connection, "ROLLBACK")
        except psycopg.Error as error:
            raise StoreUnusableError(f"database cannot be read: {error}") from error

    def find(self, table: Table, keys: Iterable[int]) -> list[Row]:
        """Return the rows of a table that have one of the keys."""
        wanted = sorted(set(keys))
        if not wanted:
            return []
        sql = f'{select_sql(table)} WHERE "{table.key}" = ANY(%s)'
        with self._errors(), psycopg.Cursor(self._connection()) as cursor:
            packed = pack_integers(wanted)
            return cursor.execute(sql.encode(), (packed,), prepare=True).fetchall()

    def close(self) -> None:
        """Close the connection of this thread."""
        if self._own is not None:
            self._own.close()
            self._own = None

    def _connection(self) -> psycopg.Connection[Any]:
        if self._django.in_atomic_block:
            shared: psycopg.Connection[Any] = self._django.connection
            _register_arrays(shared)
            return shared
        if self._own is None:
            self._own = self._connect()
        elif self._own.closed:
            self._own = self._connect()
            self._await_outcome(self._own)
        return self._own

    def _connect(self) -> psycopg.Connection[Any]:
        parameters = self._django.get_connection_params()
        limits = " ".join(f"-c {name}={value}" for name, value in LIMITS_MS.items())
        parameters["options"] = f"{parameters.get('options', '')} {limits}".strip()
        for name in ("cursor_factory", "context", "prepare_threshold"):
            parameters.pop(name)
        connection = WatchedConnection.connect(**parameters, autocommit=True)
        _register_arrays(connection)
        return connection

    def _await_outcome(self, connection: psycopg.Connection[Any]) -> None:
        """
        Wait for the end of a transaction that was open when the last connection was lost.

        Its fence holds the position row until the server has committed or ended it, so what is
        read once the row is free is final.
        """
        try:
            connection.execute(f'SELECT FROM "{POSITION.name}" FOR UPDATE'.encode())  # nosec B608
        except BaseException:
            connection.close()
            raise

    def _statement(
        self, connection: psycopg.Connection[Any], table: Table, rows: Sequence[Row]
    ) -> tuple[bytes, list[PackedArray]]:
        """Return the statement that writes rows, and its columns."""
        types = self._types.get(table) or self._look_up_types(connection, table)
        columns = []
        for name, kind, column in zip(table.columns, types, zip(*rows, strict=True), strict=True):
            try:
                columns.append(PACKERS[kind](column))
            except (KeyError, OverflowError, TypeError, ValueError) as error:
                raise DataError(f"{table.name}.{name}: expected {kind}, {error}") from error
        return _write_sql(table), columns

    def _look_up_types(self, connection: psycopg.Connection[Any], table: Table) -> list[str]:
        with psycopg.Cursor(connection) as cursor:
            found = dict(
                cursor.execute(
                    "SELECT attname, typname FROM pg_attribute"
                    " JOIN pg_type ON pg_type.oid = atttypid"
                    " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                    (f'"{table.name}"',),
                ).fetchall()
            )
        unknown = sorted(name for name in table.columns if found.get(name) not in PACKERS)
        if unknown:
            raise StoreUnusableError(
                f"database has no column {table.name}.{unknown[0]} of a type that the exchange"
                " writes: run manage.py migrate"
            )
        self._types[table] = [found[name] for name in table.columns]
        return self._types[table]

    @contextlib.contextmanager
    def _transaction(self, connection: psycopg.Connection[Any]) -> Iterator[None]:
        nested = self._django.in_atomic_block
        connection.execute("SAVEPOINT exchange" if nested else "BEGIN")
        try:
            yield
            connection.execute("RELEASE exchange" if nested else "COMMIT")
        except BaseException:
            _roll_back(connection, "ROLLBACK TO exchange" if nested else "ROLLBACK")
            raise

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn errors of the driver into those of a store."""
        try:
            yield
        except psycopg.Error as error:
            if _refused_value(error):
                raise DataError(f"database refused a value: {error}") from error
            raise StoreBusyError(f"database could not commit: {error}") from error
        except DatabaseError as error:
            raise StoreBusyError(f"database could not be reached: {error}") from error


def _register_arrays(connection: psycopg.Connection[Any]) -> None:
    for kind, dumper in DUMPERS.items():
        connection.adapters.register_dumper(kind, dumper)


@cache
def _write_sql(table: Table) -> bytes:
    marks = ", ".join(["%s"] * len(table.columns))
    return insert_sql(table, f"SELECT * FROM unnest({marks})").encode()  # nosec B608


@cache
def _fence_sql(columns: tuple[str, ...]) -> bytes:
    return fence_sql(columns, "%s").encode()


def _roll_back(connection: psycopg.Connection[Any], sql: str) -> None:
    """Undo what is open; a connection that is lost has nothing to undo."""
    if connection.closed or connection.info.transaction_status is TransactionStatus.IDLE:
        return
    with contextlib.suppress(psycopg.Error):
        connection.execute(sql.encode())
        return
    connection.close()
