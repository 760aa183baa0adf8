"""PUT of orders: one, by client id, in a batch."""

from typing import Any

import pytest

from accounts.models import User
from common.testing import ApiClient, error_code
from exchange.core.commands import ConfigureAccount, SetMarketStatus
from exchange.core.enums import AccountStatus, MarketStatus
from exchange.core.units import ATOMS
from tests.support.exchange import BTC_USDT, ExchangeHarness
from tests.support.trading import Trader, money_of, reset_process

pytestmark = pytest.mark.integration

STOP = {"side": "sell", "type": "stop_loss", "price": None, "trigger_price": "49000"}


def amend(trader: Trader, number: str, **fields: Any) -> Any:
    return trader.api.put(f"/api/orders/{number}", fields)


class TestAmending:
    def test_less_quantity_keeps_the_place_and_frees_the_rest(
        self, alice: Trader, bob: Trader
    ) -> None:
        body = alice.placed(client_order_id="a-1")
        bob.placed()

        answer = amend(alice, body["id"], quantity="0.04")

        amended = answer.json()
        assert answer.status_code == 200
        assert (amended["quantity"], amended["remaining_quantity"]) == ("0.04000", "0.04000")
        assert amended["fills"] == []
        assert alice.balances()["USDT spot"][1] == "2002.00000000"
        taken = bob.placed(side="sell", quantity="0.05", self_trade_prevention="expire_maker")
        assert taken["fills"][0]["quantity"] == "0.04000"

    def test_a_new_price_goes_to_the_back_and_may_trade(self, alice: Trader, bob: Trader) -> None:
        bob.placed(side="sell", price="50100", quantity="0.03")
        body = alice.placed(client_order_id="a-1")

        answer = alice.api.put("/api/orders/by-client-id/a-1", {"price": "50100"})

        amended = answer.json()
        assert answer.status_code == 200
        assert (amended["id"], amended["status"]) == (body["id"], "partially_filled")
        assert (amended["price"], amended["remaining_quantity"]) == ("50100.00", "0.07000")
        assert [(fill["role"], fill["quantity"]) for fill in amended["fills"]] == [
            ("taker", "0.03000")
        ]
        shown = alice.api.get(f"/api/orders/{body['id']}").json()
        assert {name: shown[name] for name in amended} == amended

    def test_a_waiting_order_gets_a_new_trigger(self, alice: Trader) -> None:
        body = alice.placed(**STOP)

        amended = amend(alice, body["id"], trigger_price="48000").json()

        assert (amended["status"], amended["trigger_price"]) == ("untriggered", "48000.00")

    def test_an_iceberg_grows_with_its_hold(self, exchange: ExchangeHarness, alice: Trader) -> None:
        body = alice.placed(side="sell", quantity="0.1", display_quantity="0.02")

        amended = amend(alice, body["id"], quantity="0.3").json()

        assert amended["remaining_quantity"] == "0.30000"
        assert alice.balances()["BTC spot"][1] == "0.30000000"
        assert exchange.exchange.book_levels(BTC_USDT) == ([], [(50_000 * ATOMS, 2_000_000)])

    def test_no_more_than_what_is_filled_cancels(self, alice: Trader, bob: Trader) -> None:
        body = alice.placed()
        bob.placed(side="sell", quantity="0.06")

        amended = amend(alice, body["id"], quantity="0.06").json()

        assert (amended["status"], amended["reason"]) == ("cancelled", "amended_to_nothing")
        assert amended["filled_quantity"] == "0.06000"
        assert alice.balances()["USDT spot"][1] == "0.00000000"


SHAPE_REFUSALS: list[tuple[str, dict[str, Any], str, dict[str, str]]] = [
    (
        "nothing",
        {},
        "VALIDATION_ERROR",
        {"quantity": "REQUIRED", "price": "REQUIRED", "trigger_price": "REQUIRED"},
    ),
    ("side", {"side": "sell"}, "UNKNOWN_FIELD", {"side": "UNKNOWN_FIELD"}),
    ("order id", {"order_id": "1", "price": "1"}, "UNKNOWN_FIELD", {"order_id": "UNKNOWN_FIELD"}),
    ("number", {"price": 1}, "VALIDATION_ERROR", {"price": "INVALID_DECIMAL"}),
    ("zero", {"quantity": "0"}, "VALIDATION_ERROR", {"quantity": "OUT_OF_RANGE"}),
    ("sign", {"trigger_price": "-1"}, "VALIDATION_ERROR", {"trigger_price": "INVALID_DECIMAL"}),
]

# Case, what is placed (beside bob's sell at 51,000), what is asked for, code.
RULE_REFUSALS: list[tuple[str, dict[str, Any], dict[str, str], str]] = [
    ("the same", {}, {"quantity": "0.1", "price": "50000"}, "AMEND_NO_CHANGE"),
    ("price of a stop", STOP, {"price": "48000"}, "AMEND_NOT_POSSIBLE"),
    ("trigger of a limit", {}, {"trigger_price": "48000"}, "AMEND_NOT_POSSIBLE"),
    (
        "trigger reached",
        {**STOP, "trigger_by": "index"},
        {"trigger_price": "50000"},
        "TRIGGER_WOULD_FIRE",
    ),
    ("trigger off the tick", STOP, {"trigger_price": "48000.001"}, "INVALID_TRIGGER_PRICE"),
    ("lot", {}, {"quantity": "0.100001"}, "LOT_SIZE"),
    ("tick", {}, {"price": "50000.001"}, "TICK_SIZE"),
    ("too large", {}, {"quantity": "1001"}, "QUANTITY_TOO_LARGE"),
    ("too little", {}, {"quantity": "0.00001"}, "MIN_NOTIONAL"),
    ("too much", {}, {"quantity": "0.1", "price": "9999999999"}, "INSUFFICIENT_BALANCE"),
    ("not the money", {}, {"quantity": "50"}, "INSUFFICIENT_BALANCE"),
    ("post-only crosses", {"post_only": True}, {"price": "51000"}, "POST_ONLY_WOULD_CROSS"),
    (
        "parts of an iceberg",
        {"display_quantity": "0.01"},
        {"quantity": "1.1"},
        "ICEBERG_PARTS",
    ),
]


class TestRefusals:
    @pytest.mark.parametrize(
        ("_case", "body", "code", "fields"), SHAPE_REFUSALS, ids=[row[0] for row in SHAPE_REFUSALS]
    )
    def test_a_wrong_shape_never_reaches_the_exchange(
        self,
        exchange: ExchangeHarness,
        alice: Trader,
        _case: str,
        body: dict[str, Any],
        code: str,
        fields: dict[str, str],
    ) -> None:
        placed = alice.placed()
        commands = exchange.exchange.sequences.command

        answer = amend(alice, placed["id"], **body)

        assert (answer.status_code, error_code(answer)) == (400, code)
        assert answer.json()["error"]["fields"] == fields
        assert exchange.exchange.sequences.command == commands

    @pytest.mark.parametrize(
        ("_case", "placed", "body", "code"), RULE_REFUSALS, ids=[row[0] for row in RULE_REFUSALS]
    )
    def test_a_refused_amendment_leaves_the_order_as_it_was(
        self,
        exchange: ExchangeHarness,
        alice: Trader,
        bob: Trader,
        _case: str,
        placed: dict[str, Any],
        body: dict[str, str],
        code: str,
    ) -> None:
        bob.placed(side="sell", price="51000")
        order = alice.placed(**placed)
        rows = alice.api.get(f"/api/orders/{order['id']}").json()
        before = money_of(exchange)

        answer = amend(alice, order["id"], **body)

        assert (answer.status_code, error_code(answer)) == (422, code)
        assert money_of(exchange) == before
        assert alice.api.get(f"/api/orders/{order['id']}").json() == rows

    def test_an_order_that_ended_is_not_open(self, alice: Trader) -> None:
        body = alice.placed()
        alice.api.delete(f"/api/orders/{body['id']}")

        answer = amend(alice, body["id"], price="49000")

        assert (answer.status_code, error_code(answer)) == (422, "ORDER_NOT_OPEN")

    @pytest.mark.parametrize("path", ["999", "0", "x", "-1", "by-client-id/nobody"])
    def test_what_is_missing_is_not_found(
        self, exchange: ExchangeHarness, alice: Trader, path: str
    ) -> None:
        before = money_of(exchange)

        answer = alice.api.put(f"/api/orders/{path}", {"price": "49000"})

        assert (answer.status_code, error_code(answer)) == (404, "NOT_FOUND")
        assert money_of(exchange) == before

    def test_another_s_order_looks_like_none(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader
    ) -> None:
        body = alice.placed(client_order_id="mine")
        before = money_of(exchange)

        answers = [
            bob.api.put(f"/api/orders/{path}", {"price": "49000"}).json()["error"]
            for path in (body["id"], "by-client-id/mine", "999")
        ]

        assert {error["code"] for error in answers} == {"NOT_FOUND"}
        assert len({error["message"] for error in answers}) == 1
        assert money_of(exchange) == before

    @pytest.mark.parametrize(
        ("status", "code"),
        [(MarketStatus.HALTED, "MARKET_HALTED"), (MarketStatus.CANCEL_ONLY, "MARKET_CANCEL_ONLY")],
    )
    def test_a_closed_market_takes_less_quantity_only(
        self, exchange: ExchangeHarness, alice: Trader, status: MarketStatus, code: str
    ) -> None:
        body = alice.placed()
        exchange.configure(SetMarketStatus(BTC_USDT, status))
        before = money_of(exchange)

        refused = amend(alice, body["id"], price="49000")

        assert (refused.status_code, error_code(refused)) == (422, code)
        assert money_of(exchange) == before
        assert amend(alice, body["id"], quantity="0.05").status_code == 200

    def test_a_suspended_account_may_not(self, exchange: ExchangeHarness, alice: Trader) -> None:
        body = alice.placed()
        exchange.configure(ConfigureAccount(alice.account_id, status=AccountStatus.SUSPENDED))

        answer = amend(alice, body["id"], price="49000")

        assert (answer.status_code, error_code(answer)) == (422, "ACCOUNT_SUSPENDED")

    def test_nobody_amends_without_a_login(self, exchange: ExchangeHarness, alice: Trader) -> None:
        body = alice.placed()
        before = money_of(exchange)

        answer = ApiClient().put(f"/api/orders/{body['id']}", {"price": "49000"})

        assert (answer.status_code, error_code(answer)) == (401, "NOT_AUTHENTICATED")
        assert money_of(exchange) == before

    def test_amendments_count_as_orders(self, exchange: ExchangeHarness, alice: Trader) -> None:
        body = alice.placed()
        User.objects.filter(username="alice").update(limit_tier="trader")
        reset_process()

        items = [{"order_id": body["id"], "price": "49000"}] * 11
        answer = alice.api.put("/api/orders/batch", {"orders": items})

        assert (answer.status_code, error_code(answer)) == (429, "ORDER_RATE")
        assert alice.api.get(f"/api/orders/{body['id']}").json()["price"] == "50000.00"


class TestBatch:
    def test_each_has_its_own_result(self, alice: Trader, bob: Trader) -> None:
        first = alice.placed(price="49000")
        alice.placed(price="48000", client_order_id="second")
        other = bob.placed(price="47000")
        ended = alice.placed(price="46000")
        alice.api.delete(f"/api/orders/{ended['id']}")

        answer = alice.api.put(
            "/api/orders/batch",
            {
                "orders": [
                    {"order_id": first["id"], "price": "49500"},
                    {"client_order_id": "second", "quantity": "0.2"},
                    {"order_id": other["id"], "price": "1"},
                    {"order_id": ended["id"], "price": "45000"},
                    {"order_id": first["id"], "price": "49500.001"},
                    {"price": "45000"},
                    {"order_id": first["id"], "client_order_id": "second", "price": "1"},
                    {"order_id": first["id"]},
                ]
            },
        )

        results = answer.json()["results"]
        assert answer.status_code == 200
        assert [result["status"] for result in results] == [200, 200, 404, 422, 422, 400, 400, 400]
        assert results[0]["order"]["price"] == "49500.00"
        assert results[1]["order"]["quantity"] == "0.20000"
        assert [result["error"]["code"] for result in results[2:5]] == [
            "NOT_FOUND",
            "ORDER_NOT_OPEN",
            "TICK_SIZE",
        ]
        assert [result["error"]["fields"] for result in results[5:]] == [
            {"order_id": "REQUIRED"},
            {"order_id": "CONFLICT"},
            {"quantity": "REQUIRED", "price": "REQUIRED", "trigger_price": "REQUIRED"},
        ]
        assert bob.api.get(f"/api/orders/{other['id']}").json()["price"] == "47000.00"

    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ({}, {"orders": "REQUIRED"}),
            ({"orders": []}, {"orders": "BLANK"}),
            ({"orders": [5]}, {"orders": "INVALID"}),
            ({"orders": [{"order_id": "1", "price": "1"}] * 41}, {"orders": "TOO_LONG"}),
        ],
        ids=["missing", "empty", "numbers", "41"],
    )
    def test_a_list_of_wrong_shape_is_refused_whole(
        self, exchange: ExchangeHarness, alice: Trader, body: dict[str, Any], fields: dict[str, str]
    ) -> None:
        answer = alice.api.put("/api/orders/batch", body)

        assert (answer.status_code, answer.json()["error"]["fields"]) == (400, fields)
