"""What operators decide about a withdrawal: to approve it, to reject it, that it was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounts import audit
from common.db import atomic
from common.errors import not_found
from wallets.enums import EDGES, SHOWN, WithdrawalState
from wallets.models import Withdrawal
from wallets.withdrawals.changes import settle, state_move, wrong_state
from wallets.withdrawals.selectors import info_of
from wallets.withdrawals.types import WithdrawalInfo

Notes = Mapping[str, Any]


def withdrawal_approve(
    *,
    withdrawal_id: int,
    actor: audit.Actor,
    signed_by: str,
    reason: str,
    approval_id: int,
    notes: Notes,
) -> WithdrawalInfo:
    """
    Approve a withdrawal; the same approval again changes nothing.

    Raises:
        ApiError: 404; 409 ``WITHDRAWAL_STATE``.
    """
    row = _row(withdrawal_id)
    if row.state == WithdrawalState.APPROVED and row.approval_id == approval_id:
        return info_of(row)
    _move(
        row,
        WithdrawalState.APPROVED,
        actor=actor,
        audit_reason=reason,
        notes=notes,
        approval_id=approval_id,
        approved_by=signed_by[:80],
    )
    return info_of(row)


def withdrawal_reject(
    *, withdrawal_id: int, actor: audit.Actor, reason: str, notes: Notes
) -> WithdrawalInfo:
    """
    Reject what was not sent; the money returns, fee included, and its user reads the reason.

    Raises:
        ApiError: 404; 409 ``WITHDRAWAL_STATE``.
    """
    row = _row(withdrawal_id)
    _move(
        row,
        WithdrawalState.REJECTED,
        actor=actor,
        audit_reason=reason,
        notes=notes,
        ended_by=actor.username,
        reason=reason,
    )
    settle(row)
    return info_of(row)


def withdrawal_mark_sent(
    *, withdrawal_id: int, actor: audit.Actor, transaction_id: str, reason: str, notes: Notes
) -> WithdrawalInfo:
    """
    Write down that an approved withdrawal was paid out, and in which transaction.

    The amount leaves the books, the fee is earned. If the exchange is away that follows when it
    is back (``settled_ms`` says when).

    Raises:
        ApiError: 404; 409 ``WITHDRAWAL_STATE``.
    """
    row = _row(withdrawal_id)
    _move(
        row,
        WithdrawalState.SENT,
        actor=actor,
        audit_reason=reason,
        notes=notes,
        ended_by=actor.username,
        transaction_id=transaction_id,
    )
    settle(row)
    return info_of(row)


def check_may_become(row_state: WithdrawalState, target: WithdrawalState) -> None:
    """
    Do nothing if there is an edge.

    Raises:
        ApiError: 409 ``WITHDRAWAL_STATE``.
    """
    if target not in EDGES[row_state]:
        raise wrong_state(row_state)


def _move(
    row: Withdrawal,
    target: WithdrawalState,
    *,
    actor: audit.Actor,
    audit_reason: str,
    notes: Notes,
    **values: Any,
) -> None:
    check_may_become(WithdrawalState(row.state), target)
    with atomic():
        moved = state_move(
            row, target, actor=actor, audit_reason=audit_reason, notes=notes, **values
        )
    if not moved:
        # Somebody else, or its user, was faster.
        row.refresh_from_db()
        raise wrong_state(row.state)


def _row(withdrawal_id: int) -> Withdrawal:
    row = Withdrawal.objects.filter(id=withdrawal_id, state__in=SHOWN).first()
    if row is None:
        raise not_found()
    return row
