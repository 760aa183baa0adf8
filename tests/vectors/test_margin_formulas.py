"""Brackets, liquidation prices and help pages: binding formulas, and oracles for the others."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import groupby
from typing import Any

import pytest

from exchange.core.enums import Side
from exchange.core.margin import (
    Brackets,
    bracket_rows,
    exposure_atoms,
    initial_margin,
    liquidation_price,
    open_loss,
)
from exchange.core.units import ATOMS, RATE_ONE
from tests.vectors import oracles
from tests.vectors.replay import DATA, vectors

D = Decimal
BRACKET_FILE = json.loads((DATA / "binance_leverage_brackets.json").read_text())
TIERS = json.loads((DATA / "freqtrade_test_tiers.json").read_text())["tiers"]
PRICES = vectors("liquidation_price_binance_bybit_okx.json")
LOOKUPS = vectors("maintenance_and_leverage_lookup.json")
PAGES = vectors("help_page_examples.json")

# Rows of the help pages that neither bind the engine nor have figures to hold an oracle against.
LEFT_OUT = {
    "bybit-inverse-cross": "inverse contracts are not adopted",
    "okx-index-clip": "a rule without figures",
    "okx-partial": "OKX's tiers are not adopted",
}


def atoms(value: Any) -> int:
    return int((D(str(value)) * ATOMS).to_integral_value())


def symbol_rows() -> list[tuple[str, list[dict[str, Any]]]]:
    rows = BRACKET_FILE["rows"]
    return [(name, list(group)) for name, group in groupby(rows, key=lambda row: row["symbol"])]


@pytest.mark.parametrize(("symbol", "rows"), symbol_rows(), ids=lambda value: str(value)[:24])
class TestPublishedBrackets:
    def test_maintenance_amounts_follow_from_floors_and_rates(
        self, symbol: str, rows: list[dict[str, Any]]
    ) -> None:
        made = bracket_rows(_terms(rows))

        assert made is not None, symbol
        assert [row[2] for row in made] == [atoms(row["cum"]) for row in rows]

    def test_maintenance_is_continuous_at_each_floor(
        self, symbol: str, rows: list[dict[str, Any]]
    ) -> None:
        made = bracket_rows(_terms(rows))
        assert made is not None, symbol
        brackets = Brackets(made)

        for index, (floor, rate, _, leverage) in enumerate(made[1:], 1):
            below = brackets.maintenance_atoms(floor - 1)
            assert 0 <= brackets.maintenance_atoms(floor) - below <= 2
            assert brackets.index(floor) == index
            assert brackets.leverage_max(floor) == leverage
            assert rate * leverage <= RATE_ONE


def _terms(rows: list[dict[str, Any]]) -> tuple[tuple[int, int, int], ...]:
    return tuple(
        (atoms(row["notional_floor"]), atoms(row["maint_margin_rate"]), int(row["max_leverage"]))
        for row in rows
    )


def engine_price(row: dict[str, Any], *, wallet: Decimal, rate: str, amount: str) -> Decimal:
    """Return the engine's liquidation price of a row, in one bracket."""
    sign = 1 if row["side"] == "long" else -1
    size, entry = D(row["size"]), D(row["entry"])
    needed = profit = D(0)
    for other in row.get("others", []):
        value = D(other["size"]) * D(other["mark"])
        needed += value * D(other["mmr"]) - D(other["cum"])
        side = 1 if other["side"] == "long" else -1
        profit += side * (value - D(other["size"]) * D(other["entry"]))
    price = liquidation_price(
        brackets=Brackets(((0, atoms(rate), atoms(amount), 1),)),
        quantity_atoms=sign * atoms(size),
        cost_atoms=sign * atoms(size * entry),
        wallet_atoms=atoms(wallet),
        others_maintenance_atoms=atoms(needed),
        others_profit_atoms=atoms(profit),
    )
    return D(price) / ATOMS


def is_near(found: Decimal, row: dict[str, Any], name: str = "expected") -> bool:
    expected = D(row[name])
    if "decimals" in row:
        return abs(found - expected) <= D("0.01")
    return abs(found - expected) <= D(row.get("rel_tol", "1e-6")) * max(D(1), abs(expected))


@pytest.mark.parametrize(
    "row", [row for row in PRICES if row["venue"] == "binance"], ids=lambda row: row["id"]
)
def test_engine_has_binances_liquidation_price(row: dict[str, Any]) -> None:
    wallet = D(str(row["wallet_value"])) if "wallet_value" in row else D(row["wallet"])

    assert is_near(engine_price(row, wallet=wallet, rate=row["mmr"], amount=row["cum"]), row)


@pytest.mark.parametrize(
    "row", [row for row in PRICES if row["venue"] != "binance"], ids=lambda row: row["id"]
)
def test_other_venues_liquidation_prices(row: dict[str, Any]) -> None:
    sign = 1 if row["side"] == "long" else -1
    entry, rate = D(row["entry"]), D(row["mmr"])
    if row["venue"] == "bybit":
        found = oracles.isolated_price_of_bybit(
            sign=sign, entry=entry, leverage=D(row["leverage"]), rate=rate
        )
    else:
        found = oracles.isolated_price_of_gate(
            sign=sign,
            entry=entry,
            margin=D(str(row["wallet_value"])),
            size=D(row["size"]),
            rate=rate,
            taker=D(row["taker_fee"]),
        )
    assert is_near(found, row)


@pytest.mark.parametrize(
    "row", vectors("liquidation_price_hyperliquid.json"), ids=lambda row: row["id"]
)
def test_hyperliquids_positions_have_the_same_formula(row: dict[str, Any]) -> None:
    found = engine_price(row, wallet=D(row["margin"]), rate=row["mmr"], amount=row["cum"])

    assert is_near(found, {**row, "rel_tol": "1e-4"}, "expected_lp")


def _known(kind: str) -> list[dict[str, Any]]:
    return [row for row in LOOKUPS if row["kind"] == kind and "expected_error" not in row]


@pytest.mark.parametrize("row", _known("maintenance_lookup"), ids=lambda row: str(row["notional"]))
def test_engine_finds_the_bracket_of_a_notional(row: dict[str, Any]) -> None:
    brackets = _brackets(row["pair"])
    index = brackets.index(atoms(row["notional"]))

    assert brackets.rates_e8[index] == atoms(row["expected_mmr"])
    assert brackets.amounts_atoms[index] == atoms(row["expected_cum"])


def _brackets(pair: str) -> Brackets:
    rows = tuple(
        (
            atoms(tier["minNotional"]),
            atoms(tier["maintenanceMarginRate"]),
            atoms(tier["maintAmt"]),
            int(tier["maxLeverage"]),
        )
        for tier in TIERS[pair]
    )
    return Brackets(rows)


@pytest.mark.parametrize("row", _known("max_leverage_for_margin"), ids=lambda row: row["margin"])
def test_largest_leverage_of_a_margin(row: dict[str, Any]) -> None:
    found = oracles.max_leverage(TIERS[row["pair"]], D(row["margin"]))

    assert abs(found - D(row["expected_max_leverage"])) < D("0.00001")


@pytest.mark.parametrize(
    "row", _known("maintenance_lookup_okx_size_tiers"), ids=lambda row: row["size"]
)
def test_size_tiers_of_okx(row: dict[str, Any]) -> None:
    rates = [tier[2] for tier in row["tiers"] if tier[0] <= D(row["size"]) <= tier[1]]

    assert [D(str(rate)) for rate in rates] == [D(row["expected_mmr"])]


def test_every_lookup_row_is_used_or_is_an_error_of_another_interface() -> None:
    errors = [row["expected_error"] for row in LOOKUPS if "expected_error" in row]
    kinds = ("maintenance_lookup", "max_leverage_for_margin", "maintenance_lookup_okx_size_tiers")

    assert sum(len(_known(kind)) for kind in kinds) + len(errors) == len(LOOKUPS)
    assert errors == ["amount too high", "nominal value can not be lower than 0"]


@pytest.mark.parametrize(
    "row", vectors("margin_loan_interest.json"), ids=lambda row: f"{row['venue']}-{row['minutes']}"
)
def test_interest_of_loans_which_are_not_adopted(row: dict[str, Any]) -> None:
    # Only a loan bears interest: not futures, not spot, and nothing at leverage 1 for a long.
    borrowed = D(row["borrowed"].split()[0]) if row["trading_mode"] == "margin" else D(0)

    found = oracles.loan_interest(row["venue"], borrowed, D(row["rate"]), D(row["minutes"]))

    assert abs(found - D(row["expected_interest"])) < D("0.000001")


def page(name: str) -> dict[str, Any]:
    row = next(row for row in PAGES if row["id"] == name)
    return {**row["input"], **row["expected"]}


class TestHelpPages:
    @pytest.mark.parametrize("name", ["bin-cost-limit-long", "apx-cost-limit-short"])
    def test_cost_of_an_order_is_initial_margin_and_open_loss(self, name: str) -> None:
        row = page(name)
        quote = atoms(D(row["price"]) * D(row["qty"]))
        sign = 1 if Side[row["side"]] is Side.BUY else -1

        margin = initial_margin(quote, int(row["leverage"]))
        lost = open_loss(sign, atoms(row["qty"]), quote, atoms(row["mark"]))

        assert (margin // 10**6, lost) == (atoms(row["im"]) // 10**6, atoms(row["open_loss"]))

    def test_requirement_is_that_of_the_worse_side(self) -> None:
        row = page("dev-margin-req")
        exposure = exposure_atoms(
            atoms(row["position_notional"]), atoms(row["bid_value"]), atoms(row["ask_value"])
        )

        assert initial_margin(exposure, int(row["leverage"])) == atoms(row["requirement"])

    @pytest.mark.parametrize("name", ["bin-open-order-class-1", "bin-open-order-class-2"])
    def test_which_orders_binance_calls_opening(self, name: str) -> None:
        # An oracle: the engine asks whether the exposure grows, which is what costs margin.
        row = page(name)
        held, new = D(row["position"]), D(row["new_qty"])
        resting = D(row.get("open_buy_qty") or row["open_sell_qty"])

        assert (new > abs(held) - resting) is row["opening"]

    def test_assumed_prices_of_market_orders(self) -> None:
        older, newer = page("apx-market-assumed-price"), page("bin-cost-short-assuming")
        buy = D(older["ask0"]) * (1 + D(older["buffer"]))
        sell = max(D(newer["last"]) * (1 + D(newer["buffer"])), D(newer["mark"]), D(newer["order"]))

        assert round(buy, 2) == D(older["buy"])
        assert max(D(older["bid0"]), D(older["mark"])) == D(older["sell"])
        assert sell == D(newer["assuming"])

    def test_bybits_prices_and_costs(self) -> None:
        price, extra = page("bybit-lp-long"), page("bybit-extra-margin")
        cost = page("bybit-order-cost")
        margin = D(price["entry"]) / D(price["leverage"])
        needed = D(price["entry"]) * D(price["mmr"])
        opening = D(cost["price"]) * D(cost["taker"])
        closing = D(cost["price"]) * (1 - 1 / D(cost["leverage"])) * D(cost["taker"])

        assert (margin, needed) == (D(price["im"]), D(price["mm"]))
        assert D(price["entry"]) - (margin - needed) == D(price["lp"].strip())
        assert D(extra["entry"]) - D(500) - D(extra["add"]) / D(extra["qty"]) == D("8500")
        assert D(cost["im"]) + opening + closing == D(cost["total"])

    def test_phemexs_price(self) -> None:
        row = page("phemex-long")
        left = D(row["open_value"]) - D(row["assigned"]) - D(row["mm_amount"])
        found = left / (1 - D(row["taker"]) - D(row["mmr"])) / D(row["size"])

        assert round(found, 4) == D(row["lp"])

    @pytest.mark.parametrize(
        "name", ["bitorb-insurance-long", "bitorb-insurance-long-loss", "sat-insurance-1",
                 "btcmex-insurance"],
    )  # fmt: skip
    def test_what_a_fund_gets(self, name: str) -> None:
        row = page(name)
        delta = oracles.insurance_delta(D(row["fill"]), D(row["bankruptcy"]), D(1))
        named = next(row[key] for key in row if key.startswith("fund_delta") or key == "fund_after")

        assert delta == D(named)

    def test_small_rules(self) -> None:
        notional, amount = page("bin-imn"), page("bin-cum-coinm")
        live = page("near-live-okx-style")
        rise = D(amount["mmr_n"]) - D(amount["mmr_prev"])
        size = D(live["contracts"]) * D(live["contract_size"])

        assert D(notional["base_margin"]) * D(notional["max_leverage"]) == D(notional["imn"])
        assert D(amount["cum_prev"]) + D(amount["floor"]) * rise == D(amount["cum"])
        # Its margin and price hold an unknown fee and contract multiplier; its profit does not.
        assert size * (D(live["mark"]) - D(live["entry"])) == D(live["unrealizedPnl"])

    def test_clipped_and_excluded_index_prices(self) -> None:
        for name in ("bin-index-cap-3pct-up", "bin-index-cap-3pct-down"):
            row = page(name)
            median = D(row["median"])
            price = median * (1 + D(row["source_deviation"]))
            assert oracles.clip(price, median, D(row["cap"])) == D(row["accounted"])
        row = page("bitmex-index-outlier")
        prices = {name: D(value) for name, value in row["prices"].items()}
        median = sorted(prices.values())[1]
        out = [k for k, v in prices.items() if abs(v - median) > median * D(row["tolerance"])]
        kept = [value for name, value in prices.items() if name not in out]
        assert (out, sum(kept) / len(kept)) == (row["excluded"], D(row["index"]))

    def test_every_row_is_used_or_listed(self) -> None:
        source = (DATA.parent / "test_margin_formulas.py").read_text()
        source += (DATA.parent / "test_bankruptcy_and_adl.py").read_text()
        unused = [row["id"] for row in PAGES if f'"{row["id"]}"' not in source]

        assert unused == []
