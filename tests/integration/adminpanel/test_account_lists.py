"""What the lists say of one account: all its fills, coloured states, funding by slot."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from exchange.core.units import ATOMS
from orders.admin import TradeAdmin
from positions import selectors
from riskengine.models import Price
from tests.support.margin import MarginHarness, exchange
from tests.support.redis_server import redis_client, redis_url
from tests.support.trading import Trader, alice, bob

__all__ = ["alice", "bob", "exchange", "redis_client", "redis_url"]

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("redis_client")]


@pytest.fixture
def office(exchange: MarginHarness, alice: Trader) -> Client:
    User.objects.filter(username="alice").update(role="admin")
    client = Client()
    client.force_login(User.objects.get(username="alice"))
    return client


def test_a_search_pages_through_all_fills_of_an_account(
    office: Client, alice: Trader, bob: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TradeAdmin, "list_per_page", 3)
    # All of one millisecond: pages must not lose what has the same time.
    for _ in range(4):
        alice.placed(side="sell", quantity="0.01")
        bob.placed(quantity="0.01")
        bob.placed(side="sell", quantity="0.01")
        alice.placed(quantity="0.01")
    seen: list[int] = []
    address: Any = f"/admin/orders/trade/?q={bob.account_id}"

    while address:
        shown = office.get(address).context["cl"]
        seen += [trade.id for trade in shown.result_list]
        assert len(shown.result_list) <= 3
        address = shown.older_url and f"/admin/orders/trade/{shown.older_url}"

    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen)) == 8


def test_a_page_before_a_trade_that_is_not_there_is_empty(office: Client, bob: Trader) -> None:
    shown = office.get(f"/admin/orders/trade/?q={bob.account_id}&before=999").context["cl"]

    assert list(shown.result_list) == []


def test_the_state_of_an_order_has_its_colour(office: Client, alice: Trader, bob: Trader) -> None:
    alice.placed(side="sell", quantity="0.01")
    bob.placed(quantity="0.01")
    bob.placed(price="12345.67", quantity="0.01")
    bob.api.delete("/api/orders")
    text = office.get("/admin/orders/order/").content.decode()
    cells = re.findall(
        r'field-status_name[^>]*>\s*<span class="([^"]*)"[^>]*>\s*([^<]*?)\s*<', text
    )

    colours = {words: "green" in classes for classes, words in cells}
    assert colours == {"filled": True, "cancelled: user cancelled": False}


def test_funding_is_added_up_by_slot(
    office: Client,
    exchange: MarginHarness,
    alice: Trader,
    bob: Trader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for trader in (alice, bob):
        exchange.margin(trader.account_id)
    exchange.set_up(alice.account_id, 20)
    paid = []
    for _ in range(3):
        exchange.trade(alice.account_id, bob.account_id, "0.5")
        due_ms = Price.objects.get().next_funding_ms
        exchange.mark(60_000, after_ms=due_ms - exchange.clock())
        paid.append(alice.api.get("/api/positions/funding?limit=1").json()["items"][0]["amount"])
        exchange.trade(bob.account_id, alice.account_id, "0.5")
    exchange.trade(alice.account_id, bob.account_id, "0.5")
    (total,) = selectors.funding_sums(alice.account_id)
    monkeypatch.setattr(selectors, "FUNDING_SUMMED_MAX", 2)
    (part,) = selectors.funding_sums(alice.account_id)
    user = User.objects.get(username="alice")
    tab = office.get(f"/admin/accounts/user/{user.pk}/tab/funding/")

    assert len(set(paid)) == 1
    assert paid[0].startswith("-")
    one = int(Decimal(paid[0]) * ATOMS)
    assert (total.open_atoms, total.closed_atoms, total.closed_count) == (0, 3 * one, 3)
    assert total.is_whole
    assert (part.closed_atoms, part.closed_count, part.is_whole) == (2 * one, 2, False)
    sums, payments = tab.context["tables"]
    assert sums.rows[0]["positions"] == "latest 2"
    assert len(payments.rows) == 3
