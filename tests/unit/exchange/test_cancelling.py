"""Cancels: one, all, in bounded steps."""

from exchange.core.commands import CancelAllOrders, CancelOrder, ConfigureAccount, ContinueTask
from exchange.core.enums import EndReason, OrderStatus, Side
from exchange.core.rejects import Code
from tests.support.engine import ALICE, BOB, BTC, MARKET, USDT, Bench, units


class TestCancelOrder:
    def test_releases_the_hold_and_the_level(self) -> None:
        bench = Bench.funded()
        order_id = bench.buy(ALICE, "1", "100").reference_id

        (event,) = bench.cancel(ALICE, order_id).events

        assert (event.status, event.reason) == (  # type: ignore[union-attr]
            OrderStatus.CANCELLED,
            EndReason.USER_CANCELLED,
        )
        assert bench.wallet(ALICE, USDT).held_atoms == 0
        assert bench.book() == ([], [])

    def test_keeps_what_was_filled(self) -> None:
        bench = Bench.funded()
        order_id = bench.buy(ALICE, "1", "100").reference_id
        bench.sell(BOB, "0.4", "100")

        (event,) = bench.cancel(ALICE, order_id).events

        assert event.filled_atoms == units("0.4")  # type: ignore[union-attr]

    def test_finds_an_open_order_by_client_id(self) -> None:
        bench = Bench.funded()
        bench.ok(bench.limit(ALICE, Side.BUY, "1", "100", client_order_id="mine"))

        bench.ok(CancelOrder(ALICE, 0, "mine"))

        bench.refused(CancelOrder(ALICE, 0, "mine"), Code.ORDER_NOT_FOUND)

    def test_of_another_or_ended_or_missing_is_the_same_refusal(self) -> None:
        bench = Bench.funded()
        order_id = bench.buy(ALICE, "1", "100").reference_id

        bench.refused(CancelOrder(BOB, order_id), Code.ORDER_NOT_FOUND)
        bench.refused(CancelOrder(ALICE, 999), Code.ORDER_NOT_FOUND)
        bench.cancel(ALICE, order_id)
        bench.refused(CancelOrder(ALICE, order_id), Code.ORDER_NOT_FOUND)
        bench.refused(CancelOrder(42, order_id), Code.ACCOUNT_NOT_FOUND)

    def test_in_the_middle_of_a_long_queue_keeps_the_order_of_the_rest(self) -> None:
        bench = Bench.funded()
        ids = [bench.sell(ALICE, "0.1", "100").reference_id for _ in range(60)]
        for order_id in ids[1:50]:
            bench.cancel(ALICE, order_id)

        outcome = bench.buy(BOB, "0.3", "100")

        makers = [getattr(event, "maker_order_id", 0) for event in outcome.events]
        assert [maker for maker in makers if maker] == [ids[0], ids[50], ids[51]]


class TestCancelAll:
    def test_in_one_market_or_all(self) -> None:
        bench = Bench.funded()
        bench.buy(ALICE, "1", "100")
        bench.sell(ALICE, "1", "200")
        bench.sell(BOB, "1", "200")

        outcome = bench.ok(CancelAllOrders(ALICE, MARKET))

        assert len(outcome.events) == 2
        assert bench.wallet(ALICE, BTC).held_atoms == 0
        assert bench.book() == ([], [(units(200), units(1))])

    def test_nothing_open_is_fine(self) -> None:
        bench = Bench.funded()

        assert bench.ok(CancelAllOrders(ALICE)).events == []

    def test_unknown_account_and_market(self) -> None:
        bench = Bench.funded()

        bench.refused(CancelAllOrders(42), Code.ACCOUNT_NOT_FOUND)
        bench.refused(CancelAllOrders(ALICE, 42), Code.MARKET_NOT_FOUND)

    def test_many_orders_take_several_steps_and_spare_later_ones(self) -> None:
        bench = Bench.funded()
        bench.ok(ConfigureAccount(ALICE, open_orders_max=2000))
        for _ in range(1001):
            bench.ok(bench.limit(ALICE, Side.SELL, "0.001", "10000"))

        first = bench.ok(CancelAllOrders(ALICE))
        later = bench.sell(ALICE, "0.001", "10000").reference_id
        steps = []
        while bench.exchange.has_task:
            steps.append(len(bench.ok(ContinueTask()).events))

        assert (len(first.events), steps) == (500, [500, 1])
        assert [order.order_id for order in bench.exchange.image().orders] == [later]

    def test_continuing_without_a_task_is_refused(self) -> None:
        bench = Bench.funded()

        assert bench.do(ContinueTask()).code is Code.PLANNING_FAILED
