"""A leader behind a real Redis, in a thread of the test's process."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db import connections

from exchange import gateway
from exchange.models import LogPosition
from exchange.runner import lead
from exchange.store.base import Store
from exchange.store.factory import open_store
from tests.support.databases import OwnDatabase
from tests.support.exchange import ExchangeHarness
from tests.support.processes import RedisProcess, wait_until

ALICE, BOB = 1_000_000_001, 1_000_000_002


class RunnerThread:
    """A leader in a thread of the test's process."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        before = _epoch()
        self._thread.start()
        # What the leader before has said last may still be heard for a moment.
        wait_until(lambda: before < _epoch() == _leading_epoch())

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error

    def make_store(self) -> Store:
        return open_store()

    def _run(self) -> None:
        try:
            lead(self.make_store, self._stop.is_set)
        except BaseException as error:  # shown to the test by stop()
            self.error = error
        finally:
            connections.close_all()


def _epoch() -> int:
    return LogPosition.objects.values_list("epoch", flat=True).first() or 0


def _leading_epoch() -> int:
    """Return the epoch of who leads as gateways know it, 0 if they know of nobody."""
    status = gateway.status()
    return status.epoch if status.leader and not status.down else 0


@pytest.fixture
def seeded(own_database: OwnDatabase, redis_server: RedisProcess, settings: object) -> None:
    """A database with markets and two rich accounts; nobody leads it."""
    settings.EXCHANGE_TRANSPORT = "redis"  # type: ignore[attr-defined]
    harness = ExchangeHarness()
    harness.seed_markets()
    harness.add_account(ALICE, BTC=10, USDT=1_000_000)
    harness.add_account(BOB, BTC=10, USDT=1_000_000)
    LogPosition.objects.update(owner="", owner_pid=0)


@pytest.fixture
def runner(seeded: None) -> Iterator[RunnerThread]:
    """A running leader."""
    leader = RunnerThread()
    leader.start()
    yield leader
    leader.stop()
