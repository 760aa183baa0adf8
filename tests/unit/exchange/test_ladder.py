"""Positions from fills and the liquidation ladder, step by step, with exact figures."""

from __future__ import annotations

import pytest

from exchange.core.commands import (
    AdjustMargin,
    ClosePosition,
    Credit,
    Deleverage,
    SetLeverage,
    SetPositionExits,
    SettleMarket,
    Transfer,
    UpdateIndexPrices,
)
from exchange.core.enums import MarginMode, Side, TradeKind, WalletKind
from exchange.core.events import LiquidationStepped
from tests.support.engine import ALICE, BOB, CAROL, USDT, units
from tests.support.perpetual import PERP, PerpetualBench


def opened(margin: str, *, leverage: int = 50, mode: MarginMode = MarginMode.CROSS, **terms: object
           ) -> PerpetualBench:  # fmt: skip
    """Alice has the margin and the leverage; Bob and Carol have plenty."""
    bench = PerpetualBench.opened(ALICE, BOB, CAROL, margin=margin, **terms)
    for account in (BOB, CAROL):
        bench.ok(Credit(account, WalletKind.MARGIN, USDT, units(10_000_000), "test", "test"))
    bench.leverage(ALICE, leverage, mode)
    return bench


def marked(bench: PerpetualBench, price: str) -> list[LiquidationStepped]:
    """Set the mark and return the steps of the ladder that follow."""
    bench.time_ms += 1_000
    bench.ok(UpdateIndexPrices(((PERP, units(price)),)))
    return [event for event in bench.settle() if isinstance(event, LiquidationStepped)]


class TestPositions:
    def test_increase_averages_and_a_part_releases_its_cost(self) -> None:
        bench = opened("100000", leverage=10)
        bench.trade(ALICE, BOB, "1", "60000")
        bench.trade(ALICE, BOB, "2", "60300")
        held = bench.position(ALICE)
        assert (held.quantity_atoms, held.cost_atoms) == (units(3), units(180_600))

        bench.trade(BOB, ALICE, "1", "60400")

        held = bench.position(ALICE)
        assert (held.quantity_atoms, held.cost_atoms) == (units(2), units(120_400))
        assert held.realised_atoms == units(200)

    def test_cost_that_does_not_divide_is_rounded_against_the_account(self) -> None:
        bench = opened("100000", leverage=10)
        bench.trade(ALICE, BOB, "0.001", "60000.1")
        bench.trade(ALICE, BOB, "0.002", "60000")
        bench.trade(BOB, ALICE, "0.002", "60000")

        # Two thirds of 180.0001 are 120.00006666..., so the part costs a whole atom more.
        assert bench.position(ALICE).realised_atoms == units(120) - 12_000_006_667
        assert bench.position(BOB).realised_atoms == -units(120) + 12_000_006_666

    def test_a_flip_closes_one_position_and_opens_another(self) -> None:
        bench = opened("100000", leverage=10)
        bench.trade(ALICE, BOB, "1", "60000")
        first = bench.position(ALICE).position_id
        bench.trade(BOB, ALICE, "3", "60100")

        held = bench.position(ALICE)
        assert (held.quantity_atoms, held.cost_atoms) == (units(-2), units(-120_200))
        assert held.previous_id == first != held.position_id

    def test_isolated_takes_margin_and_open_loss_and_gives_back_its_share(self) -> None:
        bench = opened("100000", leverage=10, mode=MarginMode.ISOLATED)
        bench.trade(ALICE, BOB, "2", "60100")
        assert bench.position(ALICE).isolated_atoms == units(12_020 + 200)

        bench.ok(AdjustMargin(ALICE, PERP, units(1_000)))
        bench.trade(BOB, ALICE, "0.5", "60100")

        assert bench.position(ALICE).isolated_atoms == units(13_220) * 3 // 4

    def test_reverse_and_exits(self) -> None:
        bench = opened("100000", leverage=10)
        bench.trade(ALICE, BOB, "1", "60000")
        bench.ok(SetPositionExits(ALICE, PERP, units(61_000), units(59_000)))
        bench.ok(bench.order(BOB, Side.BUY, "5", "60000"))

        outcome = bench.ok(ClosePosition(ALICE, PERP, reverse=True))

        assert bench.position(ALICE).quantity_atoms == units(-1)
        assert sorted(reason.name for reason in bench.ended(outcome.events).values()) == [
            "NONE", "POSITION_CLOSED", "POSITION_CLOSED",
        ]  # fmt: skip

    def test_orders_that_reduce_are_trimmed_worst_priced_first(self) -> None:
        bench = opened("100000", leverage=10)
        bench.trade(ALICE, BOB, "1", "60000")
        near = bench.ok(bench.order(ALICE, Side.SELL, "0.6", "60500", reduce_only=True))
        far = bench.ok(bench.order(ALICE, Side.SELL, "0.4", "60600", reduce_only=True))

        outcome = bench.trade(BOB, ALICE, "0.5", "60100")

        # 0.5 is left: the farther one goes, the nearer one keeps 0.5 of 0.6.
        assert bench.ended(outcome.events)[far.reference_id].name == "REDUCE_ONLY_TRIMMED"
        assert bench.book()[1] == [(units(60_500), units("0.5"))]
        assert near.reference_id not in bench.ended(outcome.events)


class TestLadder:
    def test_equality_liquidates_and_one_atom_more_does_not(self) -> None:
        # At 59,000 one is worth 59,000 and needs 59,000 x 0.5 % - 50 = 245.
        for spare, expected in ((0, 0), (1, units(1))):
            bench = opened("1269")
            bench.ok(Credit(ALICE, WalletKind.MARGIN, USDT, 1, "test", "test"))
            bench.trade(ALICE, BOB, "1", "60000")
            if not spare:
                _take(bench, 1)
            marked(bench, "59000")
            assert bench.position(ALICE).quantity_atoms == expected

    def test_takeover_is_at_the_bankruptcy_price_and_leaves_exactly_nothing(self) -> None:
        bench = opened("1500")
        bench.trade(ALICE, BOB, "1", "60000")

        steps = marked(bench, "58700")

        # 1,476 behind a cost of 60,000: it is worth nothing more at 58,524.
        assert [(s.kind, s.quote_atoms, s.equity_atoms) for s in steps] == [
            (TradeKind.TAKEOVER, units(58_524), units(176))
        ]
        assert bench.margin(ALICE) == 0

    def test_a_whole_position_is_closed_in_the_book_with_its_fee(self) -> None:
        bench = opened("1200")
        bench.trade(ALICE, BOB, "0.8", "60000")
        bench.ok(bench.order(CAROL, Side.BUY, "10", "58690"))
        fund = bench.fund()

        steps = marked(bench, "58700")

        # In the lowest bracket all of it: 0.4 % / 4 of 46,952 from the 132.8 that are left.
        assert [(s.kind, s.fee_atoms) for s in steps] == [(TradeKind.MATCH, units("46.952"))]
        assert bench.margin(ALICE) == units("85.848")
        assert bench.fund() == fund + units("46.952")

    def test_the_fee_is_never_more_than_what_is_left(self) -> None:
        bench = opened("1500")
        bench.trade(ALICE, BOB, "1", "60000")
        bench.ok(bench.order(CAROL, Side.BUY, "10", "58550"))

        steps = marked(bench, "58600")

        assert [(s.kind, s.fee_atoms) for s in steps] == [(TradeKind.MATCH, units(26))]
        assert bench.margin(ALICE) == 0

    def test_a_large_position_goes_down_a_bracket_with_a_margin_restored(self) -> None:
        bench = opened("15700", leverage=50, fund="10000000")
        bench.trade(ALICE, BOB, "12", "60000")
        bench.ok(bench.order(CAROL, Side.BUY, "200", "58950"))

        steps = marked(bench, "59000")

        left = bench.position(ALICE).quantity_atoms
        assert [s.kind for s in steps] == [TradeKind.MATCH]
        assert 0 < left * 59_000 <= units(600_000)
        equity = bench.margin(ALICE) + left * 59_000 - bench.position(ALICE).cost_atoms
        maintenance = left * 59_000 * 5 // 1_000 - units(50)
        assert equity * 100 >= maintenance * 105

    def test_cross_positions_share_what_is_left_by_maintenance(self) -> None:
        bench = opened("3000")
        bench.list_another(2, "60000")
        bench.ok(SetLeverage(ALICE, 2, 50))
        bench.trade(ALICE, BOB, "1", "60000")
        bench.trade(BOB, ALICE, "1", "60000", 2)

        bench.time_ms += 1_000
        bench.ok(UpdateIndexPrices(((PERP, units(58_600)), (2, units(61_200)))))
        bench.settle()

        assert bench.position(ALICE).quantity_atoms == bench.position(ALICE, 2).quantity_atoms == 0
        assert bench.margin(ALICE) == 0

    def test_what_was_inherited_is_offered_within_one_percent(self) -> None:
        bench = opened("1500")
        bench.trade(ALICE, BOB, "1", "60000")
        marked(bench, "58700")
        bench.ok(bench.order(CAROL, Side.BUY, "1", "58200"))
        fund = bench.fund()

        bench.mark("58700")

        # A fifth of the depth: 0.2 sold at 58,200, inherited at 58,524.
        assert bench.fund() - fund == -units("64.8")

    def test_deleveraging_closes_winners_at_the_bankruptcy_price_without_fees(self) -> None:
        bench = opened("1500", fund="0")
        bench.trade(ALICE, BOB, "1", "60000")
        marked(bench, "58000")
        wallet = bench.margin(BOB)

        bench.ok(Deleverage(PERP, (CAROL, BOB)))

        assert bench.margin(BOB) - wallet == units(60_000 - 58_524)
        assert bench.position(BOB).quantity_atoms == bench.margin(ALICE) == 0

    @pytest.mark.parametrize("fund", ["1000000", "0"])
    def test_settlement_lets_winners_share_what_losers_cannot_pay(self, fund: str) -> None:
        bench = opened("1500", fund=fund)
        bench.trade(ALICE, BOB, "1", "60000")
        wallet = bench.margin(BOB)

        bench.ok(SettleMarket(PERP, units(50_000)))
        bench.settle()

        # 10,000 are lost and 1,476 there; the fund pays the rest if it can, else Bob bears it.
        assert bench.margin(ALICE) == 0
        assert bench.margin(BOB) - wallet == (units(10_000) if fund != "0" else units(1_476))


def _take(bench: PerpetualBench, amount: int) -> None:
    """Leave one atom less in Alice's wallet: a fee that is rounded up takes it."""
    bench.ok(Transfer(ALICE, WalletKind.MARGIN, ALICE, WalletKind.SPOT, USDT, amount))
