"""Withdrawals that wait to be paid out, as plainly as they can be said."""

from __future__ import annotations

from exchange.core import commands as c
from exchange.core.enums import SystemAccount, WalletKind, WithdrawalStep
from exchange.core.rejects import Code
from simulation.naive_accounts import (
    AMOUNT_MAX,
    Answer,
    NaiveAccounts,
    Refused,
    WalletKey,
    same_request,
)


class NaiveWithdrawals(NaiveAccounts):
    """Accounts, and what leaves them in two steps."""

    def move_withdrawal(self, move: c.MoveWithdrawal, finding: c.ClientIdFinding | None) -> Answer:
        """Hold, send or give back amount and fee; a void only takes a number."""
        if finding:
            return same_request(finding, move.request_hash, Code.TRANSFER_ID_CONFLICT)
        if move.account_id not in self.accounts:
            raise Refused(Code.ACCOUNT_NOT_FOUND)
        if move.step is not WithdrawalStep.VOID:
            if move.step is WithdrawalStep.HOLD:
                self.active_account(move.account_id)
            self._move_parts(move)
        self.last_transfer += 1
        return Answer(Code.OK, self.last_transfer)

    def _move_parts(self, move: c.MoveWithdrawal) -> None:
        self.require_asset(move.asset_id)
        step = 10 ** (8 - self.assets[move.asset_id].decimals)
        whole = move.amount_atoms + move.fee_atoms
        if move.amount_atoms <= 0 or move.fee_atoms < 0 or whole > AMOUNT_MAX:
            raise Refused(Code.INVALID_AMOUNT)
        if move.amount_atoms % step or move.fee_atoms % step:
            raise Refused(Code.INVALID_AMOUNT)

        def spot(account_id: int) -> WalletKey:
            return (int(account_id), WalletKind.SPOT, move.asset_id)

        owner, pending = spot(move.account_id), spot(SystemAccount.WITHDRAWALS)
        outside, fees = spot(SystemAccount.EXTERNAL), spot(SystemAccount.FEES)
        parts = {
            WithdrawalStep.HOLD: {owner: -whole, pending: whole},
            WithdrawalStep.RETURN: {pending: -whole, owner: whole},
            WithdrawalStep.SEND: {
                pending: -whole,
                outside: move.amount_atoms,
                fees: move.fee_atoms,
            },
        }[move.step]
        source = next(iter(parts))
        if whole > self.available(source):
            raise Refused(Code.INSUFFICIENT_BALANCE)
        for key, amount in parts.items():
            if amount:
                self.totals[key] = self.totals.get(key, 0) + amount
