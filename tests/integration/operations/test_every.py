"""
Every operation by every role, over REST and by its form; and one event for each.

``WALK`` carries all of them out, one after another, on one exchange; ``ROLES`` says a second
time who may. An operation that is in neither fails the first test.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from django.utils import timezone

from accounts.api_keys import api_key_create
from accounts.enums import Role
from accounts.models import AuditEvent, TwoFactor, User
from accounts.operations import all_operations
from accounts.switches import forget_switches
from exchange import gateway
from exchange.client_ids import hash_key
from exchange.core.commands import CancelAllOrders
from exchange.core.enums import Side
from exchange.errors import ExchangeUnavailable
from exchange.models import Quarantine
from exchange.wire import Submission, encode
from positions.models import Position
from tests.support.exchange import ETH
from tests.support.margin import SYMBOL, MarginHarness
from tests.support.perpetual import GROUP
from tests.support.staff import staff_member
from tests.support.trading import Trader, money_of
from tests.support.withdrawals import add_address, open_terms, requested
from wallets.withdrawals.terms import assets_halt

MONEY = USERS = {Role.OPERATOR, Role.ADMIN}
TRADING = MARKETS = {Role.RISK_MANAGER, Role.OPERATOR, Role.ADMIN}
RISK = {Role.RISK_MANAGER, Role.ADMIN}
ROLES: dict[str, set[Role]] = {
    "user-disable": USERS,
    "user-enable": USERS,
    "user-role": {Role.ADMIN},
    "user-tier": USERS,
    "user-log-out": USERS | {Role.SUPPORT},
    "user-end-api-keys": USERS,
    "user-reset-2fa": USERS,
    "user-notify": USERS | {Role.SUPPORT},
    "exchange-announce": USERS | {Role.SUPPORT},
    "user-freeze-withdrawals": USERS | {Role.SUPPORT},
    "user-release-withdrawals": USERS,
    "exchange-freeze-withdrawals": MONEY,
    "exchange-release-withdrawals": MONEY,
    "exchange-list-asset": MARKETS,
    "exchange-list-market": MARKETS,
    "exchange-list-perpetual": RISK,
    "exchange-fee-tier": MARKETS,
    "market-halt": MARKETS,
    "market-cancel-only": MARKETS,
    "market-post-only": MARKETS,
    "market-resume": MARKETS,
    "market-configure": MARKETS,
    "market-terms": RISK,
    "market-pause-liquidations": RISK,
    "market-resume-liquidations": RISK,
    "market-settle": RISK,
    "price-source-off": MARKETS,
    "price-source-on": MARKETS,
    "account-credit": MONEY,
    "account-debit": MONEY,
    "withdrawal-approve": MONEY,
    "withdrawal-reject": MONEY,
    "withdrawal-sent": MONEY,
    "asset-withdrawal-terms": MONEY,
    "asset-release-withdrawals": MONEY,
    "account-cancel-orders": TRADING,
    "account-close-positions": TRADING,
    "order-cancel": TRADING,
    "position-close": TRADING,
    "insurance-terms": RISK,
    "insurance-move": MONEY,
    "quarantine-release": TRADING,
    "quarantine-discard": TRADING,
}
BRACKETS = [{"floor": "0", "maintenance_rate": "0.01", "max_leverage": 50}]
TERMS = {
    **{"open": True, "minimum": "20", "fee": "2", "daily_limit_trader": "0"},
    **{"daily_limit_maker": "0", "daily_limit_internal": "0"},
}
GRID = {"tick_size": "0.01", "lot_size": "0.0001", "min_quantity": "0.001", "max_quantity": "99"}


@dataclass
class Scene:
    """What there is to act on."""

    exchange: MarginHarness
    alice: Trader
    bob: Trader
    order_id: str
    slots: dict[str, str]
    aside: tuple[str, str]
    withdrawals: list[str]
    user_id: str

    def walk(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Return every operation with a target and fields, in an order in which all work."""
        alice, user = str(self.alice.account_id), self.user_id
        money = {"currency": "USDT", "amount": "10", "wallet": "spot"}
        return [
            ("user-tier", user, {"tier": "maker"}),
            ("user-freeze-withdrawals", user, {}),
            ("user-release-withdrawals", user, {}),
            ("user-end-api-keys", user, {}),
            ("user-log-out", user, {}),
            ("user-reset-2fa", user, {}),
            ("user-disable", user, {}),
            ("user-enable", user, {}),
            ("user-role", user, {"role": "support"}),
            ("user-notify", user, {"text": "Your deposit has arrived."}),
            ("exchange-announce", "", {"text": "Maintenance at 22:00 UTC."}),
            ("exchange-freeze-withdrawals", "", {}),
            ("exchange-release-withdrawals", "", {}),
            ("exchange-fee-tier", "", {"tier": 7, "maker_rate": "0.0001", "taker_rate": "0.0003"}),
            ("exchange-list-asset", "", {"code": "NEW", "name": "New coin", "decimals": 8}),
            ("exchange-list-market", "", {"base": "NEW", "quote": "USDT", **GRID}),
            (
                "exchange-list-perpetual",
                "",
                {
                    **{"base": "NEW", "quote": "USDT", **GRID, "insurance_group": 2},
                    **{"impact_notional": "10000", "brackets": BRACKETS},
                },
            ),
            ("market-halt", "BTC-USDT", {}),
            ("market-cancel-only", "BTC-USDT", {}),
            ("market-post-only", "BTC-USDT", {}),
            ("market-resume", "BTC-USDT", {}),
            ("market-configure", "BTC-USDT", {"min_notional": "7"}),
            ("price-source-off", "kraken", {}),
            ("price-source-on", "kraken", {}),
            ("account-credit", alice, money),
            ("account-debit", alice, money),
            ("withdrawal-approve", self.withdrawals[0], {}),
            ("withdrawal-sent", self.withdrawals[0], {"transaction_id": "0xabc"}),
            ("withdrawal-reject", self.withdrawals[1], {}),
            ("asset-withdrawal-terms", "USDT", TERMS),
            ("asset-release-withdrawals", "ETH", {}),
            ("order-cancel", self.order_id, {}),
            ("account-cancel-orders", alice, {"symbol": "BTC-USDT"}),
            ("position-close", self.slots["alice"], {}),
            ("account-close-positions", str(self.bob.account_id), {}),
            ("market-pause-liquidations", SYMBOL, {}),
            ("market-resume-liquidations", SYMBOL, {}),
            ("market-terms", SYMBOL, {"brackets": BRACKETS}),
            ("market-settle", SYMBOL, {"price": "60000"}),
            ("insurance-terms", str(GROUP), {"shock": "0.2"}),
            (
                "insurance-move",
                str(GROUP),
                {"currency": "USDT", "amount": "5", "direction": "pay_in"},
            ),
            ("quarantine-release", self.aside[0], {}),
            ("quarantine-discard", self.aside[1], {}),
        ]


def set_aside(number: int, account_id: int) -> str:
    """Put a command into quarantine, as the exchange does when its core raises."""
    command_id = f"set-aside-{number}"
    row = Quarantine.objects.create(
        id=hash_key((0, command_id)),
        command_id=command_id,
        type="CancelAllOrders",
        market_id=0,
        attempts=1,
        error="ZeroDivisionError()",
        payload=encode(Submission(command_id, CancelAllOrders(account_id))),
        created_ms=1,
    )
    return str(row.pk)


@pytest.fixture
def scene(exchange: MarginHarness, alice: Trader, bob: Trader) -> Scene:
    """Orders, positions against a book that takes their close, keys and a second factor."""
    for trader in (alice, bob):
        exchange.margin(trader.account_id)
    exchange.trade(alice.account_id, bob.account_id, "0.1")
    exchange.add_account(5_000_001)
    exchange.margin(5_000_001)
    exchange.place(5_000_001, Side.BUY, "1", 59_990)
    exchange.place(5_000_001, Side.SELL, "1", 60_010)
    order = alice.placed(price="100", quantity="1")
    alice.placed(price="101", quantity="1")
    user = User.objects.get(username="alice")
    api_key_create(user=user, name="bot", scopes=["read"])
    TwoFactor.objects.create(user=user, secret="-", confirmed_at=timezone.now())
    slots = {
        trader.name: str(Position.objects.get(account_id=trader.account_id, is_open=1).pk)
        for trader in (alice, bob)
    }
    asides = (set_aside(1, alice.account_id), set_aside(2, alice.account_id))
    open_terms()
    add_address(bob)
    assets_halt({ETH: "the books do not add up"})
    withdrawals = [requested(bob, client_withdrawal_id=name)["id"] for name in "ab"]
    return Scene(exchange, alice, bob, order["id"], slots, asides, withdrawals, str(user.pk))


def address(name: str, target: str) -> str:
    operation = all_operations()[name]
    if operation.address:
        return "/api/" + operation.address.replace("<str:symbol>", target)
    middle = f"/{target}" if target else ""
    return f"/api/admin/{operation.target.collection}{middle}/{operation.action}"


def test_every_operation_is_walked_and_has_its_roles(scene: Scene) -> None:
    assert set(ROLES) == set(all_operations())
    assert {name for name, _, _ in scene.walk()} == set(all_operations())


class TestOneEvent:
    def test_over_rest(self, scene: Scene) -> None:
        admin = staff_member(Role.ADMIN, "adam")
        wrong = []

        for name, target, fields in scene.walk():
            forget_switches()
            before = AuditEvent.objects.count()
            answer = admin.api.post(address(name, target), {**fields, "reason": "drill"})
            events = list(AuditEvent.objects.order_by("id")[before:])
            operation = all_operations()[name]
            told = [(e.actor, e.action, json.loads(e.after)["result"], e.reason) for e in events]
            if told != [("adam", operation.audit_action, "OK", "drill")]:
                wrong.append((name, told))
            body = answer.json()
            if answer.status_code != 200 or set(body["result"]) != set(operation.answer):
                wrong.append((name, answer.status_code, body))

        assert wrong == []
        scene.exchange.exchange.check_all()

    def test_by_the_forms(self, scene: Scene) -> None:
        admin = staff_member(Role.ADMIN, "adam")
        wrong = []

        for name, target, fields in scene.walk():
            forget_switches()
            before = AuditEvent.objects.count()
            texts = {
                field: json.dumps(value) if isinstance(value, list | bool) else str(value)
                for field, value in fields.items()
            }
            sent = admin.confirm(admin.fill_in(name, target, **texts), follow=False)
            actions = [e.action for e in AuditEvent.objects.order_by("id")[before:]]
            done = sent.status_code == 302 and "/operations/result/" in sent["Location"]
            if not done or actions != [all_operations()[name].audit_action]:
                wrong.append((name, sent.status_code, actions))

        assert wrong == []

    def test_of_a_refusal_and_of_an_exchange_that_is_away(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        admin = staff_member(Role.ADMIN, "adam")
        refused = admin.api.post(address("market-resume-liquidations", SYMBOL), {"reason": "x"})

        def away(*_arguments: Any, **_options: Any) -> None:
            raise ExchangeUnavailable

        monkeypatch.setattr(gateway, "submit", away)
        gone = admin.api.post(address("market-halt", "BTC-USDT"), {"reason": "x"})

        assert (refused.status_code, gone.status_code) == (409, 503)
        results = [
            json.loads(event.after)["result"]
            for event in AuditEvent.objects.filter(actor="adam", reason="x").order_by("id")
        ]
        assert results == ["NOTHING_TO_CHANGE", "ENGINE_UNAVAILABLE"]


class TestRoles:
    @pytest.mark.parametrize("role", list(Role))
    def test_who_may_not_changes_nothing(self, scene: Scene, role: Role) -> None:
        person = staff_member(role, "somebody")
        before, events = money_of(scene.exchange), AuditEvent.objects.count()
        wrong = []

        for name, target, fields in scene.walk():
            if role in ROLES[name]:
                continue
            body = {**fields, "reason": "drill"}
            answer = person.api.post(address(name, target), body)
            form = person.browser.get(person.form_url(name, target))
            sent = person.browser.post(
                person.form_url(name, target), {**body, "form_key": "forged-key"}
            )
            codes = (answer.status_code, form.status_code, sent.status_code)
            # A trader has no back-office to be refused in.
            if codes != ((403, 302, 302) if role is Role.TRADER else (403, 403, 403)):
                wrong.append((name, codes))

        assert wrong == []
        assert money_of(scene.exchange) == before
        assert AuditEvent.objects.count() == events

    @pytest.mark.parametrize("role", [Role.SUPPORT, Role.RISK_MANAGER])
    def test_who_may_is_let_through(self, scene: Scene, role: Role) -> None:
        person = staff_member(role, "somebody")

        forms = {
            name: person.browser.get(person.form_url(name, target)).status_code
            for name, target, _ in scene.walk()
            if role in ROLES[name]
        }

        assert set(forms.values()) == {200}

    def test_only_administrators_touch_staff(self, scene: Scene) -> None:
        operator, colleague = staff_member(Role.OPERATOR), staff_member(Role.SUPPORT)
        path = address("user-disable", str(colleague.user.pk))

        answer = operator.api.post(path, {"reason": "drill"})
        own = staff_member(Role.ADMIN)
        itself = own.api.post(address("user-disable", str(own.user.pk)), {"reason": "drill"})

        assert answer.status_code == 403
        assert itself.status_code == 422
        assert User.objects.filter(pk=colleague.user.pk, is_active=True).exists()


def test_the_page_of_the_exchange_offers_what_the_role_may(scene: Scene) -> None:
    pages = {
        role: staff_member(role).browser.get("/admin/operations/").content.decode()
        for role in (Role.AUDITOR, Role.RISK_MANAGER, Role.OPERATOR)
    }

    assert "/admin/operations/exchange-list-asset/" in pages[Role.RISK_MANAGER]
    assert "/admin/operations/price-source-off/kraken" in pages[Role.OPERATOR]
    assert "exchange-freeze-withdrawals" not in pages[Role.RISK_MANAGER]
    assert "Your role changes nothing here." in pages[Role.AUDITOR]
