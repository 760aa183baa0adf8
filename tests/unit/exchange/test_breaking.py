"""The circuit breaker: what breaks it, what becomes of the taker, and the way back."""

import copy
from typing import Any

import pytest

from exchange.core.breaking import SLOTS, reference_price
from exchange.core.commands import ContinueTask, SetMarketStatus, UpdateIndexPrices
from exchange.core.engine import Exchange
from exchange.core.enums import (
    EndReason,
    MarketStatus,
    OrderStatus,
    Side,
    StatusCause,
    TimeInForce,
)
from exchange.core.events import MarketConfigured, OrderChanged, Outcome, TradeExecuted
from exchange.core.rejects import Code
from exchange.core.safety import MarketSafety
from tests.support.engine import ALICE, BOB, MARKET, Bench, market, units

SAFETY = MarketSafety(
    breaker_band_e8=10_000_000,
    breaker_window_ms=1_000,
    halt_ms=60_000,
    cancel_only_ms=5_000,
    post_only_ms=10_000,
)
IOC = TimeInForce.IOC


def guarded(**changes: Any) -> Bench:
    """Return a bench whose market stops 10 % from the price of a second ago, now 100."""
    bench = Bench.funded(safety=SAFETY)
    for name, value in changes.items():
        setattr(bench, name, value)
    trade(bench, "100")
    return bench


def trade(bench: Bench, price: str) -> Outcome:
    bench.sell(ALICE, "0.1", price)
    return bench.buy(BOB, "0.1", price, time_in_force=IOC)


def status(bench: Bench) -> tuple[MarketStatus, StatusCause, int]:
    (config,) = bench.exchange.image().markets
    return config.status, config.status_cause, config.status_until_ms


def reference(bench: Bench) -> int:
    return reference_price(bench.exchange._memory.markets[MARKET], bench.time_ms)


def last_state(outcome: Outcome) -> OrderChanged:
    return next(
        event
        for event in reversed(outcome.events)
        if isinstance(event, OrderChanged) and event.order_id == outcome.reference_id
    )


class TestBreaking:
    @pytest.mark.parametrize(
        ("side", "inside", "outside"), [(Side.BUY, "110", "110.01"), (Side.SELL, "90", "89.99")]
    )
    def test_trades_up_to_the_band_and_the_rest_of_the_taker_expires(
        self, side: Side, inside: str, outside: str
    ) -> None:
        bench = guarded()
        other = Side.SELL if side is Side.BUY else Side.BUY
        bench.ok(bench.limit(ALICE, other, "1", inside))
        kept = bench.ok(bench.limit(ALICE, other, "1", outside)).reference_id

        outcome = bench.ok(bench.limit(BOB, side, "1.5", outside))

        taker = last_state(outcome)
        assert (taker.status, taker.reason) == (OrderStatus.EXPIRED, EndReason.CIRCUIT_BREAKER)
        assert taker.filled_atoms == units(1)
        assert [order.order_id for order in bench.exchange.image().orders] == [kept]
        assert outcome.events[-1] == bench.exchange.image().markets[0]
        until = bench.time_ms + 60_000
        assert status(bench) == (MarketStatus.HALTED, StatusCause.CIRCUIT_BREAKER, until)

    def test_at_the_band_it_trades_on(self) -> None:
        bench = guarded()

        trade(bench, "110")

        assert status(bench)[0] is MarketStatus.TRADING

    def test_a_best_price_on_the_wrong_side_of_the_band_breaks_too(self) -> None:
        bench = guarded()
        bench.sell(ALICE, "1", "50")

        taker = last_state(bench.ok(bench.market_order(BOB, Side.BUY, "1")))

        assert (taker.filled_atoms, taker.reason) == (0, EndReason.CIRCUIT_BREAKER)
        assert status(bench)[0] is MarketStatus.HALTED

    def test_a_quote_sized_taker_breaks_it_alike(self) -> None:
        bench = guarded()
        bench.sell(ALICE, "1", "100")
        bench.sell(ALICE, "1", "120")
        order = bench.market_order(BOB, Side.BUY, "0", quote_quantity_atoms=units(150))

        taker = last_state(bench.ok(order))

        assert (taker.filled_atoms, taker.reason) == (units(1), EndReason.CIRCUIT_BREAKER)

    def test_orders_that_rest_or_are_refused_break_nothing(self) -> None:
        bench = guarded()
        bench.sell(ALICE, "1", "120")
        bench.buy(BOB, "1", "50")
        fok = bench.limit(BOB, Side.BUY, "1", "120", time_in_force=TimeInForce.FOK)
        bench.refused(fok, Code.FOK_NOT_FILLABLE)
        post_only = bench.limit(BOB, Side.BUY, "1", "120", post_only=True)
        bench.refused(post_only, Code.POST_ONLY_WOULD_CROSS)
        own = bench.limit(ALICE, Side.BUY, "1", "120", time_in_force=IOC)
        assert last_state(bench.ok(own)).reason is EndReason.SELF_TRADE

        assert status(bench)[0] is MarketStatus.TRADING

    def test_without_a_band_nothing_breaks_and_nothing_is_kept(self) -> None:
        bench = Bench.funded()
        trade(bench, "100")

        trade(bench, "10000")

        assert bench.exchange.image().price_windows == []


class TestReference:
    def test_is_the_price_of_a_window_ago(self) -> None:
        bench = guarded(time_ms=1_700_000_001_000)
        for price in ("103", "106", "109", "112", "115"):
            bench.time_ms += 400
            trade(bench, price)

        # 106 was the price before the first trade of the last second.
        assert reference(bench) == units(106)
        assert status(bench)[0] is MarketStatus.TRADING

    def test_what_is_kept_is_bounded(self) -> None:
        bench = guarded()
        for _ in range(60):
            bench.time_ms += 97
            trade(bench, "100")

        (window,) = bench.exchange.image().price_windows
        assert len(window.slots) <= SLOTS + 1

    def test_without_a_trade_in_the_window_is_the_index_price_or_else_the_last(self) -> None:
        bench = guarded()
        bench.time_ms += 5_000
        assert reference(bench) == units(100)

        bench.ok(UpdateIndexPrices(((MARKET, units(200)),)))

        assert reference(bench) == units(200)
        trade(bench, "190")
        assert reference(bench) == units(200)

    def test_is_none_before_the_first_trade_which_sets_it(self) -> None:
        bench = Bench.funded(safety=SAFETY)
        assert reference(bench) == 0

        trade(bench, "77")

        assert reference(bench) == units(77)

    def test_is_forgotten_when_the_rules_change(self) -> None:
        bench = guarded()
        bench.ok(UpdateIndexPrices(((MARKET, units(105)),)))
        assert reference(bench) == units(100)

        bench.ok(market(safety=MarketSafety(breaker_band_e8=1, breaker_window_ms=77)))

        assert reference(bench) == units(105)


@pytest.fixture
def broken() -> Bench:
    """A market that broke at 120; somebody still offers there."""
    bench = guarded()
    bench.sell(ALICE, "1", "120")
    bench.ok(bench.market_order(BOB, Side.BUY, "1"))
    assert status(bench)[0] is MarketStatus.HALTED
    return bench


class TestWayBack:
    def test_goes_through_cancel_only_and_post_only(self, broken: Bench) -> None:
        seen = []
        for length in (60_000, 5_000, 10_000):
            assert not broken.exchange.is_due(broken.time_ms + length - 1)
            broken.time_ms += length
            assert broken.exchange.is_due(broken.time_ms)
            outcome = broken.ok(ContinueTask())
            (event,) = outcome.events
            assert isinstance(event, MarketConfigured)
            seen.append((event.status, event.status_cause, event.status_until_ms))

        breaker = StatusCause.CIRCUIT_BREAKER
        # Each step happened a millisecond after its time.
        assert seen == [
            (MarketStatus.CANCEL_ONLY, breaker, seen[0][2]),
            (MarketStatus.POST_ONLY, breaker, seen[0][2] + 10_001),
            (MarketStatus.TRADING, StatusCause.NONE, 0),
        ]
        assert not broken.exchange.is_due(broken.time_ms + 10**9)

    def test_each_phase_takes_what_it_says(self, broken: Bench) -> None:
        resting = broken.exchange.image().orders[0].order_id
        plain = broken.limit(BOB, Side.BUY, "1", "99")
        post_only = broken.limit(BOB, Side.BUY, "1", "99", post_only=True)
        broken.refused(plain, Code.MARKET_HALTED)
        broken.time_ms += 60_000
        broken.ok(ContinueTask())
        broken.refused(post_only, Code.MARKET_CANCEL_ONLY)
        broken.cancel(ALICE, resting)
        broken.time_ms += 5_000
        broken.ok(ContinueTask())
        broken.refused(plain, Code.MARKET_POST_ONLY)
        broken.ok(post_only)
        broken.time_ms += 10_000
        broken.ok(ContinueTask())
        broken.ok(plain)

    def test_the_old_price_no_longer_counts(self, broken: Bench) -> None:
        broken.ok(SetMarketStatus(MARKET, MarketStatus.TRADING))
        assert reference(broken) == 0

        outcome = broken.ok(broken.market_order(BOB, Side.BUY, "0.5"))

        assert last_state(outcome).status is OrderStatus.FILLED
        assert reference(broken) == units(120)

    def test_with_an_index_price_that_is_what_counts(self, broken: Bench) -> None:
        broken.ok(UpdateIndexPrices(((MARKET, units(105)),)))
        broken.ok(SetMarketStatus(MARKET, MarketStatus.TRADING))

        broken.ok(broken.market_order(BOB, Side.BUY, "0.5"))

        assert status(broken)[0] is MarketStatus.HALTED

    def test_phases_of_no_length_are_left_out(self) -> None:
        bench = guarded()
        bench.ok(market(safety=MarketSafety(1, 1_000, 0, 0, 7)))
        bench.sell(ALICE, "1", "120")
        bench.ok(bench.market_order(BOB, Side.BUY, "1"))

        assert status(bench) == (
            MarketStatus.POST_ONLY,
            StatusCause.CIRCUIT_BREAKER,
            bench.time_ms + 7,
        )

    def test_without_any_phase_the_market_trades_on(self) -> None:
        bench = guarded()
        bench.ok(market(safety=MarketSafety(1, 1_000, 0, 0, 0)))
        bench.sell(ALICE, "1", "120")

        taker = last_state(bench.ok(bench.market_order(BOB, Side.BUY, "1")))

        assert taker.reason is EndReason.CIRCUIT_BREAKER
        assert status(bench) == (MarketStatus.TRADING, StatusCause.NONE, 0)

    @pytest.mark.parametrize("decided", list(MarketStatus)[:4])
    def test_an_operators_word_ends_it(self, broken: Bench, decided: MarketStatus) -> None:
        broken.ok(SetMarketStatus(MARKET, decided))

        trading = decided is MarketStatus.TRADING
        cause = StatusCause.NONE if trading else StatusCause.OPERATOR
        assert status(broken) == (decided, cause, 0)
        assert not broken.exchange.is_due(broken.time_ms + 10**9)

    def test_survives_a_restart(self, broken: Bench) -> None:
        broken.exchange = Exchange.load(copy.deepcopy(broken.exchange.image()))

        assert broken.exchange.is_due(broken.time_ms + 60_000)
        broken.time_ms += 60_000
        broken.ok(ContinueTask())
        assert status(broken)[0] is MarketStatus.CANCEL_ONLY
        assert reference(broken) == 0

    def test_a_phase_missed_while_down_begins_when_the_exchange_is_back(
        self, broken: Bench
    ) -> None:
        broken.time_ms += 500_000

        broken.ok(ContinueTask())

        assert status(broken)[:1] == (MarketStatus.CANCEL_ONLY,)
        assert status(broken)[2] == broken.time_ms + 5_000


class TestConditionalOrders:
    def test_stay_armed_and_meet_the_first_price_after_it(self) -> None:
        bench = guarded()
        bench.buy(BOB, "1", "95")
        bench.ok(UpdateIndexPrices(((MARKET, units(100)),)))
        stop = bench.ok(bench.conditional(ALICE, Side.SELL, "1", "99")).reference_id
        bench.sell(ALICE, "1", "120")
        bench.ok(bench.market_order(BOB, Side.BUY, "1"))
        bench.ok(UpdateIndexPrices(((MARKET, units(98)),)))
        assert not bench.exchange.has_task

        bench.ok(SetMarketStatus(MARKET, MarketStatus.TRADING))
        bench.ok(UpdateIndexPrices(((MARKET, units(98)),)))
        outcome = bench.ok(ContinueTask())

        trades = [event for event in outcome.events if isinstance(event, TradeExecuted)]
        assert [event.taker_order_id for event in trades] == [stop]

    def test_one_that_breaks_the_market_leaves_the_others_armed(self) -> None:
        bench = guarded()
        bench.ok(UpdateIndexPrices(((MARKET, units(100)),)))
        bench.buy(BOB, "1", "80")
        first = bench.ok(bench.conditional(ALICE, Side.SELL, "1", "99")).reference_id
        second = bench.ok(bench.conditional(ALICE, Side.SELL, "1", "98")).reference_id
        bench.ok(UpdateIndexPrices(((MARKET, units(97)),)))

        while bench.exchange.has_task:
            bench.ok(ContinueTask())

        assert status(bench)[0] is MarketStatus.HALTED
        waiting = {
            order.order_id
            for order in bench.exchange.image().orders
            if order.status is OrderStatus.UNTRIGGERED
        }
        assert first not in waiting
        assert second in waiting


class TestSettings:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"breaker_band_e8": -1},
            {"breaker_band_e8": 10**8},
            {"breaker_window_ms": 0},
            {"breaker_window_ms": 86_400_001},
            {"halt_ms": -1},
            {"cancel_only_ms": 86_400_001},
            {"post_only_ms": -1},
            {"trigger_protect_e8": -1},
            {"trigger_protect_e8": 10**8},
        ],
    )
    def test_impossible_ones_are_refused(self, wrong: dict[str, int]) -> None:
        bench = guarded()

        bench.refused(market(safety=MarketSafety(**wrong)), Code.INVALID_CONFIGURATION)
