"""Money in the back-office: seen by those who may, changed by nobody."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from tests.support.exchange import ExchangeHarness
from tests.support.trading import Trader

pytestmark = pytest.mark.integration

PATHS = ["orders/order", "orders/trade", "wallets/balance", "wallets/ledgerentry"]


@pytest.fixture
def office(exchange: ExchangeHarness, alice: Trader, bob: Trader) -> Client:
    """A browser logged in as an admin, beside an exchange with a trade."""
    alice.placed(side="sell", quantity="0.1")
    bob.placed(quantity="0.1")
    alice.placed(price="12345.67", quantity="0.1")
    User.objects.filter(username="alice").update(role="admin")
    client = Client()
    client.force_login(User.objects.get(username="alice"))
    return client


class TestBackOffice:
    @pytest.mark.parametrize("path", PATHS)
    def test_lists_are_shown_and_nothing_can_be_changed(self, office: Client, path: str) -> None:
        answer = office.get(f"/admin/{path}/")

        assert answer.status_code == 200
        assert office.get(f"/admin/{path}/add/").status_code == 403
        assert office.get(f"/admin/{path}/1/change/").status_code == 200
        assert office.post(f"/admin/{path}/1/change/", {}).status_code == 403
        assert office.post(f"/admin/{path}/1/delete/", {"post": "yes"}).status_code == 403

    def test_amounts_are_readable(self, office: Client) -> None:
        page = office.get("/admin/orders/order/").content.decode()

        assert "12345.67" in page
        assert "0.10000" in page
        assert "1234567000000" not in page

    def test_open_orders_only(self, office: Client) -> None:
        answer = office.get("/admin/orders/order/?open=1")

        assert [order.is_open for order in answer.context["cl"].result_list] == [1]

    @pytest.mark.parametrize("path", PATHS)
    def test_an_account_is_found(self, office: Client, bob: Trader, path: str) -> None:
        answer = office.get(f"/admin/{path}/?q={bob.account_id}")

        assert answer.status_code == 200
        assert str(bob.account_id) in answer.content.decode()

    def test_terms_of_special_orders_are_shown_and_found(
        self, office: Client, exchange: ExchangeHarness, bob: Trader
    ) -> None:
        stop = bob.placed(side="sell", type="stop_loss", price=None, trigger_price="49123.45")
        trailing = {"type": "trailing_stop", "callback_rate": "0.02", "trigger_by": "index"}
        group = bob.api.post(
            "/api/orders/oco",
            {
                "symbol": "BTC-USDT",
                "side": "sell",
                "quantity": "0.1",
                "take_profit": {"type": "limit", "price": "52000"},
                "stop_loss": trailing,
            },
        ).json()

        page = office.get("/admin/orders/orderterms/?open=1").content.decode()
        one = office.get(f"/admin/orders/orderterms/?q={stop['id']}")
        both = office.get(f"/admin/orders/orderterms/?q={group['group_id']}")

        assert "49123.45" in page
        assert "0.02" in page
        assert f"{group['group_id']} (oco)" in page
        assert [row.id for row in one.context["cl"].result_list] == [int(stop["id"])]
        assert {row.id for row in both.context["cl"].result_list} == {
            int(order["id"]) for order in group["orders"]
        }
        path = f"/admin/orders/orderterms/{stop['id']}"
        assert office.get("/admin/orders/orderterms/add/").status_code == 403
        assert office.get(f"{path}/change/").status_code == 200
        assert office.post(f"{path}/change/", {}).status_code == 403
        assert office.post(f"{path}/delete/", {"post": "yes"}).status_code == 403

    @pytest.mark.parametrize("path", ["orders/order", "orders/trade", "wallets/ledgerentry"])
    def test_a_search_for_no_number_finds_nothing(self, office: Client, path: str) -> None:
        answer = office.get(f"/admin/{path}/?q=x' OR 1=1")

        assert answer.status_code == 200
        assert answer.context["cl"].result_count == 0

    @pytest.mark.parametrize(("role", "status"), [("trader", 302), ("support", 200)])
    def test_only_staff_look(self, office: Client, bob: Trader, role: str, status: Any) -> None:
        User.objects.filter(username="bob").update(role=role)
        client = Client()
        client.force_login(User.objects.get(username="bob"))

        assert client.get("/admin/orders/order/").status_code == status
