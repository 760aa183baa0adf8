"""Every refusal about margin: its code, and that nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from exchange.core.commands import (
    AdjustMargin,
    CheckLiquidation,
    ClosePosition,
    Credit,
    Debit,
    Deleverage,
    MoveInsurance,
    PlaceOrder,
    SetLeverage,
    SetMarginMode,
    SetMarketStatus,
    SetPositionExits,
    SettleMarket,
    SpecialTerms,
    Transfer,
    UpdateIndexPrices,
)
from exchange.core.enums import (
    MarginMode,
    MarketStatus,
    OrderType,
    Side,
    TimeInForce,
    TriggerType,
    WalletKind,
)
from exchange.core.rejects import Code
from tests.support.engine import ALICE, BOB, CAROL, USDT, units
from tests.support.perpetual import GROUP, PERP, PerpetualBench, contract

NOBODY = 1_999_999


@pytest.fixture
def bench() -> PerpetualBench:
    """Alice long 1 isolated at 10x, Bob short 1 cross at 10x, Carol with nothing open."""
    made = PerpetualBench.opened(ALICE, BOB, CAROL)
    made.leverage(ALICE, 10, MarginMode.ISOLATED)
    made.leverage(BOB, 10)
    made.trade(ALICE, BOB, "1", "60000")
    return made


def stop(account: int, side: Side, **special: Any) -> PlaceOrder:
    quantity = special.pop("quantity", 0)
    terms = SpecialTerms(TriggerType.MARK, units(59_000), close_position=True, **special)
    return PlaceOrder(
        account, PERP, side, OrderType.STOP_LOSS, TimeInForce.IOC, 0, quantity, special=terms
    )


CASES: list[tuple[str, Callable[[PerpetualBench], Any], Code]] = [
    ("leverage above the market's", lambda b: SetLeverage(CAROL, PERP, 126), Code.INVALID_LEVERAGE),
    ("leverage of zero", lambda b: SetLeverage(CAROL, PERP, 0), Code.INVALID_LEVERAGE),
    ("leverage above the bracket", lambda b: SetLeverage(BOB, PERP, 125), Code.LEVERAGE_TOO_HIGH),
    (
        "lower leverage of an isolated position",
        lambda b: SetLeverage(ALICE, PERP, 9),
        Code.LEVERAGE_BELOW_POSITION,
    ),
    (
        "lower leverage than the wallet affords",
        lambda b: SetLeverage(BOB, PERP, 5),
        Code.INSUFFICIENT_MARGIN,
    ),
    ("leverage of nobody", lambda b: SetLeverage(NOBODY, PERP, 5), Code.ACCOUNT_NOT_FOUND),
    ("leverage of no market", lambda b: SetLeverage(BOB, 9, 5), Code.MARKET_NOT_FOUND),
    (
        "the mode that is set",
        lambda b: SetMarginMode(ALICE, PERP, MarginMode.ISOLATED),
        Code.MARGIN_MODE_UNCHANGED,
    ),
    (
        "another mode with a position",
        lambda b: SetMarginMode(ALICE, PERP, MarginMode.CROSS),
        Code.MARGIN_MODE_HAS_POSITION,
    ),
    (
        "margin of a cross position",
        lambda b: AdjustMargin(BOB, PERP, units(1)),
        Code.POSITION_NOT_ISOLATED,
    ),
    ("margin of nothing", lambda b: AdjustMargin(CAROL, PERP, 1), Code.POSITION_NOT_FOUND),
    ("no margin", lambda b: AdjustMargin(ALICE, PERP, 0), Code.INVALID_AMOUNT),
    ("too much margin", lambda b: AdjustMargin(ALICE, PERP, 2**62 + 1), Code.INVALID_AMOUNT),
    (
        "more margin than there is",
        lambda b: AdjustMargin(ALICE, PERP, units(3_977)),
        Code.INSUFFICIENT_MARGIN,
    ),
    (
        "margin below the initial one",
        lambda b: AdjustMargin(ALICE, PERP, -1),
        Code.MARGIN_NOT_REMOVABLE,
    ),
    (
        "reduce-only without a position",
        lambda b: b.order(CAROL, Side.SELL, "1", "60000", reduce_only=True),
        Code.REDUCE_ONLY_NO_POSITION,
    ),
    (
        "reduce-only that adds",
        lambda b: b.order(ALICE, Side.BUY, "1", "60000", reduce_only=True),
        Code.REDUCE_ONLY_NO_POSITION,
    ),
    (
        "reduce-only beyond the position",
        lambda b: b.order(ALICE, Side.SELL, "1.001", "61000", reduce_only=True),
        Code.REDUCE_ONLY_EXCEEDS,
    ),
    (
        "close-position with a quantity",
        lambda b: stop(ALICE, Side.SELL, quantity=units(1)),
        Code.CLOSE_POSITION_SHAPE,
    ),
    (
        "close-position that also reduces",
        lambda b: stop(ALICE, Side.SELL, reduce_only=True),
        Code.CLOSE_POSITION_SHAPE,
    ),
    (
        "close-position without a position",
        lambda b: stop(CAROL, Side.SELL),
        Code.REDUCE_ONLY_NO_POSITION,
    ),
    (
        "an order without margin",
        lambda b: b.order(CAROL, Side.BUY, "1.7", "60000"),
        Code.INSUFFICIENT_MARGIN,
    ),
    ("closing nothing", lambda b: ClosePosition(CAROL, PERP), Code.POSITION_NOT_FOUND),
    (
        "turning round a part",
        lambda b: ClosePosition(ALICE, PERP, units("0.1"), reverse=True),
        Code.INVALID_ORDER,
    ),
    (
        "closing more than there is",
        lambda b: ClosePosition(ALICE, PERP, units(2)),
        Code.REDUCE_ONLY_EXCEEDS,
    ),
    ("exits of nothing", lambda b: SetPositionExits(CAROL, PERP, 1), Code.POSITION_NOT_FOUND),
    (
        "a take-profit below the mark",
        lambda b: SetPositionExits(ALICE, PERP, units(59_000)),
        Code.EXIT_PRICES,
    ),
    (
        "a stop-loss above the mark",
        lambda b: SetPositionExits(ALICE, PERP, 0, units(61_000)),
        Code.EXIT_PRICES,
    ),
    (
        "a transfer of what backs a position",
        lambda b: Transfer(
            BOB, WalletKind.MARGIN, BOB, WalletKind.SPOT, USDT, units(10_000) - units(5_995)
        ),
        Code.MARGIN_IN_USE,
    ),
    (
        "a withdrawal of what backs a position",
        lambda b: Debit(BOB, WalletKind.MARGIN, USDT, units(4_000), "test", "test"),
        Code.MARGIN_IN_USE,
    ),
    (
        "a transfer out of an isolated wallet",
        lambda b: Transfer(ALICE, WalletKind.ISOLATED, ALICE, WalletKind.SPOT, USDT, 1),
        Code.POSITION_NOT_FOUND,
    ),
    (
        "a deposit to an isolated wallet",
        lambda b: Credit(ALICE, WalletKind.ISOLATED, USDT, 1, "test", "test"),
        Code.POSITION_NOT_FOUND,
    ),
    (
        "a look at the healthy",
        lambda b: CheckLiquidation((ALICE, BOB, CAROL)),
        Code.NOTHING_TO_LIQUIDATE,
    ),
    ("a look at nobody", lambda b: CheckLiquidation((NOBODY,)), Code.ACCOUNT_NOT_FOUND),
    ("nothing bankrupt", lambda b: Deleverage(PERP, (BOB,)), Code.NOTHING_TO_DELEVERAGE),
    ("settling no market", lambda b: SettleMarket(9), Code.MARKET_NOT_FOUND),
    ("settling at less than nothing", lambda b: SettleMarket(PERP, -1), Code.INVALID_PRICE),
    ("no brackets", lambda b: contract(brackets=()), Code.INVALID_BRACKETS),
    (
        "brackets whose rates fall",
        lambda b: contract(brackets=((0, 500_000, 100), (units(10), 400_000, 50))),
        Code.INVALID_BRACKETS,
    ),
    (
        "brackets with more leverage than 1 / rate",
        lambda b: contract(brackets=((0, 1_000_000, 101),)),
        Code.INVALID_BRACKETS,
    ),
    (
        "another insurance group",
        lambda b: contract(insurance_group=2),
        Code.CONFIGURATION_IN_USE,
    ),
    (
        "a funding interval of a second",
        lambda b: contract(funding_interval_ms=1_000),
        Code.INVALID_CONFIGURATION,
    ),
    (
        "more of the fund than there is",
        lambda b: MoveInsurance(GROUP, USDT, -units(1_000_001)),
        Code.INSUFFICIENT_INSURANCE,
    ),
    (
        "a fund that is not there",
        lambda b: MoveInsurance(9, USDT, units(1)),
        Code.INSURANCE_GROUP_NOT_FOUND,
    ),
]


@pytest.mark.parametrize(("_case", "command", "code"), CASES, ids=[case[0] for case in CASES])
def test_refusals(
    _case: str, command: Callable[[PerpetualBench], Any], code: Code, bench: PerpetualBench
) -> None:
    bench.refused(command(bench), code)


class TestDoubtfulPrices:
    def test_a_stale_mark_takes_what_reduces_and_nothing_that_opens(
        self, bench: PerpetualBench
    ) -> None:
        bench.time_ms += 10_001

        bench.refused(bench.order(CAROL, Side.BUY, "0.1", "60000"), Code.MARK_PRICE_STALE)
        bench.ok(bench.order(ALICE, Side.SELL, "0.1", "60000", reduce_only=True))

    def test_a_degraded_market_takes_what_reduces_and_nothing_that_opens(
        self, bench: PerpetualBench
    ) -> None:
        bench.ok(UpdateIndexPrices(((PERP, units(60_000)),), degraded=(PERP,)))

        bench.refused(bench.order(CAROL, Side.BUY, "0.1", "60000"), Code.MARKET_REDUCE_ONLY)
        bench.ok(bench.order(ALICE, Side.SELL, "0.1", "60000", reduce_only=True))

    def test_a_mode_stays_while_orders_are_open(self, bench: PerpetualBench) -> None:
        bench.ok(bench.order(CAROL, Side.BUY, "0.1", "59000"))

        change = SetMarginMode(CAROL, PERP, MarginMode.ISOLATED)
        bench.refused(change, Code.MARGIN_MODE_HAS_ORDERS)

    def test_a_settled_market_takes_nothing(self, bench: PerpetualBench) -> None:
        bench.ok(SettleMarket(PERP))
        bench.settle()

        bench.refused(bench.order(CAROL, Side.BUY, "0.1", "60000"), Code.MARKET_SETTLED)
        bench.refused(SettleMarket(PERP), Code.MARKET_SETTLED)
        bench.refused(SetMarketStatus(PERP, MarketStatus.TRADING), Code.MARKET_SETTLED)
        bench.refused(SetLeverage(CAROL, PERP, 5), Code.MARKET_SETTLED)
        bench.refused(Deleverage(PERP, (BOB,)), Code.MARKET_SETTLED)
        assert _no_positions(bench)


def _no_positions(bench: PerpetualBench) -> bool:
    return all(not position.quantity_atoms for position in bench.exchange.image().positions)


class TestAccountsInLiquidation:
    def test_an_account_that_waits_for_counterparties_may_do_nothing(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, margin="1500", fund="0")
        bench.ok(Credit(BOB, WalletKind.MARGIN, USDT, units(100_000), "test", "test"))
        bench.leverage(ALICE, 50)
        bench.trade(ALICE, BOB, "1", "60000")
        bench.mark("58000")

        for command in (
            bench.order(ALICE, Side.BUY, "0.001", "58000"),
            bench.order(ALICE, Side.SELL, "1", "58000", reduce_only=True),
        ):
            bench.refused(command, Code.ACCOUNT_LIQUIDATING)
        for change in (
            ClosePosition(ALICE, PERP),
            SetLeverage(ALICE, PERP, 10),
            SetMarginMode(ALICE, PERP, MarginMode.ISOLATED),
            AdjustMargin(ALICE, PERP, units(1)),
            SetPositionExits(ALICE, PERP, units(70_000)),
        ):
            bench.refused(change, Code.ACCOUNT_LIQUIDATING)


class TestLimits:
    @pytest.mark.parametrize(
        ("terms", "code"),
        [
            ({"position_notional_max_atoms": units(50_000)}, Code.POSITION_LIMIT),
            ({"open_interest_max_atoms": units(65_000)}, Code.OPEN_INTEREST_CAP),
            ({"brackets": ((0, 400_000, 125), (units(1_000), 20_000_000, 5))},
             Code.LEVERAGE_TOO_HIGH),
        ],
    )  # fmt: skip
    def test_new_terms_bind_what_opens(
        self, terms: dict[str, Any], code: Code, bench: PerpetualBench
    ) -> None:
        bench.ok(contract(**terms))

        bench.refused(bench.order(CAROL, Side.BUY, "0.9", "60000"), code)
        bench.ok(bench.order(ALICE, Side.SELL, "0.5", "60000", reduce_only=True))
