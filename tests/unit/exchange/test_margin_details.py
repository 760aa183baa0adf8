"""Details of perpetual markets that random commands seldom tell apart."""

from __future__ import annotations

import pytest

from exchange.core import guards
from exchange.core.collateral import contract_of
from exchange.core.commands import (
    AmendOrder,
    Credit,
)
from exchange.core.enums import (
    EndReason,
    LedgerKind,
    MarginMode,
    Side,
    WalletKind,
    insurance_account,
)
from exchange.core.events import OrderChanged
from exchange.core.margin import Brackets, bracket_rows, liquidation_price
from exchange.core.rejects import Code
from exchange.core.units import ATOMS, RATE_ONE
from tests.support.engine import ALICE, BOB, CAROL, USDT, units
from tests.support.perpetual import BRACKETS, GROUP, PERP, PerpetualBench, contract


class TestTerms:
    @pytest.mark.parametrize("rate", [RATE_ONE, -RATE_ONE])
    def test_interest_of_a_whole_is_refused_and_just_below_it_taken(self, rate: int) -> None:
        bench = PerpetualBench.opened(ALICE)
        inside = rate - 1 if rate > 0 else rate + 1

        bench.refused(contract(interest_rate_e8=rate), Code.INVALID_CONFIGURATION)
        bench.ok(contract(interest_rate_e8=inside))


class TestGuardHeaps:
    def test_stale_entries_are_dropped_and_nobody_is_forgotten(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(guards, "_STALE_MIN", 0)
        bench = PerpetualBench.opened(ALICE, BOB, CAROL, margin="100000")
        bench.leverage(ALICE, 50, MarginMode.ISOLATED)
        bench.leverage(CAROL, 50, MarginMode.ISOLATED)
        bench.trade(ALICE, BOB, "1", "60000")
        bench.trade(CAROL, BOB, "1", "60000")
        held = contract_of(bench.exchange._memory.markets[PERP])

        for number in range(40):
            bench.ok(Credit(BOB, WalletKind.MARGIN, USDT, units(1), "test", "test"))
            bench.mark(f"{60_000 + number % 2 * 10}")

        # At each mark at most two entries of three positions are left beside the new ones.
        assert len(held.lows) + len(held.highs) <= 2 * len(held.positions) + 2
        bench.mark("58900")
        assert bench.position(ALICE).quantity_atoms == bench.position(CAROL).quantity_atoms == 0
        assert bench.position(BOB).quantity_atoms == -units(2)

    def test_many_touched_accounts_are_looked_at_before_the_next_mark(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(guards, "DIRTY_MAX", 2)
        bench = PerpetualBench.opened(ALICE, BOB)

        bench.trade(ALICE, BOB, "1", "60000")

        assert bench.exchange._memory.dirty == {}
        assert 0 < bench.position(ALICE).low_atoms < units(60_000)
        assert bench.position(BOB).high_atoms > units(60_000)


class TestLiquidationPrice:
    @pytest.mark.parametrize("profit", [0, 1_000 * ATOMS])
    def test_what_others_gain_counts_and_is_nothing_unless_told(self, profit: int) -> None:
        rows = bracket_rows(BRACKETS)
        assert rows is not None

        def price(**others: int) -> int:
            return liquidation_price(
                brackets=Brackets(rows),
                quantity_atoms=ATOMS // 2,
                cost_atoms=units(30_000),
                wallet_atoms=units(1_500) - profit,
                **others,
            )

        told = price(others_profit_atoms=profit)

        # (30,000 - 1,500) / 0.5 / 0.996
        assert told == -(-28_500 * ATOMS * 2_000 // 996)
        if not profit:
            assert price() == told


class TestReducingOrders:
    def test_one_may_be_amended_to_just_what_is_left(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB)
        bench.trade(ALICE, BOB, "1", "60000")
        exits = bench.ok(bench.order(ALICE, Side.SELL, "0.4", "61000", reduce_only=True))
        bench.ok(bench.order(ALICE, Side.SELL, "0.3", "62000", reduce_only=True))

        def amended(quantity: str) -> AmendOrder:
            return AmendOrder(ALICE, exits.reference_id, quantity_atoms=units(quantity))

        bench.refused(amended("0.701"), Code.REDUCE_ONLY_EXCEEDS)
        bench.ok(amended("0.7"))

    @pytest.mark.parametrize(
        ("owner", "prices"),
        [(ALICE, ("61000", "63000", "62000")), (BOB, ("59000", "57000", "58000"))],
    )
    def test_the_worst_priced_are_trimmed_first(self, owner: int, prices: tuple[str, ...]) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, CAROL, margin="100000")
        bench.trade(ALICE, BOB, "0.3", "60000")
        closing = Side.SELL if owner == ALICE else Side.BUY
        opening = Side.BUY if closing is Side.SELL else Side.SELL
        numbers = [
            bench.ok(bench.order(owner, closing, "0.1", price, reduce_only=True)).reference_id
            for price in prices
        ]
        bench.ok(bench.order(CAROL, opening, "0.15", "60000"))

        events = bench.ok(bench.order(owner, closing, "0.15", "60000")).events

        ended = {
            number: reason for number, reason in bench.ended(events).items() if number in numbers
        }
        # Of 0.3 only 0.15 are left: all of the farthest and half of the middle one go.
        assert ended == {numbers[1]: EndReason.REDUCE_ONLY_TRIMMED}
        trimmed = [
            event.quantity_atoms
            for event in events
            if isinstance(event, OrderChanged) and event.order_id == numbers[2]
        ]
        assert trimmed[-1] == units("0.05")


class TestLiquidationFee:
    @pytest.mark.parametrize("mode", [MarginMode.CROSS, MarginMode.ISOLATED])
    def test_it_moves_from_the_account_to_the_fund_under_its_own_name(
        self, mode: MarginMode
    ) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, margin="1300", fund="1000")
        bench.ok(Credit(BOB, WalletKind.MARGIN, USDT, units(100_000), "test", "test"))
        bench.leverage(ALICE, 50, mode)
        bench.trade(ALICE, BOB, "1", "60000")
        bench.ok(bench.order(BOB, Side.BUY, "10", "58950"))
        bench.exchange.drain()

        bench.mark("58950")

        entries = [
            entry
            for entry in bench.exchange.drain()[0].entries
            if entry.kind is LedgerKind.LIQUIDATION_FEE
        ]
        by_account: dict[int, int] = {}
        for entry in entries:
            by_account[entry.account_id] = by_account.get(entry.account_id, 0) + entry.amount_atoms
        paid = -by_account[ALICE]
        assert paid > 0
        assert by_account == {ALICE: -paid, insurance_account(GROUP): paid}
        assert {entry.reference_id for entry in entries} == {PERP}
