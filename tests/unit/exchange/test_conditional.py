"""Stops, take-profits and trailing stops: armed, fired, refused."""

import copy

import pytest

from exchange.core.commands import (
    CancelOrder,
    ConfigureAccount,
    ContinueTask,
    SetMarketStatus,
    SpecialTerms,
    UpdateIndexPrices,
)
from exchange.core.engine import Exchange
from exchange.core.enums import (
    EndReason,
    MarketStatus,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    TriggerType,
)
from exchange.core.events import OrderChanged, Outcome, TradeExecuted
from exchange.core.rejects import Code
from exchange.core.tasks import FireTask
from tests.support.engine import ALICE, BOB, BTC, CAROL, MARKET, USDT, Bench, units

BUY, SELL = Side.BUY, Side.SELL
LAST, INDEX = TriggerType.LAST, TriggerType.INDEX


def index(bench: Bench, price: str) -> Outcome:
    return bench.ok(UpdateIndexPrices(((MARKET, units(price)),)))


def run_tasks(bench: Bench) -> list[OrderChanged | TradeExecuted]:
    events: list[OrderChanged | TradeExecuted] = []
    while bench.exchange.has_task:
        events += bench.ok(ContinueTask()).events  # type: ignore[arg-type]
    return events


def stop(
    bench: Bench,
    account: int,
    side: Side,
    quantity: str,
    trigger: str,
    order_type: OrderType = OrderType.STOP_LOSS,
    trigger_type: TriggerType = INDEX,
    price: str = "0",
    **special: int,
) -> Outcome:
    return bench.ok(
        bench.conditional(
            account, side, quantity, trigger, order_type, trigger_type, price, **special
        )
    )


@pytest.fixture
def bench() -> Bench:
    """Index 100; Carol bids 50 BTC's worth below and offers above."""
    bench = Bench.funded(ALICE, BOB, CAROL)
    index(bench, "100")
    for price in ("99", "95", "90", "80"):
        bench.buy(CAROL, "2", price)
    for price in ("101", "105", "110", "120"):
        bench.sell(CAROL, "2", price)
    return bench


class TestArming:
    def test_sell_stop_holds_its_base_and_waits(self, bench: Bench) -> None:
        outcome = stop(bench, ALICE, SELL, "1", "95")

        (event,) = outcome.events
        assert isinstance(event, OrderChanged)
        assert event.status is OrderStatus.UNTRIGGERED
        assert event.terms is not None
        assert event.terms.trigger_price_atoms == units(95)
        assert bench.wallet(ALICE, BTC).held_atoms == units(1)

    def test_buy_stop_holds_at_its_cap(self, bench: Bench) -> None:
        stop(bench, ALICE, BUY, "1", "105")

        assert bench.wallet(ALICE, USDT).held_atoms == units("110.25") + units("0.0441")

    def test_stop_limit_holds_at_its_limit(self, bench: Bench) -> None:
        stop(bench, ALICE, BUY, "1", "105", OrderType.STOP_LOSS_LIMIT, price="106")

        assert bench.wallet(ALICE, USDT).held_atoms == units("106.0424")

    def test_is_cancelled_like_any_other(self, bench: Bench) -> None:
        order_id = stop(bench, ALICE, SELL, "1", "95").reference_id

        bench.cancel(ALICE, order_id)

        assert bench.wallet(ALICE, BTC).held_atoms == 0
        index(bench, "90")
        assert not bench.exchange.has_task

    @pytest.mark.parametrize(
        ("order_type", "side", "trigger"),
        [
            (OrderType.STOP_LOSS, SELL, "100"),
            (OrderType.STOP_LOSS, BUY, "100"),
            (OrderType.TAKE_PROFIT, SELL, "99.99"),
            (OrderType.TAKE_PROFIT, BUY, "100.01"),
        ],
    )
    def test_would_fire_at_once(
        self, bench: Bench, order_type: OrderType, side: Side, trigger: str
    ) -> None:
        command = bench.conditional(ALICE, side, "1", trigger, order_type)

        bench.refused(command, Code.TRIGGER_WOULD_FIRE)

    @pytest.mark.parametrize(
        ("_case", "special", "code"),
        [
            ("no terms", None, Code.TRIGGER_PRICE_REQUIRED),
            ("no type", SpecialTerms(TriggerType.NONE, units(95)), Code.TRIGGER_PRICE_REQUIRED),
            ("no price", SpecialTerms(INDEX), Code.TRIGGER_PRICE_REQUIRED),
            ("off the tick", SpecialTerms(INDEX, units("95.005")), Code.INVALID_TRIGGER_PRICE),
            ("negative", SpecialTerms(INDEX, -units(1)), Code.INVALID_TRIGGER_PRICE),
            ("trailing too", SpecialTerms(INDEX, units(95), 0, 100_000), Code.INVALID_ORDER),
            (
                "reduce-only",
                SpecialTerms(INDEX, units(95), reduce_only=True),
                Code.REDUCE_ONLY_NOT_POSSIBLE,
            ),
        ],
    )
    def test_refusals(
        self, bench: Bench, _case: str, special: SpecialTerms | None, code: Code
    ) -> None:
        plain = bench.conditional(ALICE, SELL, "1", "95")
        fields = {name: getattr(plain, name) for name in plain.__struct_fields__}

        bench.refused(type(plain)(**{**fields, "special": special}), code)

    def test_plain_order_has_no_trigger(self, bench: Bench) -> None:
        command = bench.limit(ALICE, BUY, "1", "95", special=SpecialTerms(INDEX, units(90)))

        bench.refused(command, Code.INVALID_ORDER)

    def test_more_than_owned(self, bench: Bench) -> None:
        bench.refused(bench.conditional(ALICE, SELL, "10.1", "95"), Code.INSUFFICIENT_BALANCE)

    def test_counts_as_an_open_order(self, bench: Bench) -> None:
        bench.ok(ConfigureAccount(ALICE, open_orders_max=1))
        stop(bench, ALICE, SELL, "1", "95")

        bench.refused(bench.conditional(ALICE, SELL, "1", "95"), Code.TOO_MANY_OPEN_ORDERS)


class TestFiring:
    @pytest.mark.parametrize(
        ("order_type", "side", "trigger", "price"),
        [
            (OrderType.STOP_LOSS, SELL, "95", "95"),
            (OrderType.STOP_LOSS, BUY, "105", "105"),
            (OrderType.TAKE_PROFIT, SELL, "105", "105"),
            (OrderType.TAKE_PROFIT, BUY, "97", "97"),
        ],
    )
    def test_equality_fires(
        self, bench: Bench, order_type: OrderType, side: Side, trigger: str, price: str
    ) -> None:
        order_id = stop(bench, ALICE, side, "1", trigger, order_type).reference_id

        index(bench, price)
        events = run_tasks(bench)

        assert isinstance(events[-1], OrderChanged)
        assert (events[-1].order_id, events[-1].status) == (order_id, OrderStatus.FILLED)
        assert events[-1].terms is not None
        assert events[-1].terms.triggered_ms == bench.time_ms

    def test_one_tick_before_does_not(self, bench: Bench) -> None:
        stop(bench, ALICE, SELL, "1", "95")

        index(bench, "95.01")

        assert not bench.exchange.has_task

    def test_stop_limit_rests_at_its_limit(self, bench: Bench) -> None:
        stop(bench, ALICE, SELL, "1", "95", OrderType.STOP_LOSS_LIMIT, price="99.5")

        index(bench, "94")
        run_tasks(bench)

        assert bench.book()[1][0] == (units("99.5"), units(1))
        assert bench.wallet(ALICE, BTC).held_atoms == units(1)

    def test_buy_stop_trades_no_further_than_its_cap(self, bench: Bench) -> None:
        stop(bench, ALICE, BUY, "5", "105")

        index(bench, "106")
        events = run_tasks(bench)

        order = events[-1]
        assert isinstance(order, OrderChanged)
        assert (order.filled_atoms, order.reason) == (units(5), EndReason.NONE)
        assert bench.wallet(ALICE, USDT).held_atoms == 0

    def test_larger_distance_first_then_the_older(self, bench: Bench) -> None:
        far = stop(bench, ALICE, SELL, "0.1", "96").reference_id
        near = stop(bench, BOB, SELL, "0.1", "93").reference_id
        far_too = stop(bench, BOB, SELL, "0.1", "96").reference_id

        index(bench, "93")
        events = run_tasks(bench)

        takers = [event.taker_order_id for event in events if isinstance(event, TradeExecuted)]
        assert takers == [far, far_too, near]

    def test_trades_of_a_fired_order_fire_others(self, bench: Bench) -> None:
        first = stop(bench, ALICE, SELL, "3", "98").reference_id
        second = stop(bench, BOB, SELL, "1", "95", trigger_type=LAST).reference_id

        index(bench, "98")
        events = run_tasks(bench)

        takers = [event.taker_order_id for event in events if isinstance(event, TradeExecuted)]
        assert takers == [first, first, second]

    def test_every_trade_price_of_a_sweep_counts(self, bench: Bench) -> None:
        bench.sell(ALICE, "1", "99")
        order_id = stop(bench, BOB, BUY, "0.1", "104", OrderType.STOP_LOSS, LAST).reference_id
        bench.buy(ALICE, "4", "105")
        bench.sell(CAROL, "1", "106")
        bench.sell(ALICE, "0.1", "99")

        events = run_tasks(bench)

        takers = [event.taker_order_id for event in events if isinstance(event, TradeExecuted)]
        assert takers == [order_id]

    def test_halted_market_keeps_them_armed(self, bench: Bench) -> None:
        stop(bench, ALICE, SELL, "1", "95")
        bench.ok(SetMarketStatus(MARKET, MarketStatus.HALTED))
        index(bench, "90")
        assert not bench.exchange.has_task

        bench.ok(SetMarketStatus(MARKET, MarketStatus.TRADING))
        index(bench, "94")

        assert len(run_tasks(bench)) == 3

    def test_halt_between_firing_and_its_turn_arms_them_again(self, bench: Bench) -> None:
        stop(bench, ALICE, SELL, "1", "95")
        index(bench, "90")
        bench.ok(SetMarketStatus(MARKET, MarketStatus.HALTED))

        assert run_tasks(bench) == []
        bench.ok(SetMarketStatus(MARKET, MarketStatus.TRADING))
        index(bench, "95")
        assert len(run_tasks(bench)) == 3

    def test_cancel_before_its_turn(self, bench: Bench) -> None:
        order_id = stop(bench, ALICE, SELL, "1", "95").reference_id
        index(bench, "90")

        bench.ok(CancelOrder(ALICE, order_id))

        assert run_tasks(bench) == []

    def test_fok_that_cannot_fill_expires(self, bench: Bench) -> None:
        plain = bench.conditional(ALICE, SELL, "9", "95", OrderType.STOP_LOSS)
        fields = {name: getattr(plain, name) for name in plain.__struct_fields__}
        bench.ok(type(plain)(**{**fields, "time_in_force": TimeInForce.FOK}))

        index(bench, "90")
        events = run_tasks(bench)

        assert isinstance(events[-1], OrderChanged)
        assert events[-1].reason is EndReason.FOK_NOT_FILLABLE
        assert bench.wallet(ALICE, BTC).held_atoms == 0

    def test_fires_exactly_once_over_a_restart(self, bench: Bench) -> None:
        for trigger in ("96", "95", "94"):
            stop(bench, ALICE, SELL, "0.1", trigger)
        index(bench, "95")
        (task,) = bench.exchange.tasks
        assert isinstance(task, FireTask)

        bench.exchange = Exchange.load(copy.deepcopy(bench.exchange.image()))
        events = run_tasks(bench)

        assert len([event for event in events if isinstance(event, TradeExecuted)]) == 2
        assert bench.wallet(ALICE, BTC).held_atoms == units("0.1")

    def test_thousands_take_bounded_steps(self, bench: Bench) -> None:
        bench.ok(ConfigureAccount(ALICE, open_orders_max=10_000))
        for _ in range(180):
            bench.exchange.apply(bench.next(bench.conditional(ALICE, SELL, "0.055", "95")))

        index(bench, "50")
        steps = []
        while bench.exchange.has_task:
            steps.append(len(bench.ok(ContinueTask()).events))

        assert len(steps) > 1
        assert max(steps) <= 2000


class TestTrailing:
    def trail(self, bench: Bench, account: int, side: Side, **special: int) -> Outcome:
        return bench.ok(bench.trailing(account, side, "0.1", **special))

    def test_follows_the_price_up_and_fires_on_the_way_down(self, bench: Bench) -> None:
        order_id = self.trail(bench, ALICE, SELL, callback_rate_e8=5_000_000).reference_id
        for price in ("104", "110", "104.51"):
            index(bench, price)
            assert not bench.exchange.has_task

        index(bench, "104.5")
        events = run_tasks(bench)

        assert [e.taker_order_id for e in events if isinstance(e, TradeExecuted)] == [order_id]

    def test_buy_follows_down(self, bench: Bench) -> None:
        self.trail(bench, ALICE, BUY, callback_rate_e8=10_000_000)
        index(bench, "90")
        index(bench, "98.99")
        assert not bench.exchange.has_task

        index(bench, "99")

        assert len(run_tasks(bench)) == 3

    def test_waits_for_its_activation_price(self, bench: Bench) -> None:
        order = bench.trailing(
            ALICE, SELL, "0.1", callback_rate_e8=5_000_000, activation_price_atoms=units(110)
        )
        bench.ok(order)
        index(bench, "90")
        assert not bench.exchange.has_task

        index(bench, "110")
        (event,) = run_tasks(bench)
        assert isinstance(event, OrderChanged)
        assert event.terms is not None
        assert event.terms.extreme_atoms == units(110)
        index(bench, "104.5")

        assert len(run_tasks(bench)) == 3

    def test_orders_of_different_age_have_their_own_extremes(self, bench: Bench) -> None:
        old = self.trail(bench, ALICE, SELL, callback_rate_e8=5_000_000).reference_id
        index(bench, "110")
        index(bench, "106")
        self.trail(bench, BOB, SELL, callback_rate_e8=5_000_000)

        index(bench, "104.5")
        events = run_tasks(bench)

        assert [e.taker_order_id for e in events if isinstance(e, TradeExecuted)] == [old]
        index(bench, "100.7")
        assert len(run_tasks(bench)) == 3

    def test_newest_of_a_group_hands_the_extreme_on(self, bench: Bench) -> None:
        self.trail(bench, ALICE, SELL, callback_rate_e8=5_000_000)
        newest = self.trail(bench, BOB, SELL, callback_rate_e8=5_000_000).reference_id
        index(bench, "120")
        bench.cancel(BOB, newest)

        bench.exchange = Exchange.load(copy.deepcopy(bench.exchange.image()))
        index(bench, "114")

        assert len(run_tasks(bench)) == 3

    def test_survives_a_restart_alike(self, bench: Bench) -> None:
        for price in ("100", "103", "107", "105", "104", "108"):
            index(bench, price)
            for account in (ALICE, BOB):
                bench.do(bench.trailing(account, SELL, "0.1", callback_rate_e8=3_000_000))
                bench.do(bench.trailing(account, BUY, "0.1", callback_rate_e8=3_000_000))
        index(bench, "104.7")
        loaded = copy.deepcopy(bench)
        loaded.exchange = Exchange.load(copy.deepcopy(bench.exchange.image()))
        for price in ("103", "109", "104", "100"):
            for each in (bench, loaded):
                index(each, price)
            assert run_tasks(bench) == run_tasks(loaded)
        assert bench.exchange.state_hash() == loaded.exchange.state_hash()

    @pytest.mark.parametrize(
        ("_case", "special", "code"),
        [
            ("no rate", {"callback_rate_e8": 0}, Code.CALLBACK_RATE),
            ("over 10 %", {"callback_rate_e8": 10_100_000}, Code.CALLBACK_RATE),
            ("off the step", {"callback_rate_e8": 150_000}, Code.CALLBACK_RATE),
            (
                "activation reached",
                {"callback_rate_e8": 100_000, "activation_price_atoms": units(100)},
                Code.ACTIVATION_PRICE_REACHED,
            ),
            (
                "fixed trigger too",
                {"callback_rate_e8": 100_000, "trigger_price_atoms": units(90)},
                Code.INVALID_ORDER,
            ),
        ],
    )
    def test_refusals(self, bench: Bench, _case: str, special: dict[str, int], code: Code) -> None:
        bench.refused(bench.trailing(ALICE, SELL, "0.1", **special), code)

    def test_needs_a_price_to_start_from(self) -> None:
        bench = Bench.funded()

        bench.refused(
            bench.trailing(ALICE, SELL, "1", callback_rate_e8=100_000),
            Code.REFERENCE_PRICE_MISSING,
        )
