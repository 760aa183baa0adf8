"""Tiers, insurance funds and liquidations in public; parameters, funds and settlement by staff."""

from __future__ import annotations

from typing import Any

import pytest

from accounts import services
from accounts.enums import RequestStatus, Role
from accounts.models import AuditEvent, OperationRequest
from accounts.types import Caller
from common.testing import ApiClient, error_code
from exchange.core.enums import MarginMode, MarketStatus
from exchange.models import OperatorCommand
from riskengine import schema
from tests.support.engine import units
from tests.support.margin import PERP, SYMBOL, MarginHarness
from tests.support.perpetual import GROUP
from tests.support.trading import PASSWORD, Trader

pytestmark = pytest.mark.integration

ALICE, BOB = 1_000_001, 1_000_002


def staff(role: Role) -> ApiClient:
    """Return the client of a new member of staff."""
    user = services.user_create(
        username=f"a_{role.value}",
        email=f"{role.value}@example.com",
        password=PASSWORD,
        role=role,
    )
    pair = services.session_open(user=user, caller=Caller(ip="127.0.0.1"))
    return ApiClient(pair.access_token)


@pytest.fixture
def liquidated(exchange: MarginHarness) -> MarginHarness:
    """Alice's isolated position was taken over, Bob is on the other side."""
    for account in (ALICE, BOB):
        exchange.add_account(account)
        exchange.margin(account)
    exchange.set_up(ALICE, 100, MarginMode.ISOLATED)
    exchange.trade(ALICE, BOB, "0.5")
    exchange.mark(59_500)
    return exchange


def terms_of(exchange: MarginHarness) -> Any:
    """Return what a refusal must leave: terms, groups, funds, market states."""
    image = exchange.exchange.image()
    wallets = [(wallet.wallet_id, wallet.total_atoms) for wallet in image.wallets]
    return image.contracts, image.insurances, image.markets, wallets


class TestPublic:
    def test_tiers_of_a_market(self, exchange: MarginHarness) -> None:
        (shown,) = ApiClient().get(f"/api/risk/tiers?symbol={SYMBOL}").json()["markets"]

        assert list(shown) == list(schema.TIERS_PROPERTIES)
        assert (shown["symbol"], shown["default_leverage"]) == (SYMBOL, 10)
        assert shown["tiers"][1] == {
            "tier": 2,
            "floor": "50000.00000000",
            "cap": "600000.00000000",
            "maintenance_rate": "0.0050",
            # 50,000 x (0.5 % - 0.4 %)
            "maintenance_amount": "50.00000000",
            "max_leverage": 100,
        }
        assert shown["tiers"][-1]["cap"] is None
        assert ApiClient().get("/api/risk/tiers?symbol=BTC-USDT").json() == {"markets": []}

    def test_the_insurance_fund_names_its_markets_and_money(self, exchange: MarginHarness) -> None:
        (fund,) = ApiClient().get("/api/risk/insurance-fund").json()["funds"]

        assert list(fund) == list(schema.FUND_PROPERTIES)
        assert fund["markets"] == [SYMBOL]
        assert fund["balances"] == [{"currency": "USDT", "amount": "1000000.00000000"}]
        assert fund["takeovers_stopped"] is False

    def test_liquidations_do_not_say_whose(self, liquidated: MarginHarness) -> None:
        body = ApiClient().get(f"/api/risk/liquidations?symbol={SYMBOL}").json()

        (step,) = body["items"]
        assert list(step) == list(schema.LIQUIDATION_PROPERTIES)
        assert (step["kind"], step["side"], step["quantity"]) == ("takeover", "sell", "0.500")
        # The bankruptcy price of leverage 100 from 60,000.
        assert (step["price"], step["mark_price"]) == ("59400.0", "59500.0")
        assert str(ALICE) not in str(body)
        assert body["next_cursor"] is None


class TestParams:
    def test_terms_change_and_are_audited(self, exchange: MarginHarness) -> None:
        manager = staff(Role.RISK_MANAGER)
        body = {"symbol": SYMBOL, "liquidations_paused": True, "reason": "venue outage"}

        answer = manager.put("/api/admin/risk-params", body)

        assert answer.status_code == 200, answer.content
        assert list(answer.json()) == list(schema.TERMS_PROPERTIES)
        assert answer.json()["liquidations_paused"] is True
        (contract,) = exchange.exchange.image().contracts
        assert contract.liquidations_paused
        assert contract.brackets[1] == (units(50_000), 500_000, units(50), 100)
        event = AuditEvent.objects.get(action="market.terms")
        assert (event.target, event.reason) == (f"market:{SYMBOL}", "venue outage")
        assert '"result":"OK"' in event.after
        command = OperatorCommand.objects.filter(type="ConfigureContract").latest("id")
        assert (command.actor, command.reason) == ("a_risk_manager", "venue outage")

    def test_brackets_and_a_group_change(self, exchange: MarginHarness) -> None:
        manager = staff(Role.RISK_MANAGER)
        brackets = [
            {"floor": "0", "maintenance_rate": "0.01", "max_leverage": 50},
            {"floor": "100000", "maintenance_rate": "0.02", "max_leverage": 20},
        ]

        tiers = manager.put(
            "/api/admin/risk-params", {"symbol": SYMBOL, "brackets": brackets, "reason": "calm"}
        )
        group = manager.put(
            "/api/admin/risk-params",
            {"insurance_group": GROUP, "drawdown": "0.4", "reason": "calm"},
        )

        assert [row["max_leverage"] for row in tiers.json()["tiers"]] == [50, 20]
        assert group.json()["drawdown"] == "0.4000"
        assert group.json()["shock"] == "0.1000"
        shown = manager.get("/api/admin/risk-params").json()
        assert shown["insurance_groups"] == [group.json()]
        assert shown["contracts"] == [tiers.json()]

    @pytest.mark.parametrize(
        ("_case", "body", "status", "code"),
        [
            ("no reason", {"symbol": SYMBOL, "default_leverage": 5}, 400, "VALIDATION_ERROR"),
            ("empty reason", {"symbol": SYMBOL, "default_leverage": 5, "reason": " "}, 400,
             "VALIDATION_ERROR"),
            ("nothing named", {"default_leverage": 5, "reason": "x"}, 400, "VALIDATION_ERROR"),
            ("both named", {"symbol": SYMBOL, "insurance_group": 1, "shock": "0", "reason": "x"},
             400, "VALIDATION_ERROR"),
            ("nothing to change", {"symbol": SYMBOL, "reason": "x"}, 400, "VALIDATION_ERROR"),
            ("the other's field", {"symbol": SYMBOL, "shock": "0.1", "reason": "x"}, 400,
             "UNKNOWN_FIELD"),
            ("unknown market", {"symbol": "X-Y-PERP", "default_leverage": 5, "reason": "x"}, 404,
             "MARKET_NOT_FOUND"),
            ("a spot market", {"symbol": "BTC-USDT", "default_leverage": 5, "reason": "x"}, 422,
             "NOT_A_PERPETUAL"),
            ("unknown group", {"insurance_group": 9, "shock": "0.1", "reason": "x"}, 404,
             "INSURANCE_GROUP_NOT_FOUND"),
            ("leverage out of range", {"symbol": SYMBOL, "default_leverage": 126, "reason": "x"},
             422, "INVALID_CONFIGURATION"),
            ("recovery above drawdown", {"insurance_group": 1, "recovery": "0.9", "reason": "x"},
             422, "INVALID_CONFIGURATION"),
            ("brackets that do not begin at 0",
             {"symbol": SYMBOL, "reason": "x", "brackets": [
                 {"floor": "1", "maintenance_rate": "0.01", "max_leverage": 50}]},
             422, "INVALID_BRACKETS"),
        ],
    )  # fmt: skip
    def test_a_refusal_changes_nothing(
        self, exchange: MarginHarness, _case: str, body: dict[str, Any], status: int, code: str
    ) -> None:
        manager, before = staff(Role.RISK_MANAGER), terms_of(exchange)

        answer = manager.put("/api/admin/risk-params", body)

        assert (answer.status_code, error_code(answer)) == (status, code)
        assert terms_of(exchange) == before

    @pytest.mark.parametrize("role", [Role.TRADER, Role.SUPPORT, Role.OPERATOR, Role.AUDITOR])
    def test_others_may_not(self, exchange: MarginHarness, role: Role) -> None:
        person, before = staff(role), terms_of(exchange)
        body = {"symbol": SYMBOL, "default_leverage": 5, "reason": "x"}

        changed = person.put("/api/admin/risk-params", body)
        settled = person.post(f"/api/admin/markets/{SYMBOL}/settle", {"reason": "x"})

        for answer in (changed, settled):
            assert (answer.status_code, error_code(answer)) == (403, "PERMISSION_DENIED")
        assert terms_of(exchange) == before


class TestFund:
    def test_money_goes_in_and_out(self, exchange: MarginHarness) -> None:
        operator = staff(Role.OPERATOR)
        path = f"/api/admin/insurance-funds/{GROUP}/move"
        body = {"currency": "USDT", "reason": "top up"}

        paid = operator.post(path, {**body, "amount": "500", "direction": "pay_in"})
        taken = operator.post(path, {**body, "amount": "1500.5", "direction": "take_out"})

        assert paid.json()["result"]["balances"][0]["amount"] == "1000500.00000000"
        assert taken.json()["result"]["balances"][0]["amount"] == "998999.50000000"
        assert AuditEvent.objects.filter(action="insurance.move").count() == 2

    def test_the_same_request_again_is_paid_once(self, exchange: MarginHarness) -> None:
        operator, path = staff(Role.OPERATOR), f"/api/admin/insurance-funds/{GROUP}/move"
        body = {"currency": "USDT", "reason": "top up", "amount": "500", "direction": "pay_in"}
        body["client_request_id"] = "top-up-17"

        first, again = operator.post(path, body), operator.post(path, body)
        # As when the process died after the exchange had moved it, before it wrote that down.
        OperationRequest.objects.update(status=RequestStatus.EXECUTING, result="")
        lost = operator.post(path, body)
        other = operator.post(path, {**body, "amount": "501"})

        for answer in (first, again, lost):
            assert answer.status_code == 200, answer.content
            (balance,) = answer.json()["result"]["balances"]
            assert balance["amount"] == "1000500.00000000"
        assert (other.status_code, error_code(other)) == (409, "REQUEST_ID_CONFLICT")

    def test_a_large_one_waits_for_a_second_person(self, exchange: MarginHarness) -> None:
        operator, path = staff(Role.OPERATOR), f"/api/admin/insurance-funds/{GROUP}/move"
        body = {"currency": "USDT", "reason": "wind down", "direction": "take_out"}

        asked = operator.post(path, {**body, "amount": "10000.01"})
        before = terms_of(exchange)
        own = operator.post(
            f"/api/admin/approvals/{asked.json()['approval_id']}/approve", {"reason": "mine"}
        )

        assert (asked.status_code, asked.json()["status"]) == (202, "pending_approval")
        assert (own.status_code, error_code(own)) == (422, "SECOND_PERSON_NEEDED")
        assert terms_of(exchange) == before

    @pytest.mark.parametrize(
        ("_case", "change", "status", "code"),
        [
            ("more than there is", {"amount": "1000000.1"}, 422, "INSUFFICIENT_INSURANCE"),
            ("nothing", {"amount": "0"}, 400, "VALIDATION_ERROR"),
            ("no such group", {"group": 9}, 404, "INSURANCE_GROUP_NOT_FOUND"),
            ("no such currency", {"currency": "XYZ"}, 404, "ASSET_NOT_FOUND"),
            ("no direction", {"direction": "up"}, 400, "VALIDATION_ERROR"),
        ],
    )
    def test_a_refusal_changes_nothing(
        self,
        exchange: MarginHarness,
        settings: Any,
        _case: str,
        change: dict[str, Any],
        status: int,
        code: str,
    ) -> None:
        settings.APPROVAL_LIMIT_ATOMS = units(2_000_000)
        operator, before = staff(Role.OPERATOR), terms_of(exchange)
        body = {"currency": "USDT", "amount": "1", "direction": "take_out", "reason": "x"}
        group = change.pop("group", GROUP)

        answer = operator.post(f"/api/admin/insurance-funds/{group}/move", {**body, **change})

        assert (answer.status_code, error_code(answer)) == (status, code)
        assert terms_of(exchange) == before


class TestSettle:
    def test_a_market_ends_for_good(
        self, exchange: MarginHarness, alice: Trader, bob: Trader
    ) -> None:
        for trader in (alice, bob):
            exchange.margin(trader.account_id)
        exchange.trade(alice.account_id, bob.account_id, "1")
        manager = staff(Role.RISK_MANAGER)
        path = f"/api/admin/markets/{SYMBOL}/settle"

        answer = manager.post(path, {"price": "61000", "reason": "delisted"})
        again = manager.post(path, {"reason": "delisted"})
        spot = manager.post("/api/admin/markets/BTC-USDT/settle", {"reason": "x"})

        assert (answer.status_code, answer.json()["result"]["status"]) == (200, "settled")
        states = {m.market_id: m.status for m in exchange.exchange.image().markets}
        assert states[PERP] is MarketStatus.SETTLED
        (closed,) = alice.api.get("/api/positions/history").json()["items"]
        assert (closed["reason"], closed["realised_profit"]) == ("settlement", "1000.00000000")
        assert (again.status_code, error_code(again)) == (422, "MARKET_SETTLED")
        assert (spot.status_code, error_code(spot)) == (422, "NOT_A_PERPETUAL")
        order = alice.place(symbol=SYMBOL, price="60000")
        assert order.status_code == 422
