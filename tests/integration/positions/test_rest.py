"""Positions over REST: what is shown, what changes, and what a refusal leaves behind."""

from __future__ import annotations

from typing import Any

import pytest

from common.testing import error_code
from exchange.core.enums import MarginMode, Side
from riskengine.models import Price
from tests.support.margin import PERP, SYMBOL, MarginHarness, state_of
from tests.support.trading import Trader, register

pytestmark = pytest.mark.integration


@pytest.fixture
def market(exchange: MarginHarness, alice: Trader, bob: Trader) -> MarginHarness:
    """Alice long 0.5 at 60,000 with leverage 20, Bob short; both with 100,000 of margin."""
    for trader in (alice, bob):
        exchange.margin(trader.account_id)
    exchange.set_up(alice.account_id, 20)
    exchange.trade(alice.account_id, bob.account_id, "0.5")
    return exchange


@pytest.fixture
def isolated(exchange: MarginHarness, alice: Trader, bob: Trader) -> MarginHarness:
    """The same, Alice's position isolated."""
    for trader in (alice, bob):
        exchange.margin(trader.account_id)
    exchange.set_up(alice.account_id, 20, MarginMode.ISOLATED)
    exchange.trade(alice.account_id, bob.account_id, "0.5")
    return exchange


def position_of(trader: Trader) -> dict[str, Any]:
    """Return a trader's only open position."""
    (found,) = trader.api.get("/api/positions").json()["positions"]
    shown: dict[str, Any] = found
    return shown


class TestReading:
    def test_an_isolated_position_is_shown_whole(
        self, isolated: MarginHarness, alice: Trader
    ) -> None:
        isolated.mark(60_600)

        shown = position_of(alice)

        assert shown.pop("opened_at") == shown.pop("updated_at")
        assert shown == {
            "id": "2",
            "symbol": SYMBOL,
            "side": "long",
            "quantity": "0.500",
            "entry_price": "60000.0",
            "mark_price": "60600.0",
            "notional": "30300.00000000",
            "leverage": 20,
            "margin_mode": "isolated",
            "initial_margin": "1515.00000000",
            # 0.4 % in the bracket below 50,000.
            "maintenance_margin": "121.20000000",
            "isolated_margin": "1500.00000000",
            # Not below 30,000 / 20, although 300 of profit are there.
            "removable_margin": "0.00000000",
            # 121.2 / 1,800, rounded up.
            "margin_ratio": "0.06733334",
            "unrealised_profit": "300.00000000",
            "realised_profit": "0.00000000",
            # 300 / 1,515, rounded down.
            "roe": "0.1980198",
            # (30,000 - 1,500) / 0.5 / 0.996, up to the tick.
            "liquidation_price": "57229.0",
            "bankruptcy_price": "57000.0",
            "fee": "15.00000000",
            "funding": "0.00000000",
            "adl_light": None,
            "take_profit": None,
            "stop_loss": None,
            "currency": "USDT",
        }

    def test_a_cross_position_is_backed_by_the_whole_wallet(
        self, market: MarginHarness, bob: Trader
    ) -> None:
        shown = position_of(bob)

        assert (shown["side"], shown["margin_mode"]) == ("short", "cross")
        assert shown["isolated_margin"] is None
        # (99,994 + 30,000) / 0.5 / 1.0065 at 0.65 %, amount 600 less: the bracket of that mark.
        wallet = 100_000 - 6
        notional = float(shown["liquidation_price"]) * 0.5
        maintenance = notional * 0.005 - 50
        assert abs(wallet + 30_000 - notional - maintenance) < 1
        assert float(shown["bankruptcy_price"]) == pytest.approx((wallet + 30_000) / 0.5, abs=0.1)

    def test_one_is_found_by_its_number_and_only_by_its_owner(
        self, market: MarginHarness, alice: Trader, bob: Trader
    ) -> None:
        number = position_of(alice)["id"]

        own = alice.api.get(f"/api/positions/{number}")
        another = bob.api.get(f"/api/positions/{number}")

        assert (own.status_code, own.json()["id"]) == (200, number)
        assert (another.status_code, error_code(another)) == (404, "NOT_FOUND")
        assert alice.api.get("/api/positions/x").status_code == 404

    def test_a_symbol_chooses(self, market: MarginHarness, alice: Trader) -> None:
        assert alice.api.get("/api/positions?symbol=BTC-USDT").json()["positions"] == []
        assert len(alice.api.get(f"/api/positions?symbol={SYMBOL}").json()["positions"]) == 1
        answer = alice.api.get("/api/positions?symbol=X-Y")
        assert (answer.status_code, error_code(answer)) == (404, "MARKET_NOT_FOUND")

    def test_orders_that_may_open_bind_margin(self, market: MarginHarness, alice: Trader) -> None:
        before = alice.api.get("/api/wallet").json()["margin"][0]
        market.place(alice.account_id, Side.BUY, "0.5", 60_000)

        after = alice.api.get("/api/wallet").json()["margin"][0]

        assert before["initial_margin"] == "1500.00000000"
        assert after["initial_margin"] == "3000.00000000"
        assert float(before["available"]) - float(after["available"]) == 1_500


class TestHistory:
    def test_closed_positions_are_paged_the_last_opened_first(
        self, market: MarginHarness, alice: Trader, bob: Trader
    ) -> None:
        market.trade(bob.account_id, alice.account_id, "0.5", 61_000)
        market.trade(bob.account_id, alice.account_id, "0.2", 61_000)
        market.trade(alice.account_id, bob.account_id, "0.2", 60_000)

        first = alice.api.get("/api/positions/history?limit=1").json()
        second = alice.api.get(
            f"/api/positions/history?limit=1&cursor={first['next_cursor']}"
        ).json()

        assert [item["side"] for item in first["items"] + second["items"]] == ["short", "long"]
        assert second["next_cursor"] is None
        closed = second["items"][0]
        assert (closed["entry_price"], closed["exit_price"]) == ("60000.0", "61000.0")
        assert closed["realised_profit"] == "500.00000000"
        # 0.05 % of 30,000 as taker and 0.02 % of 30,500 as maker.
        assert (closed["fee"], closed["net_profit"]) == ("21.10000000", "478.90000000")
        assert (closed["reason"], closed["max_quantity"]) == ("trade", "0.500")

    def test_funding_is_listed_for_both(
        self, market: MarginHarness, alice: Trader, bob: Trader
    ) -> None:
        due_ms = Price.objects.get().next_funding_ms
        market.mark(60_000, after_ms=due_ms - market.clock())

        (paid,) = alice.api.get("/api/positions/funding").json()["items"]
        (received,) = bob.api.get(f"/api/positions/funding?symbol={SYMBOL}").json()["items"]

        assert (paid["side"], received["side"]) == ("long", "short")
        assert paid["amount"] == f"-{received['amount']}"
        assert paid["funding_time"] == due_ms
        assert position_of(alice)["funding"] == paid["amount"]


class TestClosing:
    def test_all_of_it_at_the_market(
        self, market: MarginHarness, alice: Trader, bob: Trader
    ) -> None:
        market.place(bob.account_id, Side.BUY, "1", 59_990)
        number = position_of(alice)["id"]

        answer = alice.api.post(f"/api/positions/{number}/close", {})

        order = answer.json()
        assert answer.status_code == 201
        assert (order["status"], order["reduce_only"]) == ("filled", True)
        assert [fill["price"] for fill in order["fills"]] == ["59990.0"]
        assert alice.api.get("/api/positions").json()["positions"] == []

    def test_a_part_at_a_limit_rests(self, market: MarginHarness, alice: Trader) -> None:
        number = position_of(alice)["id"]

        body = {"quantity": "0.2", "price": "61000"}
        order = alice.api.post(f"/api/positions/{number}/close", body).json()

        assert (order["status"], order["type"]) == ("open", "limit")
        assert (order["side"], order["quantity"]) == ("sell", "0.200")

    def test_reverse_opens_the_other_side(
        self, market: MarginHarness, alice: Trader, bob: Trader
    ) -> None:
        market.place(bob.account_id, Side.BUY, "2", 59_990)
        number = position_of(alice)["id"]

        answer = alice.api.post(f"/api/positions/{number}/close", {"reverse": True})

        shown = position_of(alice)
        assert answer.status_code == 201
        assert (shown["side"], shown["quantity"], shown["entry_price"]) == (
            "short", "0.500", "59990.0",
        )  # fmt: skip
        assert shown["id"] != number

    def test_a_repeated_request_is_carried_out_once(
        self, market: MarginHarness, alice: Trader, bob: Trader
    ) -> None:
        market.place(bob.account_id, Side.BUY, "1", 59_990)
        number = position_of(alice)["id"]
        body = {"client_order_id": "bye"}

        first = alice.api.post(f"/api/positions/{number}/close", body)
        again = alice.api.post(f"/api/positions/{number}/close", body)
        other = alice.api.post(f"/api/positions/{number}/close", {**body, "quantity": "0.1"})

        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json()["id"] == again.json()["id"]
        assert (other.status_code, error_code(other)) == (409, "CLIENT_ORDER_ID_CONFLICT")

    def test_close_all_answers_each(
        self, market: MarginHarness, alice: Trader, bob: Trader
    ) -> None:
        market.place(bob.account_id, Side.BUY, "1", 59_990)

        (result,) = alice.api.post("/api/positions/close-all").json()["results"]

        assert (result["symbol"], result["status"]) == (SYMBOL, 201)
        assert result["order"]["status"] == "filled"
        assert alice.api.post("/api/positions/close-all").json() == {"results": []}

    def test_in_an_empty_book_nothing_is_closed(self, market: MarginHarness, alice: Trader) -> None:
        (result,) = alice.api.post("/api/positions/close-all").json()["results"]

        assert result["order"]["status"] == "expired"
        assert position_of(alice)["quantity"] == "0.500"

    @pytest.mark.parametrize(
        ("_case", "body", "status", "code"),
        [
            ("unknown field", {"symbol": SYMBOL}, 400, "UNKNOWN_FIELD"),
            ("reverse a part", {"reverse": True, "quantity": "0.1"}, 400, "VALIDATION_ERROR"),
            ("reverse at a limit", {"reverse": True, "price": "1"}, 400, "VALIDATION_ERROR"),
            ("too much", {"quantity": "0.6", "price": "61000"}, 422, "REDUCE_ONLY_EXCEEDS"),
            ("off the lot", {"quantity": "0.0001", "price": "61000"}, 422, "LOT_SIZE"),
            ("off the tick", {"quantity": "0.1", "price": "61000.05"}, 422, "TICK_SIZE"),
        ],
    )
    def test_a_refusal_changes_nothing(
        self,
        market: MarginHarness,
        alice: Trader,
        _case: str,
        body: dict[str, Any],
        status: int,
        code: str,
    ) -> None:
        number, before = position_of(alice)["id"], state_of(market)

        answer = alice.api.post(f"/api/positions/{number}/close", body)

        assert (answer.status_code, error_code(answer)) == (status, code)
        assert state_of(market) == before

    def test_anothers_position_is_not_found(
        self, market: MarginHarness, alice: Trader, bob: Trader
    ) -> None:
        number, before = position_of(alice)["id"], state_of(market)

        for method, path, body in (
            ("post", "close", {}),
            ("post", "close", {"client_order_id": "mine"}),
            ("put", "margin", {"add": "1"}),
            ("put", "tp-sl", {"take_profit": "70000", "stop_loss": None}),
        ):
            answer = getattr(bob.api, method)(f"/api/positions/{number}/{path}", body)
            assert (answer.status_code, error_code(answer)) == (404, "NOT_FOUND")
        assert state_of(market) == before


class TestMargin:
    def test_adding_and_removing_move_the_liquidation_price(
        self, isolated: MarginHarness, alice: Trader
    ) -> None:
        number = position_of(alice)["id"]

        added = alice.api.put(f"/api/positions/{number}/margin", {"add": "1000"}).json()
        removed = alice.api.put(f"/api/positions/{number}/margin", {"remove": "400"}).json()

        assert added["isolated_margin"] == "2500.00000000"
        assert added["removable_margin"] == "1000.00000000"
        assert removed["isolated_margin"] == "2100.00000000"
        # (30,000 - 2,100) / 0.5 / 0.996, up to the tick.
        assert removed["liquidation_price"] == "56024.1"

    @pytest.mark.parametrize(
        ("_case", "body", "status", "code"),
        [
            ("nothing", {}, 400, "VALIDATION_ERROR"),
            ("both", {"add": "1", "remove": "1"}, 400, "VALIDATION_ERROR"),
            ("zero", {"add": "0"}, 400, "VALIDATION_ERROR"),
            ("negative", {"add": "-1"}, 400, "VALIDATION_ERROR"),
            ("more than there is", {"add": "98485.00000001"}, 422, "INSUFFICIENT_MARGIN"),
            ("below the initial margin", {"remove": "0.00000001"}, 422, "MARGIN_NOT_REMOVABLE"),
        ],
    )
    def test_a_refusal_changes_nothing(
        self,
        isolated: MarginHarness,
        alice: Trader,
        _case: str,
        body: dict[str, str],
        status: int,
        code: str,
    ) -> None:
        number, before = position_of(alice)["id"], state_of(isolated)

        answer = alice.api.put(f"/api/positions/{number}/margin", body)

        assert (answer.status_code, error_code(answer)) == (status, code)
        assert state_of(isolated) == before

    def test_a_cross_position_has_no_wallet_of_its_own(
        self, market: MarginHarness, alice: Trader
    ) -> None:
        number, before = position_of(alice)["id"], state_of(market)

        answer = alice.api.put(f"/api/positions/{number}/margin", {"add": "1"})

        assert (answer.status_code, error_code(answer)) == (422, "POSITION_NOT_ISOLATED")
        assert state_of(market) == before


class TestExits:
    def test_both_are_set_replaced_and_removed(self, market: MarginHarness, alice: Trader) -> None:
        path = f"/api/positions/{position_of(alice)['id']}/tp-sl"

        first = alice.api.put(path, {"take_profit": "65000", "stop_loss": "58000"}).json()
        second = alice.api.put(
            path, {"take_profit": None, "stop_loss": "59000", "trigger_by": "index"}
        ).json()
        third = alice.api.put(path, {"take_profit": None, "stop_loss": None}).json()

        assert first["take_profit"]["trigger_price"] == "65000.0"
        assert first["stop_loss"]["trigger_by"] == "mark"
        assert second["take_profit"] is None
        assert second["stop_loss"]["trigger_price"] == "59000.0"
        assert second["stop_loss"]["trigger_by"] == "index"
        assert (third["take_profit"], third["stop_loss"]) == (None, None)
        assert market.exchange.image().orders == []

    @pytest.mark.parametrize(
        ("_case", "body", "status", "code"),
        [
            ("one left out", {"take_profit": "65000"}, 400, "VALIDATION_ERROR"),
            ("profit below", {"take_profit": "59000", "stop_loss": None}, 422, "EXIT_PRICES"),
            ("stop above", {"take_profit": None, "stop_loss": "61000"}, 422, "EXIT_PRICES"),
            ("off the tick", {"take_profit": "65000.05", "stop_loss": None}, 422,
             "INVALID_TRIGGER_PRICE"),
        ],
    )  # fmt: skip
    def test_a_refusal_keeps_those_set_before(
        self,
        market: MarginHarness,
        alice: Trader,
        _case: str,
        body: dict[str, Any],
        status: int,
        code: str,
    ) -> None:
        path = f"/api/positions/{position_of(alice)['id']}/tp-sl"
        alice.api.put(path, {"take_profit": "65000", "stop_loss": "58000"})
        before = state_of(market)

        answer = alice.api.put(path, body)

        assert (answer.status_code, error_code(answer)) == (status, code)
        assert state_of(market) == before


class TestSettings:
    def test_defaults_and_changes_survive_a_flat_position(
        self, exchange: MarginHarness, alice: Trader
    ) -> None:
        path = f"/api/positions/settings/{SYMBOL}"

        default = alice.api.get(path).json()
        changed = alice.api.put(path, {"leverage": 25, "margin_mode": "isolated"}).json()

        assert default == {
            "symbol": SYMBOL, "leverage": 10, "margin_mode": "cross", "max_leverage": 125,
        }  # fmt: skip
        assert (changed["leverage"], changed["margin_mode"]) == (25, "isolated")
        assert alice.api.get(path).json() == changed
        # What is as asked already is no refusal when both are set.
        assert alice.api.put(path, {"leverage": 30, "margin_mode": "isolated"}).status_code == 200

    @pytest.mark.parametrize(
        ("_case", "body", "status", "code"),
        [
            ("nothing", {}, 400, "VALIDATION_ERROR"),
            ("zero", {"leverage": 0}, 400, "VALIDATION_ERROR"),
            ("text", {"leverage": "20"}, 400, "VALIDATION_ERROR"),
            ("above the market's", {"leverage": 126}, 422, "INVALID_LEVERAGE"),
            ("mode as it is", {"margin_mode": "isolated"}, 422, "MARGIN_MODE_UNCHANGED"),
            ("mode with a position", {"margin_mode": "cross"}, 422, "MARGIN_MODE_HAS_POSITION"),
            ("lower with a position", {"leverage": 19}, 422, "LEVERAGE_BELOW_POSITION"),
        ],
    )
    def test_a_refusal_changes_nothing(
        self,
        isolated: MarginHarness,
        alice: Trader,
        _case: str,
        body: dict[str, Any],
        status: int,
        code: str,
    ) -> None:
        before = state_of(isolated)

        answer = alice.api.put(f"/api/positions/settings/{SYMBOL}", body)

        assert (answer.status_code, error_code(answer)) == (status, code)
        assert state_of(isolated) == before

    def test_neither_changes_when_one_is_refused(
        self, exchange: MarginHarness, alice: Trader
    ) -> None:
        before = state_of(exchange)
        body = {"leverage": 126, "margin_mode": "isolated"}

        answer = alice.api.put(f"/api/positions/settings/{SYMBOL}", body)

        assert (answer.status_code, error_code(answer)) == (422, "INVALID_LEVERAGE")
        assert state_of(exchange) == before

    def test_leverage_must_fit_the_bracket_of_what_is_open(
        self, market: MarginHarness, alice: Trader, bob: Trader
    ) -> None:
        market.trade(alice.account_id, bob.account_id, "1")
        before = state_of(market)

        answer = alice.api.put(f"/api/positions/settings/{SYMBOL}", {"leverage": 125})

        assert (answer.status_code, error_code(answer)) == (422, "LEVERAGE_TOO_HIGH")
        assert state_of(market) == before

    def test_the_mode_stays_while_orders_are_open(
        self, exchange: MarginHarness, alice: Trader
    ) -> None:
        exchange.margin(alice.account_id)
        exchange.place(alice.account_id, Side.BUY, "0.1", 50_000)
        before = state_of(exchange)

        answer = alice.api.put(f"/api/positions/settings/{SYMBOL}", {"margin_mode": "isolated"})

        assert (answer.status_code, error_code(answer)) == (422, "MARGIN_MODE_HAS_ORDERS")
        assert state_of(exchange) == before

    def test_a_spot_market_has_none(self, exchange: MarginHarness, alice: Trader) -> None:
        for answer in (
            alice.api.get("/api/positions/settings/BTC-USDT"),
            alice.api.put("/api/positions/settings/BTC-USDT", {"leverage": 2}),
        ):
            assert (answer.status_code, error_code(answer)) == (422, "NOT_A_PERPETUAL")
        assert alice.api.get("/api/positions/settings/X-Y").status_code == 404


class TestTransfers:
    def test_profit_and_what_backs_positions_stay(
        self, market: MarginHarness, alice: Trader
    ) -> None:
        market.mark(70_000)
        before = state_of(market)
        body = {"currency": "USDT", "from_wallet": "margin", "to_wallet": "spot"}

        # 99,985 - 35,000 / 20; the 5,000 of profit do not count.
        refused = alice.api.post("/api/wallet/transfer", {**body, "amount": "98235.00000001"})
        unchanged = state_of(market)
        moved = alice.api.post("/api/wallet/transfer", {**body, "amount": "98235"})

        assert (refused.status_code, error_code(refused)) == (422, "MARGIN_IN_USE")
        assert unchanged == before
        assert moved.status_code == 201

    def test_the_wallet_shows_what_is_free(self, market: MarginHarness, alice: Trader) -> None:
        market.mark(70_000)

        (margin,) = alice.api.get("/api/wallet").json()["margin"]

        assert margin == {
            "currency": "USDT",
            "wallet_balance": "99985.00000000",
            "unrealised_profit": "5000.00000000",
            "equity": "104985.00000000",
            "available": "103235.00000000",
            "transferable": "98235.00000000",
            "initial_margin": "1750.00000000",
            "maintenance_margin": "140.00000000",
            "margin_ratio": "0.00133353",
        }

    def test_who_never_had_margin_has_none(self, exchange: MarginHarness) -> None:
        carol = register(exchange, "carol")

        assert carol.api.get("/api/wallet").json()["margin"] == []
        assert carol.api.get("/api/positions").json()["positions"] == []


class TestSchemas:
    def test_what_is_rendered_is_what_is_documented(
        self, isolated: MarginHarness, alice: Trader, bob: Trader
    ) -> None:
        from positions import schema

        shown = position_of(alice)
        isolated.trade(bob.account_id, alice.account_id, "0.5", 61_000)
        (closed,) = alice.api.get("/api/positions/history").json()["items"]
        due_ms = Price.objects.get().next_funding_ms
        isolated.trade(alice.account_id, bob.account_id, "0.5")
        isolated.mark(60_000, after_ms=due_ms - isolated.clock())
        (payment,) = alice.api.get("/api/positions/funding").json()["items"]
        setting = alice.api.get(f"/api/positions/settings/{SYMBOL}").json()

        for found, expected in (
            (shown, schema.POSITION_PROPERTIES),
            (closed, schema.CLOSED_PROPERTIES),
            (payment, schema.PAYMENT_PROPERTIES),
            (setting, schema.SETTING_PROPERTIES),
        ):
            assert list(found) == list(expected)
        assert PERP in [slot.market_id for slot in isolated.exchange.image().positions]
