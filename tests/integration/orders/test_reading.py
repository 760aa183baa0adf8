"""Open orders, history, one order, fills: owner-scoped, paged, complete."""

from typing import Any

import pytest

from common.testing import ApiClient, error_code
from exchange.core.commands import ConfigureAccount
from orders import selectors
from orders.models import Order
from tests.support.exchange import ExchangeHarness
from tests.support.trading import Trader

pytestmark = pytest.mark.integration


def all_pages(api: ApiClient, path: str, *, limit: int) -> list[list[Any]]:
    """Return the items of every page, following the cursors."""
    pages = []
    cursor = ""
    joiner = "&" if "?" in path else "?"
    while True:
        suffix = f"{joiner}limit={limit}" + (f"&cursor={cursor}" if cursor else "")
        answer = api.get(path + suffix)
        assert answer.status_code == 200, answer.content
        body = answer.json()
        pages.append(body["items"])
        cursor = body["next_cursor"]
        if cursor is None:
            return pages


class TestOpenOrders:
    def test_own_open_orders_newest_first(self, alice: Trader, bob: Trader) -> None:
        first = alice.placed(price="40000")
        ended = alice.placed(price="40000")
        alice.api.delete(f"/api/orders/{ended['id']}")
        bob.placed(price="40000")
        last = alice.placed(symbol="ETH-USDT", price="2000")

        body = alice.api.get("/api/orders").json()

        assert [order["id"] for order in body["items"]] == [last["id"], first["id"]]
        assert body["next_cursor"] is None
        assert "stale" not in body

    def test_pages_join_without_gap_or_repetition(self, alice: Trader) -> None:
        placed = [alice.placed(price="40000", quantity="0.001")["id"] for _ in range(7)]

        pages = all_pages(alice.api, "/api/orders", limit=3)

        assert [len(page) for page in pages] == [3, 3, 1]
        assert [order["id"] for page in pages for order in page] == placed[::-1]

    def test_one_market(self, alice: Trader) -> None:
        alice.placed(price="40000")
        wanted = alice.placed(symbol="ETH-USDT", price="2000")

        body = alice.api.get("/api/orders?symbol=ETHUSDT").json()

        assert [order["id"] for order in body["items"]] == [wanted["id"]]


class TestHistory:
    def test_finished_orders_newest_first(self, alice: Trader, bob: Trader) -> None:
        cancelled = alice.placed(price="40000")
        alice.api.delete(f"/api/orders/{cancelled['id']}")
        alice.placed(price="40000")
        filled = alice.placed(side="sell")
        bob.placed()

        body = alice.api.get("/api/orders/history").json()

        found = [(order["id"], order["status"]) for order in body["items"]]
        assert found == [(filled["id"], "filled"), (cancelled["id"], "cancelled")]

    def test_pages_join_and_skip_what_is_open(self, alice: Trader) -> None:
        ended = []
        for number in range(9):
            order = alice.placed(price="40000", quantity="0.001")
            if number % 2 == 0:
                alice.api.delete(f"/api/orders/{order['id']}")
                ended.append(order["id"])

        pages = all_pages(alice.api, "/api/orders/history", limit=2)

        assert [order["id"] for page in pages for order in page] == ended[::-1]

    def test_a_page_reads_a_bounded_number_of_rows(
        self, alice: Trader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wanted = alice.placed(symbol="ETH-USDT", price="2000", time_in_force="ioc")
        for _ in range(5):
            alice.placed(price="40000", time_in_force="ioc")
        monkeypatch.setattr(selectors, "SCAN_ROWS_MAX", 3)

        pages = all_pages(alice.api, "/api/orders/history?symbol=ETH-USDT", limit=10)

        assert [[order["id"] for order in page] for page in pages] == [[], [wanted["id"]]]

    def test_a_cursor_whose_order_is_gone_goes_on_behind_it(self, alice: Trader) -> None:
        ids = [alice.placed(price="40000", time_in_force="ioc")["id"] for _ in range(5)]
        cursor = alice.api.get("/api/orders/history?limit=2").json()["next_cursor"]
        Order.objects.filter(id=ids[3]).update(previous_id=ids[1])
        Order.objects.filter(id=ids[2]).delete()

        body = alice.api.get(f"/api/orders/history?limit=2&cursor={cursor}").json()

        assert [order["id"] for order in body["items"]] == [ids[1], ids[0]]

    @pytest.mark.parametrize(
        "query",
        [
            "limit=0",
            "limit=501",
            "limit=x",
            "cursor=!!",
            "cursor=AAAA",
            "status=filled",
            "limit=1&limit=2",
            "symbol%5B%5D=BTC-USDT",
        ],
    )
    @pytest.mark.parametrize("path", ["/api/orders", "/api/orders/history", "/api/fills"])
    def test_an_unknown_or_malformed_parameter_is_refused(
        self, alice: Trader, path: str, query: str
    ) -> None:
        answer = alice.api.get(f"{path}?{query}")

        assert (answer.status_code, error_code(answer)) == (400, "INVALID_PARAMETER")


class TestOneOrder:
    def test_its_life_as_its_owner_sees_it(self, alice: Trader, bob: Trader) -> None:
        maker = alice.placed(side="sell", quantity="0.3", client_order_id="mine")
        bob.placed(quantity="0.1")
        bob.placed(quantity="0.2")

        by_number = alice.api.get(f"/api/orders/{maker['id']}").json()
        by_client_id = alice.api.get("/api/orders/by-client-id/mine").json()

        assert by_number == by_client_id
        assert (by_number["status"], by_number["fee"]) == ("filled", "15.00000000")
        fills = [(fill["trade_id"], fill["role"], fill["side"]) for fill in by_number["fills"]]
        assert fills == [("2", "maker", "sell"), ("1", "maker", "sell")]
        assert by_number["fills_next_cursor"] is None

    def test_a_client_id_is_found_before_and_after_it_is_in_its_table(
        self, exchange: ExchangeHarness, alice: Trader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        order = alice.placed(client_order_id="mine")
        before = alice.api.get("/api/orders/by-client-id/mine").json()
        monkeypatch.setattr("exchange.client_ids.MERGE_AFTER_S", 0)
        exchange.processor.merge_client_ids(idle=True)
        # Were it looked for in the account's orders, it would no longer be found.
        Order.objects.filter(id=order["id"]).update(client_order_id="moved")

        after = alice.api.get("/api/orders/by-client-id/mine").json()

        assert before["id"] == after["id"] == order["id"]


class TestFills:
    def test_both_sides_see_the_same_trade_from_their_own_side(
        self, alice: Trader, bob: Trader
    ) -> None:
        maker = alice.placed(side="sell")
        taker = bob.placed()

        (sold,) = alice.api.get("/api/fills").json()["items"]
        (bought,) = bob.api.get("/api/fills").json()["items"]

        assert sold["trade_id"] == bought["trade_id"]
        assert (sold["order_id"], sold["role"], sold["side"]) == (maker["id"], "maker", "sell")
        assert (bought["order_id"], bought["role"], bought["side"]) == (taker["id"], "taker", "buy")
        assert sold["executed_at"] == bought["executed_at"] == taker["updated_at"]
        assert bought in taker["fills"]

    def test_pages_filters_and_other_entries_between(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader
    ) -> None:
        exchange.configure(ConfigureAccount(alice.account_id, open_orders_max=500))
        maker = alice.placed(side="sell", quantity="1")
        for _ in range(5):
            bob.placed(quantity="0.1")
            alice.api.post(
                "/api/wallet/transfer",
                {"currency": "USDT", "amount": "1", "to_wallet": "margin"},
            )
        alice.placed(symbol="ETH-USDT", side="sell", price="3000")
        bob.placed(symbol="ETH-USDT", price="3000")

        everything = all_pages(alice.api, "/api/fills", limit=4)
        bitcoin = all_pages(alice.api, "/api/fills?symbol=BTC-USDT", limit=4)
        of_order = all_pages(alice.api, f"/api/fills?order_id={maker['id']}", limit=2)

        assert [fill["trade_id"] for page in everything for fill in page] == list("654321")
        assert [fill["trade_id"] for page in bitcoin for fill in page] == list("54321")
        assert [fill["trade_id"] for page in of_order for fill in page] == list("54321")
        assert [len(page) for page in of_order if page] == [2, 2, 1]

    def test_the_fills_of_anothers_order_are_not_found(self, alice: Trader, bob: Trader) -> None:
        order = alice.placed(side="sell")
        bob.placed()

        answer = bob.api.get(f"/api/fills?order_id={order['id']}")

        assert (answer.status_code, error_code(answer)) == (404, "NOT_FOUND")


class TestWithoutLogin:
    @pytest.mark.parametrize(
        "path",
        ["/api/orders", "/api/orders/history", "/api/orders/1", "/api/fills", "/api/wallet"],
    )
    def test_nothing_is_shown(self, exchange: ExchangeHarness, path: str) -> None:
        answer = ApiClient().get(path)

        assert (answer.status_code, error_code(answer)) == (401, "NOT_AUTHENTICATED")
