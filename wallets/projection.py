"""Balances and ledger entries of the exchange -> rows, and all balances back at start."""

from __future__ import annotations

from collections.abc import Iterable

from exchange.core.enums import WalletKind
from exchange.core.state import Changes, Image, Wallet
from exchange.projection import Reader, Row, Table

BALANCES = Table(
    name="wallets_balance",
    columns=(
        "id",
        "account_id",
        "wallet",
        "asset_id",
        "total_atoms",
        "held_atoms",
        "last_order_id",
        "last_entry_id",
    ),
)

ENTRIES = Table(
    name="wallets_ledgerentry",
    columns=(
        "id",
        "previous_id",
        "account_id",
        "kind",
        "reference_id",
        "wallet",
        "asset_id",
        "amount_atoms",
        "balance_atoms",
        "quote_asset_id",
        "quote_amount_atoms",
        "quote_balance_atoms",
        "fee_atoms",
        "time_ms",
        "note",
    ),
    append_only=True,
    partition_rows=20_000_000,
)


class WalletProjection:
    """Writes every touched balance once and every ledger entry; loads all balances."""

    tables = (BALANCES, ENTRIES)

    def rows(self, changes: Changes) -> Iterable[tuple[Table, list[Row]]]:
        """Return the rows of touched balances and new ledger entries."""
        balances: list[Row] = [
            (
                wallet.wallet_id,
                wallet.account_id,
                wallet.kind.real,
                wallet.asset_id,
                wallet.total_atoms,
                wallet.held_atoms,
                wallet.last_order_id,
                wallet.last_entry_id,
            )
            for wallet in changes.wallets.values()
        ]
        entries: list[Row] = [
            (
                entry.entry_id,
                entry.previous_id,
                entry.account_id,
                entry.kind.real,
                entry.reference_id,
                entry.wallet.real,
                entry.asset_id,
                entry.amount_atoms,
                entry.balance_atoms,
                entry.quote_asset_id,
                entry.quote_amount_atoms,
                entry.quote_balance_atoms,
                entry.fee_atoms,
                entry.time_ms,
                entry.note,
            )
            for entry in changes.entries
        ]
        return ((BALANCES, balances), (ENTRIES, entries))

    def load(self, reader: Reader, image: Image) -> None:
        """Fill the image with all balances."""
        image.wallets = [_wallet_from_row(row) for row in reader.rows(BALANCES)]


def _wallet_from_row(row: Row) -> Wallet:
    """Return the wallet that a row of ``BALANCES.columns`` holds."""
    wallet = Wallet()
    (
        wallet.wallet_id,
        wallet.account_id,
        kind,
        wallet.asset_id,
        wallet.total_atoms,
        wallet.held_atoms,
        wallet.last_order_id,
        wallet.last_entry_id,
    ) = row
    wallet.kind = WalletKind(kind)
    return wallet
