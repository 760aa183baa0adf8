"""Credits and debits: straight away below the limit, by two people above it, and once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accounts import operation_requests
from accounts.enums import RequestStatus, Role
from accounts.models import OperationRequest, User
from accounts.operation_requests import request_approve, requests_expire
from accounts.operations import Call, all_operations, call_of
from common.errors import ApiError
from common.testing import error_code
from exchange import gateway
from exchange.errors import StatusUnknown
from tests.support.exchange import asset
from tests.support.margin import MarginHarness
from tests.support.staff import Staff, audited, staff_member
from tests.support.trading import Trader, money_of

BODY = {"currency": "USDT", "amount": "500", "wallet": "spot", "reason": "deposit 17"}
LARGE = {**BODY, "amount": "10000.01"}


def address(trader: Trader, action: str = "credit") -> str:
    return f"/api/admin/accounts/{trader.account_id}/{action}"


def usdt(trader: Trader) -> str:
    return trader.balances()["USDT spot"][0]


def asked(operator: Staff, trader: Trader) -> str:
    """Ask for what needs a second person; return the request's number."""
    answer = operator.api.post(address(trader), LARGE)
    assert (answer.status_code, answer.json()["status"]) == (202, "pending_approval")
    number: str = answer.json()["approval_id"]
    return number


def call_of_row(row: OperationRequest, staff: Staff) -> Call:
    """Return what a row asks for, as its process had it in memory."""
    body = {**json.loads(row.given), "reason": row.reason}
    return call_of(all_operations()[row.operation], row.target, body, staff.user)


def approve(staff: Staff, number: str) -> Any:
    return staff.api.post(f"/api/admin/approvals/{number}/approve", {"reason": "seen"})


class TestStraightAway:
    def test_a_small_credit_is_paid_and_told_once(self, operator: Staff, alice: Trader) -> None:
        answer = operator.api.post(address(alice), BODY)

        assert answer.status_code == 200, answer.content
        assert answer.json()["result"]["amount"] == "500"
        assert usdt(alice) == "1000500.00000000"
        (event,) = audited("account.credit")
        user_id = User.objects.get(username="alice").pk
        assert (event["actor"], event["target"]) == ("a_operator", f"user:{user_id}")
        assert event["reason"] == "deposit 17"
        assert event["after"]["result"] == "OK"
        assert event["after"]["amount"] == "500"
        assert OperationRequest.objects.get().status == RequestStatus.EXECUTED

    def test_a_debit_takes_what_is_available(self, operator: Staff, alice: Trader) -> None:
        answer = operator.api.post(address(alice, "debit"), BODY)

        assert answer.status_code == 200
        assert usdt(alice) == "999500.00000000"

    @pytest.mark.parametrize(
        ("_case", "change", "status", "code"),
        [
            ("no reason", {"reason": " "}, 400, "VALIDATION_ERROR"),
            ("a long reason", {"reason": "x" * 201}, 400, "VALIDATION_ERROR"),
            ("nothing", {"amount": "0"}, 400, "VALIDATION_ERROR"),
            ("a number", {"amount": 5}, 400, "VALIDATION_ERROR"),
            ("no such wallet", {"wallet": "isolated"}, 400, "VALIDATION_ERROR"),
            ("a stranger's field", {"account": "1"}, 400, "UNKNOWN_FIELD"),
            ("no such currency", {"currency": "XYZ"}, 404, "ASSET_NOT_FOUND"),
            ("a bad client id", {"client_request_id": "a:b"}, 400, "VALIDATION_ERROR"),
        ],
    )
    def test_a_refusal_moves_nothing(
        self,
        exchange: MarginHarness,
        operator: Staff,
        alice: Trader,
        _case: str,
        change: dict[str, Any],
        status: int,
        code: str,
    ) -> None:
        before = money_of(exchange)

        answer = operator.api.post(address(alice), {**BODY, **change})

        assert (answer.status_code, error_code(answer)) == (status, code)
        assert money_of(exchange) == before

    def test_what_is_not_there_is_not_paid_out(self, operator: Staff, alice: Trader) -> None:
        body = {**BODY, "currency": "BTC", "amount": "0.1", "wallet": "margin"}

        answer = operator.api.post(address(alice, "debit"), body)

        assert (answer.status_code, error_code(answer)) == (422, "INSUFFICIENT_BALANCE")
        (event,) = audited("account.debit")
        assert event["after"]["result"] == "INSUFFICIENT_BALANCE"
        assert OperationRequest.objects.get().status == RequestStatus.REFUSED

    def test_nobody_pays_into_an_account_of_their_own(
        self, exchange: MarginHarness, operator: Staff
    ) -> None:
        before = money_of(exchange)

        answer = operator.api.post(f"/api/admin/accounts/{operator.user.account_id}/credit", BODY)

        assert (answer.status_code, error_code(answer)) == (422, "OWN_ACCOUNT")
        assert money_of(exchange) == before
        assert [event["after"]["result"] for event in audited("account.credit")] == ["OWN_ACCOUNT"]

    def test_the_same_request_again_is_paid_once(self, operator: Staff, alice: Trader) -> None:
        body = {**BODY, "client_request_id": "wire-17"}

        first = operator.api.post(address(alice), body)
        again = operator.api.post(address(alice), body)
        other = operator.api.post(address(alice), {**body, "amount": "501"})

        assert first.json() == again.json()
        assert (other.status_code, error_code(other)) == (409, "REQUEST_ID_CONFLICT")
        assert usdt(alice) == "1000500.00000000"

    def test_an_unknown_outcome_is_asked_for_again_without_paying_twice(
        self, operator: Staff, alice: Trader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        body = {**BODY, "client_request_id": "wire-18"}
        submit = gateway.submit

        def lost(*arguments: Any, **options: Any) -> Any:
            submit(*arguments, **options)
            raise StatusUnknown

        monkeypatch.setattr(gateway, "submit", lost)
        first = operator.api.post(address(alice), body)
        monkeypatch.setattr(gateway, "submit", submit)
        again = operator.api.post(address(alice), body)

        assert (first.status_code, error_code(first)) == (504, "STATUS_UNKNOWN")
        assert again.json()["status"] == "done"
        assert usdt(alice) == "1000500.00000000"
        results = [event["after"]["result"] for event in audited("account.credit")]
        assert results == ["STATUS_UNKNOWN", "OK"]


class TestLimit:
    def test_amounts_of_a_day_count_together(self, operator: Staff, alice: Trader) -> None:
        answers = [
            operator.api.post(address(alice), {**BODY, "amount": "4000"}).json()["status"]
            for _ in range(3)
        ]

        assert answers == ["done", "done", "pending_approval"]
        assert usdt(alice) == "1008000.00000000"

    def test_other_currencies_count_at_their_price(self, operator: Staff, alice: Trader) -> None:
        bitcoin = {**BODY, "currency": "BTC"}

        small = operator.api.post(address(alice), {**bitcoin, "amount": "0.15"})
        large = operator.api.post(address(alice), {**bitcoin, "amount": "0.2"})

        # At 60,000, the dearer of the two indexes: 9,000 and 12,000 USDT.
        assert (small.status_code, large.status_code) == (200, 202)

    def test_what_nobody_can_value_needs_a_second_person(
        self, exchange: MarginHarness, operator: Staff, alice: Trader
    ) -> None:
        exchange.configure(asset(9, "NEW"))

        answer = operator.api.post(address(alice), {**BODY, "currency": "NEW", "amount": "0.1"})

        assert answer.status_code == 202
        assert OperationRequest.objects.get().value_atoms is None

    def test_an_older_day_is_forgotten(self, operator: Staff, alice: Trader) -> None:
        operator.api.post(address(alice), {**BODY, "amount": "9000"})
        OperationRequest.objects.update(created_ms=0)

        assert operator.api.post(address(alice), {**BODY, "amount": "9000"}).status_code == 200


class TestSecondPerson:
    def test_nothing_moves_before_and_exactly_that_after(
        self, exchange: MarginHarness, operator: Staff, second: Staff, alice: Trader
    ) -> None:
        number = asked(operator, alice)
        before = usdt(alice)

        answer = approve(second, number)

        assert before == "1000000.00000000"
        assert answer.json()["status"] == "executed"
        assert answer.json()["decided_by"] == "olga"
        assert usdt(alice) == "1010000.01000000"
        entry = alice.api.get("/api/wallet/history").json()["items"][0]
        assert entry["note"] == "deposit 17"
        first, last = audited("account.credit")
        assert (first["actor"], first["after"]["result"]) == ("a_operator", "PENDING_APPROVAL")
        assert (last["actor"], last["after"]["result"]) == ("olga", "OK")
        assert last["after"]["requested_by"] == "a_operator"
        assert last["after"]["request_id"] == number

    def test_who_asked_does_not_agree(self, operator: Staff, alice: Trader) -> None:
        number = asked(operator, alice)

        answer = approve(operator, number)

        assert (answer.status_code, error_code(answer)) == (422, "SECOND_PERSON_NEEDED")
        assert usdt(alice) == "1000000.00000000"
        assert audited("account.credit")[-1]["after"]["result"] == "SECOND_PERSON_NEEDED"

    @pytest.mark.parametrize("role", [Role.SUPPORT, Role.RISK_MANAGER, Role.AUDITOR, Role.TRADER])
    def test_neither_does_who_may_not_move_money(
        self, operator: Staff, alice: Trader, role: Role
    ) -> None:
        number = asked(operator, alice)

        answer = approve(staff_member(role), number)

        assert (answer.status_code, error_code(answer)) == (403, "PERMISSION_DENIED")
        assert usdt(alice) == "1000000.00000000"

    def test_nor_who_would_be_paid(self, operator: Staff, second: Staff, exchange: Any) -> None:
        body = {**LARGE}
        number = operator.api.post(
            f"/api/admin/accounts/{second.user.account_id}/credit", body
        ).json()["approval_id"]

        answer = approve(second, number)

        assert (answer.status_code, error_code(answer)) == (422, "OWN_ACCOUNT")

    def test_a_second_agreement_changes_nothing(
        self, operator: Staff, second: Staff, alice: Trader
    ) -> None:
        number = asked(operator, alice)
        approve(second, number)

        again = approve(staff_member(Role.ADMIN), number)

        assert (again.status_code, error_code(again)) == (409, "REQUEST_DECIDED")
        assert usdt(alice) == "1010000.01000000"

    def test_rejected_is_over(self, operator: Staff, second: Staff, alice: Trader) -> None:
        number = asked(operator, alice)

        rejected = second.api.post(f"/api/admin/approvals/{number}/reject", {"reason": "no"})
        late = approve(second, number)

        assert rejected.json()["status"] == "rejected"
        assert error_code(late) == "REQUEST_DECIDED"
        assert usdt(alice) == "1000000.00000000"
        (event,) = audited("account.credit_reject")
        assert (event["actor"], event["reason"]) == ("olga", "no")

    def test_after_a_day_it_is_too_late(
        self, operator: Staff, second: Staff, alice: Trader
    ) -> None:
        number = asked(operator, alice)
        OperationRequest.objects.update(expires_ms=1)

        late = approve(second, number)
        ended, again = requests_expire(), requests_expire()

        assert (late.status_code, error_code(late)) == (409, "REQUEST_EXPIRED")
        assert (ended, again) == (1, 0)
        assert OperationRequest.objects.get().status == RequestStatus.EXPIRED
        assert [event["actor"] for event in audited("account.credit_expire")] == ["platform"]
        assert usdt(alice) == "1000000.00000000"

    def weighed_by_nobody(
        self, operator: Staff, trader: Trader, patched: pytest.MonkeyPatch
    ) -> dict[str, str]:
        """Ask for a credit whose process dies before it is weighed; return what was asked."""
        body = {**BODY, "client_request_id": "died-early"}

        def die(_row: OperationRequest) -> bool:
            raise KeyboardInterrupt

        with patched.context() as dying:
            dying.setattr(operation_requests, "_within_limit", die)
            with pytest.raises(KeyboardInterrupt):
                operator.api.post(address(trader), body)
        assert OperationRequest.objects.get().status == RequestStatus.WEIGHING
        return body

    def test_one_whose_process_died_is_weighed_when_it_is_sent_again(
        self, operator: Staff, alice: Trader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        body = self.weighed_by_nobody(operator, alice, monkeypatch)

        answers = [operator.api.post(address(alice), body) for _ in range(2)]

        assert [answer.json()["status"] for answer in answers] == ["done", "done"]
        assert usdt(alice) == "1000500.00000000"
        assert OperationRequest.objects.get().status == RequestStatus.EXECUTED

    def test_one_whose_process_died_ends_and_is_not_carried_out_later(
        self, operator: Staff, alice: Trader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        body = self.weighed_by_nobody(operator, alice, monkeypatch)
        (row,) = OperationRequest.objects.all()
        early = requests_expire()
        created = row.created_ms - operation_requests.WEIGHED_WITHIN_MS - 1
        OperationRequest.objects.update(created_ms=created)

        ended, again = requests_expire(), requests_expire()
        late = operator.api.post(address(alice), body)
        call = operation_requests._numbered(call_of_row(row, operator), row)
        with pytest.raises(ApiError) as refusal:
            operation_requests._weigh(row, call)

        assert (early, ended, again) == (0, 1, 0)
        assert (late.status_code, error_code(late)) == (409, "REQUEST_EXPIRED")
        assert refusal.value.code == "REQUEST_EXPIRED"
        assert usdt(alice) == "1000000.00000000"
        (event,) = audited("account.credit_expire")
        assert (event["actor"], event["reason"]) == ("platform", "its process ended")

    def test_a_lost_answer_is_asked_for_again_and_paid_once(
        self,
        operator: Staff,
        second: Staff,
        alice: Trader,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        number = asked(operator, alice)
        submit = gateway.submit

        def lost(*arguments: Any, **options: Any) -> Any:
            submit(*arguments, **options)
            raise StatusUnknown

        monkeypatch.setattr(gateway, "submit", lost)
        first = approve(second, number)
        monkeypatch.setattr(gateway, "submit", submit)
        soon = approve(second, number)
        OperationRequest.objects.update(created_ms=1, decided_ms=1)
        later = approve(second, number)

        assert error_code(first) == "STATUS_UNKNOWN"
        assert error_code(soon) == "REQUEST_DECIDED"
        assert later.json()["status"] == "executed"
        assert usdt(alice) == "1010000.01000000"

    def test_what_is_pending_is_listed_and_shown(self, operator: Staff, alice: Trader) -> None:
        number = asked(operator, alice)

        page = operator.api.get("/api/admin/approvals?status=pending").json()
        one = operator.api.get(f"/api/admin/approvals/{number}").json()

        assert page["items"] == [one]
        assert (one["operation"], one["value"]) == ("account-credit", "10000.01")
        assert one["request"] == {name: LARGE[name] for name in ("currency", "amount", "wallet")}


class TestRace:
    def test_of_two_who_agree_at_once_one_pays(
        self, operator: Staff, second: Staff, alice: Trader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        number = int(asked(operator, alice))
        first, other, take = second.user, staff_member(Role.ADMIN).user, operation_requests._take

        def overtaken(*arguments: Any) -> None:
            """Let the other one through after the first one's checks, just before it decides."""
            monkeypatch.setattr(operation_requests, "_take", take)
            request_approve(request_id=number, actor=other, reason="faster")
            take(*arguments)

        monkeypatch.setattr(operation_requests, "_take", overtaken)
        with pytest.raises(ApiError, match="REQUEST_DECIDED"):
            request_approve(request_id=number, actor=first, reason="slower")

        assert usdt(alice) == "1010000.01000000"
        results = [
            (event["actor"], event["after"]["result"]) for event in audited("account.credit")
        ]
        assert results == [
            ("a_operator", "PENDING_APPROVAL"),
            ("a_admin", "OK"),
            ("olga", "REQUEST_DECIDED"),
        ]
        assert OperationRequest.objects.get().decided_by == "a_admin"
