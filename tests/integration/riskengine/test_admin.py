"""Positions and risk in the back-office, and margin calls over REST."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from common.jobs import take_period
from exchange.core.commands import MoveInsurance
from exchange.core.enums import MarginMode
from exchange.core.units import ATOMS
from riskengine import schema
from riskengine.models import Price
from riskengine.sweep import Sweep
from tests.support.exchange import USDT
from tests.support.margin import SYMBOL, MarginHarness
from tests.support.redis_server import redis_client, redis_url
from tests.support.trading import Trader

__all__ = ["redis_client", "redis_url"]

pytestmark = pytest.mark.integration

PATHS = [
    "positions/position",
    "positions/closedposition",
    "positions/fundingpayment",
    "riskengine/contract",
    "riskengine/insurance",
    "riskengine/price",
    "riskengine/funding",
    "riskengine/liquidation",
    "riskengine/margincall",
]


@pytest.fixture
def near(exchange: MarginHarness, alice: Trader, bob: Trader) -> MarginHarness:
    """Funding, a takeover, a closed position; Alice is isolated and at 80 % of the way."""
    for trader in (alice, bob):
        exchange.margin(trader.account_id)
    exchange.set_up(alice.account_id, 100, MarginMode.ISOLATED)
    exchange.trade(alice.account_id, bob.account_id, "0.1")
    due_ms = Price.objects.get().next_funding_ms
    exchange.mark(60_000, after_ms=due_ms - exchange.clock())
    exchange.mark(59_500)
    exchange.trade(alice.account_id, bob.account_id, "0.5", 59_500)
    # 297.5 of margin; maintenance is 0.4 %.
    exchange.mark(59_190)
    sweep = Sweep(submit=exchange.apply)
    sweep.load()
    sweep.turn(time_ms=exchange.clock())
    return exchange


class TestBackOffice:
    def test_every_list_is_shown_and_nothing_can_be_changed(
        self, near: MarginHarness, alice: Trader
    ) -> None:
        User.objects.filter(username="alice").update(role="admin")
        client = Client()
        client.force_login(User.objects.get(username="alice"))

        for path in PATHS:
            answer = client.get(f"/admin/{path}/")
            assert answer.status_code == 200, path
            assert answer.context["cl"].result_count, path
            assert client.get(f"/admin/{path}/add/").status_code == 403

        page = client.get("/admin/positions/position/").content.decode()
        assert SYMBOL in page
        # Its margin ratio, and how far it is to liquidation.
        assert "isolated 100x" in page
        assert "80." in page
        assert " %" in page

    def test_the_insurance_fund_and_its_history_are_shown(
        self, near: MarginHarness, alice: Trader
    ) -> None:
        User.objects.filter(username="alice").update(role="auditor")
        client = Client()
        client.force_login(User.objects.get(username="alice"))
        before = client.get(reverse("section-insurance")).context["tables"]
        (group,) = before[0].rows

        near.apply(MoveInsurance(1, USDT, 5 * ATOMS, "seed", "olivia"))

        groups, history = client.get(reverse("section-insurance")).context["tables"]
        assert groups.rows[0]["balance"] != group["balance"]
        assert len(history.rows) == len(before[1].rows) + 1
        assert history.rows[0]["amount"] == "5.00000000"
        for query in ({"group": "9"}, {"group": "x"}, {"from": "x"}):
            assert client.get(reverse("section-insurance"), query).status_code == 404


class TestMarginCalls:
    def test_an_account_sees_its_own(self, near: MarginHarness, alice: Trader, bob: Trader) -> None:
        (call,) = alice.api.get("/api/risk/margin-calls").json()["items"]

        assert list(call) == list(schema.CALL_PROPERTIES)
        assert (call["margin_mode"], call["symbol"], call["level"]) == (
            "isolated", SYMBOL, "0.8000",
        )  # fmt: skip
        assert bob.api.get("/api/risk/margin-calls").json()["items"] == []


class TestSingleFlight:
    def test_one_run_of_a_period_works(self, redis_client: object) -> None:
        assert take_period("test", 7, period_ms=1_000)
        assert not take_period("test", 7, period_ms=1_000)
        assert take_period("test", 8, period_ms=1_000)
        assert take_period("other", 8, period_ms=1_000)
