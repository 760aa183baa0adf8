"""Good-till-date, icebergs, repricing, amendments, OCO and brackets."""

import copy

import pytest

from exchange.core.commands import (
    AmendOrder,
    CancelAllOrders,
    ContinueTask,
    PlaceLinkedOrders,
    PlaceOrder,
    SpecialTerms,
    UpdateIndexPrices,
)
from exchange.core.engine import Exchange
from exchange.core.enums import (
    EndReason,
    LinkKind,
    OrderStatus,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
    TriggerType,
)
from exchange.core.events import OrderChanged, Outcome, TradeExecuted
from exchange.core.rejects import Code
from tests.support.engine import ALICE, BOB, BTC, CAROL, MARKET, USDT, Bench, units

BUY, SELL = Side.BUY, Side.SELL
GTD = TimeInForce.GTD


@pytest.fixture
def bench() -> Bench:
    bench = Bench.funded(ALICE, BOB, CAROL)
    bench.ok(UpdateIndexPrices(((MARKET, units(100)),)))
    return bench


def run_tasks(bench: Bench) -> list[OrderChanged | TradeExecuted]:
    events: list[OrderChanged | TradeExecuted] = []
    while bench.exchange.has_task or bench.exchange.is_due(bench.time_ms):
        events += bench.ok(ContinueTask()).events  # type: ignore[arg-type]
    return events


def last_of(events: object, order_id: int) -> OrderChanged:
    found = [
        event
        for event in events  # type: ignore[attr-defined]
        if isinstance(event, OrderChanged) and event.order_id == order_id
    ]
    return found[-1]


def makers(outcome: Outcome) -> list[int]:
    return [event.maker_order_id for event in outcome.events if isinstance(event, TradeExecuted)]


class TestGoodTillDate:
    def place(self, bench: Bench, ahead_ms: int) -> PlaceOrder:
        special = SpecialTerms(expires_ms=bench.time_ms + 1 + ahead_ms)
        return bench.limit(ALICE, SELL, "1", "100", time_in_force=GTD, special=special)

    def test_expires_when_its_time_comes(self, bench: Bench) -> None:
        order_id = bench.ok(self.place(bench, 1_000)).reference_id
        assert not bench.exchange.is_due(bench.time_ms)
        bench.time_ms += 1_000

        events = run_tasks(bench)

        order = last_of(events, order_id)
        assert (order.status, order.reason) == (OrderStatus.EXPIRED, EndReason.TIME_EXPIRED)
        assert bench.wallet(ALICE, BTC).held_atoms == 0

    def test_expires_before_it_could_match_in_the_same_instant(self, bench: Bench) -> None:
        order_id = bench.ok(self.place(bench, 1_000)).reference_id
        bench.time_ms += 1_000

        outcome = bench.buy(BOB, "1", "100")

        assert makers(outcome) == []
        assert last_of(outcome.events, order_id).reason is EndReason.TIME_EXPIRED

    def test_matches_until_then(self, bench: Bench) -> None:
        order_id = bench.ok(self.place(bench, 1_000)).reference_id
        bench.time_ms += 998

        assert makers(bench.buy(BOB, "1", "100")) == [order_id]

    @pytest.mark.parametrize(
        ("ahead_ms", "code"),
        [(999, Code.EXPIRY_IN_THE_PAST), (367 * 86_400_000, Code.EXPIRY_TOO_FAR)],
    )
    def test_bounds(self, bench: Bench, ahead_ms: int, code: Code) -> None:
        bench.refused(self.place(bench, ahead_ms), code)

    def test_time_and_kind_belong_together(self, bench: Bench) -> None:
        special = SpecialTerms(expires_ms=bench.time_ms + 5_000)

        bench.refused(bench.limit(ALICE, SELL, "1", "100", special=special), Code.EXPIRY_REQUIRED)
        bench.refused(bench.limit(ALICE, SELL, "1", "100", time_in_force=GTD), Code.EXPIRY_REQUIRED)

    def test_survives_a_restart(self, bench: Bench) -> None:
        bench.ok(self.place(bench, 1_000))
        bench.exchange = Exchange.load(copy.deepcopy(bench.exchange.image()))
        bench.time_ms += 1_000

        assert len(run_tasks(bench)) == 1


class TestIceberg:
    def place(self, bench: Bench, account: int, quantity: str, display: str) -> int:
        special = SpecialTerms(display_atoms=units(display))
        return bench.sell(account, quantity, "100", special=special).reference_id

    def test_shows_a_part_and_holds_all(self, bench: Bench) -> None:
        self.place(bench, ALICE, "5", "1")

        assert bench.book()[1] == [(units(100), units(1))]
        assert bench.wallet(ALICE, BTC).held_atoms == units(5)

    def test_refreshed_part_goes_behind_the_visible(self, bench: Bench) -> None:
        iceberg = self.place(bench, ALICE, "3", "1")
        plain = bench.sell(BOB, "1", "100").reference_id

        outcome = bench.buy(CAROL, "2.5", "100")

        assert makers(outcome) == [iceberg, plain, iceberg]
        assert bench.book()[1] == [(units(100), units("0.5"))]
        assert bench.wallet(ALICE, BTC).held_atoms == units("1.5")

    def test_two_icebergs_take_turns(self, bench: Bench) -> None:
        first = self.place(bench, ALICE, "3", "1")
        second = self.place(bench, BOB, "3", "1")

        outcome = bench.buy(CAROL, "5", "100")

        assert makers(outcome) == [first, second, first, second, first]

    def test_takes_with_its_whole_size(self, bench: Bench) -> None:
        bench.buy(BOB, "4", "100")

        special = SpecialTerms(display_atoms=units(1))
        outcome = bench.sell(ALICE, "6", "100", special=special)

        assert last_of(outcome.events, outcome.reference_id).filled_atoms == units(4)
        assert bench.book()[1] == [(units(100), units(1))]

    def test_is_cancelled_whole(self, bench: Bench) -> None:
        order_id = self.place(bench, ALICE, "5", "1")

        bench.cancel(ALICE, order_id)

        assert bench.wallet(ALICE, BTC).held_atoms == 0
        assert bench.book() == ([], [])

    def test_own_iceberg_expires_whole(self, bench: Bench) -> None:
        self.place(bench, ALICE, "3", "1")
        bench.sell(BOB, "1", "100")

        outcome = bench.buy(ALICE, "1", "100", self_trade_mode=SelfTradeMode.EXPIRE_MAKER)

        assert len(makers(outcome)) == 1
        assert bench.book() == ([], [])

    def test_own_iceberg_is_decremented_through_its_parts(self, bench: Bench) -> None:
        self.place(bench, ALICE, "3", "1")

        bench.buy(ALICE, "2.5", "100", self_trade_mode=SelfTradeMode.DECREMENT)

        assert bench.wallet(ALICE, BTC).held_atoms == units("0.5")
        assert bench.book()[1] == [(units(100), units("0.5"))]

    def test_survives_a_restart_alike(self, bench: Bench) -> None:
        self.place(bench, ALICE, "3", "1")
        self.place(bench, BOB, "2", "0.5")
        bench.buy(CAROL, "1.2", "100")
        loaded = copy.deepcopy(bench)
        loaded.exchange = Exchange.load(copy.deepcopy(bench.exchange.image()))

        assert bench.buy(CAROL, "2", "100") == loaded.buy(CAROL, "2", "100")

    @pytest.mark.parametrize(
        ("_case", "changes", "code"),
        [
            ("shows all", {"display": "5"}, Code.ICEBERG_DISPLAY),
            ("off the lot", {"display": "0.00015"}, Code.ICEBERG_DISPLAY),
            ("too many parts", {"display": "0.01"}, Code.ICEBERG_PARTS),
            ("never rests", {"display": "1", "tif": TimeInForce.IOC}, Code.ICEBERG_NOT_RESTING),
            ("fill-or-kill", {"display": "1", "tif": TimeInForce.FOK}, Code.ICEBERG_NOT_RESTING),
        ],
    )
    def test_refusals(
        self, bench: Bench, _case: str, changes: dict[str, object], code: Code
    ) -> None:
        command = bench.limit(
            ALICE,
            SELL,
            "5",
            "100",
            time_in_force=changes.get("tif", TimeInForce.GTC),
            special=SpecialTerms(display_atoms=units(str(changes["display"]))),
        )

        bench.refused(command, code)


class TestReprice:
    def test_rests_one_tick_behind_the_best_opposite_price(self, bench: Bench) -> None:
        bench.sell(BOB, "1", "100")

        bench.buy(ALICE, "1", "105", post_only=True, special=SpecialTerms(reprice=True))

        assert bench.book()[0] == [(units("99.99"), units(1))]
        assert bench.wallet(ALICE, USDT).held_atoms < units(100) + units("0.04")

    def test_leaves_a_price_that_does_not_cross(self, bench: Bench) -> None:
        bench.buy(BOB, "1", "100")

        bench.sell(ALICE, "1", "101", post_only=True, special=SpecialTerms(reprice=True))

        assert bench.book()[1] == [(units(101), units(1))]


class TestAmend:
    def test_less_keeps_the_priority(self, bench: Bench) -> None:
        first = bench.sell(ALICE, "2", "100").reference_id
        bench.sell(BOB, "1", "100")

        bench.ok(AmendOrder(ALICE, first, quantity_atoms=units(1)))

        assert makers(bench.buy(CAROL, "1", "100")) == [first]

    @pytest.mark.parametrize("changes", [{"quantity_atoms": units(3)}])
    def test_more_goes_to_the_back(self, bench: Bench, changes: dict[str, int]) -> None:
        first = bench.sell(ALICE, "2", "100").reference_id
        second = bench.sell(BOB, "1", "100").reference_id

        bench.ok(AmendOrder(ALICE, first, **changes))

        assert makers(bench.buy(CAROL, "2", "100")) == [second, first]
        assert bench.wallet(ALICE, BTC).held_atoms == units(2)

    def test_new_price_moves_level_and_hold(self, bench: Bench) -> None:
        order_id = bench.buy(ALICE, "2", "90").reference_id

        bench.ok(AmendOrder(ALICE, order_id, price_atoms=units(80)))

        assert bench.book()[0] == [(units(80), units(2))]
        assert bench.wallet(ALICE, USDT).held_atoms == units("160.064")

    def test_new_price_may_take(self, bench: Bench) -> None:
        bench.sell(BOB, "1", "100")
        order_id = bench.buy(ALICE, "2", "90").reference_id

        outcome = bench.ok(AmendOrder(ALICE, order_id, price_atoms=units(100)))

        order = last_of(outcome.events, order_id)
        assert (order.status, order.filled_atoms) == (OrderStatus.PARTIALLY_FILLED, units(1))
        assert bench.book() == ([(units(100), units(1))], [])

    def test_whole_size_includes_what_is_filled(self, bench: Bench) -> None:
        order_id = bench.sell(ALICE, "3", "100").reference_id
        bench.buy(BOB, "1", "100")

        bench.ok(AmendOrder(ALICE, order_id, quantity_atoms=units(2)))

        assert bench.book()[1] == [(units(100), units(1))]

    def test_to_no_more_than_filled_cancels(self, bench: Bench) -> None:
        order_id = bench.sell(ALICE, "3", "100").reference_id
        bench.buy(BOB, "1", "100")

        outcome = bench.ok(AmendOrder(ALICE, order_id, quantity_atoms=units(1)))

        order = last_of(outcome.events, order_id)
        assert (order.status, order.reason) == (
            OrderStatus.CANCELLED,
            EndReason.AMENDED_TO_NOTHING,
        )

    def test_iceberg_gives_its_reserve_first(self, bench: Bench) -> None:
        special = SpecialTerms(display_atoms=units(1))
        order_id = bench.sell(ALICE, "5", "100", special=special).reference_id

        bench.ok(AmendOrder(ALICE, order_id, quantity_atoms=units(2)))
        assert bench.wallet(ALICE, BTC).held_atoms == units(2)
        bench.ok(AmendOrder(ALICE, order_id, quantity_atoms=units("0.5")))

        assert bench.book()[1] == [(units(100), units("0.5"))]

    def test_trigger_price_of_a_waiting_order(self, bench: Bench) -> None:
        order_id = bench.ok(bench.conditional(ALICE, SELL, "1", "90")).reference_id

        bench.ok(AmendOrder(ALICE, order_id, trigger_price_atoms=units(95)))
        bench.ok(UpdateIndexPrices(((MARKET, units(95)),)))

        assert last_of(run_tasks(bench), order_id).status is OrderStatus.EXPIRED

    @pytest.mark.parametrize(
        ("_case", "changes", "code"),
        [
            ("nothing", {}, Code.AMEND_NO_CHANGE),
            ("the same", {"price_atoms": units(90)}, Code.AMEND_NO_CHANGE),
            ("off the tick", {"price_atoms": units("90.005")}, Code.TICK_SIZE),
            ("off the lot", {"quantity_atoms": units("2.00005")}, Code.LOT_SIZE),
            ("too little", {"price_atoms": units(1)}, Code.MIN_NOTIONAL),
            ("no trigger", {"trigger_price_atoms": units(95)}, Code.AMEND_NOT_POSSIBLE),
            ("too large", {"quantity_atoms": units(1001)}, Code.QUANTITY_TOO_LARGE),
            ("negative", {"quantity_atoms": -units(1)}, Code.INVALID_QUANTITY),
        ],
    )
    def test_refusals_leave_the_order_as_it_was(
        self, bench: Bench, _case: str, changes: dict[str, int], code: Code
    ) -> None:
        order_id = bench.buy(ALICE, "2", "90").reference_id

        bench.refused(AmendOrder(ALICE, order_id, **changes), code)

    def test_more_than_can_be_held(self, bench: Bench) -> None:
        order_id = bench.sell(ALICE, "2", "110").reference_id

        bench.refused(
            AmendOrder(ALICE, order_id, quantity_atoms=units(11)), Code.INSUFFICIENT_BALANCE
        )

    def test_post_only_that_would_cross(self, bench: Bench) -> None:
        bench.sell(BOB, "1", "100")
        order_id = bench.buy(ALICE, "1", "90", post_only=True).reference_id

        bench.refused(
            AmendOrder(ALICE, order_id, price_atoms=units(100)), Code.POST_ONLY_WOULD_CROSS
        )

    def test_of_another_or_ended(self, bench: Bench) -> None:
        order_id = bench.buy(ALICE, "1", "90").reference_id

        bench.refused(AmendOrder(BOB, order_id, quantity_atoms=units(2)), Code.ORDER_NOT_FOUND)
        bench.refused(AmendOrder(99, order_id, quantity_atoms=units(2)), Code.ACCOUNT_NOT_FOUND)


class TestOco:
    def pair(self, bench: Bench, quantity: str = "1", **changes: object) -> PlaceLinkedOrders:
        profit = bench.limit(ALICE, SELL, quantity, str(changes.get("profit", "110")))
        stop = bench.conditional(ALICE, SELL, quantity, str(changes.get("stop", "90")))
        return PlaceLinkedOrders(ALICE, LinkKind.OCO, (profit, stop))

    def test_holds_once(self, bench: Bench) -> None:
        bench.ok(self.pair(bench, "10"))

        assert bench.wallet(ALICE, BTC).held_atoms == units(10)

    def test_any_fill_cancels_the_other(self, bench: Bench) -> None:
        profit = bench.ok(self.pair(bench)).reference_id

        outcome = bench.buy(BOB, "0.4", "110")

        assert last_of(outcome.events, profit + 1).reason is EndReason.LINKED_ORDER
        assert bench.wallet(ALICE, BTC).held_atoms == units("0.6")

    def test_trigger_cancels_the_other(self, bench: Bench) -> None:
        profit = bench.ok(self.pair(bench)).reference_id
        bench.buy(BOB, "1", "85")

        bench.ok(UpdateIndexPrices(((MARKET, units(90)),)))
        events = run_tasks(bench)

        assert last_of(events, profit).reason is EndReason.LINKED_ORDER
        assert last_of(events, profit + 1).status is OrderStatus.FILLED
        assert bench.wallet(ALICE, BTC).held_atoms == 0

    def test_cancelling_one_cancels_both(self, bench: Bench) -> None:
        profit = bench.ok(self.pair(bench)).reference_id

        bench.cancel(ALICE, profit + 1)

        assert bench.exchange.image().orders == []
        assert bench.wallet(ALICE, BTC).held_atoms == 0

    def test_cancel_all_takes_both(self, bench: Bench) -> None:
        bench.ok(self.pair(bench))

        assert len(bench.ok(CancelAllOrders(ALICE)).events) == 2

    def test_buy_pair_holds_for_the_dearer_leg(self, bench: Bench) -> None:
        profit = bench.limit(ALICE, BUY, "1", "90")
        stop = bench.conditional(ALICE, BUY, "1", "110")
        first = bench.ok(PlaceLinkedOrders(ALICE, LinkKind.OCO, (profit, stop))).reference_id
        held = bench.wallet(ALICE, USDT).held_atoms
        assert held == units("115.5") + units("0.0462")

        outcome = bench.sell(BOB, "0.5", "90")

        assert last_of(outcome.events, first + 1).reason is EndReason.LINKED_ORDER
        assert bench.wallet(ALICE, USDT).held_atoms == units("45.018") + 0

    def test_survives_a_restart(self, bench: Bench) -> None:
        bench.ok(self.pair(bench))
        bench.exchange = Exchange.load(copy.deepcopy(bench.exchange.image()))

        bench.buy(BOB, "1", "110")

        assert bench.exchange.image().orders == []

    @pytest.mark.parametrize(
        ("_case", "changes", "code"),
        [
            ("profit below", {"profit": "99"}, Code.LEG_PRICES),
            ("stop above", {"stop": "101"}, Code.LEG_PRICES),
        ],
    )
    def test_prices(self, bench: Bench, _case: str, changes: dict[str, object], code: Code) -> None:
        bench.refused(self.pair(bench, **changes), code)  # type: ignore[arg-type]

    def test_legs(self, bench: Bench) -> None:
        pair = self.pair(bench)
        profit, stop = pair.orders

        for legs in ((profit,), (stop, profit), (profit, profit), ()):
            bench.refused(PlaceLinkedOrders(ALICE, LinkKind.OCO, legs), Code.OCO_LEGS)

    def test_cannot_be_amended(self, bench: Bench) -> None:
        profit = bench.ok(self.pair(bench)).reference_id

        bench.refused(AmendOrder(ALICE, profit, quantity_atoms=units(2)), Code.AMEND_LINKED)

    def test_more_than_owned(self, bench: Bench) -> None:
        bench.refused(self.pair(bench, "11"), Code.INSUFFICIENT_BALANCE)


class TestBracket:
    def bracket(self, bench: Bench, price: str = "100", quantity: str = "1") -> PlaceLinkedOrders:
        return PlaceLinkedOrders(
            ALICE,
            LinkKind.ENTRY,
            (
                bench.limit(ALICE, BUY, quantity, price),
                bench.limit(ALICE, SELL, quantity, "110", special=SpecialTerms()),
                bench.conditional(ALICE, SELL, quantity, "90"),
            ),
        )

    def test_children_wait_for_the_entry(self, bench: Bench) -> None:
        entry = bench.ok(self.bracket(bench)).reference_id

        statuses = [order.status for order in bench.exchange.image().orders]
        assert statuses == [OrderStatus.OPEN, OrderStatus.WAITING, OrderStatus.WAITING]
        assert entry == bench.exchange.image().orders[0].order_id

    def test_children_are_armed_as_an_oco(self, bench: Bench) -> None:
        entry = bench.ok(self.bracket(bench)).reference_id
        bench.sell(BOB, "1", "100")
        run_tasks(bench)
        assert bench.wallet(ALICE, BTC).held_atoms == units(1)

        outcome = bench.buy(CAROL, "1", "110")

        assert makers(outcome) == [entry + 1]
        assert bench.exchange.image().orders == []

    def test_immediate_entry_arms_at_once(self, bench: Bench) -> None:
        bench.sell(BOB, "1", "100")

        bench.ok(self.bracket(bench))
        run_tasks(bench)

        assert bench.book()[1] == [(units(110), units(1))]

    def test_partly_filled_entry_arms_what_it_filled(self, bench: Bench) -> None:
        entry = bench.ok(self.bracket(bench)).reference_id
        bench.sell(BOB, "0.4", "100")
        bench.cancel(ALICE, entry)

        run_tasks(bench)

        assert bench.book()[1] == [(units(110), units("0.4"))]

    def test_unfilled_entry_ends_its_children(self, bench: Bench) -> None:
        entry = bench.ok(self.bracket(bench)).reference_id
        bench.cancel(ALICE, entry)

        events = run_tasks(bench)

        assert last_of(events, entry + 1).reason is EndReason.ENTRY_NOT_FILLED
        assert bench.exchange.image().orders == []

    def test_children_without_funds_end(self, bench: Bench) -> None:
        bench.ok(self.bracket(bench, quantity="2"))
        bench.sell(BOB, "2", "100")
        bench.sell(ALICE, "11", "120")

        events = run_tasks(bench)

        assert {event.reason for event in events} == {  # type: ignore[union-attr]
            EndReason.INSUFFICIENT_BALANCE
        }

    def test_stop_that_is_reached_when_armed_fires(self, bench: Bench) -> None:
        entry = bench.ok(self.bracket(bench)).reference_id
        bench.buy(CAROL, "1", "80")
        bench.sell(BOB, "1", "100")
        bench.ok(UpdateIndexPrices(((MARKET, units(85)),)))

        events = run_tasks(bench)

        assert last_of(events, entry + 2).terms.triggered_ms  # type: ignore[union-attr]
        assert last_of(events, entry + 1).reason is EndReason.LINKED_ORDER

    def test_survives_a_restart(self, bench: Bench) -> None:
        bench.ok(self.bracket(bench))
        bench.sell(BOB, "1", "100")
        bench.exchange = Exchange.load(copy.deepcopy(bench.exchange.image()))

        run_tasks(bench)

        assert bench.book()[1] == [(units(110), units(1))]

    def test_legs_and_prices(self, bench: Bench) -> None:
        entry, profit, stop = self.bracket(bench).orders
        wrong_side = bench.limit(ALICE, BUY, "1", "110", special=SpecialTerms())
        cheap = bench.limit(ALICE, SELL, "1", "99", special=SpecialTerms())

        for legs, code in (
            ((entry,), Code.BRACKET_LEGS),
            ((entry, stop, profit), Code.BRACKET_LEGS),
            ((entry, wrong_side), Code.BRACKET_LEGS),
            ((stop, profit), Code.BRACKET_LEGS),
            ((entry, cheap), Code.LEG_PRICES),
        ):
            bench.refused(PlaceLinkedOrders(ALICE, LinkKind.ENTRY, legs), code)

    def test_one_child_is_enough(self, bench: Bench) -> None:
        entry, _, stop = self.bracket(bench).orders
        bench.ok(PlaceLinkedOrders(ALICE, LinkKind.ENTRY, (entry, stop)))
        bench.sell(BOB, "1", "100")
        run_tasks(bench)

        (order,) = bench.exchange.image().orders
        assert (order.order_type, order.status) == (OrderType.STOP_LOSS, OrderStatus.UNTRIGGERED)
        assert order.terms is not None
        assert order.terms.trigger_type is TriggerType.INDEX
