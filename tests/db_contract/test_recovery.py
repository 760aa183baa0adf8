"""Random commands of every kind, and after them three states that must be one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exchange import gateway
from exchange.core.enums import Lane
from exchange.processor import make_projections
from exchange.projection import Table
from exchange.replay import replay_log
from exchange.store.factory import open_store
from exchange.store.loader import rows_hash
from exchange.wire import Submission, make_command_id
from orders.retention import retention_step
from simulation.margin_commands import MarginSource
from simulation.margin_soak import Soak
from tests.support.databases import OwnDatabase
from tests.support.exchange import ExchangeHarness, FakeClock

SEEDS = (12, 13)
COMMANDS = 1_000
COMMANDS_PER_BATCH = 25
# Left empty by these commands: nobody sets safeguards of accounts or markets here.
EMPTY = {"markets_pricewindow", "orders_cancelswitch", "orders_quoteprotection"}


class StoredSoak(Soak):
    """The soak's commands, carried out by an exchange that commits them."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(self.now_ms)
        self.harness = ExchangeHarness(open_store(paced=False), clock_ms=self.clock)
        self.engine = self.harness.exchange

    def run(self, seed: int, count: int) -> None:
        commands = list(MarginSource(seed).take(count))
        for start in range(0, count, COMMANDS_PER_BATCH):
            batch = commands[start : start + COMMANDS_PER_BATCH]
            self.clock.advance(sum(timed.delay_ms for timed in batch))
            resolved = [Submission(make_command_id(), self._resolve(timed)) for timed in batch]
            self.harness.submit(resolved, Lane.ORDERS)
            self.engine = self.harness.exchange


@pytest.fixture
def soak(own_database: OwnDatabase) -> Iterator[StoredSoak]:
    soak = StoredSoak()
    gateway.use_inline(soak.harness)
    yield soak
    gateway.use_inline(None)


def count_rows(table: Table) -> int:
    with open_store(paced=False).snapshot() as reader:
        return sum(1 for _ in reader.rows(table))


def assert_one_state(harness: ExchangeHarness) -> None:
    harness.exchange.check_all()
    live = harness.exchange.state_hash()
    store = open_store(paced=False)
    assert rows_hash(store, make_projections()) == live
    assert replay_log(store).state_hash() == live


@pytest.mark.parametrize("seed", SEEDS)
def test_live_loaded_and_replayed_state_are_one(soak: StoredSoak, seed: int) -> None:
    soak.run(seed, COMMANDS)

    assert_one_state(soak.harness)
    tables = [table for projection in make_projections() for table in projection.tables]
    assert {table.name for table in tables if not count_rows(table)} == EMPTY


def test_a_loaded_exchange_goes_on_as_the_first_would(soak: StoredSoak) -> None:
    soak.run(SEEDS[0], COMMANDS // 2)
    soak.harness.processor.reload()
    soak.engine = soak.harness.exchange
    soak.run(SEEDS[1], COMMANDS // 2)

    assert_one_state(soak.harness)


def test_retention_beside_it_changes_no_state(soak: StoredSoak) -> None:
    soak.run(SEEDS[0], COMMANDS)

    step = retention_step(before_ms=soak.clock() + 1, rows_max=2_000)

    assert step.removed > 0
    assert_one_state(soak.harness)
