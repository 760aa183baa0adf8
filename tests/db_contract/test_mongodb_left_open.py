"""
Transactions on MongoDB that nobody goes on with, and whoever waits for what they hold.

A server that stood still goes on with all that was sent to it meanwhile, after whoever sent it
has given up, and after whoever takes over has ended what was open until then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection
from pymongo.errors import AutoReconnect

from accounts.models import AuditHead
from common.db import atomic
from exchange import lease
from exchange.lease import RENEW_S, WRITE_S, LeaseKeeper, acquire, renew
from exchange.store import mongo
from exchange.store.base import LeaseLostError, Store, StoreBusyError, StoreUnusableError
from exchange.store.factory import end_left_transaction, open_store
from exchange.store.tables import CLIENT_KEYS
from tests.db_contract.conftest import EPOCH
from tests.db_contract.test_store import FENCE, key_row, rows_of
from tests.support.databases import OwnDatabase

if connection.vendor != "mongodb":
    pytest.skip("about MongoDB; others have none of it", allow_module_level=True)

from pymongo.synchronous.client_session import ClientSession

from common.mongodb import turn
from common.mongodb.turn import Turn

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


@pytest.fixture
def head(own_database: OwnDatabase) -> AuditHead:
    """A row that transactions change, one of them having been made."""
    with atomic():
        return AuditHead.objects.create(id=1, number=0, seal="")


def change(number: int) -> float:
    """Make a transaction; return how many seconds that took."""
    began = time.monotonic()
    with atomic():
        AuditHead.objects.update(number=number)
    return time.monotonic() - began


@pytest.mark.usefixtures("head")
class TestTurn:
    """Of a transaction of Django that nobody goes on with."""

    @pytest.fixture
    def other(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ClientSession, Turn]]:
        """The session of another process, and its turn."""
        client: Any = connection
        with client.connection.start_session() as session, monkeypatch.context() as elsewhere:
            elsewhere.setattr(turn, "_process", lambda: "elsewhere-1-")
            taken = Turn(client.database, session)
            elsewhere.undo()
            yield session, taken

    def test_is_ended_after_the_longest_time_that_anybody_needs(
        self, other: tuple[ClientSession, Turn], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(turn, "TURN_MAX_S", 0.2)
        client: Any = connection
        session, theirs = other
        theirs.take(ClientSession.start_transaction)
        client.database["accounts_audithead"].update_one(
            {"_id": 1}, {"$set": {"number": 99}}, session=session
        )

        assert 0.2 <= change(1) < turn.TURN_WAIT_S

        assert AuditHead.objects.get().number == 1

    def test_is_ended_again_when_it_begins_after_its_session_was_ended(
        self, other: tuple[ClientSession, Turn], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(turn, "TURN_MAX_S", 0.2)
        monkeypatch.setattr(turn, "TAKE_AWAY_S", 0.5)
        session, theirs = other
        assert theirs._is_taken()
        take_away, ended = Turn._take_away, []

        def begin_late(mine: Turn, *arguments: Any) -> None:
            command = mine._command

            def end_then_begin(*words: Any) -> None:
                command(*words)
                ended.append(words)
                if len(ended) == 1:
                    assert theirs._is_begun(ClientSession.start_transaction)

            with monkeypatch.context() as late:
                late.setattr(mine, "_command", end_then_begin)
                take_away(mine, *arguments)

        monkeypatch.setattr(Turn, "_take_away", begin_late)

        assert 0.2 <= change(1) < SOON_S

        assert len(ended) > 1
        session.abort_transaction()
        assert not theirs._is_begun(ClientSession.start_transaction)

    def test_of_this_process_is_ended_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither the commit nor what follows it arrives, and the server still has it open."""
        with monkeypatch.context() as away:
            away.setattr(ClientSession, "_finish_transaction_with_retry", lose)
            away.setattr(Turn, "_give_back", lose)
            with pytest.raises(OperationalError):
                change(7)

        assert change(1) < turn.TURN_MAX_S / 2

        assert AuditHead.objects.get().number == 1

    def test_of_a_thread_that_is_at_work_stays_its_own(self) -> None:
        inside, go_on = threading.Event(), threading.Event()

        def work() -> None:
            with atomic():
                inside.set()
                go_on.wait(SOON_S)
                AuditHead.objects.update(number=1)

        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(work)
            assert inside.wait(SOON_S)
            second = threads.submit(change, 2)
            time.sleep(0.3)
            go_on.set()
            first.result(SOON_S)

            assert second.result(SOON_S) >= 0.2

        assert AuditHead.objects.get().number == 2
