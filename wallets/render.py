"""How balances and ledger entries look outside: one form for REST and WebSocket."""

from typing import Any

from exchange.core.enums import LedgerKind, WalletKind
from exchange.core.events import BalanceChanged, LedgerPosted
from exchange.core.units import RATE_ONE, ceil_div, format_atoms
from markets.selectors import AssetNotFound, asset_by_id
from wallets.types import MarginSummary, TransferResult

# Ratios of 10^-8 as fractions: 0.8 is 80 %.
_RATIO_DECIMALS = 4

WALLET_NAMES = {kind: kind.name.lower() for kind in WalletKind}
# An isolated wallet belongs to its position: nothing is transferred to it by name.
WALLETS_BY_NAME = {
    name: kind for kind, name in WALLET_NAMES.items() if kind is not WalletKind.ISOLATED
}
LEDGER_KIND_NAMES = {kind: kind.name.lower() for kind in LedgerKind}
LEDGER_KINDS_BY_NAME = {name: kind for kind, name in LEDGER_KIND_NAMES.items()}


def asset_code(asset_id: int) -> str:
    """Return the code of an asset, "" for none."""
    if not asset_id:
        return ""
    try:
        return asset_by_id(asset_id).code
    except AssetNotFound:
        return f"asset {asset_id}"


def amount_text(atoms: int, asset_id: int) -> str:
    """Return an amount in the decimals of its asset."""
    try:
        return format_atoms(atoms, asset_by_id(asset_id).decimals)
    except AssetNotFound:
        return format_atoms(atoms)


def render_balance(balance: BalanceChanged) -> dict[str, Any]:
    """Return a balance with amounts as decimal strings in the asset's decimals."""
    asset = asset_by_id(balance.asset_id)
    available_atoms = balance.total_atoms - balance.held_atoms
    return {
        "currency": asset.code,
        "wallet": WALLET_NAMES[balance.wallet],
        "total": format_atoms(balance.total_atoms, asset.decimals),
        "available": format_atoms(available_atoms, asset.decimals),
        "held": format_atoms(balance.held_atoms, asset.decimals),
    }


def render_margin(summary: MarginSummary) -> dict[str, Any]:
    """
    Return a margin wallet with amounts as decimal strings; the margin ratio is rounded up.

    It is null once no equity is left.
    """
    asset = asset_by_id(summary.asset_id)

    def text(atoms: int) -> str:
        return format_atoms(atoms, asset.decimals)

    equity, ratio = summary.equity_atoms, None
    if equity > 0:
        rate = ceil_div(summary.maintenance_atoms * RATE_ONE, equity)
        ratio = format_atoms(rate, _RATIO_DECIMALS)
    return {
        "currency": asset.code,
        "wallet_balance": text(summary.wallet_atoms),
        "unrealised_profit": text(summary.profit_atoms),
        "equity": text(equity),
        "available": text(summary.available_atoms),
        "transferable": text(summary.transferable_atoms),
        "initial_margin": text(summary.initial_atoms),
        "maintenance_margin": text(summary.maintenance_atoms),
        "margin_ratio": ratio,
    }


def render_entry(entry: LedgerPosted) -> dict[str, Any]:
    """
    Return a ledger entry with one line per asset that changed hands.

    A trade has two lines, base and quote, the latter net of ``fee``.
    """
    changes = [_change(entry.asset_id, entry.amount_atoms, entry.balance_atoms)]
    fee = None
    if entry.quote_asset_id:
        changes.append(
            _change(entry.quote_asset_id, entry.quote_amount_atoms, entry.quote_balance_atoms)
        )
        quote = asset_by_id(entry.quote_asset_id)
        fee = {"currency": quote.code, "amount": format_atoms(entry.fee_atoms, quote.decimals)}
    return {
        "id": str(entry.entry_id),
        "kind": LEDGER_KIND_NAMES[entry.kind],
        "wallet": WALLET_NAMES[entry.wallet],
        "reference_id": str(entry.reference_id),
        "changes": changes,
        "fee": fee,
        "note": entry.note,
        "created_at": entry.time_ms,
    }


def _change(asset_id: int, amount_atoms: int, balance_atoms: int) -> dict[str, str]:
    asset = asset_by_id(asset_id)
    return {
        "currency": asset.code,
        "amount": format_atoms(amount_atoms, asset.decimals),
        "balance": format_atoms(balance_atoms, asset.decimals),
    }


def render_transfer(transfer: TransferResult) -> dict[str, Any]:
    """Return a transfer as its sender sees it."""
    asset = asset_by_id(transfer.asset_id)
    return {
        "id": str(transfer.transfer_id),
        "currency": asset.code,
        "amount": format_atoms(transfer.amount_atoms, asset.decimals),
        "from_wallet": WALLET_NAMES[transfer.wallet],
        "to_wallet": WALLET_NAMES[transfer.target_wallet],
        "to_username": transfer.username or None,
        "client_transfer_id": transfer.client_transfer_id or None,
    }
