"""What operators decide about withdrawals, and every edge that does not exist."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.enums import Role
from accounts.models import AuditEvent, OperationRequest, User
from accounts.switches import WITHDRAWALS_FROZEN, switch_set
from adminpanel.stats import board
from common.testing import error_code
from orders.live import PrivateProjector, WatchedAccount
from positions.tasks import trial_balance_count
from positions.trial_balance import ledger_check
from tests.support.margin import MarginHarness
from tests.support.staff import Staff, audited, staff_member
from tests.support.trading import Trader
from tests.support.withdrawals import (
    ADDRESS,
    add_address,
    books,
    open_terms,
    operate,
    requested,
    states,
)
from wallets.models import Withdrawal
from wallets.withdrawals.tell import withdrawals_snapshot
from wallets.withdrawals.terms import assets_halt

pytestmark = pytest.mark.integration

ENDINGS = {"sent": {"transaction_id": "0xabc"}}


@pytest.fixture
def customer(exchange: MarginHarness, alice: Trader) -> Trader:
    """Alice with 1,000,000 USDT and an address that is old enough."""
    open_terms()
    add_address(alice)
    return alice


def act(staff: Staff, withdrawal: dict[str, Any], action: str) -> Any:
    return operate(staff, withdrawal, action, **ENDINGS.get(action, {}))


class TestTheWay:
    def test_approved_then_sent(
        self, exchange: MarginHarness, customer: Trader, operator: Staff
    ) -> None:
        found = requested(customer)

        approved = operate(operator, found, "approve").json()
        sent = operate(operator, found, "sent", transaction_id="0xabc").json()

        assert approved["result"]["status"] == "approved"
        assert sent["result"]["status"] == "sent"
        body = customer.api.get(f"/api/wallet/withdrawals/{found['id']}").json()
        assert (body["status"], body["transaction_id"]) == ("sent", "0xabc")
        assert body["settled_at"] >= body["updated_at"]
        assert books(exchange, customer) == ("999899", "0", "1")
        exchange.exchange.check_all()
        told = audited("withdrawal.request", "withdrawal.approve", "withdrawal.sent")
        assert [(event["actor"], event["after"]["state"]) for event in told] == [
            ("alice", "requested"),
            ("a_operator", "approved"),
            ("a_operator", "sent"),
        ]

    @pytest.mark.parametrize("before", [[], ["approve"]])
    def test_rejected_and_the_user_reads_why(
        self, exchange: MarginHarness, customer: Trader, operator: Staff, before: list[str]
    ) -> None:
        found = requested(customer)
        for action in before:
            act(operator, found, action)

        answer = operate(operator, found, "reject", reason="Address on a list")

        assert answer.status_code == 200
        body = customer.api.get(f"/api/wallet/withdrawals/{found['id']}").json()
        assert (body["status"], body["reason"]) == ("rejected", "Address on a list")
        assert body["settled_at"] is not None
        assert books(exchange, customer) == ("1e+06", "0", "0")

    def test_operators_see_all_of_them(self, customer: Trader, operator: Staff) -> None:
        found = requested(customer)

        listed = operator.api.get("/api/admin/withdrawals?status=requested").json()
        one = operator.api.get(f"/api/admin/withdrawals/{found['id']}").json()

        assert listed["items"] == [one]
        assert one["account_id"] == str(customer.account_id)
        assert operator.api.get("/api/admin/withdrawals?status=sent").json()["items"] == []


# What was done before, and what must then be refused.
ILLEGAL = [
    ([], "sent"),
    (["approve"], "approve"),
    (["approve"], "cancel"),
    *((["approve", "sent"], action) for action in ("approve", "sent", "reject", "cancel")),
    *((["cancel"], action) for action in ("approve", "sent", "reject", "cancel")),
    *((["reject"], action) for action in ("approve", "sent", "reject", "cancel")),
]


def test_no_other_edge_exists(exchange: MarginHarness, customer: Trader, operator: Staff) -> None:
    wrong = []

    for number, (done, refused) in enumerate(ILLEGAL):
        found = requested(customer, client_withdrawal_id=f"w-{number}")

        def step(action: str, withdrawal: dict[str, Any] = found) -> Any:
            if action == "cancel":
                return customer.api.delete(f"/api/wallet/withdrawals/{withdrawal['id']}")
            return act(operator, withdrawal, action)

        assert [step(action).status_code for action in done] == [200] * len(done)
        before = (books(exchange, customer), states())
        answer = step(refused)
        if (answer.status_code, error_code(answer)) != (409, "WITHDRAWAL_STATE"):
            wrong.append((done, refused, answer.status_code))
        if (books(exchange, customer), states()) != before:
            wrong.append((done, refused, "changed something"))

    assert wrong == []


class TestApproval:
    @pytest.mark.parametrize("frozen", ["user", "all", "halted"])
    def test_not_while_money_may_not_leave(
        self, customer: Trader, operator: Staff, frozen: str
    ) -> None:
        found = requested(customer)
        if frozen == "user":
            User.objects.filter(username="alice").update(withdrawals_frozen=True)
        elif frozen == "all":
            switch_set(WITHDRAWALS_FROZEN, is_on=True)
        else:
            assert assets_halt({3: "the books do not add up"}) == [3]

        answer = operate(operator, found, "approve")

        code = "WITHDRAWALS_HALTED" if frozen == "halted" else "WITHDRAWALS_FROZEN"
        assert (answer.status_code, error_code(answer)) == (422, code)
        assert states() == ["requested"]
        # What refuses is no reason to keep the money from going back.
        assert operate(operator, found, "reject").status_code == 200

    def test_above_the_limit_by_two(
        self, exchange: MarginHarness, customer: Trader, operator: Staff, second: Staff
    ) -> None:
        found = requested(customer, amount="10000")

        asked = operate(operator, found, "approve")
        approval = asked.json()["approval_id"]
        path = f"/api/admin/approvals/{approval}/approve"
        alone = operator.api.post(path, {"reason": "drill"})
        together = second.api.post(path, {"reason": "drill"})

        assert (asked.status_code, asked.json()["status"]) == (202, "pending_approval")
        assert (alone.status_code, error_code(alone)) == (422, "SECOND_PERSON_NEEDED")
        assert together.status_code == 200
        shown = second.api.get(f"/api/admin/withdrawals/{found['id']}").json()
        assert (shown["status"], shown["approved_by"]) == ("approved", "a_operator and olga")
        done = [event for event in audited("withdrawal.approve") if event["after"].get("state")]
        assert [event["actor"] for event in done] == ["olga"]

    def test_cancelled_before_the_second_agrees(
        self, customer: Trader, operator: Staff, second: Staff
    ) -> None:
        found = requested(customer, amount="10000")
        approval = operate(operator, found, "approve").json()["approval_id"]
        customer.api.delete(f"/api/wallet/withdrawals/{found['id']}")

        answer = second.api.post(f"/api/admin/approvals/{approval}/approve", {"reason": "drill"})

        assert (answer.status_code, error_code(answer)) == (409, "WITHDRAWAL_STATE")
        assert states() == ["cancelled"]

    def test_cut_off_after_the_approval_it_is_answered_again(
        self, customer: Trader, operator: Staff
    ) -> None:
        found = requested(customer)
        body = {"reason": "drill", "client_request_id": "r-1"}
        path = f"/api/admin/withdrawals/{found['id']}/approve"
        operator.api.post(path, body)
        # As if the process had died before it could write down that it was done.
        OperationRequest.objects.update(status="executing", result="")

        again = operator.api.post(path, body)

        assert (again.status_code, again.json()["result"]["status"]) == (200, "approved")
        assert len(audited("withdrawal.approve")) == 1

    def test_nobody_approves_their_own(
        self, exchange: MarginHarness, customer: Trader, operator: Staff
    ) -> None:
        found = requested(customer)
        User.objects.filter(username="alice").update(role=Role.OPERATOR)

        for action in ("approve", "reject", "sent"):
            path = f"/api/admin/withdrawals/{found['id']}/{action}"
            answer = customer.api.post(path, {"reason": "drill", **ENDINGS.get(action, {})})
            assert answer.status_code in (403, 422), action
        assert states() == ["requested"]


class TestTerms:
    def test_they_hold_for_what_is_asked_for_later(
        self, exchange: MarginHarness, customer: Trader, operator: Staff
    ) -> None:
        requested(customer, client_withdrawal_id="a")
        terms = {
            **{"open": True, "minimum": "20", "fee": "3", "daily_limit_trader": "50000"},
            **{"daily_limit_maker": "0", "daily_limit_internal": "1000"},
        }

        answer = operator.api.post(
            "/api/admin/assets/USDT/withdrawal-terms", {**terms, "reason": "drill"}
        )

        assert answer.status_code == 200, answer.content
        assert answer.json()["result"]["minimum"] == "20.00000000"
        fees = list(Withdrawal.objects.order_by("id").values_list("fee_atoms", flat=True))
        fees.append(int(requested(customer, client_withdrawal_id="b")["fee"][0]) * 10**8)
        assert fees == [10**8, 3 * 10**8]
        (event,) = audited("asset.withdrawal_terms")
        assert (event["before"]["fee"], event["after"]["fee"]) == ("1.00000000", "3.00000000")

    def test_a_halt_is_lifted_once(self, customer: Trader, operator: Staff) -> None:
        assert assets_halt({3: "first"}) == [3]
        assert assets_halt({3: "second"}) == []
        path = "/api/admin/assets/USDT/release-withdrawals"

        lifted = operator.api.post(path, {"reason": "counted again"})
        again = operator.api.post(path, {"reason": "counted again"})

        assert lifted.json()["result"]["halted_because"] is None
        assert (again.status_code, error_code(again)) == (409, "NOTHING_TO_CHANGE")
        (halted,) = audited("asset.halt_withdrawals")
        assert (halted["actor"], halted["after"]) == ("platform", {"because": "first"})
        requested(customer)


class TestTelling:
    def test_the_user_hears_every_change(
        self,
        customer: Trader,
        operator: Staff,
        redis_client: Any,
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        projector = PrivateProjector(redis_client)
        # Where tests commit, on MongoDB, the address of before was told of; nobody listens yet.
        projector._take_notices(0)
        projector._watched = {customer.account_id: WatchedAccount()}
        with django_capture_on_commit_callbacks(execute=True):
            found = requested(customer)
        with django_capture_on_commit_callbacks(execute=True):
            operate(operator, found, "approve")
        with django_capture_on_commit_callbacks(execute=True):
            operate(operator, found, "sent", transaction_id="0xabc")

        projector._take_notices(1)

        frames = [
            (channel, data["status"], data["settled_at"] is not None)
            for account, channel, data, _ in projector._frames
            if account == customer.account_id
        ]
        # What waits for a commit comes late in a test, which is one transaction.
        assert sorted(frames) == [
            ("withdrawals", "approved", False),
            ("withdrawals", "requested", False),
            ("withdrawals", "sent", False),
            ("withdrawals", "sent", True),
        ]
        (shown,) = withdrawals_snapshot(customer.account_id)["withdrawals"]
        assert shown == customer.api.get(f"/api/wallet/withdrawals/{found['id']}").json()


class TestBackOffice:
    def test_the_page_of_one_shows_it_and_what_may_be_done(
        self, customer: Trader, operator: Staff
    ) -> None:
        requested(customer, client_withdrawal_id="a", amount="55")
        found = requested(customer)
        support = staff_member(Role.SUPPORT)

        listed = operator.browser.get("/admin/wallets/withdrawal/?state=requested")
        page = operator.browser.get(f"/admin/wallets/withdrawal/{found['id']}/change/")
        looked = support.browser.get(f"/admin/wallets/withdrawal/{found['id']}/change/")

        assert ADDRESS in listed.content.decode()
        text = page.content.decode()
        assert "100.00000000 USDT" in text
        assert f"55.00000000 USDT to {ADDRESS}: waiting for approval" in text
        for action in ("approve", "reject"):
            assert f"/admin/operations/withdrawal-{action}/{found['id']}" in text
        assert "withdrawal-sent" not in text
        assert "withdrawal-approve" not in looked.content.decode()

    def test_its_forms_lead_to_the_end(
        self, exchange: MarginHarness, customer: Trader, operator: Staff
    ) -> None:
        found = requested(customer)

        for action in ("approve", "sent"):
            filled = operator.fill_in(
                f"withdrawal-{action}", found["id"], **ENDINGS.get(action, {})
            )
            operator.confirm(filled)

        assert states() == ["sent"]
        cash = operator.browser.get("/admin/sections/deposits/").content.decode()
        assert f"withdrawal {found['id']}" in cash

    def test_pages_around_it(self, customer: Trader, operator: Staff) -> None:
        requested(customer)
        user = User.objects.get(username="alice")

        pages = {
            address: operator.browser.get(f"/admin/{address}")
            for address in (
                "wallets/withdrawaladdress/",
                "wallets/withdrawalterms/",
                "wallets/withdrawalterms/3/change/",
                "markets/asset/3/change/",
                f"accounts/user/{user.pk}/tab/withdrawals/",
            )
        }

        assert {page.status_code for page in pages.values()} == {200}
        assert "asset-withdrawal-terms" in pages["markets/asset/3/change/"].content.decode()
        tab = pages[f"accounts/user/{user.pk}/tab/withdrawals/"].content.decode()
        assert ADDRESS in tab

    def test_the_dashboard_sums_what_waits(self, customer: Trader, operator: Staff) -> None:
        requested(customer, client_withdrawal_id="a")
        operate(operator, requested(customer, client_withdrawal_id="b"), "approve")
        board.forget()

        shown = board.board_now().body(lambda _permission: True)

        assert shown["withdrawals"] == [
            {"status": state, "currency": "USDT", "count": 1, "total": "101.00000000"}
            for state in ("requested", "approved")
        ]


class TestBooks:
    def test_the_ledger_knows_them(
        self, exchange: MarginHarness, customer: Trader, operator: Staff
    ) -> None:
        made = [requested(customer, client_withdrawal_id=name) for name in "abc"]
        operate(operator, made[0], "approve")
        operate(operator, made[0], "sent", transaction_id="0xabc")
        operate(operator, made[1], "reject")

        assert ledger_check(time_ms=1).problems == {}

    def test_a_row_without_its_money_halts_the_asset(
        self, customer: Trader, operator: Staff
    ) -> None:
        found = requested(customer)
        Withdrawal.objects.update(amount_atoms=90 * 10**8)

        trial_balance_count()

        text = "pending withdrawals hold 10100000000 atoms, their rows need 9100000000"
        assert ledger_check(time_ms=1).problems == {3: [text]}
        assert error_code(operate(operator, found, "approve")) == "WITHDRAWALS_HALTED"
        board.forget()
        alerts = board.board_now().body(lambda _permission: True)["alerts"]
        assert ("WITHDRAWALS_HALTED", "USDT") in {(a["code"], a["subject"]) for a in alerts}


def test_support_and_risk_managers_only_look(customer: Trader) -> None:
    found = requested(customer)
    events = AuditEvent.objects.count()

    for role in (Role.SUPPORT, Role.RISK_MANAGER, Role.AUDITOR):
        person = staff_member(role)
        assert person.api.get(f"/api/admin/withdrawals/{found['id']}").status_code == 200
        for action in ("approve", "reject", "sent"):
            assert act(person, found, action).status_code == 403

    assert states() == ["requested"]
    assert AuditEvent.objects.count() >= events
