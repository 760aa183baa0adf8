"""Market-maker protection: what counts, what it pulls, what it then refuses, until when."""

import copy

import pytest

from exchange.core import protecting
from exchange.core.commands import (
    AmendOrder,
    CancelAllAfter,
    ConfigureProtection,
    ContinueTask,
    PlaceLinkedOrders,
    ResetProtection,
)
from exchange.core.engine import Exchange
from exchange.core.enums import EndReason, LinkKind, OrderStatus, OrderType, Side, TimeInForce
from exchange.core.events import OrderChanged, Outcome, ProtectionChanged, TradeExecuted
from exchange.core.rejects import Code
from exchange.core.state import FOREVER_MS
from tests.support.engine import ALICE, BOB, CAROL, MARKET, Bench, units

WINDOW, FROZEN = 1_000, 5_000


def protection(**changes: int) -> ConfigureProtection:
    values = {"window_ms": WINDOW, "quantity_atoms": units(1), "fills": 0, "frozen_ms": FROZEN}
    return ConfigureProtection(ALICE, MARKET, **{**values, **changes})


@pytest.fixture
def bench() -> Bench:
    """Alice quotes 0.5 at each of 101 to 104 and bids at 99; more than 1 in 1 s is too much."""
    bench = Bench.funded()
    bench.ok(protection())
    for price in (101, 102, 103, 104):
        bench.sell(ALICE, "0.5", str(price))
    bench.buy(ALICE, "1", "99")
    return bench


def pulled(outcome: Outcome) -> list[int]:
    return [
        event.order_id
        for event in outcome.events
        if isinstance(event, OrderChanged) and event.reason is EndReason.QUOTE_PROTECTION
    ]


def frozen_until(bench: Bench) -> int:
    (found,) = bench.exchange.image().protections
    return found.frozen_until_ms


def trip(bench: Bench) -> Outcome:
    return bench.buy(BOB, "1.1", "110", time_in_force=TimeInForce.IOC)


class TestCounting:
    def test_up_to_the_limit_nothing_happens(self, bench: Bench) -> None:
        outcome = bench.buy(BOB, "1", "110", time_in_force=TimeInForce.IOC)

        assert pulled(outcome) == []
        assert frozen_until(bench) == 0

    def test_over_the_limit_what_rests_is_pulled_after_the_taker(self, bench: Bench) -> None:
        outcome = trip(bench)

        trades = [event for event in outcome.events if isinstance(event, TradeExecuted)]
        assert sum(trade.quantity_atoms for trade in trades) == units("1.1")
        assert pulled(outcome) == [3, 4, 5]
        assert bench.book() == ([], [])
        assert frozen_until(bench) == bench.time_ms + FROZEN
        assert outcome.events[-4] == ProtectionChanged(
            ALICE, MARKET, WINDOW, units(1), 0, FROZEN, bench.time_ms + FROZEN
        )

    def test_number_of_fills_counts_apart(self, bench: Bench) -> None:
        bench.ok(protection(quantity_atoms=0, fills=2))
        assert pulled(bench.buy(BOB, "0.1", "101")) == []
        assert pulled(bench.buy(BOB, "0.1", "101")) == []

        assert pulled(bench.buy(BOB, "0.1", "101")) == [1, 2, 3, 4, 5]

    def test_takes_of_the_account_itself_do_not_count(self, bench: Bench) -> None:
        bench.sell(BOB, "5", "100")

        outcome = bench.buy(ALICE, "5", "100", time_in_force=TimeInForce.IOC)

        assert pulled(outcome) == []
        assert bench.exchange.image().protections[0].counted == []

    def test_a_fill_counts_for_the_window_and_at_most_a_slot_longer(self, bench: Bench) -> None:
        bench.time_ms = (bench.time_ms // 50 + 1) * 50 - 1  # the next command opens a slot
        bench.buy(BOB, "0.5", "101", time_in_force=TimeInForce.IOC)
        filled_ms = bench.time_ms
        bench.time_ms = filled_ms + WINDOW + 48
        bench.buy(BOB, "0.5", "102", time_in_force=TimeInForce.IOC)
        assert len(bench.exchange.image().protections[0].counted) == 2

        bench.time_ms = filled_ms + WINDOW + 49
        bench.buy(BOB, "0.1", "103", time_in_force=TimeInForce.IOC)

        counted = bench.exchange.image().protections[0].counted
        assert [(atoms, fills) for _, atoms, fills in counted] == [
            (units("0.5"), 1),
            (units("0.1"), 1),
        ]
        assert frozen_until(bench) == 0

    def test_what_is_kept_is_bounded(self, bench: Bench) -> None:
        bench.ok(protection(quantity_atoms=units(9), window_ms=10_000))
        bench.ok(bench.limit(ALICE, Side.SELL, "8", "100.5"))
        for _ in range(79):
            bench.time_ms += 220
            bench.buy(BOB, "0.1", "101")

        assert len(bench.exchange.image().protections[0].counted) <= protecting.SLOTS + 2

    def test_in_short_windows_each_millisecond_counts_for_itself(self, bench: Bench) -> None:
        assert protecting.slot_length_ms(19) == protecting.slot_length_ms(1) == 1
        assert protecting.slot_length_ms(10_000) == 500


class TestFreeze:
    def test_refuses_what_may_rest_and_takes_the_rest(self, bench: Bench) -> None:
        trip(bench)
        bench.sell(BOB, "1", "105")

        bench.refused(bench.limit(ALICE, Side.BUY, "1", "99"), Code.QUOTES_FROZEN)
        stop_limit = bench.conditional(
            ALICE, Side.SELL, "1", "90", OrderType.STOP_LOSS_LIMIT, price="89"
        )
        bench.refused(stop_limit, Code.QUOTES_FROZEN)
        bench.ok(bench.conditional(ALICE, Side.SELL, "1", "90"))
        bench.buy(ALICE, "0.1", "105", time_in_force=TimeInForce.IOC)
        bench.ok(bench.market_order(ALICE, Side.BUY, "0.1"))
        bench.buy(BOB, "1", "98")

    def test_refuses_groups_with_a_leg_that_may_rest(self, bench: Bench) -> None:
        trip(bench)
        bench.ok(bench.limit(BOB, Side.SELL, "1", "110"))
        legs = (
            bench.limit(ALICE, Side.SELL, "1", "120"),
            bench.conditional(ALICE, Side.SELL, "1", "90"),
        )

        bench.refused(PlaceLinkedOrders(ALICE, LinkKind.OCO, legs), Code.QUOTES_FROZEN)

    def test_ends_with_the_cool_down(self, bench: Bench) -> None:
        trip(bench)
        bench.time_ms += FROZEN - 2
        bench.refused(bench.limit(ALICE, Side.BUY, "1", "99"), Code.QUOTES_FROZEN)

        bench.buy(ALICE, "1", "99")

    def test_without_a_cool_down_holds_until_a_reset(self, bench: Bench) -> None:
        bench.ok(protection(frozen_ms=0))
        trip(bench)
        assert frozen_until(bench) == FOREVER_MS
        bench.time_ms += 10**9
        bench.refused(bench.limit(ALICE, Side.BUY, "1", "99"), Code.QUOTES_FROZEN)

        bench.ok(ResetProtection(ALICE, MARKET))

        bench.buy(ALICE, "1", "99")
        assert frozen_until(bench) == 0

    def test_outlasts_a_change_of_the_protection(self, bench: Bench) -> None:
        trip(bench)
        bench.ok(protection(quantity_atoms=units(9)))

        bench.refused(bench.limit(ALICE, Side.BUY, "1", "99"), Code.QUOTES_FROZEN)

    def test_goes_with_the_protection(self, bench: Bench) -> None:
        trip(bench)

        outcome = bench.ok(ConfigureProtection(ALICE, MARKET, 0))

        assert outcome.events == [ProtectionChanged(ALICE, MARKET, 0, 0, 0, 0, 0)]
        bench.buy(ALICE, "1", "99")
        assert bench.exchange.image().protections == []

    def test_leaves_what_waits_for_a_price(self, bench: Bench) -> None:
        waiting = bench.ok(bench.conditional(ALICE, Side.SELL, "1", "90")).reference_id

        trip(bench)

        assert [order.order_id for order in bench.exchange.image().orders] == [waiting]

    def test_of_one_account_leaves_others(self, bench: Bench) -> None:
        other = bench.sell(BOB, "1", "120").reference_id

        trip(bench)

        assert [order.order_id for order in bench.exchange.image().orders] == [other]

    def test_refuses_amendments_that_come_in_again(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(protecting, "PULLED_AT_ONCE", 1)
        trip(bench)
        left = bench.exchange.image().orders[-1]

        bench.refused(AmendOrder(ALICE, left.order_id, price_atoms=units(98)), Code.QUOTES_FROZEN)

    def test_many_quotes_are_pulled_in_bounded_steps(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(protecting, "PULLED_AT_ONCE", 2)
        outcome = trip(bench)
        assert len(pulled(outcome)) == 2
        assert bench.exchange.has_task

        assert len(pulled(bench.ok(ContinueTask()))) == 1
        assert not bench.exchange.has_task

    def test_survives_a_restart_with_what_it_counted(self, bench: Bench) -> None:
        bench.buy(BOB, "0.9", "110", time_in_force=TimeInForce.IOC)
        bench.exchange = Exchange.load(copy.deepcopy(bench.exchange.image()))
        outcome = bench.buy(BOB, "0.2", "110", time_in_force=TimeInForce.IOC)
        assert len(pulled(outcome)) == 3

        bench.exchange = Exchange.load(copy.deepcopy(bench.exchange.image()))

        bench.refused(bench.limit(ALICE, Side.BUY, "1", "99"), Code.QUOTES_FROZEN)

    def test_one_taker_may_run_over_several(self) -> None:
        bench = Bench.funded(ALICE, BOB, CAROL)
        for account in (ALICE, BOB):
            bench.ok(ConfigureProtection(account, MARKET, WINDOW, 0, 1))
            for price in ("101", "102", "103"):
                bench.sell(account, "0.1", price)

        outcome = bench.buy(CAROL, "0.4", "110")

        assert pulled(outcome) == [3, 6]
        assert all(
            event.status is OrderStatus.CANCELLED
            for event in outcome.events
            if isinstance(event, OrderChanged) and event.order_id in (3, 6)
        )


class TestConfiguring:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"window_ms": -1},
            {"window_ms": 10_001},
            {"quantity_atoms": 0},
            {"quantity_atoms": -1},
            {"quantity_atoms": 2**62 + 1},
            {"fills": -1},
            {"fills": 1_000_001},
            {"frozen_ms": -1},
            {"frozen_ms": 24 * 3_600_000 + 1},
        ],
    )
    def test_impossible_values_are_refused(self, bench: Bench, wrong: dict[str, int]) -> None:
        bench.refused(protection(**wrong), Code.INVALID_PROTECTION)

    def test_unknown_accounts_and_markets_are_refused(self, bench: Bench) -> None:
        bench.refused(ConfigureProtection(42, MARKET, 1, 1), Code.ACCOUNT_NOT_FOUND)
        bench.refused(ConfigureProtection(1, MARKET, 1, 1), Code.ACCOUNT_NOT_FOUND)
        bench.refused(ConfigureProtection(ALICE, 9, 1, 1), Code.MARKET_NOT_FOUND)
        bench.refused(ResetProtection(42, MARKET), Code.ACCOUNT_NOT_FOUND)
        bench.refused(ResetProtection(ALICE, 9), Code.MARKET_NOT_FOUND)

    def test_what_does_not_exist_is_neither_taken_away_nor_reset(self, bench: Bench) -> None:
        bench.refused(ConfigureProtection(BOB, MARKET, 0), Code.NO_PROTECTION)
        bench.refused(ResetProtection(BOB, MARKET), Code.NO_PROTECTION)

    def test_a_switch_and_a_protection_can_act_on_the_same_orders(self, bench: Bench) -> None:
        bench.ok(CancelAllAfter(ALICE, 1_000))
        trip(bench)
        bench.time_ms += 1_000

        outcome = bench.ok(ContinueTask())

        assert len(outcome.events) == 1
