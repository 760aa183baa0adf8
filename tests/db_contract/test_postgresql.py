"""What only PostgreSQL has: connections that break, locks with an end, a server with settings."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import DatabaseError, OperationalError, connection, connections

from common.db import is_unavailable, ping
from exchange import gateway
from exchange.core.commands import ContinueTask
from exchange.dispatch import threads as dispatch_threads
from exchange.models import LogPosition
from exchange.store import postgres
from exchange.store.base import (
    DataError,
    Fence,
    LeaseLostError,
    Store,
    StoreBusyError,
    StoreUnusableError,
)
from exchange.store.factory import open_store
from exchange.store.loader import read_position
from exchange.store.postgres import LIMITS_MS
from exchange.store.postgres_connection import QUIET_S
from exchange.store.tables import CLIENT_KEYS
from exchange.wire import Submission
from orders.projection import ORDERS
from tests.db_contract.conftest import EPOCH
from tests.db_contract.test_store import FENCE, key_row, order_row, rows_of
from tests.support.cutting_proxy import CuttingProxy
from tests.support.databases import OwnDatabase
from tests.support.processes import wait_until
from tradingplatform.supervisor.preflight import check_database
from tradingplatform.supervisor.problems import PreflightError

TAKE_THE_LEASE = Fence(EPOCH, {"epoch": EPOCH + 1})
WAIT_S = 30.0
POOL_SIZE = 3


def _answers() -> bool:
    with contextlib.suppress(OperationalError):
        return ping() == "postgresql"
    return False


def end_other_connections() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


class TestRefusedValues:
    @pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 67])
    def test_of_text(self, store: Store, text: str) -> None:
        with pytest.raises(DataError):
            store.write(FENCE, [(CLIENT_KEYS, [key_row(1), key_row(2, client_key=text)])])

        assert rows_of(store, CLIENT_KEYS) == []

    @pytest.mark.parametrize("change", [{"side": 40_000}, {"market_id": 2**31}, {"post_only": 2}])
    def test_too_large_for_their_column(self, store: Store, change: dict[str, int]) -> None:
        with pytest.raises(DataError):
            store.write(FENCE, [(ORDERS, [order_row(1, **change)])])

    def test_of_a_constraint(self, store: Store) -> None:
        with pytest.raises(DataError, match="order_filled_positive"):
            store.write(FENCE, [(ORDERS, [order_row(1, filled_atoms=-1)])])


class TestConnection:
    def test_lost_between_batches_is_busy_once(self, store: Store) -> None:
        store.write(FENCE, [(CLIENT_KEYS, [key_row(1)])])
        end_other_connections()

        with pytest.raises(StoreBusyError):
            store.write(FENCE, [(CLIENT_KEYS, [key_row(2)])])
        store.write(FENCE, [(CLIENT_KEYS, [key_row(2)])])

        assert rows_of(store, CLIENT_KEYS) == [key_row(1), key_row(2)]

    def test_lost_before_a_look_up_is_busy_once(self, store: Store) -> None:
        end_other_connections()

        with pytest.raises(StoreBusyError):
            store.find(CLIENT_KEYS, [1])
        assert store.find(CLIENT_KEYS, [1]) == []

    def test_lost_while_loading_is_unusable_once(self, store: Store) -> None:
        end_other_connections()

        with pytest.raises(StoreUnusableError), store.snapshot() as reader:
            reader.last_key(CLIENT_KEYS)
        with store.snapshot() as reader:
            assert reader.last_key(CLIENT_KEYS) == 0

    def test_that_nobody_answers_is_told_in_one_line(
        self, own_database: OwnDatabase, monkeypatch: pytest.MonkeyPatch, settings: object
    ) -> None:
        settings.DATABASE_URL = "postgresql://user:secret@/name?host=/nowhere"  # type: ignore[attr-defined]
        with monkeypatch.context() as patch:
            patch.setitem(connection.settings_dict, "HOST", "/nowhere")
            connections["default"].close()

            with pytest.raises(StoreUnusableError):
                open_store()
            with pytest.raises(PreflightError, match="start the server") as caught:
                check_database()

        assert "\n" not in str(caught.value)
        assert "secret" not in str(caught.value)


@pytest.fixture
def proxy(own_database: OwnDatabase) -> Iterator[CuttingProxy]:
    """Stand between the server and all connections that are made from now on."""
    settings = connection.settings_dict
    real = settings["HOST"]
    if not real.startswith("/"):
        pytest.skip("needs a server on a unix socket")
    with tempfile.TemporaryDirectory(prefix="excut-") as directory:
        server = Path(real) / f".s.PGSQL.{settings['PORT'] or 5432}"
        cutting = CuttingProxy(Path(directory), server, delay_s=0.3)
        settings["HOST"] = directory
        yield cutting
        settings["HOST"] = real
        cutting.close()


class TestCommitTakenAway:
    def test_is_waited_for_before_anything_is_read(self, proxy: CuttingProxy, store: Store) -> None:
        proxy.cut_next_commit()

        with pytest.raises(StoreBusyError):
            store.write(FENCE, [(CLIENT_KEYS, [key_row(1)])])
        assert proxy.cut.is_set()
        with store.snapshot() as reader:
            position = read_position(reader)
            rows = [tuple(row) for row in reader.rows(CLIENT_KEYS)]

        assert position.batch == 5
        assert rows == [key_row(1)]


class TestLeaderThatStandsStill:
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

        monkeypatch.setattr(postgres, "reach", stand)

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

    def test_loses_its_locks_before_the_lease_is_over_for_long(
        self, store: Store, still: tuple[Future[None], threading.Event]
    ) -> None:
        writing, go_on = still
        started = time.monotonic()

        for _ in range(3):
            try:
                store.write(TAKE_THE_LEASE, [])
                break
            except StoreBusyError:
                continue
        taken_s = time.monotonic() - started
        go_on.set()

        with pytest.raises(StoreBusyError):
            writing.result(WAIT_S)
        assert taken_s < 2 * LIMITS_MS["idle_in_transaction_session_timeout"] / 1_000
        assert rows_of(store, CLIENT_KEYS) == []
        with pytest.raises(LeaseLostError):
            store.write(FENCE, [])


class TestPool:
    THREADS = 4

    def test_who_waits_for_a_commit_holds_no_connection(
        self, own_database: OwnDatabase, monkeypatch: pytest.MonkeyPatch, settings: object
    ) -> None:
        settings.EXCHANGE_TRANSPORT = "redis"  # type: ignore[attr-defined]
        together = threading.Barrier(self.THREADS)

        class Waiting:
            """A dispatcher that answers when all threads wait for it at once."""

            def submit(self, submissions: list[Submission], *_: object) -> list[int]:
                together.wait(WAIT_S)
                return [len(submissions)]

        def request() -> tuple[int, int]:
            try:
                before = LogPosition.objects.count()
                gateway.submit(ContinueTask())
                return before, LogPosition.objects.count()
            finally:
                connections.close_all()

        monkeypatch.setattr(dispatch_threads, "dispatcher", Waiting)
        connections["default"].close()
        pool = {"min_size": 1, "max_size": 1, "timeout": 2.0}
        monkeypatch.setitem(connection.settings_dict["OPTIONS"], "pool", pool)
        try:
            with ThreadPoolExecutor(self.THREADS) as threads:
                futures = [threads.submit(request) for _ in range(self.THREADS)]
                answers = [future.result(WAIT_S) for future in futures]
        finally:
            connections["default"].close_pool()

        assert answers == [(0, 0)] * self.THREADS


@pytest.fixture
def fresh_pool(proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[CuttingProxy]:
    """A pool of the test's own, whose connections go through the proxy."""
    connections["default"].close()
    connections["default"].close_pool()
    pool = {"min_size": POOL_SIZE, "max_size": POOL_SIZE, "timeout": 1.0}
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "pool", pool)
    yield proxy
    proxy.let_go()
    connections["default"].close()
    connections["default"].close_pool()


class TestSilentServer:
    """A server that takes connections and never answers: stopped, or its host or disk hangs."""

    def test_frees_who_waits_for_a_statement(self, proxy: CuttingProxy, store: Store) -> None:
        store.write(FENCE, [(CLIENT_KEYS, [key_row(1)])])
        proxy.hold()

        with pytest.raises(StoreBusyError, match="does not answer"):
            store.write(FENCE, [(CLIENT_KEYS, [key_row(2)])])
        proxy.let_go()
        store.write(FENCE, [(CLIENT_KEYS, [key_row(2)])])

        assert rows_of(store, CLIENT_KEYS) == [key_row(1), key_row(2)]

    def test_is_not_a_statement_that_takes_long(self, proxy: CuttingProxy, store: Store) -> None:
        assert isinstance(store, postgres.PostgresStore)

        store._connection().execute(f"SELECT pg_sleep({2.5 * QUIET_S})")

    def test_is_waited_for_once_and_the_next_go_without(self, fresh_pool: CuttingProxy) -> None:
        ping()
        connection.close()
        fresh_pool.hold()

        with pytest.raises(OperationalError):
            ping()
        with pytest.raises(OperationalError, match="did not answer a moment ago") as refused:
            ping()
        fresh_pool.let_go()
        wait_until(_answers, WAIT_S)

        assert is_unavailable(refused.value)

    def test_that_was_restarted_fails_nobody(self, fresh_pool: CuttingProxy) -> None:
        pool = connection.pool
        ping()
        wait_until(lambda: pool.get_stats()["pool_available"] == POOL_SIZE - 1, WAIT_S)
        with pytest.raises(OperationalError), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database()"
            )
        connection.close()

        assert ping() == "postgresql"


def test_a_server_that_only_reads_is_away_for_who_writes(own_database: OwnDatabase) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        with pytest.raises(DatabaseError) as refused:
            LogPosition.objects.create(id=2, epoch=1)
    finally:
        connections["default"].close()

    assert is_unavailable(refused.value)


class TestServer:
    @pytest.mark.parametrize("weak", ["off", "local", "remote_write"])
    def test_that_answers_before_the_disk_is_refused(
        self, own_database: OwnDatabase, monkeypatch: pytest.MonkeyPatch, weak: str
    ) -> None:
        options = connection.settings_dict["OPTIONS"]
        monkeypatch.setitem(options, "options", f"-c synchronous_commit={weak}")

        with pytest.raises(StoreUnusableError, match=rf"synchronous_commit = {weak}: set it to on"):
            open_store()

    def test_limits_hold_on_the_connection_of_the_store(self, store: Store) -> None:
        assert isinstance(store, postgres.PostgresStore)
        server = store._connection()

        for name, value in LIMITS_MS.items():
            found = server.execute(f"SELECT setting FROM pg_settings WHERE name = '{name}'")  # noqa: S608
            assert found.fetchone() == (str(value),)
