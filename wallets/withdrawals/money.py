"""
The commands behind withdrawals.

The exchange carries out one of HOLD and VOID, and one of SEND and RETURN, of each withdrawal,
once, for ever: the pairs share a client id made of the withdrawal's number. So whoever is left
without an answer may ask again, and two who ask at once do no harm.
"""

from __future__ import annotations

from accounts.opening import account_open
from common.deadline import deadline_left_ms
from common.errors import raise_for_outcome
from common.request_id import current_request_id
from exchange import gateway
from exchange.core.commands import MoveWithdrawal
from exchange.core.enums import Lane, WithdrawalStep
from exchange.core.events import Outcome
from exchange.core.rejects import Code
from exchange.errors import ExchangeBusy
from wallets.models import Withdrawal

_BEGINNING = (WithdrawalStep.HOLD, WithdrawalStep.VOID)


def hold(row: Withdrawal) -> None:
    """
    Take amount and fee out of the owner's spot wallet; only the first to write a row down asks.

    Raises:
        ApiError: if the exchange refuses; then it never happens.
        ExchangeBusy, ExchangeUnavailable: if it was not asked; then it never happens.
        StatusUnknown: if no answer came.
    """
    outcome = _submit(row, WithdrawalStep.HOLD, Lane.ORDERS)
    if outcome.code == Code.ACCOUNT_NOT_FOUND and account_open(row.account_id):
        outcome = _submit(row, WithdrawalStep.HOLD, Lane.ORDERS)
    if outcome.code == Code.TRANSFER_ID_CONFLICT:
        # This process slept so long that the sweep declared the row void.
        raise ExchangeBusy
    raise_for_outcome(outcome)


def was_held(row: Withdrawal) -> bool:
    """
    Return whether a withdrawal's money was held; if not, it never will be from now on.

    Raises:
        ApiError: if the exchange refuses for another reason.
        ExchangeError: if it did not answer.
    """
    outcome = _submit(row, WithdrawalStep.VOID, Lane.SYSTEM)
    if outcome.code == Code.ACCOUNT_NOT_FOUND:
        # What has no account holds nothing, and nobody opens it with this command on its way.
        account_open(row.account_id)
        outcome = _submit(row, WithdrawalStep.VOID, Lane.SYSTEM)
    if outcome.code == Code.TRANSFER_ID_CONFLICT:
        return True
    raise_for_outcome(outcome)
    return False


def end(row: Withdrawal, step: WithdrawalStep) -> None:
    """
    Pay a withdrawal out to the outside (SEND), or give it back (RETURN).

    Raises:
        ApiError: if the exchange refuses; it must not.
        ExchangeError: if it cannot take it or has not answered: ask again later.
    """
    raise_for_outcome(_submit(row, step, Lane.SYSTEM))


def _submit(row: Withdrawal, step: WithdrawalStep, lane: Lane) -> Outcome:
    pair = "hold" if step in _BEGINNING else "end"
    return gateway.submit(
        MoveWithdrawal(
            account_id=row.account_id,
            step=step,
            asset_id=row.asset_id,
            amount_atoms=row.amount_atoms,
            fee_atoms=row.fee_atoms,
            note=f"withdrawal {row.pk}",
            # The colon keeps it apart from every id that a client may choose.
            client_transfer_id=f"withdrawal:{row.pk}:{pair}",
            request_hash=step.value,
        ),
        lane=lane,
        request_id=current_request_id(),
        age_max_ms=deadline_left_ms() if lane is Lane.ORDERS else 0,
    )
