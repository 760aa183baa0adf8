"""Postings of margin: wallets between accounts, and entries of margin and isolated wallets."""

from __future__ import annotations

from exchange.core.collateral import contract_of
from exchange.core.enums import (
    LedgerKind,
    SystemAccount,
    WalletKind,
    clearing_account,
    insurance_account,
)
from exchange.core.events import LedgerPosted
from exchange.core.ledger import Account
from exchange.core.market import Market
from exchange.core.memory import Memory
from exchange.core.state import Position, Wallet

_MARGIN, _ISOLATED = WalletKind.MARGIN, WalletKind.ISOLATED


def clearing_wallet(memory: Memory, market: Market) -> Wallet:
    """Return the balance between the positions of a market."""
    contract = contract_of(market)
    if contract.clearing is None:
        account = memory.ledger.system_account(clearing_account(market.config.market_id))
        quote_id = market.config.quote_asset_id
        contract.clearing = memory.ledger.wallet(account, _MARGIN, quote_id)
    return contract.clearing


def clearing_atoms(memory: Memory, market: Market) -> int:
    """Return the balance between the positions of a market, without opening a wallet."""
    account = memory.ledger.accounts.get(clearing_account(market.config.market_id))
    wallet = account.margin.get(market.config.quote_asset_id) if account is not None else None
    return wallet.total_atoms if wallet is not None else 0


def insurance_of(memory: Memory, market: Market) -> tuple[Account, Wallet]:
    """Return the insurance fund that stands behind a market, and its wallet."""
    group_id = contract_of(market).config.insurance_group
    account = memory.ledger.system_account(insurance_account(group_id))
    return account, memory.ledger.wallet(account, _MARGIN, market.config.quote_asset_id)


def funding_wallet(memory: Memory, market: Market) -> Wallet:
    """Return what payers of funding paid and receivers have not got yet."""
    account = memory.ledger.system_account(SystemAccount.FUNDING)
    return memory.ledger.wallet(account, _MARGIN, market.config.quote_asset_id)


def move_between(memory: Memory, wallet: Wallet, amount_atoms: int) -> None:
    """Change the balance of an account that keeps no entries (clearing, funding)."""
    wallet.total_atoms += amount_atoms
    memory.changes.wallets[wallet.wallet_id] = wallet


def post_entry(
    memory: Memory,
    account: Account,
    wallet: Wallet,
    kind: LedgerKind,
    reference_id: int,
    amount_atoms: int,
    *,
    fee_atoms: int = 0,
) -> int:
    """
    Write the entry of a change that a margin wallet has seen already; return its number.

    The accounts in between (clearing, fees) keep balances but no entries: they would only
    repeat those of the users.
    """
    return _post(
        memory, account, wallet, _MARGIN, kind, reference_id, amount_atoms, wallet.total_atoms,
        fee_atoms,
    )  # fmt: skip


def post_isolated(
    memory: Memory,
    account: Account,
    position: Position,
    wallet: Wallet,
    kind: LedgerKind,
    reference_id: int,
    amount_atoms: int,
) -> int:
    """Write the entry of a change that an isolated wallet has seen; return its number."""
    return _post(
        memory, account, wallet, _ISOLATED, kind, reference_id, amount_atoms,
        position.isolated_atoms, 0,
    )  # fmt: skip


def _post(
    memory: Memory,
    account: Account,
    wallet: Wallet,
    wallet_kind: WalletKind,
    kind: LedgerKind,
    reference_id: int,
    amount_atoms: int,
    balance_atoms: int,
    fee_atoms: int,
) -> int:
    sequences = memory.sequences
    sequences.entry += 1
    memory.changes.entries.append(
        LedgerPosted(
            sequences.entry,
            account.last_entry_id,
            account.account_id,
            kind,
            reference_id,
            wallet_kind,
            wallet.asset_id,
            amount_atoms,
            balance_atoms,
            0,
            0,
            0,
            fee_atoms,
            memory.time_ms,
        )
    )
    account.last_entry_id = sequences.entry
    memory.ledger.touch(account, wallet)
    return sequences.entry
