"""Damaged, lost and outdated rows are refused at start, damaged history is named."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import BooleanField
from structlog.testing import capture_logs

from exchange.core.enums import Side
from exchange.core.rejects import Code
from exchange.core.units import ATOMS
from exchange.models import BatchSums, LogPosition
from exchange.processor import make_projections
from exchange.replay import replay_log
from exchange.row_check import RowReport, verify_rows
from exchange.store.base import StoreUnusableError
from exchange.store.factory import open_store
from exchange.store.loader import LoadedState, load_state
from exchange.store.tables import BATCH_SUMS, BATCHES, CLIENT_KEYS, OPERATOR_COMMANDS, QUARANTINE
from simulation.stored_soak import StoredSoak
from tests.support.exchange import ExchangeHarness, limit_order
from tests.support.tampering import remove, rows
from wallets.models import Balance

pytestmark = pytest.mark.integration

ALICE, BOB = 1001, 1002
TABLES = [table for projection in make_projections() for table in projection.tables]


def load() -> LoadedState:
    """Load as a start does."""
    return load_state(open_store(paced=False), make_projections())


def verify(**options: Any) -> RowReport:
    """Check every row."""
    return verify_rows(open_store(paced=False), make_projections(), **options)


def execute(sql: str) -> None:
    """Change a row behind the exchange's back."""
    if connection.vendor == "mongodb":
        pytest.skip("changes rows by SQL, which MongoDB does not speak")
    if connection.vendor == "postgresql":
        sql = re.sub(r"x'(\w*)'", r"'\\x\1'::bytea", sql)
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.fixture
def traded(inline_exchange: ExchangeHarness) -> ExchangeHarness:
    """Two open orders of Alice's (2 and 3, the second partly filled), one filled of Bob's (4)."""
    inline_exchange.seed_markets()
    inline_exchange.add_account(ALICE, BTC=5)
    inline_exchange.add_account(BOB, USDT=500_000)
    inline_exchange.configure(
        limit_order(ALICE, Side.SELL, price=50_000, quantity_atoms=ATOMS),
        limit_order(ALICE, Side.SELL, price=50_001, quantity_atoms=ATOMS),
        limit_order(ALICE, Side.SELL, price=50_001, quantity_atoms=ATOMS),
        limit_order(BOB, Side.BUY, price=50_001, quantity_atoms=3 * ATOMS // 2),
    )
    return inline_exchange


class TestLiveRows:
    @pytest.mark.parametrize(
        ("table", "sql"),
        [
            ("orders_order 3", "UPDATE orders_order SET priority = priority + 1 WHERE id = 3"),
            ("1 rows of orders_order", "UPDATE orders_order SET is_open = 3 WHERE id = 2"),
            ("orders_order", "UPDATE orders_order SET is_open = 1 WHERE id = 1"),
            ("1 rows of orders_order", "DELETE FROM orders_order WHERE id = 2"),
            ("wallets_balance 2", "UPDATE wallets_balance SET last_entry_id = 7 WHERE id = 2"),
            ("markets_market 1", "UPDATE markets_market SET price_band_e8 = 1 WHERE id = 1"),
            ("markets_asset 2", "UPDATE markets_asset SET name = 'Ethel' WHERE id = 2"),
            ("markets_indexprice 1", "UPDATE markets_indexprice SET time_ms = 1 WHERE id = 1"),
            ("accounts_account 1001", "UPDATE accounts_account SET open_orders_max = 9"),
            ("accounts_feetier 0", "UPDATE accounts_feetier SET maker_rate_e8 = 1"),
            ("position row", "UPDATE exchange_logposition SET last_order = last_order + 1"),
            ("position row", "UPDATE exchange_logposition SET merged_batch = merged_batch + 1"),
            ("position row", "UPDATE exchange_logposition SET live_sums = x''"),
            ("position row", "UPDATE exchange_logposition SET checksum = 0"),
        ],
    )
    def test_a_damaged_or_lost_row_is_refused_and_named(
        self, traded: ExchangeHarness, table: str, sql: str
    ) -> None:
        execute(sql)

        with pytest.raises(StoreUnusableError, match="restore a backup") as refused:
            load()
        assert table in str(refused.value)
        assert re.search(r"\n", str(refused.value)) is None

    def test_an_outdated_row_is_refused_although_it_is_whole(self, traded: ExchangeHarness) -> None:
        kept = list(rows(Balance))
        traded.configure(limit_order(ALICE, Side.SELL, price=60_000, quantity_atoms=ATOMS))
        remove(Balance)
        Balance.objects.bulk_create(kept)

        with pytest.raises(StoreUnusableError, match="a live row of wallets_balance is not"):
            load()

    def test_columns_of_the_lease_may_change(self, traded: ExchangeHarness) -> None:
        LogPosition.objects.update(owner="another", heartbeat=10**9, renewed_ms=1, epoch=77)

        assert load().position.epoch == 77

    def test_sums_of_an_older_versions_rows_are_made_once(self, traded: ExchangeHarness) -> None:
        LogPosition.objects.update(live_sums=b"", checksum=0)
        BatchSums.objects.all().delete()
        execute("UPDATE exchange_batch SET checksum = NULL")

        with capture_logs() as logs:
            traded.processor.reload()
        traded.configure(limit_order(ALICE, Side.SELL, price=60_000, quantity_atoms=ATOMS))

        assert [entry["event"] for entry in logs] == ["row_sums_made"]
        with capture_logs() as logs:
            load()
        assert logs == []
        report = verify()
        assert report.problems == []
        assert report.uncovered > report.checked > 0

    def test_rows_with_other_columns_are_not_judged(
        self, traded: ExchangeHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("exchange.store.sums.layout_of", lambda table: 7)

        assert load().position.batch == traded.processor.position.batch


class TestHistory:
    def test_all_rows_of_a_long_mixed_flow_are_what_was_written(self, db: None) -> None:
        soak = StoredSoak()
        soak.run(3, 500)

        assert load().exchange.state_hash() == soak.engine.state_hash()
        report = verify()
        assert report.problems == []
        assert report.checked > 500
        assert report.uncovered == 0

    @pytest.mark.parametrize(
        ("named", "sql"),
        [
            (r"orders_order 4 is not", "UPDATE orders_order SET price_atoms = 1 WHERE id = 4"),
            (r"orders_order 4 is missing", "DELETE FROM orders_order WHERE id = 4"),
            (r"orders_trade one of 1 to 2 of batch", "UPDATE orders_trade SET kind = 2"),
            (r"orders_trade 2 of batch \d+ is missing", "DELETE FROM orders_trade WHERE id = 2"),
            (r"wallets_ledgerentry .* is not", "UPDATE wallets_ledgerentry SET note = 'x'"),
            (r"operatorcommand 2 of batch", "UPDATE exchange_operatorcommand SET actor = 'x'"),
            (r"batch 5 of the command log is not", "UPDATE exchange_batch SET epoch = 9"),
            (
                r"batch 5 of the command log is not",
                "UPDATE exchange_batch SET checksum = NULL WHERE id = 5",
            ),
            (r"log does not follow", "DELETE FROM exchange_batch WHERE id = 5"),
            (r"sums of batch 5 are not", "UPDATE exchange_batchsums SET row_sums = x'90'"),
            (r"sums of batch 6 does not follow 4", "DELETE FROM exchange_batchsums WHERE id = 5"),
        ],
    )
    def test_a_damaged_row_is_named(self, traded: ExchangeHarness, named: str, sql: str) -> None:
        execute(sql)

        report = verify()
        assert not report.ok
        assert any(re.search(named, problem) for problem in report.problems), report.problems

    def test_a_damaged_client_id_is_named(self, inline_exchange: ExchangeHarness) -> None:
        inline_exchange.seed_markets()
        inline_exchange.add_account(ALICE, BTC=5)
        asked = limit_order(
            ALICE, Side.SELL, price=50_000, quantity_atoms=ATOMS, client_order_id="a"
        )
        inline_exchange.configure(asked)
        inline_exchange.processor._state.client_ids._merged_at = 0.0
        inline_exchange.processor.merge_client_ids(idle=True)
        before = verify()
        execute("UPDATE exchange_clientkey SET reference_id = reference_id + 1")

        after = verify()

        assert before.problems == []
        assert [problem.split(" ")[0] for problem in after.problems] == ["exchange_clientkey"]
        assert inline_exchange.apply(asked).code is Code.CLIENT_ORDER_ID_CONFLICT

    def test_rows_that_retention_removed_or_linked_anew_are_not_damage(
        self, traded: ExchangeHarness
    ) -> None:
        execute("UPDATE orders_order SET previous_id = 9 WHERE id = 4")
        assert not verify().ok

        report = verify(pruned_through=lambda: {"orders_order": 4})
        assert report.problems == []
        assert report.uncovered == 1

    def test_replay_refuses_a_damaged_batch(self, traded: ExchangeHarness) -> None:
        execute("UPDATE exchange_batch SET last_ms = last_ms + 1 WHERE id = 3")

        with pytest.raises(StoreUnusableError, match="batch 3 of the command log"):
            replay_log(open_store(paced=False))


def test_tables_declare_their_columns_of_truth_values() -> None:
    # Their order and type are what a digest is made of.
    models = {model._meta.db_table: model for model in apps.get_models()}
    for table in (*TABLES, OPERATOR_COMMANDS, QUARANTINE, BATCHES, BATCH_SUMS, CLIENT_KEYS):
        fields = models[table.name]._meta.concrete_fields
        truths = {field.column for field in fields if isinstance(field, BooleanField)}
        assert set(table.booleans) == truths & set(table.columns), table.name
