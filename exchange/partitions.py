"""
Partitions, on PostgreSQL, of the tables that only grow: a range of keys each.

Keys of these tables are numbers that the exchange gives upwards, so one partition is written,
those before it are never changed again, and those ahead are empty. What an old partition costs
is disk alone: its index leaves memory, vacuum has frozen it once, and the whole of it can go in
one statement or to another tablespace.

A key for which there is no partition goes to the default one and is never refused: an error of
that class would be blamed on a command. So partitions may be made late, and making them may
give up whenever it would keep the exchange waiting.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from django.db import DatabaseError, connection, transaction

from exchange.connections import give_back_connections
from exchange.projection import Table
from exchange.store.sql import last_key_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

logger = structlog.get_logger(__name__)

# So many are kept ready beyond the one that is written.
AHEAD = 2
LOOK_EVERY_S = 60.0
# What a statement of this module waits for a lock, and the most that the exchange waits behind it.
LOCK_WAIT = "50ms"
# Less than the exchange's store waits for a lock: attaching reads the default partition, where
# keys are only after making partitions has failed for as long as those ahead lasted.
STATEMENT_MAX = "1s"
_BOUNDS = re.compile(r"FOR VALUES FROM \((MINVALUE|'?-?\d+'?)\) TO \((MAXVALUE|'?-?\d+'?)\)")


@dataclass(frozen=True, slots=True)
class Partition:
    """A range of keys, ``first`` up to but without ``end``, and the table that has them."""

    name: str
    first: int
    end: int


class PartitionKeeper:
    """Makes partitions ahead of the newest keys, from time to time; nothing off PostgreSQL."""

    def __init__(self, tables: Iterable[Table]) -> None:
        """Look after those of the tables that have partitions."""
        self._tables = [table for table in tables if table.partition_rows]
        self._due = time.monotonic()

    def step(self) -> None:
        """Make what is missing when it is time to look; what fails is tried again."""
        if connection.vendor != "postgresql" or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + LOOK_EVERY_S
        for table in self._tables:
            try:
                make_ahead(table)
            except DatabaseError as error:
                logger.warning("partitions_postponed", table=table.name, error=str(error))
                give_back_connections()


def partition_table(editor: BaseDatabaseSchemaEditor, name: str, *, rows: int) -> None:
    """
    Make a table a partitioned one; what it holds becomes its first partition. For migrations.

    The table is read once and locked meanwhile. An older version reads and writes the result like
    any other table, so going back needs nothing.
    """
    if editor.connection.vendor != "postgresql":
        return
    table = Table(name=name, columns=("id",), partition_rows=rows)
    end = (_newest_key(table) // rows + 1) * rows
    first = _name(table, 0)
    with editor.connection.cursor() as cursor:
        for statement in (
            f'ALTER TABLE "{name}" RENAME TO "{first}"',
            f'ALTER INDEX "{name}_pkey" RENAME TO "{first}_pkey"',
            f'CREATE TABLE "{name}" (LIKE "{first}" INCLUDING ALL) PARTITION BY RANGE ("id")',
            f'CREATE TABLE "{name}_default" PARTITION OF "{name}" DEFAULT',
            f'ALTER TABLE "{name}" ATTACH PARTITION "{first}"'
            f" FOR VALUES FROM (MINVALUE) TO ({end})",
        ):
            cursor.execute(statement)
    make_ahead(table)


def make_ahead(table: Table) -> list[Partition]:
    """
    Make the partitions that are missing beyond the newest key of a table; return those.

    While keys go to the default partition a new one begins a whole range beyond the newest: what
    is being written meanwhile must not belong to it.

    Raises:
        DatabaseError: if somebody reads or changes the table right now; nothing is changed then.
    """
    made = []
    newest = _newest_key(table)
    end = max((partition.end for partition in partitions_of(table)), default=0)
    if end <= newest:
        end = newest + table.partition_rows
    while end - newest <= AHEAD * table.partition_rows:
        partition = Partition(_name(table, end), end, end + table.partition_rows)
        with _changing_tables() as cursor:
            # Attaching an empty table locks the parent against other changes of it alone,
            # and the default partition, which is read for keys of the range.
            cursor.execute(f'CREATE TABLE "{partition.name}" (LIKE "{table.name}" INCLUDING ALL)')
            cursor.execute(
                f'ALTER TABLE "{table.name}" ATTACH PARTITION "{partition.name}"'
                f" FOR VALUES FROM ({partition.first}) TO ({partition.end})"
            )
        logger.info("partition_made", table=table.name, first_key=partition.first)
        made.append(partition)
        end = partition.end
    return made


def drop_partition(table: Table, partition: Partition) -> None:
    """
    Remove a partition with all its rows.

    Raises:
        DatabaseError: if somebody reads or changes the table right now; nothing is changed then.
    """
    with _changing_tables() as cursor:
        cursor.execute(f'DROP TABLE "{partition.name}"')
    logger.info("partition_dropped", table=table.name, first_key=partition.first)


def partitions_of(table: Table) -> list[Partition]:
    """Return the partitions of a table by their keys, without the default one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, pg_get_expr(relpartbound, pg_class.oid) FROM pg_inherits"
            " JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = %s::regclass",
            [f'"{table.name}"'],
        )
        found = [(name, _BOUNDS.fullmatch(bounds)) for name, bounds in cursor.fetchall()]
    partitions = [Partition(name, *map(_key, match.groups())) for name, match in found if match]
    return sorted(partitions, key=lambda partition: partition.first)


@contextmanager
def _changing_tables() -> Iterator[Any]:
    """Open a transaction that gives up soon where it does not get a lock."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
        cursor.execute(f"SET LOCAL statement_timeout = '{STATEMENT_MAX}'")
        yield cursor


def _newest_key(table: Table) -> int:
    with connection.cursor() as cursor:
        cursor.execute(last_key_sql(table))
        return int(cursor.fetchone()[0] or 0)


def _name(table: Table, first_key: int) -> str:
    return f"{table.name}_p{first_key}"


def _key(bound: str) -> int:
    infinite = {"MINVALUE": -sys.maxsize, "MAXVALUE": sys.maxsize}
    return infinite.get(bound) or int(bound.strip("'"))
