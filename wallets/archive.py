"""Ledger entries by ranges of their numbers: for exports and statements by operators."""

from __future__ import annotations

from collections.abc import Iterator

from common.key_ranges import KeyRange, keys_of_time
from exchange.core.enums import LedgerKind, WalletKind
from exchange.core.events import LedgerPosted
from wallets.models import LedgerEntry

ROWS_CHUNK = 2_000

_COLUMNS = (
    *("id", "previous_id", "account_id", "kind", "reference_id", "wallet", "asset_id"),
    *("amount_atoms", "balance_atoms", "quote_asset_id", "quote_amount_atoms"),
    *("quote_balance_atoms", "fee_atoms", "time_ms", "note"),
)
_KIND, _WALLET = _COLUMNS.index("kind"), _COLUMNS.index("wallet")


def entry_keys(*, since_ms: int, until_ms: int) -> KeyRange:
    """Return the numbers of the entries of a time."""
    return keys_of_time(
        LedgerEntry.objects.all(), time_field="time_ms", since_ms=since_ms, until_ms=until_ms
    )


def entries_in(keys: KeyRange, *, account_id: int | None = None) -> Iterator[LedgerPosted]:
    """Yield the entries in a range in the order of their numbers, of one account where asked."""
    rows = LedgerEntry.objects.filter(id__gte=keys.low, id__lt=keys.high).order_by("id")
    if account_id is not None:
        rows = rows.filter(account_id=account_id)
    for row in rows.values_list(*_COLUMNS).iterator(chunk_size=ROWS_CHUNK):
        values = list(row)
        values[_KIND], values[_WALLET] = LedgerKind(row[_KIND]), WalletKind(row[_WALLET])
        yield LedgerPosted(*values)
