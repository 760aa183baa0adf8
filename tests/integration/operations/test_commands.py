"""The same operations from a shell, and the way back in for staff."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from accounts.enums import Role
from accounts.models import TwoFactor, User
from common.testing import ApiClient
from exchange.models import Quarantine
from markets import selectors
from tests.support.exchange import asset
from tests.support.margin import MarginHarness
from tests.support.staff import Staff, audited, staff_member
from tests.support.trading import PASSWORD, Trader

GRID = [
    *("--tick-size", "0.01", "--lot-size", "0.0001"),
    *("--min-quantity", "0.001", "--max-quantity", "99"),
]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


class TestCredit:
    def test_pays_and_says_so(self, alice: Trader) -> None:
        shown = run(
            "credit", "alice", "--currency", "USDT", "--amount", "5", "--wallet", "spot",
            "--reason", "wire 3",
        )  # fmt: skip

        assert shown.startswith("alice got 5 USDT (transfer ")
        assert alice.balances()["USDT spot"][0] == "1000005.00000000"
        (event,) = audited("account.credit")
        assert (event["actor"], event["reason"]) == ("console", "wire 3")

    def test_a_large_one_waits_for_an_operator(self, operator: Staff, alice: Trader) -> None:
        shown = run(
            "credit", "alice", "--currency", "USDT", "--amount", "50000", "--wallet", "spot",
            "--reason", "wire 4",
        )  # fmt: skip
        number = operator.api.get("/api/admin/approvals").json()["items"][0]["id"]
        before = alice.balances()["USDT spot"][0]
        operator.api.post(f"/api/admin/approvals/{number}/approve", {"reason": "seen"})

        assert f"(request {number})" in shown
        assert before == "1000000.00000000"
        assert alice.balances()["USDT spot"][0] == "1050000.00000000"

    @pytest.mark.parametrize(
        ("user", "amount", "words"),
        [("nobody", "5", "no such user"), ("alice", "-5", "VALIDATION_ERROR.*INVALID_DECIMAL")],
    )
    def test_refuses_in_one_line(self, alice: Trader, user: str, amount: str, words: str) -> None:
        with pytest.raises(CommandError, match=words) as caught:
            call_command("credit", user, currency="USDT", amount=amount, wallet="spot", reason="x")

        assert "\n" not in str(caught.value)
        assert alice.balances()["USDT spot"][0] == "1000000.00000000"


class TestListMarket:
    def test_makes_one_that_is_halted(self, exchange: MarginHarness) -> None:
        exchange.configure(asset(9, "NEW"))
        selectors.cache_clear()

        arguments = ["--base", "NEW", "--quote", "USDT", *GRID, "--reason", "launch"]
        shown = run("list_market", "spot", *arguments)

        assert shown == "NEW-USDT is listed, and halted\n"
        market = selectors.market_by_symbol("NEW-USDT")
        assert (market.tick_atoms, market.status.name) == (1_000_000, "HALTED")
        with pytest.raises(CommandError, match="MARKET_EXISTS"):
            run("list_market", "spot", *arguments)

    def test_explains_the_rule_of_tick_and_lot(self, exchange: MarginHarness) -> None:
        arguments = [
            *("--base", "ETH", "--quote", "BTC", "--tick-size", "0.000001"),
            *("--lot-size", "0.001", "--min-quantity", "0.001", "--max-quantity", "9"),
        ]

        with pytest.raises(CommandError, match="TICK_LOT_RULE") as caught:
            run("list_market", "spot", *arguments, "--reason", "launch")

        assert "with a tick of 0.000001 the lot must be a multiple of 0.01." in str(caught.value)
        assert all(market.symbol != "ETH-BTC" for market in selectors.markets_all())


class TestStatus:
    def test_says_that_all_is_well(self, exchange: MarginHarness) -> None:
        state = json.loads(run("exchange_status", "--json"))

        assert (state["verdict"], state["in_quarantine"]) == ("ok", 0)
        assert state["last_command"] > 0
        assert "verdict              ok" in run("exchange_status")

    def test_exits_with_2_while_a_command_is_set_aside(self, exchange: MarginHarness) -> None:
        Quarantine.objects.create(
            id=5, command_id="c", type="CancelOrder", error="x", payload=b"", created_ms=1
        )

        with pytest.raises(SystemExit) as caught:
            run("exchange_status")

        assert caught.value.code == 2

    def test_exits_with_1_when_nobody_leads(
        self, exchange: MarginHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from exchange import gateway

        down = gateway.ExchangeStatus(
            leader=False, epoch=0, lag=0, command_number=0, heartbeat_ms=0, phase="down", down=True
        )
        monkeypatch.setattr(gateway, "status", lambda: down)

        with pytest.raises(SystemExit) as caught:
            run("exchange_status", "--json")

        assert caught.value.code == 1


class TestStaffAccess:
    def test_lets_the_last_administrator_in_again(self, exchange: Any) -> None:
        admin = staff_member(Role.ADMIN, "root")
        TwoFactor.objects.create(user=admin.user, secret="-", confirmed_at=timezone.now())
        User.objects.filter(pk=admin.user.pk).update(is_active=False)

        shown = run("reset_staff_access", "root", "--reason", "phone and codes are gone")
        password = shown.split()[3]
        login = ApiClient().post("/api/auth/login", {"username": "root", "password": password})
        old = ApiClient().post("/api/auth/login", {"username": "root", "password": PASSWORD})

        assert login.status_code == 200
        assert old.status_code == 401
        assert not TwoFactor.objects.exists()
        assert admin.api.get("/api/auth/profile").status_code == 401
        (event,) = audited("user.staff_access_reset")
        assert (event["actor"], event["reason"]) == ("console", "phone and codes are gone")
        assert password not in json.dumps(event)
        assert audited("session.revoke", "two_factor.reset") == []

    def test_is_for_staff_alone(self, alice: Trader) -> None:
        with pytest.raises(CommandError, match="no such member of staff"):
            run("reset_staff_access", "alice", "--reason", "x")
