"""What users do: ask for withdrawals, repeat themselves, cancel."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
from common.testing import error_code
from tests.support.exchange import ExchangeHarness
from tests.support.staff import audited
from tests.support.trading import Trader, money_of
from tests.support.withdrawals import (
    ADDRESS,
    add_address,
    books,
    open_terms,
    requested,
    states,
    withdraw,
)
from wallets.models import WithdrawalTerms
from wallets.withdrawals.schema import WITHDRAWAL_PROPERTIES
from wallets.withdrawals.terms import assets_halt

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _open(exchange: ExchangeHarness) -> None:
    open_terms()


@pytest.fixture
def customer(alice: Trader) -> Trader:
    """Alice with an address that is old enough; she owns 1,000,000 USDT."""
    add_address(alice)
    return alice


class TestRequest:
    def test_amount_and_fee_leave_the_wallet_at_once(
        self, exchange: ExchangeHarness, customer: Trader
    ) -> None:
        answer = withdraw(customer)

        assert answer.status_code == 201
        body = answer.json()
        assert set(body) == set(WITHDRAWAL_PROPERTIES)
        assert int(body.pop("id")) > 0
        assert body.pop("created_at") <= body.pop("updated_at")
        assert body == {
            "client_withdrawal_id": "w-1",
            "currency": "USDT",
            "amount": "100.00000000",
            "fee": "1.00000000",
            "network": None,
            "address": ADDRESS,
            "memo": None,
            "status": "requested",
            "reason": None,
            "transaction_id": None,
            "settled_at": None,
        }
        assert books(exchange, customer) == ("999899", "101", "0")

    def test_it_is_audited_once(self, customer: Trader) -> None:
        found = requested(customer)

        (event,) = audited("withdrawal.request")
        assert event["actor"] == "alice"
        assert event["target"] == f"withdrawal:{found['id']}"
        assert event["before"] == {"state": "opening"}
        assert event["after"] == {
            "state": "requested",
            "account_id": str(customer.account_id),
            "currency": "USDT",
            "amount": "100.00000000",
            "fee": "1.00000000",
        }

    def test_the_same_request_again_is_the_first_one(
        self, exchange: ExchangeHarness, customer: Trader
    ) -> None:
        first = requested(customer)
        # What would refuse a new one does not refuse the answer to an old one.
        User.objects.filter(username="alice").update(withdrawals_frozen=True)

        again = withdraw(customer, amount="100.00")

        assert (again.status_code, again.json()) == (200, first)
        assert books(exchange, customer) == ("999899", "101", "0")

    def test_another_request_under_its_id_conflicts(
        self, exchange: ExchangeHarness, customer: Trader
    ) -> None:
        requested(customer)
        before = money_of(exchange)

        answers = [
            withdraw(customer, **changed)
            for changed in (
                {"amount": "101"},
                {"currency": "BTC"},
                {"memo": "7"},
                {"network": "TRC20"},
            )
        ]

        assert {(answer.status_code, error_code(answer)) for answer in answers} == {
            (409, "WITHDRAWAL_ID_CONFLICT")
        }
        assert money_of(exchange) == before

    def test_a_client_id_is_an_accounts_own(self, customer: Trader, bob: Trader) -> None:
        add_address(bob)
        requested(customer)

        requested(bob)

        assert states() == ["requested", "requested"]


def _frozen() -> None:
    User.objects.filter(username="alice").update(withdrawals_frozen=True)


def _closed() -> None:
    WithdrawalTerms.objects.update(is_open=False)


def _halted() -> None:
    assets_halt({3: "the books do not add up"})


def _nothing() -> None:
    pass


REFUSED: list[tuple[str, Any, dict[str, Any], int, str]] = [
    ("frozen", _frozen, {}, 422, "WITHDRAWALS_FROZEN"),
    ("closed", _closed, {}, 422, "WITHDRAWALS_CLOSED"),
    ("halted", _halted, {}, 422, "WITHDRAWALS_HALTED"),
    ("no terms", _nothing, {"currency": "BTC", "amount": "1"}, 422, "WITHDRAWALS_CLOSED"),
    ("too small", _nothing, {"amount": "9.99999999"}, 422, "WITHDRAWAL_TOO_SMALL"),
    ("unknown address", _nothing, {"address": ADDRESS + "2"}, 422, "ADDRESS_UNKNOWN"),
    ("unknown memo", _nothing, {"memo": "1"}, 422, "ADDRESS_UNKNOWN"),
    ("no room for the fee", _nothing, {"amount": "1000000"}, 422, "INSUFFICIENT_BALANCE"),
    ("unknown asset", _nothing, {"currency": "XYZ"}, 404, "ASSET_NOT_FOUND"),
    ("zero", _nothing, {"amount": "0"}, 400, "VALIDATION_ERROR"),
    ("a number", _nothing, {"amount": 100}, 400, "VALIDATION_ERROR"),
    ("too many decimals", _nothing, {"amount": "10.000000001"}, 400, "VALIDATION_ERROR"),
    ("no client id", _nothing, {"client_withdrawal_id": None}, 400, "VALIDATION_ERROR"),
    ("colon in the id", _nothing, {"client_withdrawal_id": "a:b"}, 400, "VALIDATION_ERROR"),
    ("space in the address", _nothing, {"address": "0x 1"}, 400, "VALIDATION_ERROR"),
    ("unknown field", _nothing, {"fee": "0"}, 400, "UNKNOWN_FIELD"),
]


def test_refusals_change_nothing(exchange: ExchangeHarness, customer: Trader) -> None:
    before, wrong = money_of(exchange), []

    for case, prepare, fields, status, code in REFUSED:
        prepare()
        answer = withdraw(customer, **fields)
        if (answer.status_code, error_code(answer)) != (status, code):
            wrong.append((case, answer.status_code, answer.content))
        User.objects.filter(username="alice").update(withdrawals_frozen=False)
        WithdrawalTerms.objects.update(is_open=True, halted_because="")

    assert wrong == []
    assert money_of(exchange) == before
    assert states() == []
    assert audited("withdrawal.request") == []


class TestLimits:
    def test_a_day_counts_together(self, exchange: ExchangeHarness, customer: Trader) -> None:
        open_terms(daily=250)
        requested(customer, client_withdrawal_id="a")
        requested(customer, client_withdrawal_id="b")
        before = money_of(exchange)

        answer = withdraw(customer, client_withdrawal_id="c")
        requested(customer, client_withdrawal_id="d", amount="50")

        assert (answer.status_code, error_code(answer)) == (422, "WITHDRAWAL_LIMIT")
        assert before != money_of(exchange)
        assert states() == ["requested"] * 3

    def test_what_was_cancelled_does_not_count(self, customer: Trader) -> None:
        open_terms(daily=100)
        first = requested(customer, client_withdrawal_id="a")
        customer.api.delete(f"/api/wallet/withdrawals/{first['id']}")

        requested(customer, client_withdrawal_id="b")

    def test_so_many_may_wait(self, customer: Trader, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("wallets.withdrawals.asking.WAITING_MAX", 1)
        requested(customer, client_withdrawal_id="a")

        answer = withdraw(customer, client_withdrawal_id="b")

        assert (answer.status_code, error_code(answer)) == (422, "WITHDRAWALS_WAITING")


class TestReading:
    def test_newest_first_page_by_page(self, customer: Trader, bob: Trader) -> None:
        add_address(bob)
        requested(bob)
        made = [requested(customer, client_withdrawal_id=name)["id"] for name in "abc"]

        first = customer.api.get("/api/wallet/withdrawals?limit=2").json()
        rest = customer.api.get(
            f"/api/wallet/withdrawals?limit=2&cursor={first['next_cursor']}"
        ).json()

        assert [item["id"] for item in first["items"]] == [made[2], made[1]]
        assert [item["id"] for item in rest["items"]] == [made[0]]
        assert rest["next_cursor"] is None

    def test_by_status_and_currency(self, customer: Trader) -> None:
        requested(customer)

        def count(query: str) -> int:
            return len(customer.api.get(f"/api/wallet/withdrawals?{query}").json()["items"])

        assert count("status=requested&currency=USDT") == 1
        assert count("status=sent") == count("currency=BTC") == 0

    def test_another_ones_is_unknown(self, customer: Trader, bob: Trader) -> None:
        found = requested(customer)
        address = f"/api/wallet/withdrawals/{found['id']}"

        assert customer.api.get(address).json() == found
        assert error_code(bob.api.get(address)) == "NOT_FOUND"
        assert error_code(bob.api.delete(address)) == "NOT_FOUND"
        assert states() == ["requested"]


class TestCancel:
    def test_the_money_returns_with_the_fee(
        self, exchange: ExchangeHarness, customer: Trader
    ) -> None:
        found = requested(customer)

        answer = customer.api.delete(f"/api/wallet/withdrawals/{found['id']}")

        assert answer.status_code == 200
        body = answer.json()
        assert body["status"] == "cancelled"
        assert body["settled_at"] >= body["created_at"]
        assert books(exchange, customer) == ("1e+06", "0", "0")
        (event,) = audited("withdrawal.cancel")
        assert event["actor"] == "alice"

    def test_only_once(self, exchange: ExchangeHarness, customer: Trader) -> None:
        found = requested(customer)
        address = f"/api/wallet/withdrawals/{found['id']}"
        customer.api.delete(address)

        answer = customer.api.delete(address)

        assert (answer.status_code, error_code(answer)) == (409, "WITHDRAWAL_STATE")
        assert books(exchange, customer) == ("1e+06", "0", "0")
        assert len(audited("withdrawal.cancel")) == 1
