"""
T13 and T14: every operation of the description, asked by everybody.

``ACCESS`` says for each operation who may call it and what somebody who may is answered with
unused ids and an empty body. An operation that is not in it fails the first test.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from accounts import authentication, key_states, services, sessions
from accounts.enums import Role
from accounts.models import ApiKey, Session, User
from accounts.types import Caller
from common import limits
from common.testing import ApiClient
from tests.support.operations import Operation, operations
from tests.support.redis_server import redis_client, redis_url
from tests.support.signing import Signer
from tests.support.trading import PASSWORD, Trader, money_of, register

__all__ = ["redis_client", "redis_url"]

ANYBODY, LOGGED_IN = "anybody", "logged in"
VIEW, TRADE, TRANSFER, AUDIT = "account_view", "trade", "transfer", "audit_view"
WITHDRAW = "withdraw"
MARKETS, RISK, MONEY = "markets_view", "risk_manage", "money_manage"
MARKETS_MANAGE, MONEY_VIEW, OFFICE = "markets_manage", "money_view", "back_office"
TRADING, USERS, USERS_SUPPORT = "trading_manage", "users_manage", "users_support"
ROLE_CHANGE, USERS_VIEW, EXPORT = "roles_manage", "users_view", "export"
STAFF_ONLY = {
    AUDIT, MARKETS, RISK, MONEY, MARKETS_MANAGE, MONEY_VIEW, TRADING, USERS, USERS_SUPPORT,
    ROLE_CHANGE, OFFICE, USERS_VIEW, EXPORT,
}  # fmt: skip

ACCESS: dict[str, tuple[str, int]] = {
    "account": (VIEW, 200),
    "account_limits": (VIEW, 200),
    "account_notices": (VIEW, 200),
    "admin_account_cancel_orders": (TRADING, 400),
    "admin_account_close_positions": (TRADING, 400),
    "admin_account_credit": (MONEY, 400),
    "admin_account_debit": (MONEY, 400),
    "admin_asset_release_withdrawals": (MONEY, 400),
    "admin_asset_withdrawal_terms": (MONEY, 400),
    "admin_withdrawal": (MONEY_VIEW, 404),
    "admin_withdrawal_approve": (MONEY, 400),
    "admin_withdrawal_reject": (MONEY, 400),
    "admin_withdrawal_sent": (MONEY, 400),
    "admin_withdrawals": (MONEY_VIEW, 200),
    "admin_approval": (MONEY_VIEW, 404),
    "admin_approval_approve": (MONEY, 400),
    "admin_approval_reject": (MONEY, 400),
    "admin_approvals": (MONEY_VIEW, 200),
    "admin_audit_logs": (AUDIT, 200),
    "admin_exchange_announce": (USERS_SUPPORT, 400),
    "admin_exchange_fee_tier": (MARKETS_MANAGE, 400),
    "admin_exchange_list_asset": (MARKETS_MANAGE, 400),
    "admin_exchange_list_market": (MARKETS_MANAGE, 400),
    "admin_exchange_list_perpetual": (RISK, 400),
    "admin_exchange_freeze_withdrawals": (MONEY, 400),
    "admin_exchange_release_withdrawals": (MONEY, 400),
    "admin_export": (EXPORT, 404),
    "admin_export_create": (EXPORT, 400),
    "admin_export_file": (EXPORT, 404),
    "admin_export_retry": (EXPORT, 404),
    "admin_exports": (EXPORT, 200),
    "admin_insurance_move": (MONEY, 400),
    "admin_insurance_terms": (RISK, 400),
    "admin_market_cancel_only": (MARKETS_MANAGE, 400),
    "admin_market_configure": (MARKETS_MANAGE, 400),
    "admin_market_halt": (MARKETS_MANAGE, 400),
    "admin_market_pause_liquidations": (RISK, 400),
    "admin_market_post_only": (MARKETS_MANAGE, 400),
    "admin_market_resume": (MARKETS_MANAGE, 400),
    "admin_market_resume_liquidations": (RISK, 400),
    "admin_market_settle": (RISK, 400),
    "admin_market_terms": (RISK, 400),
    "admin_market_terms_preview": (RISK, 400),
    "admin_order_cancel": (TRADING, 400),
    "admin_position_close": (TRADING, 400),
    "admin_price_source_off": (MARKETS_MANAGE, 400),
    "admin_price_source_on": (MARKETS_MANAGE, 400),
    "admin_quarantine_discard": (TRADING, 400),
    "admin_quarantine_discard_preview": (TRADING, 400),
    "admin_quarantine_release": (TRADING, 400),
    "admin_quarantine_release_preview": (TRADING, 400),
    "admin_risk_params": (MARKETS, 200),
    "admin_risk_params_change": (RISK, 400),
    "admin_stats": (OFFICE, 200),
    "admin_user_disable": (USERS, 400),
    "admin_user_enable": (USERS, 400),
    "admin_user_end_api_keys": (USERS, 400),
    "admin_user_freeze_withdrawals": (USERS_SUPPORT, 400),
    "admin_user_notify": (USERS_SUPPORT, 400),
    "admin_users": (USERS_VIEW, 200),
    "admin_user_log_out": (USERS_SUPPORT, 400),
    "admin_user_release_withdrawals": (USERS, 400),
    "admin_user_reset_2fa": (USERS, 400),
    "admin_user_role": (ROLE_CHANGE, 400),
    "admin_user_tier": (USERS, 400),
    "auth_2fa": (LOGGED_IN, 200),
    "auth_2fa_confirm": (LOGGED_IN, 400),
    "auth_2fa_disable": (LOGGED_IN, 400),
    "auth_2fa_recovery_codes": (LOGGED_IN, 400),
    "auth_2fa_setup": (LOGGED_IN, 400),
    "auth_api_key_create": (LOGGED_IN, 400),
    "auth_api_key_delete": (LOGGED_IN, 404),
    "auth_api_keys": (LOGGED_IN, 200),
    "auth_api_keys_delete_all": (LOGGED_IN, 200),
    "auth_email_verification": (LOGGED_IN, 202),
    "auth_email_verify": (ANYBODY, 400),
    "auth_login": (ANYBODY, 400),
    "auth_login_2fa": (ANYBODY, 400),
    "auth_logout": (LOGGED_IN, 204),
    "auth_password_reset": (ANYBODY, 400),
    "auth_password_reset_confirm": (ANYBODY, 400),
    "auth_profile": (LOGGED_IN, 200),
    "auth_profile_update": (LOGGED_IN, 400),
    "auth_refresh": (ANYBODY, 400),
    "auth_register": (ANYBODY, 400),
    "auth_session_revoke": (LOGGED_IN, 404),
    "auth_sessions": (LOGGED_IN, 200),
    "auth_sessions_revoke_all": (LOGGED_IN, 200),
    "auth_ws_ticket": (LOGGED_IN, 201),
    "errors_list": (ANYBODY, 200),
    "exchange_info_retrieve": (ANYBODY, 200),
    "fills_list": (VIEW, 200),
    "health": (ANYBODY, 200),
    "health_live": (ANYBODY, 200),
    "health_ready": (ANYBODY, 503),
    "markets_funding": (ANYBODY, 422),
    "markets_klines": (ANYBODY, 200),
    "markets_list": (ANYBODY, 200),
    "markets_orderbook": (ANYBODY, 503),
    "markets_retrieve": (ANYBODY, 200),
    "markets_ticker": (ANYBODY, 503),
    "markets_trades": (ANYBODY, 503),
    "orders_amend": (TRADE, 400),
    "orders_amend_batch": (TRADE, 400),
    "orders_amend_by_client_id": (TRADE, 400),
    "orders_cancel": (TRADE, 404),
    "orders_cancel_all": (TRADE, 200),
    "orders_cancel_all_after": (TRADE, 400),
    "orders_cancel_batch": (TRADE, 400),
    "orders_cancel_by_client_id": (TRADE, 404),
    "orders_cancel_switches": (TRADE, 200),
    "orders_get": (VIEW, 404),
    "orders_get_by_client_id": (VIEW, 404),
    "orders_history": (VIEW, 200),
    "orders_open": (VIEW, 200),
    "orders_place": (TRADE, 400),
    "orders_place_batch": (TRADE, 400),
    "orders_place_bracket": (TRADE, 400),
    "orders_place_oco": (TRADE, 400),
    "orders_preview": (VIEW, 400),
    "orders_protection": (TRADE, 404),
    "orders_protection_remove": (TRADE, 404),
    "orders_protection_reset": (TRADE, 404),
    "orders_protection_set": (TRADE, 400),
    "positions_close": (TRADE, 404),
    "positions_close_all": (TRADE, 200),
    "positions_funding": (VIEW, 200),
    "positions_get": (VIEW, 404),
    "positions_history": (VIEW, 200),
    "positions_margin": (TRADE, 404),
    "positions_open": (VIEW, 200),
    "positions_set": (TRADE, 400),
    "positions_setting": (VIEW, 422),
    "positions_tp_sl": (TRADE, 404),
    "risk_insurance_fund": (ANYBODY, 200),
    "risk_liquidations": (ANYBODY, 200),
    "risk_margin_calls": (VIEW, 200),
    "risk_tiers": (ANYBODY, 200),
    "time_retrieve": (ANYBODY, 200),
    "wallet_balances": (VIEW, 200),
    "wallet_currency": (VIEW, 200),
    "wallet_history": (VIEW, 200),
    "wallet_address_add": (WITHDRAW, 400),
    "wallet_address_remove": (WITHDRAW, 404),
    "wallet_addresses": (VIEW, 200),
    "wallet_transfer": (TRANSFER, 400),
    "wallet_withdraw": (WITHDRAW, 400),
    "wallet_withdrawal": (VIEW, 404),
    "wallet_withdrawal_cancel": (WITHDRAW, 404),
    "wallet_withdrawals": (VIEW, 200),
}
# Written down a second time on purpose: a role that gains something here fails this test.
ROLES: dict[Role, set[str]] = {
    Role.TRADER: {VIEW, TRADE, TRANSFER, WITHDRAW},
    Role.SUPPORT: {OFFICE, MARKETS, MONEY_VIEW, USERS_VIEW, USERS_SUPPORT},
    Role.RISK_MANAGER: {
        OFFICE,
        EXPORT,
        MARKETS,
        MONEY_VIEW,
        USERS_VIEW,
        MARKETS_MANAGE,
        TRADING,
        RISK,
    },
    Role.OPERATOR: {VIEW, TRADE, TRANSFER, WITHDRAW} | (STAFF_ONLY - {AUDIT, RISK, ROLE_CHANGE}),
    Role.AUDITOR: {OFFICE, EXPORT, AUDIT, MARKETS, MONEY_VIEW, USERS_VIEW},
    Role.ADMIN: {VIEW, TRADE, TRANSFER, WITHDRAW} | STAFF_ONLY,
}
SCOPES = {"read": VIEW, "trade": TRADE, "transfer": TRANSFER}
BODY_METHODS = ("POST", "PUT")
# Those that answer before they ask who calls.
UNAUTHENTICATED = {
    "auth_email_verify",
    "auth_login",
    "auth_login_2fa",
    "auth_password_reset",
    "auth_password_reset_confirm",
    "auth_refresh",
    "auth_register",
    "errors_list",
    "health",
    "health_live",
    "health_ready",
}

ENDS_SESSION = {"auth_logout", "auth_sessions_revoke_all"}

Send = Callable[[Operation, str], Any]


@pytest.fixture(autouse=True)
def fresh(redis_client: Any) -> Iterator[None]:
    """Begin like a process that has just started, with a Redis."""
    key_states.reset()
    yield
    key_states.reset()


def body_of(operation: Operation) -> dict[str, Any] | None:
    takes_one = operation.method in BODY_METHODS or operation.operation_id.endswith("_batch")
    return {} if takes_one else None


def by_session(user: User) -> Send:
    """Return how a user sends requests, logged in anew where one ended its session."""
    api = ApiClient()

    def send(operation: Operation, address: str) -> Any:
        if not api.token:
            pair = services.session_open(user=user, caller=Caller(ip="127.0.0.1"))
            api.token = pair.access_token
        answer = api._send(operation.method, address, body_of(operation), None)
        if operation.operation_id in ENDS_SESSION:
            api.token = ""
        return answer

    return send


def by_key(trader: Trader, scope: str) -> Send:
    """Return how a program with a key of one scope sends a request."""
    body = {"name": "bot", "scopes": [scope]}
    made = trader.api.post("/api/auth/api-keys", body).json()
    signer = Signer(made["key"], made["secret"])
    client = ApiClient()

    def send(operation: Operation, address: str) -> Any:
        raw = b"" if body_of(operation) is None else b"{}"
        headers = signer.headers(operation.method, address, raw)
        return client._send(operation.method, address, raw, headers)

    return send


def by_nobody() -> Send:
    """Return how a stranger sends a request."""
    client = ApiClient()
    return lambda operation, address: client._send(
        operation.method, address, body_of(operation), None
    )


def answers(send: Send) -> dict[str, tuple[int, str]]:
    """Return status and code of each operation, asked with unused ids."""
    found = {}
    for operation in operations():
        limits.reset()
        answer = send(operation, operation.address())
        is_json = answer.content and answer["Content-Type"] == "application/json"
        error = answer.json().get("error") if is_json else None
        found[operation.operation_id] = (answer.status_code, error["code"] if error else "")
    return found


def differences(
    found: dict[str, tuple[int, str]], refused: dict[str, tuple[int, str]]
) -> list[str]:
    """Return what was answered otherwise than ``refused`` or else ``ACCESS`` says."""
    allowed = {name: status for name, (_, status) in ACCESS.items()}
    return [
        f"{name}: {answer}"
        for name, answer in found.items()
        if answer != refused.get(name, (allowed.get(name), answer[1]))
    ]


def refusals(permitted: set[str], answer: tuple[int, str]) -> dict[str, tuple[int, str]]:
    """Return the answer to everything that is not permitted."""
    return {name: answer for name, (needed, _) in ACCESS.items() if needed not in permitted}


@pytest.fixture
def staff(exchange: Any) -> dict[Role, User]:
    return {
        role: services.user_create(
            username=f"user_{role}", email=f"{role}@example.com", password=PASSWORD, role=role
        )
        for role in Role
    }


class TestEveryOperation:
    def test_says_who_may_call_it(self) -> None:
        assert {operation.operation_id for operation in operations()} == set(ACCESS)

    def test_asks_in_its_description_for_what_it_needs(self) -> None:
        wrong = [
            operation.operation_id
            for operation in operations()
            if operation.needs_login != (ACCESS[operation.operation_id][0] != ANYBODY)
        ]

        assert wrong == []


class TestFunctionLevel:
    def test_t8_anonymous(self, exchange: Any) -> None:
        found = answers(by_nobody())

        assert differences(found, refusals({ANYBODY}, (401, "NOT_AUTHENTICATED"))) == []

    @pytest.mark.parametrize("role", list(Role))
    def test_t14_each_role(self, staff: dict[Role, User], role: Role) -> None:
        found = answers(by_session(staff[role]))

        permitted = {ANYBODY, LOGGED_IN} | ROLES[role]
        assert differences(found, refusals(permitted, (403, "PERMISSION_DENIED"))) == []

    @pytest.mark.parametrize("scope", SCOPES)
    def test_t14_each_scope_of_a_key(self, alice: Trader, scope: str) -> None:
        found = answers(by_key(alice, scope))

        refused = refusals({ANYBODY, SCOPES[scope]}, (403, "KEY_SCOPE"))
        # What its owner may not do either is refused for that reason.
        for name, (needed, _status) in ACCESS.items():
            if needed in STAFF_ONLY:
                refused[name] = (403, "PERMISSION_DENIED")
        assert differences(found, refused) == []

    def test_t10_a_disabled_user(self, alice: Trader) -> None:
        user = User.objects.get(username="alice")
        pair = services.session_open(user=user, caller=Caller(ip="127.0.0.1"))
        services.user_set_access(user=user, is_active=False)
        api = ApiClient(pair.access_token)

        def send(operation: Operation, address: str) -> Any:
            return api._send(operation.method, address, body_of(operation), None)

        revoked = dict.fromkeys(set(ACCESS) - UNAUTHENTICATED, (401, "TOKEN_REVOKED"))
        assert differences(answers(send), revoked) == []


CANARY = "canary_7f3a"


@dataclass
class Possessions:
    """What alice has, and everything about her that nobody else may be told."""

    ids: dict[str, str]
    secrets: set[str]

    def told_in(self, text: str) -> set[str]:
        return {secret for secret in self.secrets if secret in text}


@pytest.fixture
def possessions(exchange: Any, bob: Trader) -> Possessions:
    """A user whose every free text is a canary, with orders, fills, a key and a transfer."""
    alice = register(exchange, CANARY)
    user = User.objects.get(username=CANARY)
    session = services.session_open(
        user=user, caller=Caller(ip="127.0.0.1", user_agent=f"{CANARY} browser")
    )
    key = alice.api.post("/api/auth/api-keys", {"name": f"{CANARY} bot", "scopes": ["read"]})
    resting = alice.placed(price="40000", client_order_id=f"{CANARY}-1")
    traded = alice.placed(side="sell", quantity="0.5", client_order_id=f"{CANARY}-2")
    bob.placed(quantity="0.5")
    body = {
        "currency": "USDT",
        "amount": "3.1415",
        "to_wallet": "margin",
        "client_transfer_id": f"{CANARY}-3",
    }
    assert alice.api.post("/api/wallet/transfer", body).status_code == 201
    made = key.json()
    return Possessions(
        ids={
            "order_id": resting["id"],
            "client_order_id": f"{CANARY}-1",
            "session_id": str(session.session_id),
            "key_id": made["id"],
        },
        secrets={
            CANARY,
            "3.1415",
            str(user.pk),
            str(user.account_id),
            str(session.session_id),
            made["id"],
            made["key"],
            f'"order_id":"{traded["id"]}"',
        },
    )


class TestObjectLevel:
    @pytest.fixture
    def strangers(self, bob: Trader) -> dict[str, Send]:
        user = User.objects.get(username="bob")
        keys = {f"key to {scope}": by_key(bob, scope) for scope in SCOPES}
        return {"bob": by_session(user), "nobody": by_nobody(), **keys}

    @staticmethod
    def shown(answer: Any) -> tuple[int, str]:
        """Return an answer without what differs from request to request."""
        return answer.status_code, answer.content.decode().replace(answer["X-Request-Id"], "")

    def test_t13_anothers_object_is_as_good_as_missing(
        self, exchange: Any, possessions: Possessions, strangers: dict[str, Send]
    ) -> None:
        before, told = money_of(exchange), []
        named = [op for op in operations() if any(f"{{{n}}}" in op.path for n in possessions.ids)]
        alive = Session.objects.filter(revoked_at=None, user__username=CANARY).count()

        for (who, send), operation in itertools.product(strangers.items(), named):
            limits.reset()
            theirs = self.shown(send(operation, operation.address(**possessions.ids)))
            missing = self.shown(send(operation, operation.address()))
            if theirs != missing:
                told.append(f"{who} {operation}: {theirs} {missing}")

        assert len(named) >= 8
        assert told == []
        assert money_of(exchange) == before
        assert Session.objects.filter(revoked_at=None, user__username=CANARY).count() == alive
        assert ApiKey.objects.get(id=possessions.ids["key_id"]).revoked_at is None

    def test_t13_nothing_of_another_is_in_any_answer(
        self, possessions: Possessions, strangers: dict[str, Send]
    ) -> None:
        told = []

        for (who, send), operation in itertools.product(strangers.items(), operations()):
            limits.reset()
            addresses = [operation.address(**possessions.ids)]
            if "order_id" in operation.query:
                addresses.append(f"{operation.address()}?order_id={possessions.ids['order_id']}")
            for address in addresses:
                found = possessions.told_in(send(operation, address).content.decode())
                if found:
                    told.append(f"{who} {address}: {found}")

        assert told == []

    def test_the_canaries_are_seen_where_they_belong(self, possessions: Possessions) -> None:
        send = by_session(User.objects.get(username=CANARY))

        seen = set().union(
            *(
                possessions.told_in(send(op, op.address(**possessions.ids)).content.decode())
                for op in operations()
                if op.reads
            )
        )

        assert seen == possessions.secrets


class TestProcessMemory:
    def test_t10_what_a_process_remembers_is_forgotten_between_tests(self, exchange: Any) -> None:
        assert sessions._cache.states == {}
        assert authentication._checked == {}
