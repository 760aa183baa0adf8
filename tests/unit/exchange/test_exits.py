"""Orders that close a position, and what an owner may change about them."""

from __future__ import annotations

import pytest

from exchange.core.commands import AmendOrder, PlaceOrder, SpecialTerms
from exchange.core.enums import OrderStatus, OrderType, Side, TimeInForce, TriggerType
from exchange.core.rejects import Code
from tests.support.engine import ALICE, BOB, units
from tests.support.perpetual import PERP, PerpetualBench


@pytest.fixture
def bench() -> PerpetualBench:
    """Alice is long of 2 and her stop at 58,000 closes whatever she has."""
    made = PerpetualBench.opened(ALICE, BOB, margin="1000000")
    made.trade(ALICE, BOB, "2", "60000")
    return made


def close_at(price: str) -> PlaceOrder:
    terms = SpecialTerms(TriggerType.MARK, units(price), close_position=True)
    return PlaceOrder(
        ALICE, PERP, Side.SELL, OrderType.STOP_LOSS, TimeInForce.IOC, 0, 0, special=terms
    )


class TestAmendingTheTrigger:
    @pytest.mark.parametrize("price", ["57000", "59000"])
    def test_leaves_the_order_waiting_at_the_new_price(
        self, bench: PerpetualBench, price: str
    ) -> None:
        stop = bench.ok(close_at("58000")).reference_id

        outcome = bench.ok(AmendOrder(ALICE, stop, trigger_price_atoms=units(price)))

        (order,) = bench.exchange.image().orders
        assert outcome.reference_id == order.order_id == stop
        assert order.status is OrderStatus.UNTRIGGERED
        assert order.terms is not None
        assert order.terms.trigger_price_atoms == units(price)
        bench.exchange.check_all()

    def test_lets_it_close_the_whole_position_there(self, bench: PerpetualBench) -> None:
        stop = bench.ok(close_at("58000")).reference_id
        bench.ok(AmendOrder(ALICE, stop, trigger_price_atoms=units("59000")))
        bench.ok(bench.order(BOB, Side.BUY, "5", "58500"))

        bench.mark("58990")

        assert bench.position(ALICE).quantity_atoms == 0

    def test_where_it_would_fire_at_once_is_refused(self, bench: PerpetualBench) -> None:
        stop = bench.ok(close_at("58000")).reference_id

        bench.refused(
            AmendOrder(ALICE, stop, trigger_price_atoms=units("60000")), Code.TRIGGER_WOULD_FIRE
        )

        (order,) = bench.exchange.image().orders
        assert order.terms is not None
        assert order.terms.trigger_price_atoms == units("58000")


def test_it_has_no_quantity_to_amend(bench: PerpetualBench) -> None:
    stop = bench.ok(close_at("58000")).reference_id

    bench.refused(AmendOrder(ALICE, stop, quantity_atoms=units("1")), Code.AMEND_NOT_POSSIBLE)

    (order,) = bench.exchange.image().orders
    assert order.quantity_atoms == 0
