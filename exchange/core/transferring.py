"""Transfers between wallets, deposits and withdrawals."""

from __future__ import annotations

import msgspec

from exchange.core.collateral import transferable_atoms
from exchange.core.commands import Credit, Debit, Transfer
from exchange.core.enums import AccountStatus, LedgerKind, WalletKind
from exchange.core.events import Outcome
from exchange.core.ledger import Account
from exchange.core.memory import Memory
from exchange.core.rejects import Code
from exchange.core.state import Wallet
from exchange.core.units import AMOUNT_MAX, ATOMS


class MovePlan(msgspec.Struct, gc=False):
    """One amount that moves between two wallets."""

    source: Account
    source_kind: WalletKind
    target: Account
    target_kind: WalletKind
    asset_id: int
    amount_atoms: int
    kind: LedgerKind
    note: str


def plan_transfer(memory: Memory, command: Transfer) -> MovePlan | Code:
    """Return the transfer, or why it is refused."""
    source = _account(memory, command.account_id)
    target = _account(memory, command.target_account_id)
    if source is None or target is None:
        return Code.ACCOUNT_NOT_FOUND
    if WalletKind.ISOLATED in (command.wallet, command.target_wallet):
        return Code.POSITION_NOT_FOUND
    code = _check_account(source) or _check_amount(memory, command.asset_id, command.amount_atoms)
    if code:
        return code
    code = _check_available(memory, source, command)
    if code:
        return code
    if source is target and command.wallet is command.target_wallet:
        return Code.SAME_WALLET
    return MovePlan(
        source,
        command.wallet,
        target,
        command.target_wallet,
        command.asset_id,
        command.amount_atoms,
        LedgerKind.TRANSFER,
        "",
    )


def plan_credit(memory: Memory, command: Credit) -> MovePlan | Code:
    """Return the deposit, or why it is refused."""
    target = _account(memory, command.account_id)
    if target is None:
        return Code.ACCOUNT_NOT_FOUND
    if command.wallet is WalletKind.ISOLATED:
        return Code.POSITION_NOT_FOUND
    code = _check_amount(memory, command.asset_id, command.amount_atoms)
    if code:
        return code
    external = memory.ledger.external
    issued = external.spot.get(command.asset_id)
    # Everything that exists of an asset fits one balance, so no later posting can overflow.
    if command.amount_atoms - (issued.total_atoms if issued is not None else 0) > AMOUNT_MAX:
        return Code.BALANCE_LIMIT
    return MovePlan(
        external,
        WalletKind.SPOT,
        target,
        command.wallet,
        command.asset_id,
        command.amount_atoms,
        LedgerKind.DEPOSIT,
        command.reason,
    )


def plan_debit(memory: Memory, command: Debit) -> MovePlan | Code:
    """Return the withdrawal, or why it is refused."""
    source = _account(memory, command.account_id)
    if source is None:
        return Code.ACCOUNT_NOT_FOUND
    if command.wallet is WalletKind.ISOLATED:
        return Code.POSITION_NOT_FOUND
    code = _check_amount(memory, command.asset_id, command.amount_atoms)
    code = code or _check_available(memory, source, command)
    if code:
        return code
    return MovePlan(
        source,
        command.wallet,
        memory.ledger.external,
        WalletKind.SPOT,
        command.asset_id,
        command.amount_atoms,
        LedgerKind.WITHDRAWAL,
        command.reason,
    )


def move(memory: Memory, plan: MovePlan) -> Outcome:
    """Carry out a planned transfer, deposit or withdrawal; cannot fail."""
    ledger = memory.ledger
    memory.sequences.transfer += 1
    number = memory.sequences.transfer
    for account, kind, amount in (
        (plan.source, plan.source_kind, -plan.amount_atoms),
        (plan.target, plan.target_kind, plan.amount_atoms),
    ):
        ledger.post_amount(
            account,
            ledger.wallet(account, kind, plan.asset_id),
            amount_atoms=amount,
            kind=plan.kind,
            reference_id=number,
            time_ms=memory.time_ms,
            note=plan.note,
        )
        if account.positions:
            memory.dirty[account.account_id] = None
    return Outcome(Code.OK, number, ())


def _account(memory: Memory, account_id: int) -> Account | None:
    """Return a user's account; those of the exchange itself cannot be addressed."""
    account = memory.ledger.accounts.get(account_id)
    return account if account is not None and account.config.open_orders_max else None


def _check_account(account: Account) -> Code:
    if account.config.status is AccountStatus.SUSPENDED:
        return Code.ACCOUNT_SUSPENDED
    if account.config.status is AccountStatus.CANCEL_ONLY:
        return Code.ACCOUNT_CANCEL_ONLY
    return Code.OK


def _check_amount(memory: Memory, asset_id: int, amount_atoms: int) -> Code:
    asset = memory.assets.get(asset_id)
    if asset is None:
        return Code.ASSET_NOT_FOUND
    unit = ATOMS // 10**asset.decimals
    if not 0 < amount_atoms <= AMOUNT_MAX or amount_atoms % unit:
        return Code.INVALID_AMOUNT
    return Code.OK


def _check_available(memory: Memory, source: Account, command: Transfer | Debit) -> Code:
    """Check that the amount is there, and that nothing in the margin wallet depends on it."""
    amount, asset_id = command.amount_atoms, command.asset_id
    if _available(source.wallets(command.wallet).get(asset_id)) < amount:
        return Code.INSUFFICIENT_BALANCE
    if (
        command.wallet is WalletKind.MARGIN
        and source.positions
        and transferable_atoms(memory, source, asset_id) < amount
    ):
        return Code.MARGIN_IN_USE
    return Code.OK


def _available(wallet: Wallet | None) -> int:
    return wallet.total_atoms - wallet.held_atoms if wallet is not None else 0
