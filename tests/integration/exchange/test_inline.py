"""Commands through the gateway to rows and back, inside one process."""

import pytest
from django.db import transaction

from exchange import gateway
from exchange.core.commands import CancelAllOrders, ConfigureMarket
from exchange.core.enums import Side
from exchange.core.rejects import Code
from exchange.core.units import ATOMS
from exchange.models import Batch, LogPosition, OperatorCommand
from exchange.replay import replay_log
from exchange.store.factory import open_store
from exchange.store.loader import rows_hash
from tests.support.exchange import ExchangeHarness, limit_order

ALICE, BOB = 1_000_001, 1_000_002


@pytest.fixture
def exchange(inline_exchange: ExchangeHarness) -> ExchangeHarness:
    """An exchange with markets and two rich accounts."""
    inline_exchange.seed_markets()
    inline_exchange.add_account(ALICE, BTC=10, USDT=1_000_000)
    inline_exchange.add_account(BOB, BTC=10, USDT=1_000_000)
    return inline_exchange


def assert_hashes_agree(exchange: ExchangeHarness) -> None:
    """Live state, rows and the replayed log must be the same state."""
    live = exchange.exchange.state_hash()
    store = open_store()
    assert rows_hash(store, exchange.processor.projections) == live
    assert replay_log(store).state_hash() == live


class TestSubmit:
    def test_a_trade_is_durable_and_three_hashes_agree(self, exchange: ExchangeHarness) -> None:
        gateway.submit(limit_order(ALICE, Side.SELL, price=50_000, quantity_atoms=ATOMS))

        outcome = gateway.submit(
            limit_order(BOB, Side.BUY, price=50_000, quantity_atoms=ATOMS // 2)
        )

        assert outcome.code is Code.OK
        position = LogPosition.objects.get()
        assert position.last_trade == 1
        assert position.last_command == exchange.exchange.sequences.command
        assert Batch.objects.count() == position.batch
        assert_hashes_agree(exchange)

    def test_many_answers_each_in_order(self, exchange: ExchangeHarness) -> None:
        orders = [
            limit_order(ALICE, Side.SELL, price=50_000 + step, quantity_atoms=ATOMS // 10)
            for step in range(3)
        ]

        outcomes = gateway.submit_many([*orders, CancelAllOrders(ALICE)])

        assert [outcome.code for outcome in outcomes] == [Code.OK] * 4
        assert [outcome.reference_id for outcome in outcomes[:3]] == [1, 2, 3]
        assert not exchange.exchange.image().orders
        assert_hashes_agree(exchange)

    async def test_from_the_event_loop(self, exchange: ExchangeHarness) -> None:
        outcome = await gateway.submit_async(
            limit_order(ALICE, Side.SELL, price=50_000, quantity_atoms=ATOMS)
        )

        assert outcome.code is Code.OK

    def test_is_refused_inside_a_transaction(self, exchange: ExchangeHarness) -> None:
        before = exchange.exchange.state_hash()

        with transaction.atomic(), pytest.raises(RuntimeError, match="inside a database"):
            gateway.submit(CancelAllOrders(ALICE))

        assert exchange.exchange.state_hash() == before

    def test_operator_commands_leave_an_audit_row(self, exchange: ExchangeHarness) -> None:
        rows = OperatorCommand.objects.filter(type="Credit")

        assert [row.actor for row in rows] == ["tests"] * 4
        assert not OperatorCommand.objects.filter(type="UpdateIndexPrices").exists()

    def test_a_refused_operator_command_is_audited_too(self, exchange: ExchangeHarness) -> None:
        outcome = gateway.submit(ConfigureMarket(9, "X-Y", 1, 98, 99, 1, 1, 1, 1, 0, 0, 0, 0, 0))

        row = OperatorCommand.objects.latest("id")
        assert outcome.code is not Code.OK
        assert (row.type, row.code) == ("ConfigureMarket", int(outcome.code))


class TestClientIds:
    def test_same_request_is_answered_with_the_first_order(self, exchange: ExchangeHarness) -> None:
        order = limit_order(
            ALICE, Side.BUY, price=100, quantity_atoms=ATOMS, client_order_id="a", request_hash=7
        )

        first, again = gateway.submit_many([order, order])
        later = gateway.submit(order)

        assert not first.repeated
        assert again.repeated
        assert later.repeated
        assert {first.reference_id, again.reference_id, later.reference_id} == {1}
        assert len(exchange.exchange.image().orders) == 1

    def test_other_request_under_the_id_conflicts(self, exchange: ExchangeHarness) -> None:
        values = {"price": 100, "quantity_atoms": ATOMS, "client_order_id": "a"}
        gateway.submit(limit_order(ALICE, Side.BUY, request_hash=7, **values))

        conflict = gateway.submit(limit_order(ALICE, Side.BUY, request_hash=8, **values))
        other = gateway.submit(limit_order(BOB, Side.BUY, request_hash=8, **values))

        assert conflict.code is Code.CLIENT_ORDER_ID_CONFLICT
        assert other.code is Code.OK
        assert_hashes_agree(exchange)

    def test_a_refused_request_leaves_its_id_free(self, exchange: ExchangeHarness) -> None:
        values = {"price": 100, "client_order_id": "a", "request_hash": 7}
        refused = gateway.submit(limit_order(ALICE, Side.BUY, quantity_atoms=0, **values))

        accepted = gateway.submit(limit_order(ALICE, Side.BUY, quantity_atoms=ATOMS, **values))

        assert refused.code is not Code.OK
        assert accepted.code is Code.OK
        assert not accepted.repeated

    def test_is_found_after_a_restart_from_the_log(self, exchange: ExchangeHarness) -> None:
        order = limit_order(
            ALICE, Side.BUY, price=100, quantity_atoms=ATOMS, client_order_id="a", request_hash=7
        )
        gateway.submit(order)
        gateway.use_inline(ExchangeHarness())

        again = gateway.submit(order)

        assert again.repeated
        assert again.reference_id == 1
