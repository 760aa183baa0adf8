"""The one way a withdrawal changes state: by compare-and-set, along the edges that exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from accounts import audit
from common.errors import ApiError
from exchange.core.enums import WithdrawalStep
from exchange.core.units import format_atoms
from exchange.errors import ExchangeError
from markets.selectors import asset_by_id
from wallets.enums import EDGES, WithdrawalState
from wallets.models import Withdrawal
from wallets.withdrawals import money
from wallets.withdrawals.selectors import info_of
from wallets.withdrawals.tell import tell_changed

log = structlog.get_logger(__name__)

# What the exchange does at the end of a withdrawal.
END_STEPS = {
    WithdrawalState.SENT: WithdrawalStep.SEND,
    WithdrawalState.CANCELLED: WithdrawalStep.RETURN,
    WithdrawalState.REJECTED: WithdrawalStep.RETURN,
}


def now_ms() -> int:
    """Return the time in UTC milliseconds."""
    return int(timezone.now().timestamp() * 1000)


def state_move(
    row: Withdrawal,
    target: WithdrawalState,
    *,
    actor: audit.Actor | str,
    audit_reason: str = "",
    notes: Mapping[str, Any] | None = None,
    **values: Any,
) -> bool:
    """
    Move a withdrawal along an edge from the state it was read in; whether it still was in it.

    Inside the caller's transaction, with its one audit event, which keeps reason and notes;
    ``values`` are written with the state. Its user is told after the commit.

    Raises:
        ValueError: if there is no such edge.
    """
    source = WithdrawalState(row.state)
    if target not in EDGES[source]:
        raise ValueError(f"expected an edge from {source}, was {target}")
    changed = {**values, "state": target, "changed_ms": now_ms()}
    if Withdrawal.objects.filter(id=row.pk, state=source).update(**changed) != 1:
        return False
    for name, value in changed.items():
        setattr(row, name, value)
    audit.record(
        actor=actor,
        action=f"withdrawal.{_ACTIONS[target]}",
        target=audit_name(row),
        before={"state": source.value},
        after={
            "state": target.value,
            "account_id": str(row.account_id),
            "currency": asset_by_id(row.asset_id).code,
            "amount": format_atoms(row.amount_atoms),
            "fee": format_atoms(row.fee_atoms),
            **{name: str(value) for name, value in values.items()},
            **(notes or {}),
        },
        reason=audit_reason,
    )
    told = info_of(row)
    transaction.on_commit(lambda: tell_changed(told))
    return True


_ACTIONS = {
    WithdrawalState.REQUESTED: "request",
    WithdrawalState.APPROVED: "approve",
    WithdrawalState.SENT: "sent",
    WithdrawalState.CANCELLED: "cancel",
    WithdrawalState.REJECTED: "reject",
}


def settle(row: Withdrawal) -> bool:
    """
    Have the exchange carry out the end of a withdrawal; whether it has.

    If it cannot be asked, or has not answered, the sweep does it later: the end is in the row.
    """
    try:
        money.end(row, END_STEPS[WithdrawalState(row.state)])
    except ExchangeError as error:
        log.warning("withdrawal_not_settled", withdrawal_id=row.pk, code=error.code)
        return False
    except ApiError as error:
        log.critical("withdrawal_settlement_refused", withdrawal_id=row.pk, code=error.code)
        return False
    settled_ms = now_ms()
    if Withdrawal.objects.filter(id=row.pk, settled_ms=0).update(settled_ms=settled_ms):
        row.settled_ms = settled_ms
        tell_changed(info_of(row))
    else:
        row.refresh_from_db()
    return True


def audit_name(row: Withdrawal) -> str:
    """Return what the audit log calls a withdrawal."""
    return f"withdrawal:{row.pk}"


def wrong_state(state: str) -> ApiError:
    """Return the refusal of what a withdrawal's state does not permit."""
    return ApiError(
        "WITHDRAWAL_STATE", f"The withdrawal is {state}: that is no longer possible.", 409
    )
