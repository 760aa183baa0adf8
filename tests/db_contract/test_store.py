"""The store: one transaction under a fence, exact values, and errors that blame the right one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from exchange.models import POSITION_ID, LogPosition
from exchange.projection import Row, Table
from exchange.store.base import DataError, Fence, LeaseLostError, Store
from exchange.store.factory import open_store
from exchange.store.tables import BATCHES, CLIENT_KEYS, OPERATOR_COMMANDS, POSITION, QUARANTINE
from orders.projection import ORDERS
from tests.db_contract.conftest import EPOCH
from wallets.projection import BALANCES

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
EDGES = [INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX]
FENCE = Fence(EPOCH, {"batch": 5, "system_offset": "7-1"})
# All that a text column must bring back as it was.
TEXTS = ["", "NULL", "null", "{}", '"', "\\", "a,b", "{a}", "'", "ü€𝄞", " blank ", "\t\n", "%s"]


def key_row(
    number: int, *, account_id: int = 1, client_key: str = "o:a", reference: int = 1
) -> Row:
    return (number, account_id, client_key, reference, 99, 7)


def batch_row(number: int, payload: bytes = b"payload") -> Row:
    return (number, EPOCH, 1, 2, 3, 4, 5, "1-0", "2-0", payload, 7)


def order_row(order_id: int, **changes: Any) -> Row:
    values: dict[str, Any] = dict.fromkeys(ORDERS.columns, 1)
    values |= {"id": order_id, "client_order_id": "", "post_only": False, "is_open": 0}
    values |= changes
    return tuple(values[name] for name in ORDERS.columns)


def rows_of(store: Store, table: Table, **equals: int) -> list[Row]:
    with store.snapshot() as reader:
        return [tuple(row) for row in reader.rows(table, equals=equals or None)]


def write_elsewhere(row: Row) -> None:
    """Write a client id as another process would: by a connection of this thread's own."""
    store = open_store(paced=False)
    try:
        store.write(Fence(EPOCH, {"batch": 6}), [(CLIENT_KEYS, [row])])
    finally:
        store.close()


def position() -> LogPosition:
    return LogPosition.objects.get(id=POSITION_ID)


class TestFence:
    def test_sets_its_columns_and_no_other(self, store: Store) -> None:
        LogPosition.objects.update(owner="me", heartbeat=3)

        store.write(FENCE, [])

        row = position()
        assert (row.batch, row.system_offset) == (5, "7-1")
        assert (row.epoch, row.owner, row.heartbeat) == (EPOCH, "me", 3)

    def test_of_another_epoch_writes_nothing(self, store: Store) -> None:
        with pytest.raises(LeaseLostError):
            store.write(Fence(EPOCH - 1, {"batch": 5}), [(CLIENT_KEYS, [key_row(1)])])

        assert position().batch == 0
        assert rows_of(store, CLIENT_KEYS) == []

    def test_a_lease_taken_by_another_ends_the_leader(self, store: Store) -> None:
        store.write(FENCE, [(CLIENT_KEYS, [key_row(1)])])
        other = open_store(paced=False)
        other.write(Fence(EPOCH, {"epoch": EPOCH + 1}), [])

        with pytest.raises(LeaseLostError):
            store.write(FENCE, [(CLIENT_KEYS, [key_row(2)])])

        assert [row[0] for row in rows_of(store, CLIENT_KEYS)] == [1]


class TestRows:
    def test_are_inserted_and_replaced_by_key(self, store: Store) -> None:
        store.write(FENCE, [(CLIENT_KEYS, [key_row(2), key_row(1, reference=10)])])

        store.write(FENCE, [(CLIENT_KEYS, [key_row(1, reference=11), key_row(3)])])

        assert rows_of(store, CLIENT_KEYS) == [key_row(1, reference=11), key_row(2), key_row(3)]

    def test_of_append_only_tables_are_never_replaced(self, store: Store) -> None:
        store.write(FENCE, [(BATCHES, [batch_row(1)])])

        with pytest.raises(DataError):
            store.write(
                Fence(EPOCH, {"batch": 6}),
                [(CLIENT_KEYS, [key_row(1)]), (BATCHES, [batch_row(2), batch_row(1, b"other")])],
            )

        assert rows_of(store, BATCHES) == [batch_row(1)]
        assert rows_of(store, CLIENT_KEYS) == []
        assert position().batch == 5

    def test_of_several_tables_and_of_none(self, store: Store) -> None:
        audit = (9, "Credit", "op", "why", "r-1", '{"a": 1}', 0, 1)
        aside = (5, "c-1", "PlaceOrder", 1, 1, "KeyError('x')", b"\x00\xff", 7)

        store.write(
            FENCE,
            [(OPERATOR_COMMANDS, [audit]), (CLIENT_KEYS, []), (QUARANTINE, [aside])],
        )

        assert rows_of(store, OPERATOR_COMMANDS) == [audit]
        assert rows_of(store, QUARANTINE) == [aside]

    def test_of_a_large_batch(self, store: Store) -> None:
        # SecantusDB needs a minute for so many on a busy machine.
        count = 2_000 if connection.vendor == "mongodb" else 12_000
        orders = [order_row(number, account_id=number % 7) for number in range(1, count + 1)]

        store.write(FENCE, [(ORDERS, orders)])

        assert rows_of(store, ORDERS) == orders


class TestValues:
    @pytest.mark.parametrize(
        "value", [INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX]
    )
    def test_64_bits_come_back(self, store: Store, value: int) -> None:
        store.write(FENCE, [(CLIENT_KEYS, [(1, value, "o:a", value, value, 7)])])

        assert rows_of(store, CLIENT_KEYS) == [(1, value, "o:a", value, value, 7)]
        assert store.find(CLIENT_KEYS, [1]) == [(1, value, "o:a", value, value, 7)]

    @pytest.mark.parametrize("key", [INT64_MIN, -1, 0, INT64_MAX])
    def test_any_64_bit_number_is_a_key(self, store: Store, key: int) -> None:
        store.write(FENCE, [(CLIENT_KEYS, [key_row(key), key_row(5)])])
        store.write(FENCE, [(CLIENT_KEYS, [key_row(key, reference=4)])])

        assert store.find(CLIENT_KEYS, [key]) == [key_row(key, reference=4)]
        assert [row[0] for row in rows_of(store, CLIENT_KEYS)] == sorted([key, 5])

    @pytest.mark.parametrize("value", [INT64_MAX + 1, INT64_MIN - 1, 2**200, None])
    def test_no_64_bit_integer_is_refused_whole(self, store: Store, value: object) -> None:
        with pytest.raises(DataError):
            store.write(
                FENCE, [(BATCHES, [batch_row(1)]), (CLIENT_KEYS, [(1, 1, "a", 1, value, 7)])]
            )

        assert rows_of(store, BATCHES) == []
        assert rows_of(store, CLIENT_KEYS) == []
        assert position().batch == 0

    def test_after_a_refusal_the_next_batch_goes_through(self, store: Store) -> None:
        with pytest.raises(DataError):
            store.write(FENCE, [(CLIENT_KEYS, [(1, 1, "a", 1, 2**63, 7)])])

        store.write(FENCE, [(CLIENT_KEYS, [key_row(1)])])

        assert rows_of(store, CLIENT_KEYS) == [key_row(1)]

    def test_texts_come_back(self, store: Store) -> None:
        rows = [key_row(number, client_key=text) for number, text in enumerate(TEXTS, 1)]

        store.write(FENCE, [(CLIENT_KEYS, rows)])

        assert rows_of(store, CLIENT_KEYS) == rows

    @pytest.mark.parametrize("payload", [b"", bytes(range(256)), b"\x00" * 3, b"x" * 3_000_000])
    def test_bytes_come_back(self, store: Store, payload: bytes) -> None:
        store.write(FENCE, [(BATCHES, [batch_row(1, payload)])])

        assert rows_of(store, BATCHES) == [batch_row(1, payload)]

    def test_flags_come_back(self, store: Store) -> None:
        rows = [order_row(1, post_only=True), order_row(2, post_only=False)]

        store.write(FENCE, [(ORDERS, rows)])

        assert rows_of(store, ORDERS) == rows


class TestReading:
    def test_filters_by_equality_in_the_order_of_the_key(self, store: Store) -> None:
        rows = [order_row(number, is_open=number % 2, account_id=9 - number) for number in range(9)]
        store.write(FENCE, [(ORDERS, rows)])

        found = rows_of(store, ORDERS, is_open=1)

        assert [row[0] for row in found] == [1, 3, 5, 7]
        assert rows_of(store, ORDERS, is_open=1, account_id=6) == [rows[3]]

    def test_continues_from_a_key(self, store: Store) -> None:
        store.write(FENCE, [(BATCHES, [batch_row(number) for number in (1, 2, 4, 9)])])

        with store.snapshot() as reader:
            assert [row[0] for row in reader.rows_from(BATCHES, 3)] == [4, 9]
            assert [row[0] for row in reader.rows_from(BATCHES, 10)] == []

    def test_knows_the_last_key(self, store: Store) -> None:
        with store.snapshot() as reader:
            assert reader.last_key(BATCHES) == 0
        store.write(FENCE, [(BATCHES, [batch_row(3), batch_row(12)])])

        with store.snapshot() as reader:
            assert reader.last_key(BATCHES) == 12

    def test_finds_by_keys(self, store: Store) -> None:
        store.write(FENCE, [(CLIENT_KEYS, [key_row(number) for number in range(1, 3_001)])])

        assert store.find(CLIENT_KEYS, []) == []
        assert store.find(CLIENT_KEYS, [99_999]) == []
        found = store.find(CLIENT_KEYS, [*range(2, 5_000, 2), 2])
        assert sorted(row[0] for row in found) == list(range(2, 3_001, 2))

    def test_a_snapshot_does_not_see_what_is_committed_meanwhile(self, store: Store) -> None:
        store.write(FENCE, [(CLIENT_KEYS, [key_row(1)])])

        with store.snapshot() as reader:
            before = [tuple(row) for row in reader.rows(CLIENT_KEYS)]
            with ThreadPoolExecutor(1) as threads:
                threads.submit(write_elsewhere, key_row(2)).result()
            during = [tuple(row) for row in reader.rows(CLIENT_KEYS)]
            (batch,) = (row[POSITION.columns.index("batch")] for row in reader.rows(POSITION))

        assert before == during == [key_row(1)]
        assert batch == 5
        assert rows_of(store, CLIENT_KEYS) == [key_row(1), key_row(2)]

    def test_amounts_of_a_wallet_come_back(self, store: Store) -> None:
        row = tuple(range(1, len(BALANCES.columns) + 1))

        store.write(FENCE, [(BALANCES, [row])])

        assert rows_of(store, BALANCES) == [row]
