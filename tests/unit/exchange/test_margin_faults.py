"""Faults of margin trading that long random runs and reading have found, each as it showed."""

from __future__ import annotations

from exchange.core.commands import (
    AdjustMargin,
    Credit,
    Deleverage,
    PlaceLinkedOrders,
    PlaceOrder,
    SetLeverage,
    SettleMarket,
    SpecialTerms,
    UpdateIndexPrices,
)
from exchange.core.enums import (
    EndReason,
    LinkKind,
    MarginMode,
    OrderType,
    Side,
    TimeInForce,
    TriggerType,
    WalletKind,
)
from exchange.core.events import LiquidationStepped, PositionClosed
from exchange.core.rejects import Code
from tests.support.engine import ALICE, BOB, CAROL, USDT, units
from tests.support.perpetual import PERP, PerpetualBench

OTHER = 2
EIGHT_HOURS_MS = 8 * 3_600_000


def start_funding(bench: PerpetualBench) -> None:
    """Let a mark begin funding at 0.05 %, with nobody settled yet."""
    bench.time_ms = (bench.time_ms // EIGHT_HOURS_MS + 1) * EIGHT_HOURS_MS
    bench.ok(UpdateIndexPrices(((PERP, units(60_000)),)))
    assert bench.exchange.has_task


class TestFundingUnderWay:
    def test_counts_in_what_a_close_may_lose(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, margin="650", interest_rate_e8=50_000)
        bench.ok(Credit(BOB, WalletKind.MARGIN, USDT, units(100_000), "test", "test"))
        bench.leverage(ALICE, 100)
        bench.trade(ALICE, BOB, "1", "60000")
        start_funding(bench)
        bench.ok(bench.order(BOB, Side.BUY, "1", "59410", reduce_only=True))

        # 650 - 24 - 590 - 23.764 would leave 12.236, but 30 of funding are owed.
        close = bench.order(ALICE, Side.SELL, "1", "59410", reduce_only=True)
        bench.refused(close, Code.BEYOND_BANKRUPTCY_PRICE)

    def test_counts_in_what_may_be_removed(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, interest_rate_e8=50_000)
        bench.leverage(ALICE, 10, MarginMode.ISOLATED)
        bench.trade(ALICE, BOB, "1", "60000")
        bench.ok(AdjustMargin(ALICE, PERP, units(100)))
        start_funding(bench)

        bench.refused(AdjustMargin(ALICE, PERP, -units(71)), Code.MARGIN_NOT_REMOVABLE)
        bench.ok(AdjustMargin(ALICE, PERP, -units(70)))
        assert bench.position(ALICE).isolated_atoms == units(6_000)

    def test_is_paid_before_a_position_is_taken_over(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, margin="650", interest_rate_e8=50_000)
        bench.ok(Credit(BOB, WalletKind.MARGIN, USDT, units(100_000), "test", "test"))
        bench.leverage(ALICE, 100)
        bench.trade(ALICE, BOB, "1", "60000")
        start_funding(bench)

        bench.mark("59600")

        assert bench.position(ALICE).quantity_atoms == 0
        assert bench.margin(ALICE) == 0


class TestBankruptcyBeyondTheWholePosition:
    def test_a_short_that_owes_more_than_it_is_worth_leaves_an_empty_wallet(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, margin="2000")
        bench.list_another(OTHER, "60000", brackets=((0, 10_000_000, 10),))
        bench.ok(Credit(BOB, WalletKind.MARGIN, USDT, units(1_000_000), "test", "test"))
        bench.leverage(ALICE, 50)
        bench.trade(BOB, ALICE, "1", "60000")
        bench.trade(BOB, ALICE, "0.001", "60000", OTHER)
        fund = bench.fund()

        bench.time_ms += 1_000
        bench.ok(UpdateIndexPrices(((PERP, units(200_000)),)))
        events = bench.settle()

        assert bench.position(ALICE).quantity_atoms == 0
        assert bench.position(ALICE, OTHER).quantity_atoms == 0
        assert bench.margin(ALICE) == 0
        # The small one closes at zero; what was owed beyond that, the fund pays.
        shares = [e for e in events if isinstance(e, LiquidationStepped)]
        assert [step.quote_atoms for step in shares][1:] == [0]
        assert fund - bench.fund() == -shares[1].insurance_atoms > units(700)

    def test_it_waits_for_counterparties_when_the_fund_is_empty(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, margin="2000", fund="0")
        bench.list_another(OTHER, "60000", brackets=((0, 10_000_000, 10),))
        bench.ok(Credit(BOB, WalletKind.MARGIN, USDT, units(1_000_000), "test", "test"))
        bench.leverage(ALICE, 50)
        bench.trade(BOB, ALICE, "1", "60000")
        bench.trade(BOB, ALICE, "0.001", "60000", OTHER)
        bench.mark("200000")

        bench.ok(Deleverage(PERP, (BOB,)))
        bench.ok(Deleverage(OTHER, (BOB,)))

        assert bench.margin(ALICE) == 0
        assert bench.position(ALICE, OTHER).quantity_atoms == 0


class TestLiquidationFee:
    def test_leaves_the_losses_of_other_positions_their_collateral(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, CAROL, margin="100000", fund="20000000")
        bench.list_another(OTHER, "60000")
        bench.ok(Credit(BOB, WalletKind.MARGIN, USDT, units(1_000_000), "test", "test"))
        for market_id in (PERP, OTHER):
            bench.ok(SetLeverage(ALICE, market_id, 50))
        bench.trade(ALICE, BOB, "1", "60000")
        bench.trade(ALICE, BOB, "80", "60000", OTHER)
        bench.ok(bench.order(CAROL, Side.BUY, "10", "59150"))

        # The account owes more than it has; the first market's bids are better than its share.
        bench.time_ms += 1_000
        bench.ok(UpdateIndexPrices(((OTHER, units(58_700)), (PERP, units(59_100)))))
        steps = [event for event in bench.settle() if isinstance(event, LiquidationStepped)]

        assert [(step.market_id, step.kind.name, step.fee_atoms) for step in steps] == [
            (PERP, "MATCH", 0),
            (OTHER, "TAKEOVER", 0),
        ]
        assert bench.margin(ALICE) == 0


class TestSettlement:
    def test_an_isolated_loser_loses_its_isolated_wallet_alone(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, margin="10000")
        bench.leverage(ALICE, 100, MarginMode.ISOLATED)
        bench.trade(ALICE, BOB, "1", "60000")
        wallet = bench.margin(ALICE)

        bench.ok(SettleMarket(PERP, units(59_000)))
        bench.settle()

        assert bench.margin(ALICE) == wallet
        # The fund pays the 400 that the isolated wallet of 600 did not have.
        assert bench.fund() == units(1_000_000 - 400)
        assert bench.margin(BOB) == units(10_000 + 1_000) - units(12)

    def test_children_of_a_bracket_do_not_outlive_their_market(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB)
        entry = bench.order(ALICE, Side.BUY, "0.1", "60000")
        stop = PlaceOrder(
            ALICE,
            PERP,
            Side.SELL,
            OrderType.STOP_LOSS,
            TimeInForce.IOC,
            0,
            units("0.1"),
            special=SpecialTerms(TriggerType.MARK, units(59_000)),
        )
        bench.ok(PlaceLinkedOrders(ALICE, LinkKind.ENTRY, (entry, stop)))
        bench.ok(bench.order(BOB, Side.SELL, "0.05", "60000"))

        bench.ok(SettleMarket(PERP))
        events = bench.settle()

        assert bench.exchange.image().orders == []
        assert EndReason.MARKET_SETTLED in bench.ended(events).values()


class TestFees:
    def test_belong_to_the_position_that_paid_them(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB)
        bench.trade(ALICE, BOB, "0.3", "60000")
        bench.ok(bench.order(BOB, Side.BUY, "0.5", "60000"))

        closed = [
            event
            for event in bench.ok(bench.order(ALICE, Side.SELL, "0.5", "60000")).events
            if isinstance(event, PositionClosed)
        ]

        # Taker both times for Alice: 7.2 for 0.3, then 12 of which 0.3 / 0.5 close.
        assert {event.account_id: event.fee_atoms for event in closed} == {
            ALICE: units("14.4"),
            BOB: units("7.2"),
        }
        assert bench.position(ALICE).fee_atoms == units("4.8")
        assert bench.position(BOB).fee_atoms == units("2.4")
