"""Reads of withdrawals."""

from __future__ import annotations

from collections.abc import Iterable

from common.errors import not_found
from wallets.enums import SHOWN, WAITING, WithdrawalState
from wallets.models import Withdrawal
from wallets.withdrawals.types import WithdrawalInfo

# Rows that are added up for the sums of what waits.
SUMMED_ROWS_MAX = 10_000


def withdrawal_of(withdrawal_id: int, *, account_id: int | None = None) -> WithdrawalInfo:
    """
    Return one withdrawal, of an account where asked.

    Raises:
        ApiError: 404 if there is none.
    """
    rows = Withdrawal.objects.filter(id=withdrawal_id, state__in=SHOWN)
    if account_id is not None:
        rows = rows.filter(account_id=account_id)
    row = rows.first()
    if row is None:
        raise not_found()
    return info_of(row)


def withdrawals_page(
    *,
    limit: int,
    account_id: int | None = None,
    states: Iterable[WithdrawalState] = SHOWN,
    asset_id: int | None = None,
    below_id: int | None = None,
) -> list[WithdrawalInfo]:
    """Return one more than ``limit`` withdrawals if there are, the newest first."""
    rows = Withdrawal.objects.filter(state__in=tuple(states)).order_by("-id")
    if account_id is not None:
        rows = rows.filter(account_id=account_id)
    if asset_id is not None:
        rows = rows.filter(asset_id=asset_id)
    if below_id is not None:
        rows = rows.filter(id__lt=below_id)
    return [info_of(row) for row in rows[: limit + 1]]


def waiting_sums() -> dict[WithdrawalState, dict[int, tuple[int, int]]]:
    """
    Return what waits, by state and asset: how many, and their amounts and fees in atoms.

    Of more than ``SUMMED_ROWS_MAX`` the oldest are counted.
    """
    sums: dict[WithdrawalState, dict[int, tuple[int, int]]] = {state: {} for state in WAITING}
    rows = Withdrawal.objects.filter(state__in=WAITING).order_by("id")
    columns = ("state", "asset_id", "amount_atoms", "fee_atoms")
    for state, asset_id, amount_atoms, fee_atoms in rows.values_list(*columns)[:SUMMED_ROWS_MAX]:
        by_asset = sums[WithdrawalState(state)]
        count, total = by_asset.get(asset_id, (0, 0))
        by_asset[asset_id] = (count + 1, total + amount_atoms + fee_atoms)
    return sums


def info_of(row: Withdrawal) -> WithdrawalInfo:
    """Return a row as others may have it."""
    return WithdrawalInfo(
        withdrawal_id=row.pk,
        account_id=row.account_id,
        asset_id=row.asset_id,
        amount_atoms=row.amount_atoms,
        fee_atoms=row.fee_atoms,
        network=row.network,
        address=row.address,
        memo=row.memo,
        client_id=row.client_id,
        state=WithdrawalState(row.state),
        created_ms=row.created_ms,
        changed_ms=row.changed_ms,
        settled_ms=row.settled_ms,
        approval_id=row.approval_id,
        approved_by=row.approved_by,
        ended_by=row.ended_by,
        reason=row.reason,
        transaction_id=row.transaction_id,
    )
