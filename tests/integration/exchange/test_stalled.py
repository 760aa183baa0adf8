"""A database that takes nothing: gateways are told, for as long as it lasts and no longer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from exchange import gateway, keys
from exchange import runner as runner_module
from exchange.core.commands import CancelAllOrders
from exchange.core.enums import Lane
from exchange.core.rejects import Code
from exchange.models import LogPosition
from exchange.publisher import Publisher
from exchange.store.base import StoreBusyError, StoreReader, StoreUnusableError
from exchange.store.factory import open_store
from exchange.wire import WIRE_VERSION, Packet, StatusMessage, Submission, encode, make_command_id
from tests.support.processes import RedisProcess, wait_until
from tests.support.runner_thread import ALICE, RunnerThread

PATIENCE_S = 60.0


@pytest.fixture
def still_fits() -> int:
    """So many rows are taken beside the fence while the database is full; -1: nothing is."""
    return -1


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch, still_fits: int) -> threading.Event:
    """While set, no write is taken, or only a small one."""
    monkeypatch.setattr(runner_module, "RENEW_S", 0.02)
    monkeypatch.setattr(runner_module, "RETRY_MAX_S", 0.02)
    is_full = threading.Event()
    kind: Any = type(open_store())
    write = kind.write

    def write_or_refuse(store: Any, fence: Any, groups: Any) -> None:
        if is_full.is_set() and sum(len(rows) for _, rows in groups) > still_fits:
            raise StoreBusyError("told to")
        write(store, fence, groups)

    monkeypatch.setattr(kind, "write", write_or_refuse)
    return is_full


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[StatusMessage]:
    """What the leader has said of itself."""
    said: list[StatusMessage] = []
    publish = Publisher.publish_status

    def note(self: Publisher, status: StatusMessage) -> bool:
        said.append(status)
        return publish(self, status)

    monkeypatch.setattr(Publisher, "publish_status", note)
    return said


@pytest.mark.parametrize(
    ("still_fits", "is_idle"),
    [(-1, True), (-1, False), (0, False)],
    ids=["nothing waits", "a command waits", "a command waits and renewals fit"],
)
def test_nobody_leads_while_the_database_takes_nothing(
    runner: RunnerThread,
    redis_server: RedisProcess,
    full: threading.Event,
    told: list[StatusMessage],
    *,
    is_idle: bool,
) -> None:
    full.set()
    if not is_idle:
        submission = Submission(make_command_id(), CancelAllOrders(ALICE))
        lane = keys.lane(Lane.ORDERS, LogPosition.objects.get().stream_epoch)
        data = encode(Packet(WIRE_VERSION, "", [submission]))
        redis_server.client.xadd(lane, {"n": 1, "d": data})
    wait_until(lambda: any(status.phase == "stalled" for status in list(told)), PATIENCE_S)

    told.clear()
    # Each failed commit is told, so beats are few among them.
    enough = 10 if is_idle else 60
    wait_until(lambda: len(told) >= enough, PATIENCE_S)
    # A slow machine also says that it loads.
    assert {status.leader for status in list(told)} == {False}

    full.clear()
    wait_until(lambda: gateway.status().leader, PATIENCE_S)
    assert gateway.submit(CancelAllOrders(ALICE)).code is Code.OK


def test_who_could_not_renew_for_as_long_as_the_lease_says_so_after_one_failure(
    runner: RunnerThread,
    full: threading.Event,
    told: list[StatusMessage],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that is away may take a second to fail each attempt."""
    monkeypatch.setattr(runner_module, "FAILURES_TOLD", 1_000_000)

    full.set()

    wait_until(lambda: any(status.phase == "stalled" for status in list(told)), PATIENCE_S)
    full.clear()
    wait_until(lambda: gateway.status().leader, PATIENCE_S)


def test_a_leader_that_has_just_loaded_goes_on_trying(
    seeded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away between the load and the first batch, and comes back."""
    monkeypatch.setattr(runner_module, "RETRY_MAX_S", 0.02)
    kind: Any = type(open_store())
    write, snapshot = kind.write, kind.snapshot
    in_vain: list[str] = []

    def write_or_fail(store: Any, fence: Any, groups: Any) -> None:
        if groups and not in_vain:
            in_vain.append("write")
            raise StoreBusyError("told to")
        write(store, fence, groups)

    @contextmanager
    def snapshot_or_fail(store: Any) -> Iterator[StoreReader]:
        if in_vain and len(in_vain) < 4:
            in_vain.append("read")
            raise StoreUnusableError("told to")
        with snapshot(store) as reader:
            yield reader

    monkeypatch.setattr(kind, "write", write_or_fail)
    monkeypatch.setattr(kind, "snapshot", snapshot_or_fail)
    leader = RunnerThread()

    leader.start()

    assert in_vain == ["write", "read", "read", "read"]
    assert gateway.submit(CancelAllOrders(ALICE)).code is Code.OK
    leader.stop()
