"""
The statement of an account: opening balances, every entry, closing balances.

Counted back from what the account has now: what came after the period is taken off its balances
for the closing ones, what came in it for the opening ones. Where the ledger itself wrote down what
a wallet held after an entry, both must agree, or there is no statement. Isolated wallets of one
asset are shown as one: the ledger keeps no balance of their sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adminpanel.exports.cells import Cell, atoms_cell, time_cell
from adminpanel.exports.filters import Filters
from adminpanel.exports.writing import ExportError, Plan
from common.db import read_snapshot
from common.key_ranges import KeyRange
from exchange.core.enums import WalletKind
from exchange.core.events import LedgerPosted
from markets.selectors import asset_by_id
from positions.selectors import isolated_totals
from wallets import archive
from wallets.selectors import balances_of

STATEMENT_HEADER = (
    *("record", "time", "wallet", "currency", "amount", "balance", "kind", "reference_id"),
    *("entry_id", "note"),
)
# Keys read between two reports of progress.
KEYS_STEP = 20_000
# Later than any entry.
_FAR_MS = 2**62

# (wallet, asset)
Key = tuple[WalletKind, int]


@dataclass(frozen=True, slots=True)
class _Leg:
    """What one entry did to one wallet; ``balance_atoms`` is what the ledger wrote down."""

    key: Key
    amount_atoms: int
    balance_atoms: int


@dataclass(slots=True)
class _Accounts:
    """Balances by wallet and asset: at the beginning, as they run, and at the end; atoms."""

    opening: dict[Key, int]
    running: dict[Key, int]
    closing: dict[Key, int]


def statement_plan(filters: Filters) -> Plan:
    """
    Return the rows of a statement; the entries from the period up to now are read twice.

    Raises:
        ExportError: if balances and ledger disagree.
    """
    account_id = filters.account_id
    if account_id is None:
        raise ExportError("a statement needs an account")
    with read_snapshot():
        now = _balances_now(account_id)
        later = archive.entry_keys(since_ms=filters.since_ms, until_ms=_FAR_MS)
        found = archive.entry_keys(since_ms=filters.since_ms, until_ms=filters.until_ms)
    # What is written from here on is in neither.
    inside = KeyRange(found.low, min(found.high, later.high))
    accounts = _count_back(account_id, now, inside, KeyRange(inside.high, later.high))
    parts = inside.parts(KEYS_STEP)
    return Plan(rows=_rows(account_id, accounts, parts, filters), parts=len(parts) + 2)


def _balances_now(account_id: int) -> dict[Key, int]:
    found: dict[Key, int] = {
        (balance.wallet, balance.asset_id): balance.total_atoms
        for balance in balances_of(account_id)
    }
    for asset_id, atoms in isolated_totals(account_id).items():
        found[WalletKind.ISOLATED, asset_id] = atoms
    return found


def _legs(entry: LedgerPosted) -> Iterator[_Leg]:
    yield _Leg((entry.wallet, entry.asset_id), entry.amount_atoms, entry.balance_atoms)
    if entry.quote_asset_id:
        key = entry.wallet, entry.quote_asset_id
        yield _Leg(key, entry.quote_amount_atoms, entry.quote_balance_atoms)


def _sums(account_id: int, keys: KeyRange) -> dict[Key, int]:
    sums: dict[Key, int] = {}
    for part in keys.parts(KEYS_STEP):
        for entry in archive.entries_in(part, account_id=account_id):
            for leg in _legs(entry):
                sums[leg.key] = sums.get(leg.key, 0) + leg.amount_atoms
    return sums


def _count_back(
    account_id: int, now: dict[Key, int], inside: KeyRange, after: KeyRange
) -> _Accounts:
    moved_after, moved = _sums(account_id, after), _sums(account_id, inside)
    keys = sorted({*now, *moved_after, *moved})
    closing = {key: now.get(key, 0) - moved_after.get(key, 0) for key in keys}
    opening = {key: closing[key] - moved.get(key, 0) for key in keys}
    return _Accounts(opening, dict(opening), closing)


def _rows(
    account_id: int, accounts: _Accounts, parts: list[KeyRange], filters: Filters
) -> Iterator[Iterator[tuple[Cell, ...]]]:
    yield _balance_rows("opening", accounts.opening, filters.since_ms)
    for part in parts:
        yield _entry_rows(account_id, accounts, part)
    for key, atoms in accounts.closing.items():
        if accounts.running[key] != atoms:
            raise ExportError(
                f"{_name(key)} ends at {atoms_cell(accounts.running[key])},"
                f" expected {atoms_cell(atoms)}"
            )
    yield _balance_rows("closing", accounts.closing, filters.until_ms)


def _balance_rows(
    record: str, balances: dict[Key, int], time_ms: int
) -> Iterator[tuple[Cell, ...]]:
    for key, atoms in balances.items():
        wallet, asset_id = key
        yield (
            record,
            time_cell(time_ms),
            wallet.name.lower(),
            asset_by_id(asset_id).code,
            "",
            atoms_cell(atoms),
            *("", "", "", ""),
        )


def _entry_rows(account_id: int, accounts: _Accounts, keys: KeyRange) -> Iterator[tuple[Cell, ...]]:
    for entry in archive.entries_in(keys, account_id=account_id):
        for leg in _legs(entry):
            wallet, asset_id = leg.key
            balance = accounts.running.get(leg.key, 0) + leg.amount_atoms
            accounts.running[leg.key] = balance
            if wallet is not WalletKind.ISOLATED and balance != leg.balance_atoms:
                raise ExportError(
                    f"entry {entry.entry_id} leaves {_name(leg.key)} at"
                    f" {atoms_cell(leg.balance_atoms)}, expected {atoms_cell(balance)}"
                )
            yield (
                "entry",
                time_cell(entry.time_ms),
                wallet.name.lower(),
                asset_by_id(asset_id).code,
                atoms_cell(leg.amount_atoms),
                atoms_cell(balance),
                entry.kind.name.lower(),
                entry.reference_id,
                entry.entry_id,
                entry.note,
            )


def _name(key: Key) -> str:
    return f"the {key[0].name.lower()} wallet of {asset_by_id(key[1]).code}"
