"""
Transactions on MongoDB that nobody goes on with, and whoever waits for what they hold.

A server that stood still goes on with all that was sent to it meanwhile, after whoever sent it
has given up, and after whoever takes over has ended what was open until then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from pymongo.errors import AutoReconnect

from exchange import lease
from exchange.lease import RENEW_S, WRITE_S, LeaseKeeper, acquire, renew
from exchange.store import mongo
from exchange.store.base import LeaseLostError, Store, StoreBusyError, StoreUnusableError
from exchange.store.factory import end_left_transaction, open_store
from exchange.store.tables import CLIENT_KEYS
from tests.db_contract.conftest import EPOCH
from tests.db_contract.test_store import FENCE, key_row, rows_of

if connection.vendor != "mongodb":
    pytest.skip("about MongoDB; others have none of it", allow_module_level=True)

from pymongo.synchronous.client_session import ClientSession

# Half of what anybody may need to be back after the server is.
SOON_S = 5.0


def lose(*_: object) -> None:
    """Stand for a call whose answer never came."""
    raise AutoReconnect("connection closed")


@pytest.fixture
def abandon(monkeypatch: pytest.MonkeyPatch) -> Callable[[Store], None]:
    """Make a store begin a batch that the server holds open: neither commit nor abort arrive."""

    def begin(store: Store) -> None:
        with monkeypatch.context() as away:
            away.setattr(mongo, "reach", lose)
            away.setattr(ClientSession, "_finish_transaction_with_retry", lose)
            with pytest.raises(StoreBusyError):
                store.write(FENCE, [(CLIENT_KEYS, [key_row(1)])])

    return begin


class TestLeader:
    """Whose own transaction the server goes on with."""

    @pytest.fixture(autouse=True)
    def _abandoned(self, store: Store, abandon: Callable[[Store], None]) -> None:
        abandon(store)

    def test_renews_once_it_has_loaded(self, store: Store) -> None:
        with store.snapshot() as reader:
            assert [tuple(row) for row in reader.rows(CLIENT_KEYS)] == []
        began = time.monotonic()
        renew(EPOCH)

        # Else it waits for the server's limit on transactions, or its own on answers.
        assert time.monotonic() - began < SOON_S

    def test_is_not_kept_from_loading_again_by_its_own_renewal(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A load whose own first step got no answer ends only with the renewal beside it."""
        pass_fence = mongo.MongoStore._pass_fence

        def pass_unheard(*arguments: Any) -> None:
            pass_fence(*arguments)
            time.sleep(RENEW_S * 2)
            lose()

        def load() -> None:
            with LeaseKeeper(EPOCH), store.snapshot():
                pass

        began = time.monotonic()
        with monkeypatch.context() as away:
            away.setattr(mongo.MongoStore, "_pass_fence", pass_unheard)
            away.setattr(ClientSession, "_finish_transaction_with_retry", lose)
            with pytest.raises(StoreUnusableError):
                load()
        load()
        renew(EPOCH)

        assert time.monotonic() - began < SOON_S


class TestSuccessor:
    """Who takes over from a leader that was killed within its batch."""

    @pytest.fixture
    def old(self, store: Store) -> Iterator[Store]:
        leader = open_store(paced=False)
        yield leader
        leader.close()

    def test_ends_a_transaction_that_begins_after_it_has_ended_all(
        self,
        store: Store,
        old: Store,
        abandon: Callable[[Store], None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        asked = 0

        def end_then_begin() -> None:
            nonlocal asked
            asked += 1
            end_left_transaction()
            if asked == 1:
                abandon(old)

        monkeypatch.setattr(lease, "end_left_transaction", end_then_begin)

        began = time.monotonic()
        taken = acquire()

        assert taken is not None
        assert taken.epoch > EPOCH
        assert asked > 1
        assert WRITE_S / 2 < time.monotonic() - began < SOON_S
        assert rows_of(store, CLIENT_KEYS) == []
        with pytest.raises(LeaseLostError):
            old.write(FENCE, [(CLIENT_KEYS, [key_row(1)])])
