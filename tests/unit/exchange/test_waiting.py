"""Conditional orders between their price and their turn: halts, restarts, newcomers, amends."""

from __future__ import annotations

import copy

import pytest

from exchange.core import firing
from exchange.core.commands import (
    AmendOrder,
    CancelOrder,
    ContinueTask,
    PlaceLinkedOrders,
    PlaceOrder,
    SetMarketStatus,
    SpecialTerms,
    StartLeadership,
    UpdateIndexPrices,
)
from exchange.core.engine import Exchange
from exchange.core.enums import (
    EndReason,
    LinkKind,
    MarketStatus,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    TriggerType,
)
from exchange.core.events import OrderChanged, TradeExecuted
from exchange.core.rejects import Code
from exchange.core.tasks import FireTask
from tests.support.engine import ALICE, BOB, CAROL, MARKET, USDT, Bench, market, units

BUY, SELL = Side.BUY, Side.SELL
INDEX, LAST = TriggerType.INDEX, TriggerType.LAST
RATE_5 = 5_000_000


def index(bench: Bench, price: str) -> None:
    bench.ok(UpdateIndexPrices(((MARKET, units(price)),)))


def status(bench: Bench, status_: MarketStatus) -> None:
    bench.ok(SetMarketStatus(MARKET, status_))


def stop(bench: Bench, account: int, side: Side, trigger: str, quantity: str = "0.1") -> int:
    return bench.ok(bench.conditional(account, side, quantity, trigger)).reference_id


def trail(bench: Bench, account: int, activation: str = "0") -> int:
    command = bench.trailing(
        account,
        SELL,
        "0.1",
        callback_rate_e8=RATE_5,
        activation_price_atoms=units(activation),
    )
    return bench.ok(command).reference_id


def takers(bench: Bench) -> list[int]:
    """Carry out all internal work; return the takers of its trades, in order."""
    found = []
    while bench.exchange.has_task:
        events = bench.ok(ContinueTask()).events
        found += [event.taker_order_id for event in events if isinstance(event, TradeExecuted)]
    return found


def restarted(bench: Bench) -> Bench:
    """Return the same bench after a restart."""
    other = copy.deepcopy(bench)
    other.exchange = Exchange.load(copy.deepcopy(bench.exchange.image()))
    return other


@pytest.fixture
def bench() -> Bench:
    """Index 100; Carol bids below and offers above."""
    bench = Bench.funded(ALICE, BOB, CAROL)
    index(bench, "100")
    for price in ("99", "95", "90", "80"):
        bench.buy(CAROL, "2", price)
    for price in ("101", "105", "110", "120"):
        bench.sell(CAROL, "2", price)
    return bench


class TestRestart:
    def test_a_smaller_move_does_not_forget_what_a_larger_one_fired(self, bench: Bench) -> None:
        far = stop(bench, ALICE, BUY, "104")
        index(bench, "105")
        index(bench, "101")
        near = stop(bench, BOB, BUY, "102")
        index(bench, "103")

        loaded = restarted(bench)

        assert takers(bench) == takers(loaded) == [far, near]

    def test_steps_are_cut_alike_whoever_was_cancelled(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(firing, "FIRED_PER_STEP", 1)
        first, _ = stop(bench, ALICE, SELL, "95"), stop(bench, BOB, SELL, "95")
        index(bench, "94")
        bench.ok(CancelOrder(ALICE, first))
        loaded = restarted(bench)

        for each in (bench, loaded):
            each.ok(ContinueTask())

        assert bench.exchange.has_task is loaded.exchange.has_task is False
        assert bench.exchange.state_hash() == loaded.exchange.state_hash()

    def test_a_dated_order_that_ended_takes_no_internal_step(self, bench: Bench) -> None:
        dated = bench.buy(
            ALICE,
            "1",
            "50",
            time_in_force=TimeInForce.GTD,
            special=SpecialTerms(expires_ms=bench.time_ms + 1_002),
        )
        bench.cancel(ALICE, dated.reference_id)
        stop(bench, ALICE, SELL, "95")
        bench.time_ms += 2_000
        index(bench, "94")

        assert not bench.exchange.is_due(bench.time_ms)
        bench.ok(ContinueTask())
        assert not bench.exchange.has_task

    def test_the_hash_covers_what_special_orders_have(self, bench: Bench) -> None:
        stop(bench, ALICE, SELL, "95")
        image = copy.deepcopy(bench.exchange.image())
        terms = image.orders[-1].terms
        assert terms is not None
        terms.slippage_rate_e8 = 1

        assert Exchange.load(image).state_hash() != bench.exchange.state_hash()

    def test_activations_that_are_not_stored_yet_survive(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(firing, "ANNOUNCED_PER_STEP", 1)
        orders = [trail(bench, account, "110") for account in (ALICE, BOB, ALICE)]
        rows = {order.order_id: copy.deepcopy(order) for order in bench.exchange.image().orders}
        bench.exchange.drain()
        index(bench, "112")
        bench.ok(ContinueTask())
        changes, _ = bench.exchange.drain()
        image = copy.deepcopy(bench.exchange.image())
        image.orders = [
            copy.deepcopy(changes.orders.get(key, row)) for key, row in sorted(rows.items())
        ]
        loaded = copy.deepcopy(bench)
        loaded.exchange = Exchange.load(image)
        assert loaded.exchange.state_hash() == bench.exchange.state_hash()

        for each in (bench, loaded):
            index(each, "106.4")

        assert takers(bench) == takers(loaded) == orders


class TestActivation:
    def test_prices_before_the_turn_count(self, bench: Bench) -> None:
        order = trail(bench, ALICE, "110")

        for price in ("110", "120", "113"):
            index(bench, price)

        assert takers(bench) == [order]

    def test_a_newcomer_keeps_its_own_extreme(self, bench: Bench) -> None:
        old = trail(bench, ALICE, "110")
        index(bench, "110")
        index(bench, "106")
        trail(bench, BOB)
        assert takers(bench) == []

        index(bench, "104.5")

        assert takers(bench) == [old]


class TestHalts:
    def test_stays_in_order_of_placement(self, bench: Bench) -> None:
        first = stop(bench, ALICE, SELL, "95")
        index(bench, "94")
        index(bench, "100")
        second = stop(bench, BOB, SELL, "95")
        status(bench, MarketStatus.HALTED)
        assert takers(bench) == []
        status(bench, MarketStatus.TRADING)

        index(bench, "95")

        assert takers(bench) == [first, second]

    def test_trailing_stops_follow_on_as_if_never_fired(self, bench: Bench) -> None:
        old = trail(bench, ALICE)
        index(bench, "110")
        index(bench, "104")
        new = trail(bench, BOB)
        status(bench, MarketStatus.HALTED)
        assert takers(bench) == []
        status(bench, MarketStatus.TRADING)
        loaded = restarted(bench)

        for each in (bench, loaded):
            index(each, "105")
            assert takers(each) == []
            index(each, "104.5")
            assert takers(each) == [old]
            index(each, "99.75")
            assert takers(each) == [new]

    def test_trailing_stops_follow_the_price_through_a_halt(self, bench: Bench) -> None:
        old = trail(bench, ALICE)
        status(bench, MarketStatus.HALTED)
        index(bench, "120")
        status(bench, MarketStatus.TRADING)
        new = trail(bench, BOB)

        index(bench, "114")

        assert takers(bench) == [old, new]

    def test_the_first_trade_counts_at_the_old_price_too(self, bench: Bench) -> None:
        bench.sell(ALICE, "0.1", "99")
        order = bench.ok(
            bench.conditional(BOB, SELL, "0.1", "95", OrderType.STOP_LOSS, LAST)
        ).reference_id
        bench.sell(ALICE, "2", "95")
        bench.ok(SetMarketStatus(MARKET, MarketStatus.HALTED))
        assert takers(bench) == []
        bench.ok(SetMarketStatus(MARKET, MarketStatus.TRADING))

        bench.sell(ALICE, "0.1", "95")

        assert takers(bench) == [order]

    def test_nothing_fires_while_a_restarted_exchange_reopens(self, bench: Bench) -> None:
        order = stop(bench, ALICE, SELL, "95")
        index(bench, "94")
        bench.ok(StartLeadership(1, 60_000))
        assert takers(bench) == []
        index(bench, "94")
        assert not bench.exchange.has_task

        bench.time_ms += 15_000
        index(bench, "94")

        assert takers(bench) == [order]

    def test_a_limit_child_does_not_trade_in_a_halted_market(self, bench: Bench) -> None:
        entry = bench.limit(ALICE, BUY, "1", "101", special=SpecialTerms())
        profit = bench.limit(ALICE, SELL, "1", "104")
        safety = bench.conditional(ALICE, SELL, "1", "90")
        group = bench.ok(PlaceLinkedOrders(ALICE, LinkKind.ENTRY, (entry, profit, safety)))
        bench.buy(BOB, "2", "104.5")
        status(bench, MarketStatus.HALTED)

        events = bench.ok(ContinueTask()).events

        assert not any(isinstance(event, TradeExecuted) for event in events)
        ended = [e for e in events if isinstance(e, OrderChanged) and e.reason]
        assert [(e.order_id, e.status, e.reason) for e in ended] == [
            (group.reference_id + 1, OrderStatus.CANCELLED, EndReason.MARKET_NOT_TRADING)
        ]
        status(bench, MarketStatus.TRADING)
        index(bench, "89")
        assert takers(bench) == [group.reference_id + 2]


class TestAmending:
    def test_more_quantity_keeps_the_cap_that_the_hold_was_computed_at(self, bench: Bench) -> None:
        order = stop(bench, ALICE, BUY, "110", "1")
        bench.ok(market(market_band_e8=1_000_000))
        have = bench.wallet(ALICE, USDT)

        bench.ok(AmendOrder(ALICE, order, quantity_atoms=units(2)))

        assert bench.wallet(ALICE, USDT).held_atoms == 2 * have.held_atoms

    def test_more_than_the_cap_allows_is_refused(self, bench: Bench) -> None:
        order = stop(bench, ALICE, BUY, "110", "1")
        bench.ok(market(market_band_e8=1_000_000, quantity_max_atoms=0))

        bench.refused(
            AmendOrder(ALICE, order, quantity_atoms=units(8_700)), Code.INSUFFICIENT_BALANCE
        )

    @pytest.mark.parametrize(
        ("_case", "quantity", "goes_back"),
        [("more goes to the back", "0.2", True), ("less keeps its place", "0.08", False)],
    )
    def test_place_among_those_at_a_trigger_price(
        self, bench: Bench, _case: str, quantity: str, goes_back: bool
    ) -> None:
        first, second = stop(bench, ALICE, SELL, "95"), stop(bench, BOB, SELL, "95")
        bench.ok(AmendOrder(ALICE, first, quantity_atoms=units(quantity)))

        index(bench, "94")

        assert takers(bench) == ([second, first] if goes_back else [first, second])

    def test_naming_the_trigger_it_has_is_no_change(self, bench: Bench) -> None:
        first, second = stop(bench, ALICE, SELL, "95"), stop(bench, BOB, SELL, "95")
        change = AmendOrder(
            ALICE, first, quantity_atoms=units("0.08"), trigger_price_atoms=units(95)
        )
        bench.ok(change)

        index(bench, "94")

        assert takers(bench) == [first, second]

    def test_first_fault_in_the_order_of_the_codes(self, bench: Bench) -> None:
        order = bench.buy(ALICE, "1", "50").reference_id

        bench.refused(AmendOrder(ALICE, order, price_atoms=7), Code.TICK_SIZE)


class TestCodes:
    def test_impossible_options_come_before_the_size(self, bench: Bench) -> None:
        command = PlaceOrder(
            ALICE,
            MARKET,
            BUY,
            OrderType.LIMIT,
            TimeInForce.GTC,
            units(50),
            7,
            special=SpecialTerms(INDEX, units(95)),
        )

        bench.refused(command, Code.INVALID_ORDER)

    def test_a_long_task_is_one_range(self, bench: Bench) -> None:
        for trigger in ("94", "93", "92"):
            stop(bench, ALICE, SELL, trigger)

        for price in ("94", "93", "92"):
            index(bench, price)

        (task,) = bench.exchange.tasks
        assert isinstance(task, FireTask)
