"""Commits that fail, values that are refused, a core that raises: nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from exchange import gateway, processor
from exchange.core.commands import (
    CancelAllOrders,
    CancelOrder,
    Command,
    ConfigureAccount,
    PlaceOrder,
    Transfer,
)
from exchange.core.engine import Exchange
from exchange.core.enums import EndReason, MarketStatus, Side, WalletKind
from exchange.core.events import Outcome
from exchange.core.rejects import Code
from exchange.core.tasks import CancelAllTask
from exchange.core.units import ATOMS
from exchange.lease import renew
from exchange.models import Batch, LogPosition, OperatorCommand, Quarantine
from exchange.position import decode_tasks, encode_tasks
from exchange.projection import Row
from exchange.replay import replay_log
from exchange.store.base import DataError, Fence, Group, LeaseLostError, StoreBusyError
from exchange.store.factory import open_store
from exchange.store.loader import rows_hash
from tests.support.exchange import BTC_USDT, USDT, ExchangeHarness, limit_order

ALICE, BOB = 1_000_000_001, 1_000_000_002

Fault = Callable[[Sequence[Group]], None]


class FaultyStore:
    """A store whose next writes fail as told, before or after they took effect."""

    def __init__(self) -> None:
        self._store = open_store(paced=False)
        self.pause_s, self.snapshot, self.find, self.close = (
            self._store.pause_s,
            self._store.snapshot,
            self._store.find,
            self._store.close,
        )
        self.newest_batch = self._store.newest_batch
        self.before: list[Fault] = []
        self.after: list[Fault] = []

    def write(self, fence: Fence, groups: Sequence[Group]) -> None:
        if self.before:
            self.before.pop(0)(groups)
        self._store.write(fence, groups)
        if self.after:
            self.after.pop(0)(groups)


def busy(_: Sequence[Group]) -> None:
    raise StoreBusyError("told to")


def never(_: Sequence[Group]) -> None:
    return None


def refuse_account(account_id: int) -> Fault:
    def fault(groups: Sequence[Group]) -> None:
        for table, rows in groups:
            if table.name == "accounts_account" and any(row[0] == account_id for row in rows):
                raise DataError(f"account {account_id} is told to be refused")

    return fault


@pytest.fixture
def store(db: None) -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def exchange(store: FaultyStore) -> Iterator[ExchangeHarness]:
    harness = ExchangeHarness(store)
    harness.seed_markets()
    harness.add_account(ALICE, BTC=10, USDT=1_000_000)
    harness.add_account(BOB, BTC=10, USDT=1_000_000)
    gateway.use_inline(harness)
    yield harness
    gateway.use_inline(None)


def assert_hashes_agree(exchange: ExchangeHarness) -> None:
    live = exchange.exchange.state_hash()
    exchange.exchange.check_all()
    store = open_store()
    assert rows_hash(store, exchange.processor.projections) == live
    assert replay_log(store).state_hash() == live


def buy(price: int = 100, **values: object) -> PlaceOrder:
    return limit_order(ALICE, Side.BUY, price=price, quantity_atoms=ATOMS, **values)  # type: ignore[arg-type]


class TestFailedCommit:
    @pytest.mark.parametrize("count", [1, 3])
    def test_before_it_took_effect_the_batch_is_carried_out_once(
        self, exchange: ExchangeHarness, store: FaultyStore, count: int
    ) -> None:
        store.before = [busy] * count

        outcome = gateway.submit(buy())

        assert outcome.code is Code.OK
        assert LogPosition.objects.get().last_order == 1
        assert_hashes_agree(exchange)

    def test_after_it_took_effect_nothing_is_done_again(
        self, exchange: ExchangeHarness, store: FaultyStore
    ) -> None:
        store.after = [busy]

        with pytest.raises(gateway.StatusUnknown):
            gateway.submit(buy())

        assert LogPosition.objects.get().last_order == 1
        assert_hashes_agree(exchange)

    def test_client_id_is_found_whatever_became_of_the_commit(
        self, exchange: ExchangeHarness, store: FaultyStore
    ) -> None:
        order = buy(client_order_id="a", request_hash=1)
        store.before = [busy]
        first = gateway.submit(order)
        store.after = [busy]
        with pytest.raises(gateway.StatusUnknown):
            gateway.submit(buy(101, client_order_id="b", request_hash=2))

        again = gateway.submit(order)
        unknown = gateway.submit(buy(101, client_order_id="b", request_hash=2))

        assert (again.repeated, again.reference_id) == (True, first.reference_id)
        assert (unknown.repeated, unknown.reference_id) == (True, 2)

    def test_gives_up_when_it_never_succeeds(
        self, exchange: ExchangeHarness, store: FaultyStore
    ) -> None:
        before = exchange.exchange.state_hash()
        store.before = [busy] * 50

        with pytest.raises(StoreBusyError):
            gateway.submit(buy())

        store.before = []
        assert exchange.exchange.state_hash() == before
        assert_hashes_agree(exchange)


class TestRefusedValue:
    def test_only_the_culprit_is_rejected(
        self, exchange: ExchangeHarness, store: FaultyStore
    ) -> None:
        # Once for the batch, then as often as the culprit is tried alone.
        store.before = [refuse_account(9_000_000_002)] * 10
        commands: list[Command] = [
            buy(),
            ConfigureAccount(9_000_000_002),
            buy(101),
        ]

        outcomes = gateway.submit_many(commands)  # type: ignore[arg-type]

        store.before = []
        assert [outcome.code for outcome in outcomes] == [Code.OK, Code.DATA_REFUSED, Code.OK]
        assert len(exchange.exchange.image().orders) == 2
        assert_hashes_agree(exchange)

    def test_an_integer_beyond_64_bits_never_reaches_the_database(
        self, exchange: ExchangeHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batches = Batch.objects.count()
        whole = processor.OpenBatch.log_row

        def too_large(batch: processor.OpenBatch, **values: int) -> Row:
            row = whole(batch, **values)  # type: ignore[arg-type]
            if any(isinstance(item.command, Transfer) for item in batch.envelopes):
                return (*row[:4], 2**63, *row[5:])
            return row

        monkeypatch.setattr(processor.OpenBatch, "log_row", too_large)
        outcome = gateway.submit(
            Transfer(ALICE, WalletKind.SPOT, BOB, WalletKind.SPOT, USDT, ATOMS)
        )

        assert outcome.code is Code.DATA_REFUSED
        assert Batch.objects.count() == batches + 1
        assert_hashes_agree(exchange)


class TestCoreFault:
    @pytest.fixture
    def poisoned(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # However slow the machine: what comes together is one batch.
        monkeypatch.setattr("exchange.processor.BATCH_APPLY_S", 60.0)
        apply = Exchange.apply

        def raises(exchange: Exchange, envelope: object) -> Outcome:
            outcome = apply(exchange, envelope)  # type: ignore[arg-type]
            command = envelope.command  # type: ignore[attr-defined]
            if getattr(command, "client_order_id", "") == "poison":
                raise ZeroDivisionError("half done")
            return outcome

        monkeypatch.setattr(Exchange, "apply", raises)

    @pytest.mark.usefixtures("poisoned")
    def test_the_command_is_set_aside_and_its_market_halted(
        self, exchange: ExchangeHarness
    ) -> None:
        outcomes = gateway.submit_many([buy(), buy(client_order_id="poison"), buy(101)])

        # The halt comes first when the batch is run again.
        assert [outcome.code for outcome in outcomes] == [
            Code.MARKET_HALTED,
            Code.QUARANTINED,
            Code.MARKET_HALTED,
        ]
        row = Quarantine.objects.get()
        assert (row.type, row.market_id, row.attempts) == ("PlaceOrder", BTC_USDT, 1)
        assert "half done" in row.error
        markets = {market.market_id: market.status for market in exchange.exchange.image().markets}
        assert markets == {BTC_USDT: MarketStatus.HALTED, 2: MarketStatus.TRADING}
        audit = OperatorCommand.objects.latest("id")
        assert (audit.type, audit.actor) == ("SetMarketStatus", "exchange")
        assert_hashes_agree(exchange)

    @pytest.mark.usefixtures("poisoned")
    def test_it_stays_set_aside_after_a_restart(self, exchange: ExchangeHarness) -> None:
        gateway.submit(buy(client_order_id="poison"), command_id="c1")

        restarted = ExchangeHarness()

        assert restarted.processor._state.set_aside == {"c1": Code.QUARANTINED}
        assert_hashes_agree(restarted)

    def test_a_cancel_that_fails_halts_the_market_of_its_order(
        self, exchange: ExchangeHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        order = gateway.submit(buy())
        apply = Exchange.apply

        def raises(engine: Exchange, envelope: object) -> Outcome:
            if isinstance(envelope.command, CancelOrder):  # type: ignore[attr-defined]
                raise ZeroDivisionError
            return apply(engine, envelope)  # type: ignore[arg-type]

        monkeypatch.setattr(Exchange, "apply", raises)

        outcome = gateway.submit(CancelOrder(ALICE, order.reference_id))

        assert outcome.code is Code.QUARANTINED
        assert Quarantine.objects.get().market_id == BTC_USDT


class TestFencing:
    def test_a_leader_that_lost_its_lease_writes_nothing(self, exchange: ExchangeHarness) -> None:
        LogPosition.objects.update(epoch=99)
        batches = Batch.objects.count()
        published = len(exchange.published)

        with pytest.raises(LeaseLostError):
            gateway.submit(buy())

        assert Batch.objects.count() == batches
        assert LogPosition.objects.get().last_order == 0
        assert len(exchange.published) == published

    def test_an_old_epoch_cannot_be_renewed(self, exchange: ExchangeHarness) -> None:
        with pytest.raises(LeaseLostError):
            renew(exchange.processor.epoch - 1)


class TestTasks:
    def test_a_large_cancel_all_continues_in_steps_of_its_own_batches(
        self, exchange: ExchangeHarness
    ) -> None:
        exchange.configure(ConfigureAccount(ALICE, open_orders_max=2_000))
        orders = [
            limit_order(ALICE, Side.BUY, price=100, quantity_atoms=ATOMS // 50)
            for _ in range(1_700)
        ]
        gateway.submit_many(orders)
        before = LogPosition.objects.get()

        outcome = gateway.submit(CancelAllOrders(ALICE))

        after = LogPosition.objects.get()
        assert outcome.code is Code.OK
        assert not exchange.exchange.image().orders
        assert after.batch - before.batch >= 2
        assert decode_tasks(bytes(after.tasks)) == []
        assert_hashes_agree(exchange)

    def test_an_unfinished_task_survives_as_bytes(self) -> None:
        task = CancelAllTask(ALICE, 0, 700, EndReason.USER_CANCELLED)

        assert decode_tasks(encode_tasks([task])) == [task]
