"""Incidents of other venues (DOMAIN 4.5), and one attack: what happens here instead."""

from __future__ import annotations

import msgspec

from exchange.core.commands import (
    ConfigureInsurance,
    ConfigureMarket,
    Credit,
    Deleverage,
    MoveInsurance,
    SetLeverage,
    StartLeadership,
    Transfer,
    UpdateIndexPrices,
)
from exchange.core.enums import MarginMode, MarketStatus, Side, TimeInForce, TradeKind, WalletKind
from exchange.core.events import DeleveragingNeeded, LiquidationStepped, TradeExecuted
from exchange.core.rejects import Code
from exchange.core.safety import MarketSafety
from exchange.core.units import ATOMS
from tests.support.engine import ALICE, BOB, CAROL, USDT, units
from tests.support.perpetual import GROUP, PERP, PerpetualBench, perpetual_market

DAVE = 1_000_004


def money(bench: PerpetualBench, account: int, amount: str) -> None:
    bench.ok(Credit(account, WalletKind.MARGIN, USDT, units(amount), "test", "test"))


def steps_of(events: list[object]) -> list[LiquidationStepped]:
    return [event for event in events if isinstance(event, LiquidationStepped)]


class TestFlashCrashOf2017:
    """GDAX: one sale swept the book, and stops and liquidations followed the last price."""

    def test_a_sweep_of_the_own_book_liquidates_nobody(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, CAROL, margin="100000")
        bench.leverage(ALICE, 50)
        bench.trade(ALICE, BOB, "1", "60000")
        for price in ("59900", "59000", "57500"):
            bench.ok(bench.order(CAROL, Side.BUY, "0.1", price))

        bench.ok(bench.order(BOB, Side.SELL, "1"))
        bench.mark("60000")

        # The last trade was 4 % below; the mark stays within 0.25 / 125 of the index.
        assert bench.exchange.image().prices[0].mark_atoms >= units(60_000) * 998 // 1_000
        assert bench.position(ALICE).quantity_atoms == units(1)

    def test_a_market_order_goes_no_further_than_its_band(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, CAROL, margin="100000")
        bench.ok(bench.order(BOB, Side.BUY, "0.1", "59900"))
        bench.ok(bench.order(CAROL, Side.BUY, "0.1", "40000"))

        outcome = bench.ok(bench.order(ALICE, Side.SELL, "0.2"))

        trades = [event for event in outcome.events if isinstance(event, TradeExecuted)]
        assert [trade.price_atoms for trade in trades] == [units(59_900)]

    def test_a_market_with_a_breaker_halts_while_marks_and_liquidations_go_on(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, CAROL, margin="1500", fund="1000000")
        money(bench, BOB, "1000000")
        bench.leverage(ALICE, 50)
        bench.trade(ALICE, BOB, "1", "60000")
        config = perpetual_market(status=MarketStatus.TRADING)
        safety = MarketSafety(breaker_band_e8=ATOMS // 100, breaker_window_ms=10_000)
        bench.ok(_with_safety(config, safety))
        bench.ok(bench.order(CAROL, Side.BUY, "0.02", "59000"))
        bench.ok(bench.order(BOB, Side.SELL, "0.02"))
        assert bench.exchange.image().markets[0].status is MarketStatus.HALTED

        bench.mark("58700")

        assert bench.position(ALICE).quantity_atoms == 0
        assert bench.margin(ALICE) == 0


def _with_safety(config: ConfigureMarket, safety: MarketSafety) -> ConfigureMarket:
    return msgspec.structs.replace(config, safety=safety)


class TestWrongIndexOf2018:
    """BitMEX: one source sent a wrong price, and positions were liquidated by it."""

    def test_a_price_of_one_source_alone_liquidates_nobody(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, margin="2000")
        money(bench, BOB, "100000")
        bench.leverage(ALICE, 50)
        bench.trade(ALICE, BOB, "1", "60000")

        events = bench.ok(UpdateIndexPrices(((PERP, units(40_000)),), degraded=(PERP,))).events

        assert steps_of([*events, *bench.settle()]) == []
        assert bench.position(ALICE).quantity_atoms == units(1)
        assert bench.exchange.image().prices[0].mark_atoms == units(60_000)


class TestBacklogOf2020:
    """BitMEX: a backlog of liquidations against thin bids, an outage, stops fired late."""

    def test_liquidations_take_a_share_of_the_book_and_the_fund_takes_the_rest(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, CAROL, margin="1500", fund="1000000")
        money(bench, BOB, "1000000")
        money(bench, CAROL, "100000")
        bench.leverage(ALICE, 50)
        bench.trade(ALICE, BOB, "1", "60000")
        bench.ok(bench.order(CAROL, Side.BUY, "1", "58600"))

        bench.time_ms += 1_000
        bench.ok(UpdateIndexPrices(((PERP, units(58_650)),)))
        steps = steps_of(bench.settle())

        # A fifth of what is bid within 2 % of the mark; what remains goes to the fund.
        assert [(step.kind, step.quantity_atoms) for step in steps] == [
            (TradeKind.MATCH, units("0.2")),
            (TradeKind.TAKEOVER, units("0.8")),
        ]
        assert bench.margin(ALICE) == 0

    def test_after_an_outage_only_cancels_are_taken_and_old_prices_open_nothing(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB)
        bench.time_ms += 1_500_000
        bench.ok(StartLeadership(2, 1_500_000))

        order = bench.order(ALICE, Side.BUY, "0.1", "60000")
        bench.refused(order, Code.EXCHANGE_CANCEL_ONLY)
        bench.time_ms += 15_001
        bench.refused(order, Code.MARK_PRICE_STALE)


class TestJellyOf2025:
    """Hyperliquid: a huge self-traded position, margin withdrawn, a vault that could not stop."""

    def test_margin_behind_a_position_cannot_be_withdrawn_nor_can_its_profit(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB)
        bench.leverage(ALICE, 10)
        bench.trade(ALICE, BOB, "1", "60000")
        bench.mark("63000")

        transfer = Transfer(ALICE, WalletKind.MARGIN, ALICE, WalletKind.SPOT, USDT, units(3_977))
        bench.refused(transfer, Code.MARGIN_IN_USE)

    def test_nobody_trades_with_himself(self) -> None:
        bench = PerpetualBench.opened(ALICE)
        bench.ok(bench.order(ALICE, Side.SELL, "0.1", "60000"))

        outcome = bench.ok(bench.order(ALICE, Side.BUY, "0.1", "60000"))

        assert [event for event in outcome.events if isinstance(event, TradeExecuted)] == []

    def test_open_interest_and_positions_are_capped(self) -> None:
        bench = PerpetualBench.opened(
            ALICE, BOB, margin="1000000", open_interest_max_atoms=units(100_000)
        )
        bench.trade(ALICE, BOB, "1", "60000")

        bench.refused(bench.order(ALICE, Side.BUY, "1", "60000"), Code.OPEN_INTEREST_CAP)

    def test_orders_on_the_other_side_make_no_room_under_the_cap(self) -> None:
        bench = PerpetualBench.opened(
            ALICE, BOB, CAROL, margin="1000000", open_interest_max_atoms=units(100_000)
        )
        for account in (BOB, CAROL):
            bench.ok(bench.order(account, Side.SELL, "1.6", "60000"))
        # What would be the most exposed side if it filled does not grow by buying.
        bench.ok(bench.order(ALICE, Side.SELL, "1.6", "61000"))

        bench.refused(bench.order(ALICE, Side.BUY, "1.7", "60000"), Code.OPEN_INTEREST_CAP)
        bench.ok(bench.order(ALICE, Side.BUY, "1.6", "60000"))

    def test_the_fund_stops_taking_over_after_a_fall_and_winners_are_closed(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, CAROL, margin="1500", fund="100000")
        money(bench, BOB, "1000000")
        money(bench, CAROL, "28000")
        bench.ok(ConfigureInsurance(GROUP, 10 * ATOMS, 0, 10_000_000, 5_000_000))
        bench.leverage(ALICE, 50)
        bench.trade(ALICE, BOB, "1", "60000")
        bench.trade(CAROL, BOB, "1", "60000")
        bench.mark("58700")
        assert bench.position(ALICE).quantity_atoms == 0
        # What was inherited has lost more than a tenth of the fund: no more for it.
        bench.mark("30000")

        assert bench.position(CAROL).quantity_atoms == units(1)
        bench.ok(Deleverage(PERP, (BOB,)))
        assert bench.position(CAROL).quantity_atoms == 0
        assert bench.margin(CAROL) == 0

    def test_a_group_never_pays_for_the_markets_of_another(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, margin="2000", fund="1000000")
        bench.list_another(2, "60000", insurance_group=2)
        money(bench, BOB, "1000000")
        bench.ok(MoveInsurance(2, USDT, units(1), "seed", "test"))
        bench.leverage(BOB, 10)
        bench.ok(SetLeverage(ALICE, 2, 50))
        bench.trade(ALICE, BOB, "1", "60000", 2)

        bench.time_ms += 1_000
        bench.ok(UpdateIndexPrices(((2, units(50_000)),)))
        waiting = [event for event in bench.settle() if isinstance(event, DeleveragingNeeded)]

        assert [event.account_id for event in waiting] == [ALICE]
        assert bench.fund() == units(1_000_000)


class TestOwnBookIndexOf2025:
    """Binance: the index of collateral came from the own book, whose depth had gone."""

    def test_an_emptied_own_book_does_not_move_the_mark(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, margin="100000")
        bench.trade(ALICE, BOB, "0.1", "60000")
        bench.ok(bench.order(BOB, Side.BUY, "0.001", "47000"))
        bench.ok(bench.order(ALICE, Side.SELL, "0.001", "61000"))

        for _ in range(40):
            bench.mark("60000")

        # A spread of 22 % says nothing about the middle.
        assert bench.exchange.image().prices[0].mark_atoms == units(60_000)


class TestOneOwnerTwoAccounts:
    """Trading with oneself far from the mark at 125x moves nothing out of the fund."""

    def test_a_trade_far_off_the_mark_needs_the_loss_as_collateral(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, margin="600")
        for account in (ALICE, BOB):
            bench.leverage(account, 125)
        bench.ok(bench.order(BOB, Side.SELL, "0.5", "63000"))

        bench.refused(bench.order(ALICE, Side.BUY, "0.5", "63000"), Code.INSUFFICIENT_MARGIN)

    def test_a_maker_that_would_lose_more_than_it_has_expires_and_the_taker_goes_on(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, CAROL, margin="600")
        money(bench, CAROL, "10000")
        for account in (ALICE, BOB):
            bench.leverage(account, 125)
        bench.ok(bench.order(BOB, Side.SELL, "0.5", "60010"))
        bench.mark("62000")
        bench.ok(bench.order(CAROL, Side.SELL, "0.5", "62000"))

        outcome = bench.ok(bench.order(ALICE, Side.BUY, "0.5", "62000"))

        trades = [event for event in outcome.events if isinstance(event, TradeExecuted)]
        assert [(trade.maker_account_id, trade.price_atoms) for trade in trades] == [
            (CAROL, units(62_000))
        ]
        assert {reason.name for reason in bench.ended(outcome.events).values()} == {
            "INSUFFICIENT_MARGIN",
            "NONE",
        }

    def test_closing_at_a_terrible_price_is_refused_and_the_fund_keeps_all(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, margin="600", fund="100000")
        for account in (ALICE, BOB):
            bench.leverage(account, 100, MarginMode.ISOLATED)
        bench.trade(ALICE, BOB, "0.8", "60000")
        bench.ok(bench.order(BOB, Side.BUY, "0.8", "57000", reduce_only=True))

        close = bench.order(ALICE, Side.SELL, "0.8", "57000", time_in_force=TimeInForce.IOC)
        bench.refused(close, Code.BEYOND_BANKRUPTCY_PRICE)
        assert bench.fund() == units(100_000)
        assert bench.position(ALICE).quantity_atoms == units("0.8")
