"""The tabs of a user's page: what an account has, page by page, as far as a role may look."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts import account_tabs
from accounts.models import AuditEvent, Session, User
from tests.support.exchange import ExchangeHarness
from tests.support.trading import Trader

pytestmark = pytest.mark.integration

MONEY_TABS = ("open-orders", "orders", "fills", "positions", "funding", "wallets", "ledger")
AUDIT_TABS = ("commands", "audit", "deeds")


def office_of(trader: Trader, role: str) -> Client:
    User.objects.filter(username=trader.name).update(role=role)
    client = Client()
    client.force_login(User.objects.get(username=trader.name))
    return client


def address(trader: Trader, slug: str) -> str:
    user = User.objects.get(username=trader.name)
    return reverse(account_tabs.TAB_URL, kwargs={"object_id": user.pk, "slug": slug})


def newest_session(username: str) -> Session:
    return Session.objects.filter(user__username=username).latest("id")


@pytest.fixture
def office(exchange: ExchangeHarness, alice: Trader, bob: Trader) -> Client:
    """An administrator's browser beside a trade and an open order of Bob's."""
    alice.placed(side="sell", quantity="0.1")
    bob.placed(quantity="0.1")
    bob.placed(price="12345.67", quantity="0.2")
    return office_of(alice, "admin")


class TestTabs:
    def test_each_opens_and_leads_to_the_others(self, office: Client, bob: Trader) -> None:
        for slug in account_tabs.account_tabs():
            answer = office.get(address(bob, slug))

            page = answer.content.decode()
            assert answer.status_code == 200
            assert all(address(bob, other) in page for other in account_tabs.account_tabs())

    def test_they_show_what_the_account_has(self, office: Client, bob: Trader) -> None:
        opened = office.get(address(bob, "open-orders")).content.decode()
        finished = office.get(address(bob, "orders")).content.decode()
        fills = office.get(address(bob, "fills")).content.decode()
        wallets = office.get(address(bob, "wallets")).content.decode()
        (ledger,) = office.get(address(bob, "ledger")).context["tables"]

        assert "12345.67" in opened
        assert "50000.00" not in opened
        assert "50000.00" in finished
        assert "12345.67" not in finished
        assert "5000.00" in fills
        assert "taker" in fills
        assert "2471.60" in wallets
        assert sum(row.get("kind") == "deposit" for row in ledger.rows) == 3

    def test_the_profile_has_them_too(self, office: Client, bob: Trader) -> None:
        user = User.objects.get(username="bob")

        page = office.get(reverse(account_tabs.PROFILE_URL, args=[user.pk])).content.decode()

        assert address(bob, "ledger") in page

    @pytest.mark.parametrize("slug", ["open-orders", "orders", "fills", "ledger", "sessions"])
    def test_pages_follow_each_other_and_miss_nothing(
        self, office: Client, bob: Trader, monkeypatch: pytest.MonkeyPatch, slug: str
    ) -> None:
        for module in ("orders.account_tabs", "wallets.account_tabs", "accounts.user_tabs"):
            monkeypatch.setattr(f"{module}.TAB_ROWS", 2)
        for _ in range(3):
            bob.placed(side="sell", price="50000", quantity="0.01")
            bob.placed(price="50000", quantity="0.01", self_trade_prevention="expire_maker")
            bob.api.post("/api/auth/login", {"username": "bob", "password": "correct horse 9"})
        seen: list[str] = []
        query = ""

        for _ in range(30):
            answer = office.get(address(bob, slug) + query)
            table = answer.context["tables"][0]
            keys = [key for row in table.rows if (key := _key(row))]
            assert len(keys) <= 2
            seen += keys
            if not table.next_from:
                break
            query = f"?from={table.next_from}"

        assert len(seen) == len(set(seen)) > 0
        assert [int(key) for key in seen] == sorted(map(int, seen), reverse=True)

    def test_an_unknown_tab_user_or_page_is_not_found(self, office: Client, bob: Trader) -> None:
        known = address(bob, "ledger")

        assert office.get(known.replace("/ledger/", "/nothing/")).status_code == 404
        assert office.get(f"{known}?from=x").status_code == 404
        missing = reverse(account_tabs.TAB_URL, kwargs={"object_id": "1", "slug": "ledger"})
        assert office.get(missing).status_code == 404

    @pytest.mark.parametrize(
        ("role", "money", "audit"),
        [("support", 200, 403), ("auditor", 200, 200), ("operator", 200, 403)],
    )
    def test_roles_see_what_they_may(
        self, office: Client, bob: Trader, role: str, money: int, audit: int
    ) -> None:
        client = office_of(bob, role)

        page = client.get(address(bob, "sessions")).content.decode()

        for slug, status in [*((s, money) for s in MONEY_TABS), *((s, audit) for s in AUDIT_TABS)]:
            assert client.get(address(bob, slug)).status_code == status
            assert (address(bob, slug) in page) == (status == 200)

    def test_a_trader_sees_none(self, office: Client, bob: Trader) -> None:
        client = Client()
        client.force_login(User.objects.get(username="bob"))

        assert client.get(address(bob, "ledger")).status_code == 302


class TestEndingASession:
    def test_it_ends_for_a_reason_that_is_recorded(self, office: Client, bob: Trader) -> None:
        session = newest_session("bob")
        form = {"session": str(session.pk), "reason": "stolen laptop"}

        answer = office.post(address(bob, "sessions"), form, follow=True)

        assert f"Session {session.pk} of bob ended." in answer.content.decode()
        assert bob.api.get("/api/wallet").status_code == 401
        event = AuditEvent.objects.filter(action="session.revoke").get()
        assert (event.actor, event.reason) == ("alice", "stolen laptop")

    @pytest.mark.parametrize(
        ("_case", "form"),
        [
            ("no reason", {"reason": " "}),
            ("too long a reason", {"reason": "x" * 201}),
            ("another's session", {"session": "1", "reason": "because"}),
            ("no number", {"session": "all", "reason": "because"}),
        ],
    )
    def test_a_refusal_ends_nothing(
        self, office: Client, bob: Trader, _case: str, form: dict[str, str]
    ) -> None:
        session = newest_session("bob")

        office.post(address(bob, "sessions"), {"session": str(session.pk), **form})

        assert Session.objects.get(pk=session.pk).revoked_at is None
        assert not AuditEvent.objects.filter(action="session.revoke").exists()

    @pytest.mark.parametrize("role", ["support", "auditor", "risk_manager"])
    def test_who_may_not_change_users_ends_none(
        self, office: Client, alice: Trader, bob: Trader, role: str
    ) -> None:
        session = newest_session("alice")
        client = office_of(bob, role)

        answer = client.post(
            address(alice, "sessions"), {"session": str(session.pk), "reason": "because"}
        )

        assert answer.status_code == 403
        assert Session.objects.get(pk=session.pk).revoked_at is None


def _key(row: dict[str, object]) -> str:
    cell = row.get("id", row.get("trade_id", ""))
    return str(getattr(cell, "text", cell))
