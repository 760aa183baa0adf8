"""What other apps may receive from the wallets app."""

from dataclasses import dataclass

from exchange.core.enums import WalletKind
from exchange.core.events import LedgerPosted


@dataclass(frozen=True, slots=True)
class ChainHeads:
    """Newest order and newest ledger entry of an account; 0 when there is none."""

    order_id: int
    entry_id: int


@dataclass(frozen=True, slots=True)
class EntryPage:
    """
    A page of ledger entries, newest first.

    ``next_id`` is the entry to go on from, 0 at the end. A filtered page may be short or
    empty and still have a next one, because a page reads a bounded number of rows.
    """

    entries: list[LedgerPosted]
    next_id: int


@dataclass(frozen=True, slots=True)
class MarginSummary:
    """
    One margin wallet and what it backs, in atoms of its asset.

    ``equity_atoms`` is the wallet with the unrealised profit of cross positions,
    ``available_atoms`` what positions may be opened with, ``transferable_atoms`` what may
    leave, ``initial_atoms`` what positions and orders bind; all that is cross is liquidated
    once the equity is no more than ``maintenance_atoms``.
    """

    asset_id: int
    wallet_atoms: int
    profit_atoms: int
    equity_atoms: int
    available_atoms: int
    transferable_atoms: int
    initial_atoms: int
    maintenance_atoms: int


@dataclass(frozen=True, slots=True)
class TransferResult:
    """
    A transfer that was carried out, now or (``repeated``) before under the same client id.

    Everything but ``repeated`` follows from the request and its number, so the answer to a
    repeated request is the first one. ``username`` is "" between own wallets.
    """

    transfer_id: int
    asset_id: int
    amount_atoms: int
    wallet: WalletKind
    target_wallet: WalletKind
    username: str
    client_transfer_id: str
    repeated: bool
