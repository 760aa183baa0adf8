"""Partitions of what only grows: made ahead of the keys, never missed, dropped as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection

from exchange import partitions, retention
from exchange.models import Batch
from exchange.partitions import (
    AHEAD,
    Partition,
    PartitionKeeper,
    make_ahead,
    partition_table,
    partitions_of,
)
from exchange.position import Position
from exchange.processor import written_tables
from exchange.projection import Table
from exchange.retention import HOUR_MS, Retention
from exchange.store.tables import BATCHES
from exchange.wire import now_ms
from orders.projection import TRADES
from tests.db_contract.test_store import batch_row
from tests.support.databases import OwnDatabase
from wallets.projection import ENTRIES

ROWS = 10
GROWING = Table("exchange_growing", ("id", "text"), append_only=True, partition_rows=ROWS)


def execute(sql: str, *values: object) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else []


def add(*keys: int) -> None:
    for key in keys:
        execute("INSERT INTO exchange_growing VALUES (%s, %s)", key, f"row {key}")


def keys_of(table: str) -> list[object]:
    return [row[0] for row in execute(f"SELECT id FROM {table} ORDER BY id")]  # noqa: S608


def ranges() -> list[tuple[int, int]]:
    return [(partition.first, partition.end) for partition in partitions_of(GROWING)][1:]


@pytest.fixture
def plain(db: None) -> None:
    """A table as an older version has left it, with rows."""
    execute("CREATE TABLE exchange_growing (id bigint PRIMARY KEY, text text NOT NULL)")
    execute("ALTER TABLE exchange_growing ADD CONSTRAINT positive CHECK (id > 0)")
    add(1, 4, 23)


@pytest.fixture
def growing(plain: None) -> None:
    with connection.schema_editor() as editor:
        partition_table(editor, GROWING.name, rows=ROWS)


@pytest.mark.django_db
@pytest.mark.parametrize("table", [BATCHES, TRADES, ENTRIES], ids=lambda table: table.name)
def test_a_migrated_database_has_them(table: Table) -> None:
    found = partitions_of(table)

    assert table in written_tables()
    assert len(found) == 1 + AHEAD
    assert [partition.first for partition in found[1:]] == [
        partition.end for partition in found[:-1]
    ]
    assert found[0].end == table.partition_rows


class TestMaking:
    def test_what_a_table_holds_is_its_first_partition(self, growing: None) -> None:
        assert keys_of("exchange_growing") == keys_of("exchange_growing_p0") == [1, 4, 23]
        assert ranges() == [(30, 40), (40, 50)]

    def test_constraints_hold_in_each(self, growing: None) -> None:
        with pytest.raises(DatabaseError, match="positive"), connection.schema_editor():
            add(-1)
        with pytest.raises(DatabaseError, match="exchange_growing_p30_pkey"):
            add(31, 31)

    def test_nothing_is_made_while_enough_are_ahead(self, growing: None) -> None:
        add(29)

        assert make_ahead(GROWING) == []

    def test_so_many_are_always_ahead_of_the_newest_key(self, growing: None) -> None:
        add(31)

        made = make_ahead(GROWING)

        assert made == [Partition("exchange_growing_p50", 50, 60)]
        assert ranges()[-1] == (50, 60)
        assert keys_of("exchange_growing_p30") == [31]

    def test_a_key_without_a_partition_is_taken(self, growing: None) -> None:
        add(49, 50, 57)

        assert keys_of("exchange_growing_default") == [50, 57]
        assert keys_of("exchange_growing") == [1, 4, 23, 49, 50, 57]

    def test_after_such_keys_new_ones_begin_where_none_is_written_yet(self, growing: None) -> None:
        add(57)

        make_ahead(GROWING)
        add(58, 66, 67)

        assert ranges()[-2:] == [(67, 77), (77, 87)]
        assert keys_of("exchange_growing_default") == [57, 58, 66]
        assert keys_of("exchange_growing_p67") == [67]
        assert make_ahead(GROWING) == [Partition("exchange_growing_p87", 87, 97)]

    def test_a_partition_of_an_operator_to_the_end_of_all_keys_is_left_alone(
        self, growing: None
    ) -> None:
        execute(
            "CREATE TABLE exchange_rest PARTITION OF exchange_growing"
            " FOR VALUES FROM (50) TO (MAXVALUE)"
        )
        add(1_000)

        assert make_ahead(GROWING) == []

    def test_reading_one_key_reads_one_partition(self, growing: None) -> None:
        plan = str(execute("EXPLAIN SELECT * FROM exchange_growing WHERE id = 31"))

        assert set(re.findall(r"exchange_growing_\w+", plan)) == {
            "exchange_growing_p30",
            "exchange_growing_p30_pkey",
        }


class TestKeeping:
    """Beside others on a database of its own, since a lock is seen by other connections alone."""

    @pytest.fixture
    def reader(self, own_database: OwnDatabase) -> Iterator[psycopg.Connection[object]]:
        """Somebody who reads the whole table and does not end."""
        execute("CREATE TABLE exchange_growing (id bigint PRIMARY KEY, text text NOT NULL)")
        with connection.schema_editor() as editor:
            partition_table(editor, GROWING.name, rows=ROWS)
        with psycopg.connect(own_database.environment["DATABASE_URL"]) as reading:
            reading.execute("SELECT * FROM exchange_growing")
            yield reading
        execute("DROP TABLE exchange_growing")

    def test_gives_way_to_who_reads_and_tries_again(
        self, reader: psycopg.Connection[object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(partitions, "LOOK_EVERY_S", 0.0)
        keeper = PartitionKeeper([GROWING])
        add(11)

        keeper.step()
        waiting = ranges()
        add(12)
        reader.rollback()
        keeper.step()

        assert waiting == [(10, 20), (20, 30)]
        assert ranges() == [(10, 20), (20, 30), (30, 40)]

    def test_looks_from_time_to_time(self, reader: psycopg.Connection[object]) -> None:
        reader.rollback()
        keeper = PartitionKeeper([GROWING])
        keeper.step()
        add(11)

        keeper.step()

        assert ranges() == [(10, 20), (20, 30)]

    def test_leaves_tables_without_partitions_alone(self, own_database: OwnDatabase) -> None:
        before = partitions_of(BATCHES)

        PartitionKeeper([replace(BATCHES, partition_rows=0)]).step()

        assert partitions_of(BATCHES) == before


class TestRetention:
    """The log in partitions of ten batches; those up to 25 are a day old."""

    OLD = range(1, 26)
    NEW = range(26, 34)

    @pytest.fixture(autouse=True)
    def log(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        small = replace(BATCHES, partition_rows=ROWS)
        monkeypatch.setattr(retention, "LOOK_EVERY_S", 0.0)
        monkeypatch.setattr(retention, "BATCHES", small)
        execute("CREATE TABLE plain_log (LIKE exchange_batch INCLUDING ALL)")
        execute("DROP TABLE exchange_batch")
        execute("ALTER TABLE plain_log RENAME TO exchange_batch")
        execute("ALTER INDEX plain_log_pkey RENAME TO exchange_batch_pkey")
        with connection.schema_editor() as editor:
            partition_table(editor, BATCHES.name, rows=ROWS)
        for key in (9, 19, 29):
            Batch.objects.create(**self.row(key))
            make_ahead(small)
        Batch.objects.all().delete()
        day_ago = now_ms() - 24 * HOUR_MS
        Batch.objects.bulk_create(Batch(**self.row(key, last_ms=day_ago)) for key in self.OLD)
        Batch.objects.bulk_create(Batch(**self.row(key)) for key in self.NEW)

    @staticmethod
    def row(key: int, *, last_ms: int = 0) -> dict[str, Any]:
        row = dict(zip(BATCHES.columns, batch_row(key), strict=True))
        return row | {"last_ms": last_ms or now_ms()}

    def run(self, **position: int) -> None:
        Retention(hours=2).step(Position(**position))

    def test_drops_partitions_that_are_wholly_old(self) -> None:
        self.run(batch=33, merged_batch=33)

        assert partitions_of(BATCHES)[0] == Partition("exchange_batch_p20", 20, 30)
        assert keys_of("exchange_batch") == list(range(20, 34))

    def test_keeps_what_a_start_still_needs(self) -> None:
        self.run(batch=33, merged_batch=15)

        assert keys_of("exchange_batch") == list(range(10, 34))

    def test_never_drops_what_is_written(self) -> None:
        Batch.objects.all().update(last_ms=1)

        self.run(batch=33, merged_batch=33)

        assert keys_of("exchange_batch") == list(range(30, 34))

    def test_drops_a_partition_that_has_been_emptied(self) -> None:
        Batch.objects.filter(id__lt=10).delete()

        self.run(batch=33, merged_batch=33)

        assert keys_of("exchange_batch") == list(range(20, 34))

    def test_deletes_one_by_one_what_is_in_no_partition(self) -> None:
        execute("DROP TABLE exchange_batch_p0")
        execute("ALTER TABLE exchange_batch DETACH PARTITION exchange_batch_p10")
        execute("INSERT INTO exchange_batch SELECT * FROM exchange_batch_p10")
        execute("DROP TABLE exchange_batch_p10")

        self.run(batch=33, merged_batch=33)

        assert keys_of("exchange_batch_default") == []
        assert keys_of("exchange_batch") == list(range(26, 34))
