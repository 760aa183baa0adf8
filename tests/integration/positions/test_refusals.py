"""Refusals that only a certain state brings about, by every way that reaches them over REST."""

from __future__ import annotations

from typing import Any

import pytest

from common.testing import error_code
from exchange.core.commands import MoveInsurance
from exchange.core.enums import MarginMode, Side
from tests.support.engine import units
from tests.support.exchange import USDT
from tests.support.margin import PERP, SYMBOL, MarginHarness, state_of
from tests.support.perpetual import GROUP, contract
from tests.support.trading import Trader

pytestmark = pytest.mark.integration


def number_of(trader: Trader) -> str:
    """Return the number of a trader's only position."""
    (found,) = trader.api.get("/api/positions").json()["positions"]
    number: str = found["id"]
    return number


def assert_refused(harness: MarginHarness, code: str, answer: Any, before: Any) -> None:
    """A business refusal with its code, after which all is as it was, in memory and in rows."""
    assert (answer.status_code, error_code(answer)) == (422, code)
    assert state_of(harness) == before
    harness.assert_hashes_agree()


class TestAccountLiquidating:
    @pytest.fixture
    def waiting(self, exchange: MarginHarness, alice: Trader, bob: Trader) -> MarginHarness:
        """Alice, long 1 at leverage 50, below bankruptcy with a fund that has nothing."""
        exchange.configure(MoveInsurance(GROUP, USDT, -units(1_000_000), "empty", "tests"))
        exchange.margin(alice.account_id, 1_500)
        exchange.margin(bob.account_id)
        exchange.set_up(alice.account_id, 50)
        exchange.trade(alice.account_id, bob.account_id, "1")
        exchange.mark(58_000)
        return exchange

    @pytest.mark.parametrize(
        "fields",
        [
            {"side": "buy", "quantity": "0.001", "price": "58000"},
            {"side": "sell", "type": "market", "quantity": "1", "price": None},
            {"side": "sell", "quantity": "1", "price": "58000", "reduce_only": True},
            {"side": "sell", "type": "stop_loss", "quantity": None, "price": None,
             "trigger_price": "57000", "close_position": True},
        ],
    )  # fmt: skip
    def test_takes_no_order(
        self, waiting: MarginHarness, alice: Trader, fields: dict[str, Any]
    ) -> None:
        before = state_of(waiting)

        placed = alice.place(**{"symbol": SYMBOL, **fields})

        assert_refused(waiting, "ACCOUNT_LIQUIDATING", placed, before)

    def test_takes_none_in_a_batch(self, waiting: MarginHarness, alice: Trader) -> None:
        before = state_of(waiting)
        order = {"symbol": SYMBOL, "side": "buy", "type": "limit", "quantity": "0.1",
                 "price": "58000"}  # fmt: skip

        (result,) = alice.api.post("/api/orders/batch", {"orders": [order]}).json()["results"]

        assert (result["status"], result["error"]["code"]) == (422, "ACCOUNT_LIQUIDATING")
        assert state_of(waiting) == before

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("post", "/api/positions/{}/close", {}),
            ("post", "/api/positions/{}/close", {"quantity": "0.1", "price": "58000"}),
            ("put", "/api/positions/{}/margin", {"add": "1"}),
            ("put", "/api/positions/{}/tp-sl", {"take_profit": "70000", "stop_loss": None}),
            ("put", f"/api/positions/settings/{SYMBOL}", {"leverage": 60}),
            ("put", f"/api/positions/settings/{SYMBOL}", {"margin_mode": "isolated"}),
        ],
    )
    def test_its_position_is_not_its_own_to_change(
        self, waiting: MarginHarness, alice: Trader, method: str, path: str, body: dict[str, Any]
    ) -> None:
        number, before = number_of(alice), state_of(waiting)

        answer = getattr(alice.api, method)(path.format(number), body)

        assert_refused(waiting, "ACCOUNT_LIQUIDATING", answer, before)

    def test_nobody_else_is_kept_from_trading(self, waiting: MarginHarness, bob: Trader) -> None:
        assert bob.place(symbol=SYMBOL, side="sell", price="58000").status_code == 201


class TestOpenInterestCap:
    @pytest.fixture
    def capped(self, exchange: MarginHarness, alice: Trader, bob: Trader) -> MarginHarness:
        """30,000 are open where 36,000 may be; Alice is long, Bob short."""
        for trader in (alice, bob):
            exchange.margin(trader.account_id)
        exchange.trade(alice.account_id, bob.account_id, "0.5")
        exchange.configure(contract(market_id=PERP, open_interest_max_atoms=units(36_000)))
        return exchange

    @pytest.mark.parametrize(
        "fields",
        [
            {"side": "buy", "price": "60000"},
            {"side": "sell", "price": "60000", "quantity": "1.101"},
            {"side": "buy", "price": "60000", "post_only": True},
        ],
    )
    def test_what_would_open_more_is_refused(
        self, capped: MarginHarness, alice: Trader, fields: dict[str, Any]
    ) -> None:
        before = state_of(capped)

        placed = alice.place(**{"symbol": SYMBOL, "quantity": "0.101", **fields})

        assert_refused(capped, "OPEN_INTEREST_CAP", placed, before)

    def test_what_fills_at_once_is_refused_too(
        self, capped: MarginHarness, alice: Trader, bob: Trader
    ) -> None:
        capped.place(bob.account_id, Side.SELL, "0.1", 60_000)
        capped.configure(contract(market_id=PERP, open_interest_max_atoms=units(30_000)))
        before = state_of(capped)

        taken = alice.place(symbol=SYMBOL, type="market", price=None, quantity="0.1")

        assert_refused(capped, "OPEN_INTEREST_CAP", taken, before)

    def test_an_order_amended_beyond_it_stays_as_it_was(
        self, capped: MarginHarness, alice: Trader
    ) -> None:
        order = alice.placed(symbol=SYMBOL, price="60000", quantity="0.05")
        before = state_of(capped)

        amended = alice.api.put(f"/api/orders/{order['id']}", {"quantity": "0.2"})

        assert_refused(capped, "OPEN_INTEREST_CAP", amended, before)

    def test_what_just_fits_and_what_reduces_is_taken(
        self, capped: MarginHarness, alice: Trader
    ) -> None:
        alice.placed(symbol=SYMBOL, side="buy", price="60000", quantity="0.1")
        alice.placed(symbol=SYMBOL, side="sell", price="61000", quantity="0.5", reduce_only=True)


class TestLeverageTooHigh:
    @pytest.fixture
    def geared(self, exchange: MarginHarness, alice: Trader, bob: Trader) -> MarginHarness:
        """Alice long 30,000 at 125, which the brackets allow up to 50,000."""
        for trader in (alice, bob):
            exchange.margin(trader.account_id)
        exchange.set_up(alice.account_id, 125)
        exchange.trade(alice.account_id, bob.account_id, "0.5")
        return exchange

    def test_an_order_that_leaves_its_bracket_is_refused(
        self, geared: MarginHarness, alice: Trader
    ) -> None:
        before = state_of(geared)

        placed = alice.place(symbol=SYMBOL, price="60000", quantity="0.334")

        assert_refused(geared, "LEVERAGE_TOO_HIGH", placed, before)
        assert alice.place(symbol=SYMBOL, price="60000", quantity="0.333").status_code == 201

    def test_open_orders_count(self, geared: MarginHarness, alice: Trader) -> None:
        order = alice.placed(symbol=SYMBOL, price="59000", quantity="0.3")
        before = state_of(geared)

        another = alice.place(symbol=SYMBOL, price="60000", quantity="0.1")
        assert_refused(geared, "LEVERAGE_TOO_HIGH", another, before)
        amended = alice.api.put(f"/api/orders/{order['id']}", {"quantity": "0.4"})
        assert_refused(geared, "LEVERAGE_TOO_HIGH", amended, before)

    def test_lower_leverage_carries_it(self, geared: MarginHarness, alice: Trader) -> None:
        changed = alice.api.put(f"/api/positions/settings/{SYMBOL}", {"leverage": 100})

        assert changed.status_code == 200
        alice.placed(symbol=SYMBOL, price="60000", quantity="0.334")


class TestBeyondBankruptcyPrice:
    @pytest.fixture
    def thin(self, exchange: MarginHarness, alice: Trader, bob: Trader) -> MarginHarness:
        """Alice isolated at 100 with 600 for 0.8; Bob would buy them 5 % below the mark."""
        for trader in (alice, bob):
            exchange.margin(trader.account_id, 600)
        for trader in (alice, bob):
            exchange.set_up(trader.account_id, 100, MarginMode.ISOLATED)
        exchange.trade(alice.account_id, bob.account_id, "0.8")
        exchange.place(bob.account_id, Side.BUY, "0.8", 57_000, reduce_only=True)
        return exchange

    @pytest.mark.parametrize(
        "fields",
        [
            {"price": "57000"},
            {"price": "57000", "time_in_force": "ioc"},
            {"price": "57000", "time_in_force": "fok", "reduce_only": True},
            {"price": None, "type": "market"},
        ],
    )
    def test_a_sale_that_would_leave_a_debt_is_refused(
        self, thin: MarginHarness, alice: Trader, fields: dict[str, Any]
    ) -> None:
        before = state_of(thin)

        placed = alice.place(**{"symbol": SYMBOL, "side": "sell", "quantity": "0.8", **fields})

        assert_refused(thin, "BEYOND_BANKRUPTCY_PRICE", placed, before)

    def test_so_is_closing_the_position(self, thin: MarginHarness, alice: Trader) -> None:
        number, before = number_of(alice), state_of(thin)

        for body in ({}, {"price": "57000"}):
            answer = alice.api.post(f"/api/positions/{number}/close", body)
            assert_refused(thin, "BEYOND_BANKRUPTCY_PRICE", answer, before)

    def test_closing_all_names_it(self, thin: MarginHarness, alice: Trader) -> None:
        before = state_of(thin)

        (result,) = alice.api.post("/api/positions/close-all").json()["results"]

        assert (result["status"], result["error"]["code"]) == (422, "BEYOND_BANKRUPTCY_PRICE")
        assert state_of(thin) == before

    def test_a_better_price_closes_it(
        self, thin: MarginHarness, alice: Trader, bob: Trader
    ) -> None:
        thin.trade(bob.account_id, alice.account_id, "0.8", 59_800)

        assert alice.api.get("/api/positions").json()["positions"] == []
