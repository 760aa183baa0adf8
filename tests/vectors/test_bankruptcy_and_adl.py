"""Bankruptcy prices, what funds get, and deleveraging: dYdX's, BitMEX's and Bybit's rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from exchange.core.commands import (
    ConfigureAccount,
    ConfigureFeeTier,
    Credit,
    Deleverage,
    SetLeverage,
    UpdateIndexPrices,
)
from exchange.core.enums import MarginMode, WalletKind
from exchange.core.events import InsuranceChanged, TradeExecuted
from exchange.core.insurance import _follow_high
from exchange.core.rejects import Code
from exchange.core.takeover import bankruptcy_quote, exact_bankruptcy_quote
from exchange.core.units import ATOMS
from tests.support.engine import ALICE, BOB, CAROL, USDT, units
from tests.support.perpetual import PERP, PerpetualBench, contract
from tests.vectors import oracles
from tests.vectors.replay import vectors

D = Decimal
ETH_PERP = 2
TEN_PERCENT = ((0, 10_000_000, 10),)
ROWS = vectors("bankruptcy_and_insurance_dydx.json")
ADL = {row["id"]: row for row in vectors("adl.json")}
# The engine asks for the bankruptcy quote of open positions alone, and of the side that closes.
LEFT_OUT = {"dydx-bk-15": "no position", "dydx-bk-16": "the wrong side"}


def opened(**more: Any) -> PerpetualBench:
    bench = PerpetualBench.opened(margin="0.00000001", brackets=TEN_PERCENT, **more)
    bench.list_another(ETH_PERP, "3000", brackets=TEN_PERCENT)
    bench.ok(ConfigureFeeTier(0, 0, 0))
    return bench


def fund(bench: PerpetualBench, account: int, amount: str) -> None:
    bench.ok(ConfigureAccount(account))
    bench.ok(Credit(account, WalletKind.MARGIN, USDT, units(amount), "test", "test"))
    for market_id in (PERP, ETH_PERP):
        bench.ok(SetLeverage(account, market_id, 10))


def trade(bench: PerpetualBench, account: int, other: int, quantity: str, price: str, market: int
          ) -> None:  # fmt: skip
    size = quantity.lstrip("-")
    buyer, seller = (other, account) if quantity.startswith("-") else (account, other)
    bench.trade(buyer, seller, size, price, market)


@pytest.mark.parametrize(
    "row",
    [r for r in ROWS if r["kind"] == "bankruptcy_quote" and r["id"] not in LEFT_OUT],
    ids=lambda row: row["id"],
)
def test_bankruptcy_quote(row: dict[str, Any]) -> None:
    bench = opened()
    fund(bench, ALICE, "1000000")
    fund(bench, BOB, "1000000")
    bench.mark("50000")
    bench.ok(UpdateIndexPrices(((ETH_PERP, units(3_000)),)))
    markets = {"BTC": (PERP, "50000"), "ETH": (ETH_PERP, "3000")}
    cost = D(0)
    for name, quantity in row["positions"]:
        market_id, price = markets[name]
        trade(bench, ALICE, BOB, quantity, price, market_id)
        cost += D(quantity) * D(price)
    memory = bench.exchange._memory
    account = memory.ledger.accounts[ALICE]
    account.margin[USDT].total_atoms = int((D(str(row["quote_balance_usd"])) + cost) * ATOMS)

    position = account.positions[markets[row["perpetual"]][0]]
    part = D(abs(int(D(row["delta_base"]) * ATOMS))) / abs(position.quantity_atoms)
    sign = 1 if position.quantity_atoms > 0 else -1
    found = sign * exact_bankruptcy_quote(memory, account, position) * part / ATOMS

    assert abs(found - D(row["expected_quote_usd"])) <= D("0.000001")


@pytest.mark.parametrize(
    "row", [r for r in ROWS if r["kind"] == "insurance_fund_delta"], ids=lambda row: row["id"]
)
def test_what_the_fund_gets(row: dict[str, Any]) -> None:
    sign = 1 if row["liquidation_side"] == "SELL" else -1
    filled = sign * D(row["fill_base"]) * D(row["fill_price"])
    bankruptcy = -D(str(row["quote_balance_usd"]))

    found = oracles.insurance_delta(filled, bankruptcy, D(row["max_liq_fee_rate"]))

    assert found == D(row["expected_delta_usd"])


def test_bankruptcy_price_of_an_isolated_position() -> None:
    # Bybit's help page, "bybit-bk-long": 10,000 at 50x.
    bench = PerpetualBench.opened(ALICE, BOB, margin="100000")
    bench.mark("10000")
    bench.leverage(ALICE, 50, MarginMode.ISOLATED)
    bench.trade(ALICE, BOB, "1", "10000")
    memory = bench.exchange._memory
    account = memory.ledger.accounts[ALICE]

    assert bankruptcy_quote(memory, account, account.positions[PERP]) == units(9_800)


class TestDeleveraging:
    def test_bitmexs_ranking_and_fills(self) -> None:
        row = ADL["bitmex-adl-queue"]
        ranked = sorted(row["positions"], key=lambda position: -position["score"])
        left, fills = D(row["event"]["qty"]), []
        for position in ranked:
            taken = min(left, D(position["qty"]))
            left -= taken
            if taken:
                fills.append((position["acc"], str(taken)))

        assert [position["acc"] for position in ranked] == row["expected_rank"]
        assert fills == [(fill["acc"], fill["qty"]) for fill in row["expected_fills"]]

    @pytest.mark.parametrize(
        "name", ["dydx-short-one", "dydx-long-one", "dydx-skip-same-side",
                 "dydx-skip-other-market", "dydx-two-positions"],
    )  # fmt: skip
    def test_dydxs_guards(self, name: str) -> None:
        row = ADL[name]
        bankrupt = row["bankrupt_account"]
        quantity = D(bankrupt["btc"])
        winner = row["candidates"][-1]
        # Before the fall (or rise) that makes the account bankrupt it can afford its position.
        entry = D(62_000) if quantity > 0 else D(43_000)
        cost = quantity * entry + D(bankrupt.get("eth", "0")) * 3_000
        bench = opened(fund="0")
        fund(bench, ALICE, str(D(bankrupt["usd"]) + cost))
        fund(bench, BOB, str(D(winner["usd"]) - quantity * entry))
        fund(bench, CAROL, "1000000")
        bench.mark(str(entry))
        bench.ok(UpdateIndexPrices(((ETH_PERP, units(3_000)),)))
        trade(bench, ALICE, BOB, bankrupt["btc"], str(entry), PERP)
        if "eth" in bankrupt:
            trade(bench, ALICE, CAROL, bankrupt["eth"], "3000", ETH_PERP)
        bench.mark("50000")

        events = bench.do(Deleverage(PERP, (CAROL, BOB))).events
        fills = [event for event in events if isinstance(event, TradeExecuted)]

        expected = row["expected"]["fills"]
        assert [(f.quantity_atoms, f.price_atoms) for f in fills] == [
            (units(fill["qty"]), units(fill["price"])) for fill in expected
        ]
        if "usd_after" in row["expected"]:
            assert bench.margin(BOB) == units(row["expected"]["usd_after"]["D0"])
            assert bench.margin(ALICE) == units(row["expected"]["usd_after"]["liq"])
        bench.refused(Deleverage(99, (BOB,)), Code.MARKET_NOT_FOUND)

    def test_dydxs_counterparty_that_owes_itself_is_passed_by(self) -> None:
        row = ADL["dydx-not-enough"]
        bench = opened(fund="0", liquidations_paused=True)
        fund(bench, ALICE, str(D(row["bankrupt_account"]["usd"]) - 43_000))
        fund(bench, BOB, str(D(row["candidates"][0]["usd"]) + 60_000))
        fund(bench, CAROL, "1000000")
        bench.mark("60000")
        trade(bench, BOB, CAROL, "1", "60000", PERP)
        bench.mark("43000")
        trade(bench, ALICE, CAROL, "-1", "43000", PERP)
        bench.ok(contract(brackets=TEN_PERCENT))
        bench.mark("50000")

        events = bench.do(Deleverage(PERP, (BOB,))).events

        assert [event for event in events if isinstance(event, TradeExecuted)] == []
        assert abs(bench.position(ALICE).quantity_atoms) == units(row["expected"]["remaining"])

    @pytest.mark.parametrize(
        ("name", "high", "value", "stops"),
        [("bybit-adl-1", 1_000_000, 650_000, True), ("bybit-adl-3", 1_000_000, 0, True),
         ("bybit-adl-1", 1_000_000, 700_000, False)],
    )  # fmt: skip
    def test_bybits_drawdown_trigger(self, name: str, high: int, value: int, stops: bool) -> None:
        assert name in ADL
        memory = opened().exchange._memory
        config = InsuranceChanged(1, ATOMS, 0, 30_000_000, 25_000_000, units(high), memory.time_ms)

        assert _follow_high(memory, config, units(value), []).stopped is stops

    def test_every_row_is_used(self) -> None:
        assert len(ADL) == 9
