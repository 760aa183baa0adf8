"""Client ids without a database: found in memory, merged in steps, found in the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from exchange import client_ids
from exchange.client_ids import ClientIds, client_key, hash_key
from exchange.core.commands import CancelOrder, ClientIdFinding, Credit, MoveInsurance, PlaceOrder
from exchange.core.enums import OrderType, Side, TimeInForce, WalletKind, insurance_account
from exchange.position import Position
from exchange.projection import Row, Table
from exchange.store.base import Fence, Group

ACCOUNT = 1_000_000_001


class FakeStore:
    """Keeps rows by key; counts look-ups."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.finds = 0
        self.fences: list[Fence] = []

    def find(self, table: Table, keys: Iterable[int]) -> list[Row]:
        self.finds += 1
        return [self.rows[key] for key in set(keys) if key in self.rows]

    def write(self, fence: Fence, groups: Sequence[Group]) -> None:
        self.fences.append(fence)
        for _, rows in groups:
            self.rows |= {row[0]: row for row in rows}


def order(client_order_id: str) -> PlaceOrder:
    return PlaceOrder(
        ACCOUNT,
        1,
        Side.BUY,
        OrderType.LIMIT,
        TimeInForce.GTC,
        1,
        1,
        client_order_id=client_order_id,
        request_hash=7,
    )


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def ids(store: FakeStore) -> ClientIds:
    return ClientIds(store)  # type: ignore[arg-type]


def merge_all(ids: ClientIds, batch: int) -> None:
    while not ids.merge_step(epoch=1, position=Position(batch=batch)):
        pass


class TestClientKey:
    def test_orders_and_transfers_are_kinds_of_their_own(self) -> None:
        credit = Credit(ACCOUNT, WalletKind.SPOT, 1, 1, "", "", client_transfer_id="a")

        assert client_key(order("a")) == (ACCOUNT, "o:a")
        assert client_key(credit) == (ACCOUNT, "t:a")
        assert client_key(MoveInsurance(2, 1, 1, client_transfer_id="a")) == (
            insurance_account(2),
            "t:a",
        )

    def test_a_command_without_one_has_none(self) -> None:
        assert client_key(order("")) is None
        assert client_key(MoveInsurance(2, 1, 1)) is None
        assert client_key(CancelOrder(ACCOUNT, 1, "a")) is None


class TestClientIds:
    def test_known_ids_need_no_look_up(self, ids: ClientIds, store: FakeStore) -> None:
        ids.remember((ACCOUNT, "o:a"), ClientIdFinding(1, 7))

        ids.prefetch([order("a"), order("")])

        assert store.finds == 0
        assert ids.find((ACCOUNT, "o:a")) == ClientIdFinding(1, 7)

    def test_a_batch_is_looked_up_at_once(self, ids: ClientIds, store: FakeStore) -> None:
        ids.prefetch([order(str(number)) for number in range(100)])

        assert store.finds == 1
        assert ids.find((ACCOUNT, "o:1")) is None

    def test_merged_ids_are_found_in_the_table(self, ids: ClientIds, store: FakeStore) -> None:
        count = client_ids.MERGE_STEP_KEYS * 2 + 1
        for number in range(count):
            ids.remember((ACCOUNT, f"o:{number}"), ClientIdFinding(number, 7))

        merge_all(ids, batch=12)
        ids.prefetch([order("0"), order(str(count - 1)), order("never")])

        assert len(store.fences) == 3
        merged = Position(batch=12, merged_batch=12).sealed()
        assert store.fences[-1].values == {"merged_batch": 12, "checksum": merged.checksum}
        assert all("merged_batch" not in fence.values for fence in store.fences[:-1])
        assert len(store.rows) == count
        assert ids.find((ACCOUNT, "o:0")) == ClientIdFinding(0, 7)
        assert ids.find((ACCOUNT, f"o:{count - 1}")) == ClientIdFinding(count - 1, 7)
        assert ids.find((ACCOUNT, "o:never")) is None

    def test_ids_used_while_merging_are_not_lost(self, ids: ClientIds) -> None:
        for number in range(client_ids.MERGE_STEP_KEYS + 1):
            ids.remember((ACCOUNT, f"o:{number}"), ClientIdFinding(number, 7))
        ids.merge_step(epoch=1, position=Position(batch=5))
        ids.remember((ACCOUNT, "o:late"), ClientIdFinding(99, 7))

        assert ids.find((ACCOUNT, "o:0")) == ClientIdFinding(0, 7)
        merge_all(ids, batch=6)

        assert len(ids) == 1
        assert ids.find((ACCOUNT, "o:late")) == ClientIdFinding(99, 7)

    def test_ids_of_one_hash_are_told_apart(
        self, ids: ClientIds, store: FakeStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client_ids, "hash_key", lambda key: 2**63 - 1)
        for number in range(3):
            ids.remember((ACCOUNT, f"o:{number}"), ClientIdFinding(number, 7))
        merge_all(ids, batch=1)
        ids.remember((ACCOUNT, "o:3"), ClientIdFinding(3, 7))
        merge_all(ids, batch=2)

        ids.prefetch([order(str(number)) for number in range(5)])

        assert set(store.rows) == {2**63 - 1, 0, 1, 2}
        found = [ids.find((ACCOUNT, f"o:{number}")) for number in range(5)]
        assert found == [ClientIdFinding(number, 7) for number in range(4)] + [None]

    @pytest.mark.parametrize("column", range(1, 6))
    def test_a_damaged_row_is_a_conflict_and_no_second_order(
        self, ids: ClientIds, store: FakeStore, column: int
    ) -> None:
        ids.remember((ACCOUNT, "o:a"), ClientIdFinding(1, 7))
        merge_all(ids, batch=1)
        ((key, row),) = store.rows.items()
        store.rows[key] = (*row[:column], row[column] + row[column], *row[column + 1 :])

        ids.prefetch([order("a")])

        found = ids.find((ACCOUNT, "o:a"))
        assert found is not None
        assert found.request_hash not in (7, 0)

    def test_a_row_of_an_older_version_is_found(self, ids: ClientIds, store: FakeStore) -> None:
        key = hash_key((ACCOUNT, "o:a"))
        store.rows[key] = (key, ACCOUNT, "o:a", 1, 7, None)

        ids.prefetch([order("a")])

        assert ids.find((ACCOUNT, "o:a")) == ClientIdFinding(1, 7)

    def test_merging_again_changes_nothing(self, ids: ClientIds, store: FakeStore) -> None:
        ids.remember((ACCOUNT, "o:a"), ClientIdFinding(1, 7))
        merge_all(ids, batch=1)
        before = dict(store.rows)
        ids.remember((ACCOUNT, "o:a"), ClientIdFinding(1, 7))

        merge_all(ids, batch=2)

        assert store.rows == before
        assert list(store.rows) == [hash_key((ACCOUNT, "o:a"))]

    def test_is_due_only_after_a_while_or_when_many_wait(
        self, ids: ClientIds, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids.remember((ACCOUNT, "o:a"), ClientIdFinding(1, 7))
        assert not ids.merge_due(idle=True)

        monkeypatch.setattr(client_ids, "MERGE_AT_KEYS", 1)

        assert ids.merge_due(idle=False)
