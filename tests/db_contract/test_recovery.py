"""Random commands of every kind, and after them three states that must be one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exchange import gateway
from exchange.inline import InlineExchange
from exchange.processor import make_projections
from exchange.projection import Table
from exchange.replay import replay_log
from exchange.row_check import verify_rows
from exchange.store.base import StoreUnusableError
from exchange.store.factory import open_store
from exchange.store.loader import rows_hash
from orders.models import Trade
from orders.retention import pruned_through, retention_step
from simulation.stored_soak import StoredSoak
from tests.support.databases import OwnDatabase
from wallets.models import Balance

SEEDS = (12, 13)
COMMANDS = 1_000
# Left empty by these commands: nobody sets safeguards of accounts or markets here.
EMPTY = {"markets_pricewindow", "orders_cancelswitch", "orders_quoteprotection"}


@pytest.fixture
def soak(own_database: OwnDatabase) -> Iterator[StoredSoak]:
    soak = StoredSoak()
    gateway.use_inline(soak.inline)
    yield soak
    gateway.use_inline(None)


def count_rows(table: Table) -> int:
    with open_store(paced=False).snapshot() as reader:
        return sum(1 for _ in reader.rows(table))


def assert_one_state(harness: InlineExchange) -> None:
    harness.exchange.check_all()
    live = harness.exchange.state_hash()
    store = open_store(paced=False)
    assert rows_hash(store, make_projections()) == live
    assert replay_log(store).state_hash() == live
    assert verify_rows(store, make_projections(), pruned_through=pruned_through).problems == []


@pytest.mark.parametrize("seed", SEEDS)
def test_live_loaded_and_replayed_state_are_one(soak: StoredSoak, seed: int) -> None:
    soak.run(seed, COMMANDS)

    assert_one_state(soak.inline)
    tables = [table for projection in make_projections() for table in projection.tables]
    assert {table.name for table in tables if not count_rows(table)} == EMPTY


def test_a_damaged_row_is_refused_at_start_and_named(soak: StoredSoak) -> None:
    soak.run(SEEDS[0], COMMANDS // 10)
    balance = Balance.objects.filter(total_atoms__gt=0).earliest("id")
    Balance.objects.filter(id=balance.id).update(last_entry_id=balance.last_entry_id + 1)
    Trade.objects.filter(id=1).update(kind=2)

    with pytest.raises(StoreUnusableError, match=f"damaged or lost: wallets_balance {balance.id}"):
        soak.inline.processor.reload()

    _, *named = verify_rows(open_store(paced=False), make_projections()).problems
    assert [problem.split(" of batch")[0] for problem in named if "_trade" in problem] != []
    assert f"wallets_balance {balance.id} is not what was written" in named


def test_a_loaded_exchange_goes_on_as_the_first_would(soak: StoredSoak) -> None:
    soak.run(SEEDS[0], COMMANDS // 2)
    soak.inline.processor.reload()
    soak.engine = soak.inline.exchange
    soak.run(SEEDS[1], COMMANDS // 2)

    assert_one_state(soak.inline)


def test_retention_beside_it_changes_no_state(soak: StoredSoak) -> None:
    soak.run(SEEDS[0], COMMANDS)

    step = retention_step(before_ms=soak.now_ms + 1, rows_max=2_000)

    assert step.removed > 0
    assert_one_state(soak.inline)
