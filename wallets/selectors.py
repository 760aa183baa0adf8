"""Reads of balances and ledger entries, always scoped by account."""

from collections.abc import Callable, Collection, Iterator, Sequence

from django.conf import settings
from django.utils.module_loading import import_string

from exchange.core.enums import LedgerKind, WalletKind
from exchange.core.events import BalanceChanged, LedgerPosted
from wallets.chains import Row, seek_chain, walk_chain
from wallets.models import Balance, LedgerEntry
from wallets.types import ChainHeads, EntryPage, MarginSummary

# Rows fetched at once when the wallets of everybody are read.
ROWS_CHUNK = 5_000

# Rows that one page of a filtered history reads at most.
SCAN_ROWS_MAX = 2_000

_ENTRY_COLUMNS = (
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
)
_KIND = _ENTRY_COLUMNS.index("kind")
_TIME_MS = _ENTRY_COLUMNS.index("time_ms")
_ASSET_ID = _ENTRY_COLUMNS.index("asset_id")
_QUOTE_ASSET_ID = _ENTRY_COLUMNS.index("quote_asset_id")
_WALLET = _ENTRY_COLUMNS.index("wallet")
# Entries whose reference is the number of a trade.
_TRADE_KINDS = frozenset(
    {LedgerKind.TRADE, LedgerKind.TAKEOVER, LedgerKind.DELEVERAGING, LedgerKind.SETTLEMENT}
)


def balances_of(account_id: int, *, asset_id: int | None = None) -> list[BalanceChanged]:
    """Return an account's balances by asset and wallet, all or those of one asset."""
    rows = Balance.objects.filter(account_id=account_id)
    if asset_id is not None:
        rows = rows.filter(asset_id=asset_id)
    values = rows.values_list("asset_id", "wallet", "total_atoms", "held_atoms")
    return [
        BalanceChanged(
            account_id=account_id,
            wallet=WalletKind(wallet),
            asset_id=asset,
            total_atoms=total_atoms,
            held_atoms=held_atoms,
        )
        for asset, wallet, total_atoms, held_atoms in sorted(values)
    ]


def margin_summaries(account_id: int) -> list[MarginSummary]:
    """Return an account's margin wallets with what they back, as the app above knows it."""
    found: list[MarginSummary] = import_string(settings.MARGIN_SUMMARIES)(account_id)
    return found


def margin_balances_of(account_ids: Collection[int]) -> list[BalanceChanged]:
    """Return the margin wallets of accounts, those of the exchange itself among them."""
    rows = Balance.objects.filter(account_id__in=account_ids, wallet=WalletKind.MARGIN.value)
    columns = ("account_id", "asset_id", "total_atoms", "held_atoms")
    return [
        BalanceChanged(account_id, WalletKind.MARGIN, asset_id, total_atoms, held_atoms)
        for account_id, asset_id, total_atoms, held_atoms in rows.values_list(*columns)
    ]


def margin_totals() -> Iterator[tuple[int, int, int]]:
    """Yield every margin wallet, of everybody: account, asset, balance."""
    rows = Balance.objects.filter(wallet=WalletKind.MARGIN.value)
    yield from rows.values_list("account_id", "asset_id", "total_atoms").iterator(
        chunk_size=ROWS_CHUNK
    )


def balance_rows() -> Iterator[tuple[int, int, int, int, int]]:
    """Yield every balance, of everybody: account, wallet, asset, total and held."""
    rows = Balance.objects.order_by("id")
    columns = ("account_id", "wallet", "asset_id", "total_atoms", "held_atoms")
    yield from rows.values_list(*columns).iterator(chunk_size=ROWS_CHUNK)


def chain_heads(account_id: int) -> ChainHeads:
    """Return where an account's histories begin: the highest number any of its rows carries."""
    heads = Balance.objects.filter(account_id=account_id).values_list(
        "last_order_id", "last_entry_id"
    )
    order_id = entry_id = 0
    for last_order_id, last_entry_id in heads:
        order_id = max(order_id, last_order_id)
        entry_id = max(entry_id, last_entry_id)
    return ChainHeads(order_id=order_id, entry_id=entry_id)


def entries_page(
    account_id: int,
    *,
    limit: int,
    from_id: int | None = None,
    asset_id: int | None = None,
    kind: LedgerKind | None = None,
) -> EntryPage:
    """Return a page of an account's ledger entries, of one asset or kind where asked."""

    def matches(row: Row) -> bool:
        return (kind is None or row[_KIND] == kind) and (
            asset_id is None or row[_ASSET_ID] == asset_id or row[_QUOTE_ASSET_ID] == asset_id
        )

    return _page(account_id, limit=limit, from_id=from_id, matches=matches)


def contra_accounts(entries: Sequence[LedgerPosted]) -> dict[int, int]:
    """
    Return the other account of deposits, withdrawals and transfers, by number of the entry.

    Entries of one are written side by side and name the same reference; of a withdrawal that was
    sent it is the account of pending ones.
    """
    wanted = {entry.entry_id: (entry.kind, entry.reference_id) for entry in entries}
    beside = {number + step for number in wanted for step in (-1, 1)}
    rows = (
        LedgerEntry.objects.filter(id__in=beside)
        .order_by("id")
        .values_list("id", "kind", "reference_id", "account_id")
    )
    found: dict[int, int] = {}
    for number, kind, reference_id, account_id in rows:
        for own in (number - 1, number + 1):
            if wanted.get(own) == (kind, reference_id):
                found.setdefault(own, account_id)
    return found


def trade_entries_page(
    account_id: int,
    *,
    limit: int,
    from_id: int | None = None,
    assets: tuple[int, int] | None = None,
    since_ms: int = 0,
) -> EntryPage:
    """
    Return a page of the entries of an account's trades, of whatever kind.

    ``assets`` are asset and quote asset as the entries of one market have them; the page ends
    the history at entries older than ``since_ms``. What a trade did to an isolated wallet is a
    second entry, and left out.
    """

    def matches(row: Row) -> bool:
        return (
            row[_KIND] in _TRADE_KINDS
            and row[_WALLET] != WalletKind.ISOLATED
            and (assets is None or (row[_ASSET_ID], row[_QUOTE_ASSET_ID]) == assets)
        )

    return _page(account_id, limit=limit, from_id=from_id, matches=matches, since_ms=since_ms)


def _page(
    account_id: int,
    *,
    limit: int,
    from_id: int | None,
    matches: Callable[[Row], bool],
    since_ms: int = 0,
) -> EntryPage:
    start_id = chain_heads(account_id).entry_id
    if from_id is not None:
        start_id = seek_chain(
            LedgerEntry, head_id=start_id, account_id=account_id, below_id=from_id
        )
    entries: list[LedgerPosted] = []
    next_id = start_id
    rows = walk_chain(
        LedgerEntry,
        start_id=start_id,
        account_id=account_id,
        columns=_ENTRY_COLUMNS,
        rows_max=SCAN_ROWS_MAX,
    )
    for row in rows:
        if row[_TIME_MS] < since_ms:
            return EntryPage(entries=entries, next_id=0)
        next_id = row[1]
        if matches(row):
            entries.append(_entry_from_row(row))
            if len(entries) == limit:
                break
    return EntryPage(entries=entries, next_id=next_id)


def _entry_from_row(row: Row) -> LedgerPosted:
    values = list(row)
    values[_KIND] = LedgerKind(values[_KIND])
    values[_WALLET] = WalletKind(values[_WALLET])
    return LedgerPosted(*values)
