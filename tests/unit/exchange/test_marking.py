"""What the mark price is made of, and what a doubtful index does to a perpetual market."""

from __future__ import annotations

import pytest

from exchange.core.commands import CancelAllOrders, SetMarketStatus, SpecialTerms, UpdateIndexPrices
from exchange.core.enums import (
    EndReason,
    MarginMode,
    MarketStatus,
    OrderStatus,
    OrderType,
    PriceQuality,
    Side,
    StatusCause,
    TimeInForce,
    TriggerType,
)
from exchange.core.events import (
    MarketConfigured,
    OrderChanged,
    PositionClosed,
    PricesChanged,
    TradeExecuted,
)
from exchange.core.marking import BASIS_WINDOW_MS, LAST_AGE_MAX_MS
from exchange.core.rejects import Code
from tests.support.engine import ALICE, BOB, CAROL, units
from tests.support.perpetual import PERP, PerpetualBench

MAKER = 1_000_009
# A quarter of 1 / 125 of 60,000.
REACH = 120


def bench(**terms: object) -> PerpetualBench:
    made = PerpetualBench.opened(ALICE, BOB, CAROL, MAKER, margin="1000000", **terms)
    made.exchange.drain()
    return made


def quote(made: PerpetualBench, bid: str, ask: str, quantity: str = "1") -> None:
    """Let the maker show both sides; a whole bitcoin holds the impact notional."""
    made.ok(made.order(MAKER, Side.BUY, quantity, bid))
    made.ok(made.order(MAKER, Side.SELL, quantity, ask))


def squeeze(made: PerpetualBench) -> None:
    """Let Carol be long with as little margin as there may be: 59,000 is far too low for her."""
    made.leverage(CAROL, 125, MarginMode.ISOLATED)
    made.trade(CAROL, MAKER, "0.8", "60000")


def index(made: PerpetualBench, price: str = "", *, after_ms: int = 1_000, **more: object) -> None:
    """Let time pass, then set the index price, if one is given."""
    made.time_ms += after_ms - 1
    prices = ((PERP, units(price)),) if price else ()
    made.ok(UpdateIndexPrices(prices, **more))  # type: ignore[arg-type]
    made.settle()


def prices(made: PerpetualBench) -> PricesChanged:
    return made.exchange.image().prices[0]


def status(made: PerpetualBench) -> tuple[MarketStatus, StatusCause]:
    config: MarketConfigured = made.exchange.image().markets[0]
    return config.status, config.status_cause


class TestMedianOfThree:
    def test_is_the_index_while_the_book_is_empty(self) -> None:
        made = bench()

        index(made, "60010")

        assert prices(made).mark_atoms == units("60010")

    def test_is_index_and_basis_when_nobody_traded(self) -> None:
        made = bench()
        quote(made, "60019", "60021")

        index(made, "60000")

        assert prices(made).mark_atoms == units("60020")

    @pytest.mark.parametrize(
        ("_case", "last", "mark"),
        [
            ("a last trade above both is left out", "60050", "60020"),
            ("a last trade below both is left out", "59990", "60000"),
            ("a last trade between them is the mark", "60007", "60007"),
        ],
    )
    def test_takes_the_middle_of_carried_index_basis_and_last(
        self, _case: str, last: str, mark: str
    ) -> None:
        made = bench()
        made.trade(ALICE, BOB, "0.01", last)
        quote(made, "60019", "60021")

        index(made, "60000")

        assert prices(made).mark_atoms == units(mark)

    def test_a_last_trade_of_yesterday_does_not_count(self) -> None:
        made = bench()
        made.trade(ALICE, BOB, "0.01", "60007")
        quote(made, "60019", "60021")

        index(made, "60000", after_ms=LAST_AGE_MAX_MS + 1_000)

        assert prices(made).mark_atoms == units("60020")

    def test_funding_carries_the_index_for_the_time_that_is_left(self) -> None:
        made = bench(interest_rate_e8=0, funding_interval_ms=60_000)
        quote(made, "60499", "60501")
        for _ in range(90):
            index(made, "60000")
        made.ok(CancelAllOrders(MAKER))
        made.trade(ALICE, BOB, "0.01", "59990")

        index(made, "60000")

        rate = prices(made).funding_rate_e8
        left = prices(made).next_funding_ms - made.time_ms
        carried = units("60000") + units("60000") * rate * left // (60_000 * 10**8)

        assert rate > 0
        assert units("60000") < prices(made).mark_atoms == carried


class TestBasis:
    def test_averages_the_window(self) -> None:
        made = bench()
        quote(made, "60019", "60021")
        index(made, "60000")
        index(made, "60010")

        assert [value for _, value in prices(made).basis] == [units("20"), units("10")]
        assert prices(made).mark_atoms == units("60025")

    def test_forgets_what_left_the_window(self) -> None:
        made = bench()
        quote(made, "60019", "60021")
        index(made, "60000")
        index(made, "60010", after_ms=BASIS_WINDOW_MS)

        assert [value for _, value in prices(made).basis] == [units("10")]

    def test_takes_one_sample_a_second(self) -> None:
        made = bench()
        quote(made, "60019", "60021")
        index(made, "60000")
        index(made, "60000", after_ms=400)

        assert len(prices(made).basis) == 1
        assert prices(made).premium_count == 2

    @pytest.mark.parametrize(
        ("_case", "orders"),
        [
            ("empty", []),
            ("bids only", [(Side.BUY, "60019", "1")]),
            ("asks only", [(Side.SELL, "60021", "1")]),
            ("too wide", [(Side.BUY, "59700", "1"), (Side.SELL, "60400", "1")]),
            ("a thin bid", [(Side.BUY, "60019", "0.4"), (Side.SELL, "60021", "1")]),
            ("a thin ask", [(Side.BUY, "60019", "1"), (Side.SELL, "60021", "0.4")]),
        ],
    )
    def test_a_book_that_says_nothing_gives_no_sample(
        self, _case: str, orders: list[tuple[Side, str, str]]
    ) -> None:
        made = bench()
        for side, price, quantity in orders:
            made.ok(made.order(MAKER, side, quantity, price))

        index(made, "60000")

        assert prices(made).basis == ()
        assert prices(made).mark_atoms == units("60000")


class TestClamp:
    @pytest.mark.parametrize(
        ("bid", "ask", "sign"), [("60299", "60301", 1), ("59699", "59701", -1)]
    )
    def test_own_prices_move_the_mark_by_a_quarter_of_the_smallest_margin_at_most(
        self, bid: str, ask: str, sign: int
    ) -> None:
        made = bench()
        quote(made, bid, ask)
        made.trade(ALICE, BOB, "0.01", bid if sign < 0 else ask)

        index(made, "60000")
        # Carried is the index itself; so median needs both own prices to leave it.
        assert prices(made).mark_atoms == units(60_000 + sign * REACH)


class TestLastTrade:
    def test_a_takeover_is_no_trade_of_the_tape(self) -> None:
        made = bench()
        squeeze(made)
        traded_ms = prices(made).last_trade_ms

        index(made, "59000", after_ms=30_000)

        image = made.exchange.image()
        assert all(p.quantity_atoms == 0 for p in image.positions if p.account_id == CAROL)
        assert prices(made).last_trade_ms == traded_ms


class TestDegraded:
    def test_keeps_the_mark_and_liquidates_nobody(self) -> None:
        made = bench()
        squeeze(made)

        index(made, "59000", degraded=(PERP,))

        assert made.position(CAROL).quantity_atoms == units("0.8")
        assert prices(made).mark_atoms == units("60000")
        assert prices(made).quality is PriceQuality.DEGRADED

    def test_takes_only_what_reduces(self) -> None:
        made = bench()
        made.trade(ALICE, BOB, "0.1", "60000")
        index(made, "60000", degraded=(PERP,))

        made.refused(made.order(ALICE, Side.BUY, "0.1", "60000"), Code.MARKET_REDUCE_ONLY)
        made.ok(made.order(ALICE, Side.SELL, "0.1", "60000", reduce_only=True))

    def test_fires_nothing_at_a_doubtful_price(self) -> None:
        made = bench()
        made.trade(ALICE, BOB, "0.1", "60000")
        stop = SpecialTerms(TriggerType.INDEX, units("59000"), reduce_only=True)
        order = made.order(ALICE, Side.SELL, "0.1")
        made.ok(
            type(order)(
                ALICE,
                PERP,
                Side.SELL,
                OrderType.STOP_LOSS,
                TimeInForce.IOC,
                0,
                units("0.1"),
                special=stop,
            )
        )

        index(made, "58000", degraded=(PERP,))
        assert made.exchange.image().orders[-1].status is OrderStatus.UNTRIGGERED

        index(made, "58000")
        assert all(order.account_id != ALICE for order in made.exchange.image().orders)

    def test_halts_after_a_minute_and_cancels_what_opens(self) -> None:
        made = bench()
        made.trade(ALICE, BOB, "0.1", "60000")
        opening = made.ok(made.order(BOB, Side.BUY, "0.2", "50000")).reference_id
        reducing = made.ok(
            made.order(ALICE, Side.SELL, "0.1", "70000", reduce_only=True)
        ).reference_id
        index(made, "60000", degraded=(PERP,))
        index(made, "60000", after_ms=60_000, degraded=(PERP,))
        assert status(made) == (MarketStatus.TRADING, StatusCause.NONE)

        made.time_ms += 1
        made.ok(UpdateIndexPrices(((PERP, units("60000")),), (PERP,)))
        ended = [e for e in made.settle() if isinstance(e, OrderChanged)]

        assert status(made) == (MarketStatus.HALTED, StatusCause.NO_PRICE)
        assert [(e.order_id, e.reason) for e in ended] == [(opening, EndReason.PRICE_DEGRADED)]
        assert [order.order_id for order in made.exchange.image().orders] == [reducing]

    def test_missing_halts_too_and_a_live_price_opens_again(self) -> None:
        made = bench()
        index(made, missing=(PERP,))
        index(made, after_ms=60_001, missing=(PERP,))
        assert status(made) == (MarketStatus.HALTED, StatusCause.NO_PRICE)

        index(made, "61000")

        assert status(made) == (MarketStatus.TRADING, StatusCause.NONE)
        assert prices(made).mark_atoms == units("61000")

    def test_goes_on_with_one_source_that_the_own_book_agrees_with(self) -> None:
        made = bench()
        quote(made, "59990", "60010")
        index(made, "60000", degraded=(PERP,))
        index(made, "60000", after_ms=60_001, degraded=(PERP,))
        index(made, "60100", degraded=(PERP,))

        assert status(made) == (MarketStatus.TRADING, StatusCause.NONE)
        assert prices(made).quality is PriceQuality.LIVE
        assert prices(made).mark_atoms > units("60000")

    def test_a_single_source_stays_believed_only_while_the_book_agrees(self) -> None:
        made = bench()
        quote(made, "59990", "60010")
        index(made, "60000", degraded=(PERP,))
        index(made, "60000", after_ms=60_001, degraded=(PERP,))

        index(made, "61000", degraded=(PERP,))

        assert status(made) == (MarketStatus.HALTED, StatusCause.NO_PRICE)
        assert prices(made).mark_atoms == units("60000")

    def test_two_sources_that_contradict_each_other_are_never_believed(self) -> None:
        made = bench()
        quote(made, "59990", "60010")
        index(made, degraded=(PERP,))
        index(made, after_ms=60_001, degraded=(PERP,))

        assert status(made) == (MarketStatus.HALTED, StatusCause.NO_PRICE)

    def test_does_not_open_what_an_operator_halted(self) -> None:
        made = bench()
        index(made, missing=(PERP,))
        index(made, after_ms=60_001, missing=(PERP,))
        made.ok(SetMarketStatus(PERP, MarketStatus.HALTED))

        index(made, "60000")

        assert status(made) == (MarketStatus.HALTED, StatusCause.OPERATOR)

    def test_leaves_what_an_operator_restricted(self) -> None:
        made = bench()
        made.ok(SetMarketStatus(PERP, MarketStatus.CANCEL_ONLY))
        index(made, missing=(PERP,))
        index(made, after_ms=60_001, missing=(PERP,))
        assert status(made) == (MarketStatus.CANCEL_ONLY, StatusCause.OPERATOR)

        index(made, "60000")

        assert status(made) == (MarketStatus.CANCEL_ONLY, StatusCause.OPERATOR)

    def test_says_since_when_the_sources_are_in_doubt(self) -> None:
        made = bench()
        quote(made, "59990", "60010")
        index(made, "60000", degraded=(PERP,))
        since_ms = made.time_ms
        index(made, "60000", after_ms=60_001, degraded=(PERP,))
        assert prices(made).unhealthy_since_ms == since_ms

        index(made, "60000")

        assert prices(made).unhealthy_since_ms == 0


class TestStaleMark:
    def test_nobody_is_liquidated_at_an_old_mark(self) -> None:
        made = bench()
        squeeze(made)
        made.time_ms += 1_000
        made.ok(UpdateIndexPrices(((PERP, units("59000")),)))
        assert made.exchange.has_task

        made.time_ms += 11_000
        events = made.settle()

        assert not [e for e in events if isinstance(e, TradeExecuted | PositionClosed)]
        assert made.position(CAROL).quantity_atoms == units("0.8")

        index(made, "59000")
        assert made.position(CAROL).quantity_atoms == 0
