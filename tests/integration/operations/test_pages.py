"""The pages of operations: form, confirmation, result; and those of requests."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from accounts.enums import Role
from accounts.models import AuditEvent
from common.testing import error_code
from exchange.core.enums import MarketStatus
from markets import selectors
from tests.support.margin import MarginHarness
from tests.support.second_factor import FrozenTime, clock, enable
from tests.support.staff import Staff, audited, staff_member
from tests.support.trading import PASSWORD, Trader

__all__ = ["clock"]

CREDIT = {"currency": "USDT", "amount": "500", "wallet": "spot"}


class TestMarket:
    @pytest.mark.parametrize(
        ("name", "status"),
        [
            ("market-halt", MarketStatus.HALTED),
            ("market-cancel-only", MarketStatus.CANCEL_ONLY),
            ("market-post-only", MarketStatus.POST_ONLY),
        ],
    )
    def test_is_restricted_after_confirming_and_opened_again(
        self, operator: Staff, alice: Trader, name: str, status: MarketStatus
    ) -> None:
        form = operator.browser.get(operator.form_url(name, "BTC-USDT"))
        asked = operator.fill_in(name, "BTC-USDT")
        selectors.cache_clear()
        untouched = selectors.market_by_symbol("BTC-USDT").status
        done = operator.confirm(asked)
        closed = selectors.market_by_symbol("BTC-USDT").status
        refused = alice.place(type="market", price=None)
        operator.confirm(operator.fill_in("market-resume", "BTC-USDT"))

        assert form.status_code == 200
        assert untouched is MarketStatus.TRADING
        assert 'data-outcome="done"' in done.content.decode()
        assert closed is status
        assert refused.status_code == 422
        assert selectors.market_by_symbol("BTC-USDT").status is MarketStatus.TRADING
        (event,) = audited(name.replace("-", ".", 1).replace("-", "_"))
        assert (event["actor"], event["reason"]) == ("a_operator", "drill")
        assert event["before"] == {"status": "trading"}
        assert event["after"] == {"status": status.name.lower(), "result": "OK"}

    def test_a_form_without_a_reason_says_so_and_does_nothing(self, operator: Staff) -> None:
        page = operator.fill_in("market-halt", "BTC-USDT", reason="")

        assert "The field is missing." in page.content.decode()
        assert audited("market.halt") == []

    def test_a_form_that_changes_nothing_is_refused(self, operator: Staff) -> None:
        page = operator.browser.get(operator.form_url("market-configure", "BTC-USDT"))
        shown = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.content.decode()))
        shown.pop("csrfmiddlewaretoken", None)

        same = operator.fill_in("market-configure", "BTC-USDT", **shown)
        asked = operator.fill_in("market-configure", "BTC-USDT", **{**shown, "min_notional": "9"})

        assert "NOTHING_TO_CHANGE" in same.content.decode()
        # What stays is not sent: somebody else may have changed it meanwhile.
        hidden = dict(
            re.findall(
                r'<input type="hidden" name="(\w+)" value="([^"]*)">', asked.content.decode()
            )
        )
        assert {name for name in hidden if name not in ("csrfmiddlewaretoken", "form_key")} == {
            "min_notional",
            "reason",
        }
        assert audited("market.configure") == []

    def test_sent_twice_it_is_done_once(self, operator: Staff) -> None:
        asked = operator.fill_in("market-halt", "BTC-USDT")

        operator.confirm(asked)
        again = operator.confirm(asked)

        assert 'data-outcome="done"' in again.content.decode()
        assert len(audited("market.halt")) == 1

    @pytest.mark.parametrize("role", [Role.SUPPORT, Role.AUDITOR])
    def test_who_may_not_gets_neither_form_nor_effect(
        self, exchange: MarginHarness, role: Role
    ) -> None:
        person, before = staff_member(role), AuditEvent.objects.count()

        form = person.browser.get(
            person.form_url("market-halt", "BTC-USDT"), headers={"Accept": "text/html"}
        )
        sent = person.fill_in("market-halt", "BTC-USDT", form_key="x" * 10)

        assert (form.status_code, sent.status_code) == (403, 403)
        # A page for people who look, the envelope for programs.
        assert "This user may not do that." in form.content.decode()
        assert "nav-sidebar" in form.content.decode()
        assert error_code(sent) == "PERMISSION_DENIED"
        assert selectors.market_by_symbol("BTC-USDT").status is MarketStatus.TRADING
        assert AuditEvent.objects.count() <= before + 2

    def test_what_is_not_there_is_not_found(self, operator: Staff) -> None:
        paths = [
            operator.form_url("market-halt", "X-Y"),
            operator.form_url("market-burn", "BTC-USDT"),
            reverse("operation-result", args=["unknown"]),
            reverse("approval", args=[77]),
        ]

        assert [operator.browser.get(path).status_code for path in paths] == [404] * 4

    def test_a_stranger_is_sent_to_log_in(self, alice: Trader, client: object) -> None:
        answer = client.get(Staff.form_url("market-halt", "BTC-USDT"))  # type: ignore[attr-defined]

        assert answer.status_code == 302
        assert "/login/" in answer["Location"]


class TestCredit:
    def test_is_paid_after_confirming(self, operator: Staff, alice: Trader) -> None:
        asked = operator.fill_in("account-credit", str(alice.account_id), **CREDIT)
        done = operator.confirm(asked)
        again = operator.confirm(asked)

        assert "account" in asked.content.decode()
        for page in (done, again):
            assert 'data-outcome="done"' in page.content.decode()
        assert alice.balances()["USDT spot"][0] == "1000500.00000000"

    def test_a_refusal_is_shown_in_the_form(self, operator: Staff, alice: Trader) -> None:
        fields = {**CREDIT, "currency": "XYZ"}

        page = operator.confirm(operator.fill_in("account-credit", str(alice.account_id), **fields))

        assert "ASSET_NOT_FOUND" in page.content.decode()
        assert audited("account.credit")[0]["after"]["result"] == "ASSET_NOT_FOUND"

    def test_a_large_one_goes_through_two_people(
        self, operator: Staff, second: Staff, alice: Trader
    ) -> None:
        fields = {**CREDIT, "amount": "20000"}
        pending = operator.confirm(
            operator.fill_in("account-credit", str(alice.account_id), **fields)
        )
        before = alice.balances()["USDT spot"][0]
        listed = second.browser.get(reverse("approvals"))
        number = second.api.get("/api/admin/approvals").json()["items"][0]["id"]
        path = reverse("approval", args=[number])
        own = operator.browser.post(path, {"reason": "mine", "decision": "approve"})
        silent = second.browser.post(path, {"decision": "approve"})
        done = second.browser.post(path, {"reason": "seen", "decision": "approve"}, follow=True)

        assert 'data-outcome="pending"' in pending.content.decode()
        assert before == "1000000.00000000"
        assert path in listed.content.decode()
        assert "SECOND_PERSON_NEEDED" in own.content.decode()
        assert "The field is missing." in silent.content.decode()
        assert "Carried out" in done.content.decode()
        assert alice.balances()["USDT spot"][0] == "1020000.00000000"

    def test_support_sees_requests_and_decides_none(self, operator: Staff, alice: Trader) -> None:
        operator.confirm(
            operator.fill_in(
                "account-credit", str(alice.account_id), **{**CREDIT, "amount": "20000"}
            )
        )
        support = staff_member(Role.SUPPORT)
        number = support.api.get("/api/admin/approvals").json()["items"][0]["id"]
        path = reverse("approval", args=[number])

        page = support.browser.get(path)
        sent = support.browser.post(path, {"reason": "seen", "decision": "approve"})

        assert page.status_code == 200
        assert "Agree and carry out" not in page.content.decode()
        assert sent.status_code == 403
        assert alice.balances()["USDT spot"][0] == "1000000.00000000"


class TestSecondFactor:
    """Money is moved only against a code, which counts once."""

    def test_a_credit_takes_a_code_and_each_code_pays_once(
        self, operator: Staff, alice: Trader, clock: FrozenTime
    ) -> None:
        phone, _ = enable(operator.api, clock, password=PASSWORD)
        operator.log_in_again()
        account, code = str(alice.account_id), phone.next_code()

        asked = operator.fill_in("account-credit", account, **CREDIT)
        silent = operator.confirm(asked)
        wrong = operator.confirm(asked, code="000000")
        nothing = (alice.balances()["USDT spot"][0], audited("account.credit"))
        right = operator.confirm(wrong, code=code)
        paid = alice.balances()["USDT spot"][0]
        second = operator.fill_in("account-credit", account, **{**CREDIT, "amount": "7"})
        used = operator.confirm(second, code=code)

        assert 'autocomplete="one-time-code"' in asked.content.decode()
        assert "This field is required." in silent.content.decode()
        for page in (wrong, used):
            assert "The code is wrong, used or too old." in page.content.decode()
            assert 'id="operation-confirm"' in page.content.decode()
        assert nothing == ("1000000.00000000", [])
        assert 'data-outcome="done"' in right.content.decode()
        assert paid == alice.balances()["USDT spot"][0] == "1000500.00000000"
        assert [event["after"]["result"] for event in audited("account.credit")] == ["OK"]

    def test_who_agrees_to_a_large_one_shows_a_code_too(
        self, operator: Staff, second: Staff, alice: Trader, clock: FrozenTime
    ) -> None:
        phone, _ = enable(second.api, clock, password=PASSWORD)
        second.log_in_again()
        large = {**CREDIT, "amount": "20000"}
        operator.confirm(operator.fill_in("account-credit", str(alice.account_id), **large))
        number = second.api.get("/api/admin/approvals").json()["items"][0]["id"]
        path, agreed = reverse("approval", args=[number]), {"reason": "seen", "decision": "approve"}

        wrong = second.browser.post(path, {**agreed, "code": "000000"})
        before = alice.balances()["USDT spot"][0]
        right = second.browser.post(path, {**agreed, "code": phone.next_code()}, follow=True)

        assert "The code is wrong, used or too old." in wrong.content.decode()
        assert before == "1000000.00000000"
        assert "Carried out" in right.content.decode()
        assert alice.balances()["USDT spot"][0] == "1020000.00000000"
