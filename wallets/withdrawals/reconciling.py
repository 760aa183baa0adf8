"""
Does the account of pending withdrawals hold what the rows say?

A row is moved a moment before or after the money, so at any one moment the money of some rows may
or may not lie there: the balance must be between what surely does and what possibly does.
"""

from __future__ import annotations

from exchange.core.enums import SystemAccount, WalletKind
from wallets.enums import ENDED, WAITING, WithdrawalState
from wallets.models import Balance, Withdrawal

# Rows fetched at once.
CHUNK_ROWS = 2_000


def pending_problems() -> list[tuple[int, str]]:
    """
    Return what is wrong, by asset; call it inside one read snapshot.

    Surely held is what waits for operators; possibly held what is being opened, and what has
    ended but is not settled.
    """
    surely: dict[int, int] = {}
    possibly: dict[int, int] = {}
    for state, asset_id, total_atoms in _open_rows():
        sums = surely if state in WAITING else possibly
        sums[asset_id] = sums.get(asset_id, 0) + total_atoms
    pending = dict(
        Balance.objects.filter(
            account_id=SystemAccount.WITHDRAWALS.value, wallet=WalletKind.SPOT.value
        ).values_list("asset_id", "total_atoms")
    )
    problems = []
    for asset_id in sorted({*surely, *possibly, *pending}):
        least = surely.get(asset_id, 0)
        most = least + possibly.get(asset_id, 0)
        held = pending.get(asset_id, 0)
        if not least <= held <= most:
            expected = str(least) if least == most else f"{least} to {most}"
            problems.append(
                (asset_id, f"pending withdrawals hold {held} atoms, their rows need {expected}")
            )
    return problems


def _open_rows() -> list[tuple[str, int, int]]:
    columns = ("state", "asset_id", "amount_atoms", "fee_atoms")
    waiting = Withdrawal.objects.filter(state__in=(*WAITING, WithdrawalState.OPENING))
    unsettled = Withdrawal.objects.filter(settled_ms=0, state__in=ENDED)
    return [
        (state, asset_id, amount_atoms + fee_atoms)
        for rows in (waiting, unsettled)
        for state, asset_id, amount_atoms, fee_atoms in rows.values_list(*columns).iterator(
            chunk_size=CHUNK_ROWS
        )
    ]
