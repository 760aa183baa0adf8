"""What only MongoDB has: sessions that outlive their client, turns, a server of no replica set."""

from __future__ import annotations

import contextlib
import copy
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.core import checks
from django.db import (
    DatabaseError,
    IntegrityError,
    OperationalError,
    connection,
    connections,
    transaction,
)
from pymongo.errors import AutoReconnect

from accounts.models import AuditHead, FeeTier, User
from common.db import atomic, is_unavailable, ping
from common.exceptions import to_api_error
from exchange.store import mongo
from exchange.store.base import (
    DataError,
    Fence,
    LeaseLostError,
    Store,
    StoreBusyError,
    StoreUnusableError,
)
from exchange.store.factory import end_left_transaction, open_store
from exchange.store.loader import read_position
from exchange.store.tables import BATCHES, CLIENT_KEYS
from orders.models import Order
from simulation.mongo_server import MongoServer, NoMongoError
from tests.db_contract.conftest import EPOCH
from tests.db_contract.test_store import FENCE, batch_row, key_row, rows_of
from tests.support.databases import OwnDatabase
from tests.support.processes import wait_until
from tradingplatform.mongodb.settings import CONNECT_MS, SOCKET_MS
from tradingplatform.supervisor.preflight import check_database
from tradingplatform.supervisor.problems import PreflightError

if connection.vendor != "mongodb":
    pytest.skip("about MongoDB; others have none of it", allow_module_level=True)

from pymongo.errors import PyMongoError
from pymongo.synchronous.client_session import _TxnState

from common.mongodb.turn import TURN_MAX_S, TURNS

TAKE_THE_LEASE = Fence(EPOCH, {"epoch": EPOCH + 1})
WAIT_S = 30.0
# A document may have 16 MiB.
TOO_LARGE = b"x" * (16 * 2**20)


class TestRefusedValues:
    @pytest.mark.parametrize("text", ["\ud800", object()])
    def test_that_cannot_be_encoded(self, store: Store, text: Any) -> None:
        with pytest.raises(DataError):
            store.write(FENCE, [(CLIENT_KEYS, [key_row(1), key_row(2, client_key=text)])])

        assert rows_of(store, CLIENT_KEYS) == []

    def test_larger_than_a_document(self, store: Store) -> None:
        with pytest.raises(DataError):
            store.write(FENCE, [(CLIENT_KEYS, [key_row(1)]), (BATCHES, [batch_row(1, TOO_LARGE)])])

        assert rows_of(store, CLIENT_KEYS) == []
        with store.snapshot() as reader:
            assert read_position(reader).batch == 0


class TestCommitWhoseAnswerIsLost:
    @staticmethod
    def lose(store: Store, monkeypatch: pytest.MonkeyPatch, commit: Callable[[], None]) -> None:
        assert isinstance(store, mongo.MongoStore)

        def committing() -> None:
            commit()
            error = AutoReconnect("connection lost")
            error._add_error_label(mongo.UNKNOWN)
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(mongo, "COMMIT_S", 0.0)
            patch.setattr(store._session, "commit_transaction", committing)
            with pytest.raises(StoreBusyError):
                store.write(FENCE, [(CLIENT_KEYS, [key_row(1)])])

    def test_is_found_when_it_took_effect(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.lose(store, monkeypatch, store._session.commit_transaction)  # type: ignore[attr-defined]

        with store.snapshot() as reader:
            assert read_position(reader).batch == 5
            assert list(reader.rows(CLIENT_KEYS)) == [key_row(1)]

    def test_takes_no_effect_after_the_position_was_read(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session = store._session  # type: ignore[attr-defined]

        def send_late() -> None:
            session._transaction.state = _TxnState.COMMITTED

        self.lose(store, monkeypatch, send_late)
        # What the network still holds of it.
        number = session._server_session.transaction_id

        with store.snapshot() as reader:
            assert read_position(reader).batch == 0
        with pytest.raises(PyMongoError):
            store._client.admin.command(  # type: ignore[attr-defined]
                {
                    "commitTransaction": 1,
                    "lsid": session.session_id,
                    "txnNumber": number,
                    "autocommit": False,
                }
            )

        assert rows_of(store, CLIENT_KEYS) == []
        store.write(FENCE, [(CLIENT_KEYS, [key_row(2)])])
        assert rows_of(store, CLIENT_KEYS) == [key_row(2)]


class TestLeaderThatIsGone:
    @pytest.fixture
    def still(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[tuple[Future[None], threading.Event]]:
        """A leader in its transaction, which goes on when the event is set."""
        inside, go_on = threading.Event(), threading.Event()

        def stand(point: str) -> None:
            if threading.current_thread().name.startswith("leader") and not go_on.is_set():
                inside.set()
                go_on.wait(WAIT_S)

        monkeypatch.setattr(mongo, "reach", stand)

        def lead() -> None:
            own = open_store()
            try:
                own.write(FENCE, [(CLIENT_KEYS, [key_row(1)])])
            finally:
                own.close()

        with ThreadPoolExecutor(1, thread_name_prefix="leader") as threads:
            writing = threads.submit(lead)
            assert inside.wait(WAIT_S)
            yield writing, go_on
            go_on.set()

    def test_leaves_no_lock_to_who_takes_over(
        self, store: Store, still: tuple[Future[None], threading.Event]
    ) -> None:
        writing, go_on = still

        end_left_transaction()
        store.write(TAKE_THE_LEASE, [])
        go_on.set()

        with pytest.raises((StoreBusyError, LeaseLostError)):
            writing.result(WAIT_S)
        assert rows_of(store, CLIENT_KEYS) == []
        with pytest.raises(LeaseLostError):
            store.write(FENCE, [])


def test_a_server_that_keeps_history_is_read_without_a_transaction(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(FENCE, [(CLIENT_KEYS, [key_row(1), key_row(2)])])
    monkeypatch.setattr(mongo, "keeps_history", lambda _database: True)

    with store.snapshot() as reader:
        assert list(reader.rows(CLIENT_KEYS)) == [key_row(1), key_row(2)]
        assert reader.last_key(CLIENT_KEYS) == 2
        assert read_position(reader).batch == 5


class TestTransactions:
    @pytest.fixture(autouse=True)
    def _database(self, own_database: OwnDatabase) -> None:
        AuditHead.objects.create(id=1, number=0, seal="")

    def test_are_rolled_back_whole(self) -> None:
        told: list[str] = []

        def change() -> None:
            with atomic():
                AuditHead.objects.update(number=5)
                FeeTier.objects.create(id=9, maker_rate_e8=0, taker_rate_e8=0)
                transaction.on_commit(lambda: told.append("committed"))
                assert AuditHead.objects.get().number == 5
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            change()

        assert AuditHead.objects.get().number == 0
        assert not FeeTier.objects.filter(id=9).exists()
        assert told == []

    def test_call_what_waits_for_their_commit(self) -> None:
        told: list[int] = []

        with atomic():
            with atomic():
                AuditHead.objects.update(number=5)
                transaction.on_commit(lambda: told.append(AuditHead.objects.get().number))
            assert told == []

        assert told == [5]

    def test_an_error_inside_ends_all(self) -> None:
        def change() -> None:
            with atomic():
                AuditHead.objects.update(number=5)
                with atomic():
                    AuditHead.objects.create(id=1, number=7, seal="")

        with pytest.raises(IntegrityError):
            change()

        assert AuditHead.objects.get().number == 0
        with atomic():
            AuditHead.objects.update(number=6)
        assert AuditHead.objects.get().number == 6

    def test_follow_one_another(self) -> None:
        def add() -> None:
            for _ in range(3):
                with atomic():
                    number = AuditHead.objects.get().number
                    AuditHead.objects.update(number=number + 1)

        with ThreadPoolExecutor(4) as threads:
            for done in [threads.submit(add) for _ in range(4)]:
                done.result(WAIT_S)

        assert AuditHead.objects.get().number == 12

    def test_begin_although_another_client_removed_their_turns(self) -> None:
        client: Any = connection
        with atomic():
            AuditHead.objects.update(number=1)

        client.database.drop_collection(TURNS)
        with atomic():
            AuditHead.objects.update(number=2)
        client.database[TURNS].delete_many({})
        with atomic():
            AuditHead.objects.update(number=3)

        assert AuditHead.objects.get().number == 3


class TestRows:
    @pytest.fixture(autouse=True)
    def _database(self, own_database: OwnDatabase) -> None:
        FeeTier.objects.create(id=1, maker_rate_e8=10, taker_rate_e8=20)

    def test_of_a_key_that_is_there_are_passed_over_or_replaced(self) -> None:
        rows = [
            FeeTier(id=number, maker_rate_e8=number, taker_rate_e8=number + 1) for number in (1, 2)
        ]

        FeeTier.objects.bulk_create(rows, ignore_conflicts=True)
        passed_over = list(FeeTier.objects.order_by("id").values_list())
        FeeTier.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["id"], update_fields=["taker_rate_e8"]
        )

        assert passed_over == [(1, 10, 20), (2, 2, 3)]
        assert list(FeeTier.objects.order_by("id").values_list()) == [(1, 10, 2), (2, 2, 3)]

    def test_are_unique_where_they_should_be(self) -> None:
        User.objects.create(username="alice", email="a@example.com", verified_email="")
        User.objects.create(username="bob", email="a@example.com", verified_email="")

        with pytest.raises(IntegrityError):
            User.objects.create(username="alice", email="b@example.com")
        User.objects.filter(username="alice").update(verified_email="a@example.com")
        with pytest.raises(IntegrityError):
            User.objects.create(
                username="carol", email="a@example.com", verified_email="a@example.com"
            )

        assert set(User.objects.values_list("username", flat=True)) == {"alice", "bob"}

    @pytest.mark.parametrize(
        ("model", "wanted"),
        [(User, {"username": "alice"}), (User, {"account_id": 7}), (Order, {"id": 7})],
    )
    def test_are_found_by_an_index(self, model: Any, wanted: dict[str, Any]) -> None:
        plan = model.objects.filter(**wanted).explain()

        assert "IXSCAN" in plan
        assert "COLLSCAN" not in plan

    def test_have_integers_of_python(self) -> None:
        values = FeeTier.objects.values_list("id", "maker_rate_e8").get()

        assert [type(value) for value in values] == [int, int]


@pytest.fixture
def elsewhere() -> Iterator[Callable[[str], Any]]:
    """Make a connection to another server, under an alias of its own."""

    def connect(url: str) -> Any:
        settings = copy.deepcopy(connection.settings_dict) | {"HOST": url}
        settings["OPTIONS"] |= {"connectTimeoutMS": CONNECT_MS, "serverSelectionTimeoutMS": 300}
        connections["elsewhere"] = type(connections["default"])(settings, alias="elsewhere")
        return connections["elsewhere"]

    yield connect
    if connections["elsewhere"].connection is not None:
        connections["elsewhere"].close_pool()
    del connections["elsewhere"]


class TestSilentServer:
    """A server that takes connections and never answers: stopped, or its host or disk hangs."""

    @pytest.fixture
    def server(self, django_db_blocker: Any) -> Iterator[MongoServer]:
        try:
            server = MongoServer()
        except NoMongoError as error:
            pytest.skip(str(error))
        server.start()
        try:
            with django_db_blocker.unblock():
                yield server
        finally:
            server.remove()

    def test_frees_who_waits(self, server: MongoServer, elsewhere: Callable[[str], Any]) -> None:
        other = elsewhere(server.url)
        other.ping()
        server.freeze()
        began = time.monotonic()
        with pytest.raises(OperationalError) as away:
            other.ping()
        waited_s = time.monotonic() - began
        server.thaw()
        wait_until(lambda: _answers(other))

        assert is_unavailable(away.value)
        # Freed by the driver's own look at the server, and not by the limit of the socket.
        assert waited_s < SOCKET_MS / 1_000

    def test_goes_on_with_no_transaction_that_was_given_up(
        self, server: MongoServer, elsewhere: Callable[[str], Any]
    ) -> None:
        """What was sent to it while it stood still it carries out once it goes on."""
        other = elsewhere(server.url)
        with atomic("elsewhere"):
            other.database["rows"].insert_one({"_id": 1}, session=other.session)
        server.freeze()
        with pytest.raises(OperationalError) as away, atomic("elsewhere"):
            pytest.fail("a server that stands still has begun a transaction")
        server.thaw()
        wait_until(lambda: _answers(other))
        began = time.monotonic()
        with atomic("elsewhere"):
            other.database["rows"].insert_one({"_id": 2}, session=other.session)

        assert is_unavailable(away.value)
        assert time.monotonic() - began < TURN_MAX_S / 2
        assert other.database["rows"].count_documents({}) == 2


def _answers(other: Any) -> bool:
    with contextlib.suppress(OperationalError):
        other.ping()
        return True
    return False


def test_nobody_searches_the_machine_for_geometry() -> None:
    """The backend looks for its libraries by running a compiler, before a process does anything."""
    assert [name for name in sys.modules if name.startswith("django.contrib.gis")] == []


class TestServer:
    def test_of_no_replica_set_is_refused_in_one_line(
        self, django_db_blocker: Any, elsewhere: Callable[[str], Any]
    ) -> None:
        try:
            server = MongoServer(alone=True)
        except NoMongoError as error:
            pytest.skip(str(error))
        server.start()
        try:
            with django_db_blocker.unblock():
                other = elsewhere(server.url)
                with pytest.raises(StoreUnusableError, match="replica set") as caught:
                    open_store("elsewhere")
                found = other.validation.check()
        finally:
            server.remove()

        assert "\n" not in str(caught.value)
        assert [(error.id, error.level) for error in found] == [("common.E101", checks.ERROR)]

    def test_that_is_away_is_told_of_without_secrets(
        self,
        own_database: OwnDatabase,
        elsewhere: Callable[[str], Any],
        monkeypatch: pytest.MonkeyPatch,
        settings: Any,
    ) -> None:
        url = "mongodb://user:secret@127.0.0.1:1/name"
        elsewhere(url)

        with pytest.raises(StoreUnusableError):
            open_store("elsewhere")
        with pytest.raises(OperationalError) as away:
            ping("elsewhere")
        settings.MONGODB_URI = url
        with monkeypatch.context() as patch:
            patch.setattr(
                "tradingplatform.supervisor.mongodb_check.connections",
                {"default": connections["elsewhere"]},
            )
            with pytest.raises(PreflightError, match="start the server") as refused:
                check_database()

        assert "\n" not in str(refused.value)
        assert "secret" not in str(refused.value)
        answer = to_api_error(away.value)
        assert answer is not None
        assert answer.status_code == 503

    def test_errors_of_queries_are_told_apart(
        self, own_database: OwnDatabase, elsewhere: Callable[[str], Any]
    ) -> None:
        elsewhere("mongodb://127.0.0.1:1/name")

        with pytest.raises(DatabaseError) as away:
            list(User.objects.using("elsewhere").all())

        assert is_unavailable(away.value)
        assert not is_unavailable(IntegrityError("E11000 duplicate key"))
        assert not is_unavailable(ZeroDivisionError())
