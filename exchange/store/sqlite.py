"""
The store on SQLite: upserts by ``executemany`` on the raw connection, one lock at a time.

Names in SQL come from ``Table`` declarations of our own, values are always bound.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from django.db import DatabaseError, connections

from exchange.crash_points import reach
from exchange.projection import Row, Table
from exchange.store.base import (
    DataError,
    Fence,
    Group,
    LeaseLostError,
    StoreBusyError,
    StoreUnusableError,
    checked_groups,
)
from exchange.store.sql import fence_sql, insert_sql, last_key_sql, select_sql
from exchange.store.witness import Witness

# A back-to-back writer starved every other connection for 10 s (seen): the lock stays free
# this long after each commit, and for a fifth of the time.
LOCK_FREE_MIN_S = 0.002
LOCK_FREE_SHARE = 0.25  # of the time held, so 20 % of the whole

# Variables of one statement; SQLite allows 32,766 since 3.32.
KEYS_PER_SELECT = 1_000
ROWS_PER_FETCH = 5_000

# Pages of 4 KiB between checkpoints. The default of 1,000 makes every few commits pay for
# one; with 8,000 hot pages are copied back once instead of again and again.
CHECKPOINT_PAGES = 8_000
CACHE_KIB = 128 * 1024

_DATA_ERRORS = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
)


@cache
def _write_sql(table: Table) -> str:
    marks = ", ".join("?" * len(table.columns))
    return insert_sql(table, f"VALUES ({marks})")


@cache
def _fence_sql(columns: tuple[str, ...]) -> str:
    return fence_sql(columns, "?")


class SqliteReader:
    """Reads whole tables inside the transaction its store has opened."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read through the given connection."""
        self._connection = connection

    def rows(self, table: Table, *, equals: Mapping[str, int] | None = None) -> Iterator[Row]:
        """Yield rows in the order of the key, filtered by equality."""
        sql = select_sql(table)
        order = f'"{table.key}"'
        if equals:
            # A flag is named bare as well, which is how a partial index states its
            # condition; "+" keeps the planner from walking all keys to avoid a sort.
            terms = [
                f'"{name}" AND "{name}" = ?' if value == 1 else f'"{name}" = ?'
                for name, value in equals.items()
            ]
            sql += f" WHERE {' AND '.join(terms)}"
            order = f"+{order}"
        return self._fetch(f"{sql} ORDER BY {order}", tuple((equals or {}).values()))

    def rows_from(self, table: Table, first_key: int) -> Iterator[Row]:
        """Yield rows from a key on, in the order of the key."""
        rows = select_sql(table)
        sql = f'{rows} WHERE "{table.key}" >= ? ORDER BY "{table.key}"'  # nosec B608
        return self._fetch(sql, (first_key,))

    def last_key(self, table: Table) -> int:
        """Return the highest key of a table, 0 when it is empty."""
        return int(self._connection.execute(last_key_sql(table)).fetchone()[0] or 0)

    def _fetch(self, sql: str, parameters: tuple[int, ...]) -> Iterator[Row]:
        cursor = self._connection.execute(sql, parameters)
        while rows := cursor.fetchmany(ROWS_PER_FETCH):
            yield from rows


class SqliteStore:
    """
    The exchange's connection to a SQLite database.

    Inside an open transaction of Django (a test) it uses savepoints instead of its own
    transactions, so that inline tests roll back with their test.
    """

    def __init__(self, using: str = "default", *, paced: bool = True) -> None:
        """
        Connect; ``paced`` keeps the write lock free for others between commits.

        Raises:
            StoreUnusableError: if the file cannot be opened as a database.
        """
        self._django = connections[using]
        self._paced = paced
        self._free_until = 0.0
        try:
            self._django.ensure_connection()
            self._raw: sqlite3.Connection = self._django.connection
            self._raw.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            self._raw.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            self._witness = _open_witness(self._raw)
        except (DatabaseError, sqlite3.Error, OSError) as error:
            raise StoreUnusableError(f"database cannot be opened: {error}") from error

    def pause_s(self) -> float:
        """Return how long the write lock stays free yet."""
        return max(0.0, self._free_until - time.monotonic()) if self._paced else 0.0

    def write(self, fence: Fence, groups: Sequence[Group]) -> None:
        """Commit the fence and all rows in one transaction; see ``Store.write``."""
        checked = checked_groups(groups)
        values = (*fence.values.values(), fence.epoch)
        fence_statement = _fence_sql(tuple(fence.values))
        if (pause_s := self.pause_s()) > 0:
            time.sleep(pause_s)
        locked_at = time.monotonic()
        try:
            with self._transaction():
                if self._raw.execute(fence_statement, values).rowcount != 1:
                    raise LeaseLostError(f"epoch {fence.epoch} no longer leads")
                for table, rows in checked:
                    self._raw.executemany(_write_sql(table), rows)
                reach("in_commit")
            self._note_commit(fence)
        except _DATA_ERRORS as error:
            raise DataError(f"database refused a value: {error}") from error
        except sqlite3.Error as error:
            raise StoreBusyError(f"database could not commit: {error}") from error
        finally:
            now = time.monotonic()
            self._free_until = now + max(LOCK_FREE_MIN_S, (now - locked_at) * LOCK_FREE_SHARE)

    def newest_batch(self) -> int:
        """Return the newest batch known to have been committed, 0 if the file has no note."""
        return self._witness.newest_batch() if self._witness else 0

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[SqliteReader]:
        """Open a reader that sees one consistent state of all tables."""
        nested = self._django.in_atomic_block
        try:
            if not nested:
                self._raw.execute("BEGIN")
            yield SqliteReader(self._raw)
        except sqlite3.Error as error:
            raise StoreUnusableError(f"database cannot be read: {error}") from error
        finally:
            if not nested and self._raw.in_transaction:
                self._raw.execute("ROLLBACK")

    def find(self, table: Table, keys: Iterable[int]) -> list[Row]:
        """Return the rows of a table that have one of the keys."""
        wanted = sorted(set(keys))
        found: list[Row] = []
        try:
            for start in range(0, len(wanted), KEYS_PER_SELECT):
                part = wanted[start : start + KEYS_PER_SELECT]
                marks = ", ".join("?" * len(part))
                sql = f'{select_sql(table)} WHERE "{table.key}" IN ({marks})'
                found += self._raw.execute(sql, part).fetchall()
        except sqlite3.Error as error:
            raise StoreBusyError(f"database could not be read: {error}") from error
        return found

    def close(self) -> None:
        """Close the connection of this thread."""
        self._django.close()

    def _note_commit(self, fence: Fence) -> None:
        batch = fence.values.get("batch")
        # Within a test's transaction nothing is committed yet.
        if self._witness and isinstance(batch, int) and not self._django.in_atomic_block:
            self._witness.committed(batch)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        nested = self._django.in_atomic_block
        self._raw.execute("SAVEPOINT exchange" if nested else "BEGIN IMMEDIATE")
        try:
            yield
            self._raw.execute("RELEASE exchange" if nested else "COMMIT")
        except BaseException:
            # A failed COMMIT may have ended the transaction already.
            if self._raw.in_transaction:
                self._raw.execute("ROLLBACK TO exchange" if nested else "ROLLBACK")
                if nested:
                    self._raw.execute("RELEASE exchange")
            raise


def _open_witness(connection: sqlite3.Connection) -> Witness | None:
    """Return the note beside the file of a connection; a database in memory has none."""
    name = connection.execute("PRAGMA database_list").fetchone()[2]
    return Witness(Path(name)) if name else None
