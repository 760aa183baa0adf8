"""How the database would carry out the queries of a page, asked of SQLite itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext


@dataclass
class Watched:
    """The reads of a block, each with the steps of its plan."""

    plans: list[tuple[str, list[str]]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Return how many reads there were."""
        return len(self.plans)

    def count_without(self, *tables: str) -> int:
        """Return how many reads there were of others than these tables."""
        return sum(not any(f'"{name}"' in sql for name in tables) for sql, _ in self.plans)

    def offences(self, *small_tables: str) -> list[str]:
        """
        Return the steps that grow with a table: whole tables read, results sorted.

        Tables that hold one row per market, asset or tier may be read as a whole. A list in
        the order of its key reads a table as a whole only as far as its page goes: SQLite
        calls it a scan, and it has LIMIT.
        """
        found = []
        for sql, steps in self.plans:
            for step in steps:
                is_scan = step.startswith("SCAN ") and not _is_named(step, small_tables)
                if is_scan and _walks_key(sql):
                    continue
                if is_scan or "TEMP B-TREE" in step:
                    found.append(f"{step}: {sql}")
        return found


def _is_named(step: str, tables: tuple[str, ...]) -> bool:
    return step.split()[1] in (*tables, "chain", "CONSTANT")


def _walks_key(sql: str) -> bool:
    """Tell whether a read without a condition goes along the primary key and stops."""
    order = sql.rpartition("ORDER BY")[2].strip()
    by_key = '."id"' in order or ('AS "id" FROM' in sql and order.startswith("1 "))
    return " WHERE " not in sql and " LIMIT " in sql and by_key


@contextmanager
def watched_reads() -> Iterator[Watched]:
    """Note every read of the block and how SQLite carries it out; skips on other databases."""
    if connection.vendor != "sqlite":
        pytest.skip("plans as SQLite tells them; tests/db_contract/test_plans.py asks the others")
    watched = Watched()
    with CaptureQueriesContext(connection) as captured:
        yield watched
    for query in captured.captured_queries:
        sql = query["sql"]
        if not sql.lstrip().upper().startswith(("SELECT", "WITH")):
            continue
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            watched.plans.append((sql, [row[3] for row in cursor.fetchall()]))
