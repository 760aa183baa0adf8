"""
Withdrawals that wait for somebody to pay them out.

What was asked for leaves its owner at once and lies in the account of pending withdrawals,
which is never negative, until it is sent or given back. Which of the two happens, and that it
happens once, follows from the client id that both ends share.
"""

from __future__ import annotations

import msgspec

from exchange.core.commands import MoveWithdrawal
from exchange.core.enums import AccountStatus, LedgerKind, SystemAccount, WalletKind, WithdrawalStep
from exchange.core.events import Outcome
from exchange.core.ledger import Account
from exchange.core.memory import Memory
from exchange.core.rejects import Code
from exchange.core.units import AMOUNT_MAX, ATOMS

_SPOT = WalletKind.SPOT


class WithdrawalPlan(msgspec.Struct, gc=False):
    """The postings of one step: (account id, signed atoms), zero in sum; none for a VOID."""

    asset_id: int
    postings: list[tuple[int, int]]
    note: str


def plan_withdrawal(memory: Memory, command: MoveWithdrawal) -> WithdrawalPlan | Code:
    """Return the postings of a step, or why it is refused."""
    ledger = memory.ledger
    account = ledger.accounts.get(command.account_id)
    if account is None or not account.config.open_orders_max:
        return Code.ACCOUNT_NOT_FOUND
    if command.step is WithdrawalStep.VOID:
        return WithdrawalPlan(command.asset_id, [], "")
    if command.step is WithdrawalStep.HOLD and account.config.status is not AccountStatus.ACTIVE:
        if account.config.status is AccountStatus.SUSPENDED:
            return Code.ACCOUNT_SUSPENDED
        return Code.ACCOUNT_CANCEL_ONLY
    code = _check_amounts(memory, command)
    if code:
        return code
    owner, pending = command.account_id, int(SystemAccount.WITHDRAWALS)
    amount, total = command.amount_atoms, command.amount_atoms + command.fee_atoms
    source = owner if command.step is WithdrawalStep.HOLD else pending
    if _available(ledger.accounts.get(source), command.asset_id) < total:
        return Code.INSUFFICIENT_BALANCE
    if command.step is WithdrawalStep.HOLD:
        postings = [(owner, -total), (pending, total)]
    elif command.step is WithdrawalStep.RETURN:
        postings = [(pending, -total), (owner, total)]
    else:
        postings = [(pending, -total), (int(SystemAccount.EXTERNAL), amount)]
        if command.fee_atoms:
            postings.append((int(SystemAccount.FEES), command.fee_atoms))
    return WithdrawalPlan(command.asset_id, postings, command.note)


def move_withdrawal(memory: Memory, plan: WithdrawalPlan) -> Outcome:
    """Carry out a planned step; cannot fail. A VOID only uses up its client id."""
    ledger = memory.ledger
    memory.sequences.transfer += 1
    number = memory.sequences.transfer
    for account_id, amount_atoms in plan.postings:
        account = ledger.system_account(account_id)
        ledger.post_amount(
            account,
            ledger.wallet(account, _SPOT, plan.asset_id),
            amount_atoms=amount_atoms,
            kind=LedgerKind.WITHDRAWAL,
            reference_id=number,
            time_ms=memory.time_ms,
            note=plan.note,
        )
    return Outcome(Code.OK, number, ())


def _check_amounts(memory: Memory, command: MoveWithdrawal) -> Code:
    asset = memory.assets.get(command.asset_id)
    if asset is None:
        return Code.ASSET_NOT_FOUND
    unit = ATOMS // 10**asset.decimals
    amount, fee = command.amount_atoms, command.fee_atoms
    if amount <= 0 or fee < 0 or amount + fee > AMOUNT_MAX or amount % unit or fee % unit:
        return Code.INVALID_AMOUNT
    return Code.OK


def _available(account: Account | None, asset_id: int) -> int:
    wallet = account.spot.get(asset_id) if account is not None else None
    return wallet.total_atoms - wallet.held_atoms if wallet is not None else 0
