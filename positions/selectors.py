"""Reads of positions, their history and their funding, always scoped by account."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from heapq import nlargest

from exchange.core.enums import CloseReason, LedgerKind, MarginMode, PositionSide
from exchange.core.events import FundingPaid, PositionClosed
from markets.perpetuals import contracts_by_id
from markets.selectors import markets_all
from positions.models import ClosedPosition, FundingPayment, Position
from positions.projection import CLOSED, PAYMENTS
from positions.types import FundingSum, MarketSetting
from wallets.chains import seek_chain, walk_chain
from wallets.selectors import entries_page

# Closed positions of one slot whose funding is added up when somebody looks.
FUNDING_SUMMED_MAX = 1_000

_CLOSED_COLUMNS = (
    "id",
    "previous_id",
    *(n for n in CLOSED.columns if n not in ("id", "previous_id")),
)


# Rows fetched at once when all open positions are read.
ROWS_CHUNK = 5_000


def open_market_of(account_id: int, position_id: int) -> int | None:
    """Return the market of an open position of this account, None if there is no such."""
    row = Position.objects.filter(account_id=account_id, position_id=position_id, is_open=1)
    return row.values_list("market_id", flat=True).first()


def ever_market_of(account_id: int, position_id: int) -> int | None:
    """Return the market of a position that this account has or had, None if it never did."""
    market_id = open_market_of(account_id, position_id)
    if market_id is None:
        closed = ClosedPosition.objects.filter(id=position_id, account_id=account_id)
        market_id = closed.values_list("market_id", flat=True).first()
    return market_id


def open_positions_of(account_id: int, market_id: int | None = None) -> list[tuple[int, int]]:
    """Return market and number of an account's open positions, by number."""
    rows = Position.objects.filter(account_id=account_id, is_open=1)
    if market_id is not None:
        rows = rows.filter(market_id=market_id)
    return list(rows.order_by("position_id").values_list("market_id", "position_id"))


def open_rows() -> Iterator[tuple[int, tuple[int, int, int, int, int, bool]]]:
    """
    Yield every open position, of everybody, as (market, row).

    A row is slot, account, quantity, cost, isolated wallet, and whether it is cross.
    """
    rows = Position.objects.filter(is_open=1).values_list(
        "market_id",
        "id",
        "account_id",
        "quantity_atoms",
        "cost_atoms",
        "isolated_atoms",
        "mode",
    )
    for market_id, *values, mode in rows.iterator(chunk_size=ROWS_CHUNK):
        slot_id, account_id, quantity, cost, isolated = values
        row = (slot_id, account_id, quantity, cost, isolated, mode != MarginMode.ISOLATED)
        yield market_id, row


def held_by(account_ids: Collection[int]) -> list[tuple[int, int, int]]:
    """Return market, signed quantity and cost of the open positions of accounts."""
    rows = Position.objects.filter(account_id__in=account_ids, is_open=1).order_by("market_id")
    return list(rows.values_list("market_id", "quantity_atoms", "cost_atoms"))


def largest_accounts_in(market_id: int, *, limit: int) -> tuple[list[int], int]:
    """Return the accounts of a market's largest positions, and how many are open."""
    rows = Position.objects.filter(is_open=1, market_id=market_id)
    found = rows.values_list("quantity_atoms", "account_id").iterator(chunk_size=ROWS_CHUNK)
    total = 0

    def counted() -> Iterator[tuple[int, int]]:
        nonlocal total
        for quantity, account_id in found:
            total += 1
            yield abs(quantity), account_id

    largest = nlargest(limit, counted())
    return [account_id for _, account_id in largest], total


def isolated_totals(account_id: int) -> dict[int, int]:
    """Return what an account's isolated wallets hold together, in atoms by asset."""
    assets = {market.market_id: market.quote_asset_id for market in markets_all()}
    rows = Position.objects.filter(account_id=account_id, mode=MarginMode.ISOLATED.value)
    found: dict[int, int] = {}
    for market_id, atoms in rows.values_list("market_id", "isolated_atoms"):
        if atoms:
            found[assets[market_id]] = found.get(assets[market_id], 0) + atoms
    return found


def setting_of(account_id: int, market_id: int) -> MarketSetting | None:
    """Return an account's leverage and margin mode in a market, None if that is no perpetual."""
    contract = contracts_by_id([market_id]).get(market_id)
    if contract is None:
        return None
    leverage_max = contract.brackets[0][3]
    row = Position.objects.filter(account_id=account_id, market_id=market_id)
    found = row.values_list("leverage", "mode").first()
    if found is None:
        leverage = min(contract.leverage_default, leverage_max)
        return MarketSetting(market_id, leverage, MarginMode.CROSS, leverage_max)
    return MarketSetting(market_id, found[0], MarginMode(found[1]), leverage_max)


def closed_page(
    account_id: int, *, limit: int, below_id: int | None = None, market_id: int | None = None
) -> list[PositionClosed]:
    """
    Return one more than ``limit`` closed positions if there are, the last opened first.

    Each slot has a chain of its own; an account has few slots, so that their newest are
    merged.
    """
    slots = Position.objects.filter(account_id=account_id, previous_id__gt=0)
    if market_id is not None:
        slots = slots.filter(market_id=market_id)
    found: list[PositionClosed] = []
    for head_id in slots.values_list("previous_id", flat=True):
        start_id = head_id
        if below_id is not None:
            start_id = seek_chain(
                ClosedPosition, head_id=head_id, account_id=account_id, below_id=below_id - 1
            )
        rows = walk_chain(
            ClosedPosition,
            start_id=start_id,
            account_id=account_id,
            columns=_CLOSED_COLUMNS,
            rows_max=limit + 1,
        )
        found += [_closed_from(row) for row in rows]
    found.sort(key=lambda closed: -closed.position_id)
    return found[: limit + 1]


def _closed_from(row: tuple[int, ...]) -> PositionClosed:
    values = dict(zip(_CLOSED_COLUMNS, row, strict=True))
    position_id = values.pop("id")
    mode, reason = MarginMode(values.pop("mode")), CloseReason(values.pop("reason"))
    return PositionClosed(position_id=position_id, mode=mode, reason=reason, **values)


def funding_sums(account_id: int) -> list[FundingSum]:
    """Return what each slot of an account received by funding, by market and side."""
    slots = Position.objects.filter(account_id=account_id).order_by("market_id", "side")
    columns = ("market_id", "side", "funding_atoms", "previous_id")
    found = []
    for market_id, side, open_atoms, head_id in slots.values_list(*columns):
        rows = walk_chain(
            ClosedPosition,
            start_id=head_id,
            account_id=account_id,
            columns=("id", "previous_id", "funding_atoms"),
            rows_max=FUNDING_SUMMED_MAX + 1,
        )
        closed = [row[2] for row in rows]
        summed = closed[:FUNDING_SUMMED_MAX]
        found.append(
            FundingSum(
                market_id=market_id,
                side=PositionSide(side),
                open_atoms=open_atoms,
                closed_atoms=sum(summed),
                closed_count=len(summed),
                is_whole=len(closed) == len(summed),
            )
        )
    return found


def payments_page(
    account_id: int, *, limit: int, from_entry_id: int | None, market_id: int | None = None
) -> tuple[list[FundingPaid], int]:
    """
    Return a page of an account's funding, newest first, and the entry to go on from (0: end).

    Found along the account's ledger entries; a page reads a bounded number of them, so it may
    be short or empty and still have a next one.
    """
    page = entries_page(account_id, limit=limit, from_id=from_entry_id, kind=LedgerKind.FUNDING)
    ids = [entry.entry_id for entry in page.entries]
    rows = FundingPayment.objects.filter(id__in=ids)
    if market_id is not None:
        rows = rows.filter(market_id=market_id)
    payments = rows.order_by("-id").values_list(*PAYMENTS.columns)
    return [FundingPaid(*row) for row in payments], page.next_id
