"""Client ids of the newest orders are found by reading each order once."""

from __future__ import annotations

from typing import Any

import pytest

from orders import recent_ids, selectors
from orders.models import Order
from orders.recent_ids import RecentIds
from tests.support.trading import Trader

pytestmark = pytest.mark.integration


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the orders that were read, in order."""
    numbers: list[int] = []
    walk = recent_ids.walk_chain

    def noting(*arguments: Any, **options: Any) -> Any:
        for row in walk(*arguments, **options):
            numbers.append(row[0])
            yield row

    monkeypatch.setattr(recent_ids, "walk_chain", noting)
    return numbers


@pytest.fixture
def recent(monkeypatch: pytest.MonkeyPatch) -> RecentIds:
    """Ids of this test alone."""
    own = RecentIds()
    monkeypatch.setattr(selectors, "RECENT_IDS", own)
    return own


def place(trader: Trader, *names: str) -> list[int]:
    return [
        int(trader.placed(price="40000", quantity="0.001", client_order_id=name)["id"])
        for name in names
    ]


def find(trader: Trader, name: str) -> int:
    order = selectors.order_of_client_id(trader.account_id, name)
    return 0 if order is None else order.order_id


def test_what_was_read_is_not_read_again(alice: Trader, recent: RecentIds, read: list[int]) -> None:
    ids = place(alice, "a-1", "a-2", "a-3")

    assert find(alice, "nobody") == 0
    first = list(read)
    assert [find(alice, name) for name in ("a-1", "a-3", "nobody")] == [ids[0], ids[2], 0]
    again = read[len(first) :]
    (newest,) = place(alice, "a-4")
    assert (find(alice, "nobody"), find(alice, "a-4")) == (0, newest)

    assert first == ids[::-1]
    # One row tells that there is nothing new.
    assert again == [ids[2]]
    assert read[len(first) + len(again) :] == [newest, ids[2]]


def test_a_recent_one_is_found_without_reading_on(
    alice: Trader, recent: RecentIds, read: list[int]
) -> None:
    ids = place(alice, "a-1", "a-2", "a-3")

    assert find(alice, "a-3") == ids[2]
    assert read == [ids[2]]
    # Not all was read, so nothing may be taken for unknown.
    assert find(alice, "a-1") == ids[0]


def test_another_account_has_none_of_them(alice: Trader, bob: Trader, recent: RecentIds) -> None:
    ids = place(alice, "same")
    others = place(bob, "same", "bobs")

    assert (find(alice, "bobs"), find(bob, "nobody")) == (0, 0)
    assert (find(alice, "same"), find(bob, "same")) == (ids[0], others[0])
    assert find(alice, "bobs") == 0


def test_an_order_of_another_database_is_not_shown(alice: Trader, recent: RecentIds) -> None:
    ids = place(alice, "a-1", "a-2")
    assert find(alice, "nobody") == 0

    # As if a backup had been put in place: the same numbers, other orders.
    Order.objects.filter(id=ids[0]).update(client_order_id="b-1")

    assert find(alice, "a-1") == 0
    assert find(alice, "b-1") == ids[0]


def test_many_are_not_kept(alice: Trader, bob: Trader, monkeypatch: pytest.MonkeyPatch) -> None:
    small = RecentIds(ids_max=3)
    monkeypatch.setattr(selectors, "RECENT_IDS", small)
    ids = place(alice, "a-1", "a-2")
    others = place(bob, "b-1", "b-2")

    for trader in (alice, bob, alice):
        assert find(trader, "nobody") == 0
    many = place(alice, "a-3", "a-4")

    assert [find(alice, f"a-{number}") for number in (1, 2, 3, 4)] == [*ids, *many]
    assert find(alice, "nobody") == 0
    assert [find(bob, name) for name in ("b-1", "b-2")] == others
