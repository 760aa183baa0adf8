"""A process that dies, or is left without an answer, between a row and the exchange."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError

from common.testing import error_code
from exchange import gateway
from exchange.core.commands import MoveWithdrawal
from exchange.core.enums import WithdrawalStep
from exchange.errors import ExchangeUnavailable, StatusUnknown
from tests.support.exchange import ExchangeHarness
from tests.support.staff import audited
from tests.support.trading import Trader
from tests.support.withdrawals import (
    add_address,
    books,
    open_terms,
    requested,
    states,
    withdraw,
)
from wallets.models import Withdrawal
from wallets.withdrawals import deciding, money, sweep

pytestmark = pytest.mark.integration

UNTOUCHED = ("1e+06", "0", "0")
HELD = ("999899", "101", "0")


class Killed(BaseException):
    """The process ends here: nothing after it runs."""


@pytest.fixture
def customer(exchange: ExchangeHarness, alice: Trader) -> Trader:
    """Alice with 1,000,000 USDT and an address that is old enough."""
    open_terms()
    add_address(alice)
    return alice


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what makes the next command of a step end with an error, before or after it."""
    submit = gateway.submit

    def arm(step: WithdrawalStep, error: BaseException, *, after: bool) -> None:
        armed = [True]

        def cutting(command: Any, **options: Any) -> Any:
            if not (armed and isinstance(command, MoveWithdrawal) and command.step is step):
                return submit(command, **options)
            armed.clear()
            if after:
                submit(command, **options)
            raise error

        monkeypatch.setattr(gateway, "submit", cutting)

    return arm


def age() -> None:
    """Let rows be old enough for the sweep."""
    Withdrawal.objects.update(changed_ms=1)


def ask(customer: Trader) -> Any:
    """Ask for a withdrawal; None if the process died."""
    try:
        return withdraw(customer)
    except Killed:
        return None


class TestAsking:
    @pytest.mark.parametrize("error", [Killed(), StatusUnknown()])
    def test_held_but_not_written_down_is_completed(
        self, exchange: ExchangeHarness, customer: Trader, cut: Any, error: BaseException
    ) -> None:
        cut(WithdrawalStep.HOLD, error, after=True)
        answer = ask(customer)
        assert answer is None or error_code(answer) == "STATUS_UNKNOWN"
        assert (states(), books(exchange, customer)) == (["opening"], HELD)
        # Nobody is shown it, and the same request is told to come back.
        assert customer.api.get("/api/wallet/withdrawals").json()["items"] == []
        assert error_code(withdraw(customer)) == "STATUS_UNKNOWN"

        age()
        swept = sweep.withdrawals_finish()

        assert (swept.completed, swept.forgotten) == (1, 0)
        assert (states(), books(exchange, customer)) == (["requested"], HELD)
        again = withdraw(customer)
        assert (again.status_code, again.json()["status"]) == (200, "requested")
        (event,) = audited("withdrawal.request")
        assert event["actor"] == "platform"

    @pytest.mark.parametrize("error", [Killed(), StatusUnknown()])
    def test_written_down_but_not_held_is_forgotten_for_good(
        self,
        exchange: ExchangeHarness,
        customer: Trader,
        cut: Any,
        error: BaseException,
    ) -> None:
        cut(WithdrawalStep.HOLD, error, after=False)
        ask(customer)
        row = Withdrawal.objects.get()

        age()
        swept = sweep.withdrawals_finish()

        assert (swept.completed, swept.forgotten) == (0, 1)
        assert (states(), books(exchange, customer)) == ([], UNTOUCHED)
        # Whoever slept meanwhile and only now asks to hold the money is refused.
        with pytest.raises(Exception, match="waiting"):
            money.hold(row)
        assert books(exchange, customer) == UNTOUCHED
        # The client id is free: the request was never carried out.
        requested(customer)
        assert books(exchange, customer) == HELD

    def test_an_exchange_that_is_away_leaves_nothing(
        self, exchange: ExchangeHarness, customer: Trader, cut: Any
    ) -> None:
        cut(WithdrawalStep.HOLD, ExchangeUnavailable(), after=False)

        answer = withdraw(customer)

        assert (answer.status_code, error_code(answer)) == (503, "ENGINE_UNAVAILABLE")
        assert (states(), books(exchange, customer)) == ([], UNTOUCHED)

    def test_what_is_young_is_left_to_who_wrote_it(self, customer: Trader, cut: Any) -> None:
        cut(WithdrawalStep.HOLD, Killed(), after=True)
        ask(customer)

        swept = sweep.withdrawals_finish()

        assert (swept.completed, swept.forgotten, swept.left) == (0, 0, 0)
        assert states() == ["opening"]


def _cancel(customer: Trader, row_id: int) -> Any:
    return customer.api.delete(f"/api/wallet/withdrawals/{row_id}")


def _reject(_customer: Trader, row_id: int) -> Any:
    return deciding.withdrawal_reject(
        withdrawal_id=row_id, actor=_Operator(), reason="drill", notes={}
    )


def _sent(_customer: Trader, row_id: int) -> Any:
    deciding.withdrawal_approve(
        withdrawal_id=row_id,
        actor=_Operator(),
        signed_by="olga",
        reason="drill",
        approval_id=7,
        notes={},
    )
    return deciding.withdrawal_mark_sent(
        withdrawal_id=row_id, actor=_Operator(), transaction_id="0xabc", reason="drill", notes={}
    )


class _Operator:
    id = 1
    username = "olga"


@pytest.mark.parametrize(
    ("error", "after"), [(Killed(), True), (StatusUnknown(), True), (ExchangeUnavailable(), False)]
)
@pytest.mark.parametrize(
    ("end", "step", "state", "ends_as"),
    [
        (_cancel, WithdrawalStep.RETURN, "cancelled", UNTOUCHED),
        (_reject, WithdrawalStep.RETURN, "rejected", UNTOUCHED),
        (_sent, WithdrawalStep.SEND, "sent", ("999899", "0", "1")),
    ],
)
def test_an_end_that_was_cut_off_is_settled_once(
    exchange: ExchangeHarness,
    customer: Trader,
    cut: Any,
    end: Any,
    step: WithdrawalStep,
    state: str,
    ends_as: tuple[str, str, str],
    error: BaseException,
    after: bool,
) -> None:
    row_id = int(requested(customer)["id"])
    cut(step, error, after=after)
    with contextlib.suppress(Killed):
        end(customer, row_id)
    assert (states(), books(exchange, customer)) == ([state], ends_as if after else HELD)
    assert Withdrawal.objects.get().settled_ms == 0

    age()
    swept = [sweep.withdrawals_finish().settled for _ in range(2)]

    assert swept == [1, 0]
    assert (states(), books(exchange, customer)) == ([state], ends_as)
    assert Withdrawal.objects.get().settled_ms > 0
    exchange.exchange.check_all()


def test_an_id_whose_first_request_is_refused_meanwhile_may_be_sent_again(
    exchange: ExchangeHarness, customer: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Withdrawal.save

    def beaten(row: Withdrawal, **options: Any) -> None:
        """Be second to a request of the same id, which is gone again when it is looked for."""
        monkeypatch.setattr(Withdrawal, "save", save)
        raise IntegrityError("UNIQUE constraint failed")

    monkeypatch.setattr(Withdrawal, "save", beaten)

    answer = withdraw(customer)

    assert (answer.status_code, error_code(answer)) == (503, "ENGINE_BUSY")
    assert (states(), books(exchange, customer)) == ([], UNTOUCHED)
    assert withdraw(customer).status_code == 201
