"""Cancelling one order, several, or all."""

from typing import Any

import pytest

from common.testing import error_code
from tests.support.exchange import BTC_USDT, ExchangeHarness
from tests.support.trading import Trader, money_of

pytestmark = pytest.mark.integration


def without_request_id(answer: Any) -> Any:
    error = dict(answer.json()["error"])
    del error["request_id"]
    return {"error": error}


class TestCancelOne:
    def test_an_open_order_ends_and_its_hold_is_released(
        self, exchange: ExchangeHarness, alice: Trader
    ) -> None:
        order = alice.placed()

        answer = alice.api.delete(f"/api/orders/{order['id']}")

        body = answer.json()
        assert answer.status_code == 200
        assert (body["id"], body["status"], body["reason"]) == (
            order["id"],
            "cancelled",
            "user_cancelled",
        )
        assert alice.balances()["USDT spot"] == ("1000000.00000000", "0.00000000")
        assert exchange.exchange.book_levels(BTC_USDT) == ([], [])

    def test_by_client_id(self, alice: Trader) -> None:
        order = alice.placed(client_order_id="mine")

        answer = alice.api.delete("/api/orders/by-client-id/mine")

        assert answer.status_code == 200
        assert (answer.json()["id"], answer.json()["status"]) == (order["id"], "cancelled")

    @pytest.mark.parametrize("path", ["/api/orders/1", "/api/orders/by-client-id/mine"])
    def test_an_own_order_that_ended_says_so(
        self, exchange: ExchangeHarness, alice: Trader, path: str
    ) -> None:
        alice.placed(client_order_id="mine")
        alice.api.delete("/api/orders/1")
        before = money_of(exchange)

        answer = alice.api.delete(path)

        assert (answer.status_code, error_code(answer)) == (422, "ORDER_NOT_OPEN")
        assert money_of(exchange) == before

    @pytest.mark.parametrize("method", ["get", "delete"])
    def test_anothers_order_looks_like_none(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader, method: str
    ) -> None:
        order = alice.placed(client_order_id="mine")
        before = money_of(exchange)
        send = getattr(bob.api, method)

        anothers = send(f"/api/orders/{order['id']}")
        missing = send("/api/orders/999999")
        anothers_client_id = send("/api/orders/by-client-id/mine")
        missing_client_id = send("/api/orders/by-client-id/other")
        no_id = send("/api/orders/abc")

        answers = [anothers, missing, anothers_client_id, missing_client_id, no_id]
        assert {answer.status_code for answer in answers} == {404}
        assert without_request_id(anothers) == {
            "error": {"code": "NOT_FOUND", "message": "There is no such object."}
        }
        assert all(without_request_id(answer) == without_request_id(missing) for answer in answers)
        assert money_of(exchange) == before

    @pytest.mark.parametrize(
        "order_id", ["0", "-1", "01", "1.0", "9223372036854775808", "1e3", "%20", "a" * 300]
    )
    def test_what_is_no_id_is_not_found(self, alice: Trader, order_id: str) -> None:
        answer = alice.api.delete(f"/api/orders/{order_id}")

        assert (answer.status_code, error_code(answer)) == (404, "NOT_FOUND")


class TestCancelAll:
    def test_everything_of_the_account_and_nothing_else(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader
    ) -> None:
        alice.placed(price="40000")
        alice.placed(symbol="ETH-USDT", price="2000")
        theirs = bob.placed(price="40000")

        answer = alice.api.delete("/api/orders")

        body = answer.json()
        assert answer.status_code == 200
        assert [order["status"] for order in body["orders"]] == ["cancelled", "cancelled"]
        assert body["complete"] is True
        assert [order.order_id for order in exchange.exchange.image().orders] == [int(theirs["id"])]

    def test_one_market(self, exchange: ExchangeHarness, alice: Trader) -> None:
        alice.placed(price="40000")
        left = alice.placed(symbol="ETH-USDT", price="2000")

        answer = alice.api.delete("/api/orders?symbol=BTC/USDT")

        assert [order["symbol"] for order in answer.json()["orders"]] == ["BTC-USDT"]
        assert [order.order_id for order in exchange.exchange.image().orders] == [int(left["id"])]

    @pytest.mark.parametrize(
        ("query", "status", "code"),
        [
            ("symbol=XYZ", 404, "MARKET_NOT_FOUND"),
            ("market=BTC-USDT", 400, "INVALID_PARAMETER"),
            ("symbol=BTC-USDT&symbol=ETH-USDT", 400, "INVALID_PARAMETER"),
            ("symbol[]=BTC-USDT", 400, "INVALID_PARAMETER"),
            ("symbol=", 400, "INVALID_PARAMETER"),
        ],
    )
    def test_a_query_it_does_not_understand_cancels_nothing(
        self, exchange: ExchangeHarness, alice: Trader, query: str, status: int, code: str
    ) -> None:
        alice.placed()
        before = money_of(exchange)

        answer = alice.api.delete(f"/api/orders?{query}")

        assert (answer.status_code, error_code(answer)) == (status, code)
        assert money_of(exchange) == before


class TestBatch:
    ORDER = {
        "symbol": "BTC-USDT",
        "side": "buy",
        "type": "limit",
        "quantity": "0.1",
        "price": "40000",
    }

    def test_each_order_has_its_own_result_in_order(self, alice: Trader) -> None:
        orders = [
            self.ORDER,
            {**self.ORDER, "price": "x"},
            {**self.ORDER, "quantity": "1000"},
            {**self.ORDER, "client_order_id": "twice"},
            {**self.ORDER, "client_order_id": "twice"},
            {**self.ORDER, "symbol": "NO-SUCH"},
        ]

        answer = alice.api.post("/api/orders/batch", {"orders": orders})

        results = answer.json()["results"]
        assert answer.status_code == 200
        assert [result["status"] for result in results] == [201, 400, 422, 201, 200, 404]
        assert results[1]["error"]["fields"] == {"price": "INVALID_DECIMAL"}
        assert results[2]["error"]["code"] == "INSUFFICIENT_BALANCE"
        assert results[3]["order"]["id"] == results[4]["order"]["id"]
        assert results[5]["error"]["code"] == "MARKET_NOT_FOUND"

    def test_cancels_have_their_own_results_too(self, alice: Trader, bob: Trader) -> None:
        first = alice.placed(price="40000")
        alice.placed(price="40000", client_order_id="second")
        theirs = bob.placed(price="40000")
        ended = alice.placed(price="40000", time_in_force="ioc")

        answer = alice.api.delete(
            "/api/orders/batch",
            {
                "orders": [
                    {"order_id": first["id"]},
                    {"client_order_id": "second"},
                    {"order_id": theirs["id"]},
                    {"order_id": ended["id"]},
                    {"order_id": "abc"},
                    {},
                    {"order_id": "1", "client_order_id": "second"},
                    {"order_id": "1", "symbol": "BTC-USDT"},
                ]
            },
        )

        results = answer.json()["results"]
        found = [(row["status"], row.get("error", {}).get("code")) for row in results]
        assert found == [
            (200, None),
            (200, None),
            (404, "NOT_FOUND"),
            (422, "ORDER_NOT_OPEN"),
            (400, "VALIDATION_ERROR"),
            (400, "VALIDATION_ERROR"),
            (400, "VALIDATION_ERROR"),
            (400, "UNKNOWN_FIELD"),
        ]
        assert bob.api.get(f"/api/orders/{theirs['id']}").json()["status"] == "open"

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, "VALIDATION_ERROR"),
            ({"orders": []}, "VALIDATION_ERROR"),
            ({"orders": {}}, "VALIDATION_ERROR"),
            ({"orders": ["x"]}, "VALIDATION_ERROR"),
            ({"orders": [ORDER] * 41}, "VALIDATION_ERROR"),
            ({"orders": [ORDER], "user": 1}, "UNKNOWN_FIELD"),
        ],
    )
    @pytest.mark.parametrize("method", ["post", "delete"])
    def test_a_wrong_list_is_refused_whole(
        self, exchange: ExchangeHarness, alice: Trader, method: str, body: Any, code: str
    ) -> None:
        before = money_of(exchange)

        answer = getattr(alice.api, method)("/api/orders/batch", body)

        assert (answer.status_code, error_code(answer)) == (400, code)
        assert money_of(exchange) == before

    def test_forty_are_taken(self, exchange: ExchangeHarness, alice: Trader) -> None:
        answer = alice.api.post("/api/orders/batch", {"orders": [self.ORDER] * 40})

        assert [row["status"] for row in answer.json()["results"]] == [201] * 40
        assert len(exchange.exchange.image().orders) == 40
