"""What came into the exchange and went out of it: the ledger of the account outside."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest
from django.urls import reverse

from accounts.permissions import Permission
from adminpanel.section_pages import Section, section_page
from common.ids import parse_id
from common.tables import FROM_VAR, Cell, Column, Kind, Table, Tone
from exchange.core.enums import LedgerKind, SystemAccount, is_system_account
from exchange.core.events import LedgerPosted
from exchange.core.units import format_atoms
from markets.selectors import asset_by_id
from wallets.render import LEDGER_KIND_NAMES
from wallets.selectors import contra_accounts, entries_page
from wallets.verify import account_name

ROWS = 50

_TONES = {LedgerKind.DEPOSIT: Tone.GOOD, LedgerKind.WITHDRAWAL: Tone.WARNING}
_COLUMNS = (
    Column("id", "Entry", Kind.NUMBER),
    Column("time", "Time (UTC)", Kind.TIME),
    Column("kind", "Kind", Kind.BADGE),
    Column("account", "Account", Kind.NUMBER),
    Column("amount", "Amount", Kind.FIGURE),
    Column("currency", "Currency"),
    Column("reason", "Reason"),
)


@section_page("Deposits and payouts", Permission.MONEY_VIEW)
def cash_page(request: HttpRequest) -> Section:
    """
    Show what was credited and debited, the newest first.

    Raises:
        Http404: for a page that cannot be one.
    """
    start = request.GET.get(FROM_VAR)
    start_id = parse_id(start)
    if start and start_id is None:
        raise Http404
    page = entries_page(SystemAccount.EXTERNAL.value, limit=ROWS, from_id=start_id)
    accounts = contra_accounts(page.entries)
    rows = [_row(entry, accounts.get(entry.entry_id)) for entry in page.entries]
    next_from = str(page.next_id) if page.next_id else ""
    note = (
        "Credits and debits by operators, withdrawals that were sent, and what was paid into or out"
        " of insurance funds."
    )
    return Section([Table(_COLUMNS, rows, note=note, next_from=next_from)])


def _row(entry: LedgerPosted, account_id: int | None) -> dict[str, Any]:
    asset = asset_by_id(entry.asset_id)
    return {
        "id": Cell(
            str(entry.entry_id), reverse("admin:wallets_ledgerentry_change", args=[entry.entry_id])
        ),
        "time": entry.time_ms,
        "kind": Cell(LEDGER_KIND_NAMES[entry.kind], tone=_TONES.get(entry.kind, Tone.NOTE)),
        "account": None if account_id is None else account_cell(account_id),
        # The account outside has the contra.
        "amount": format_atoms(-entry.amount_atoms, asset.decimals),
        "currency": asset.code,
        "reason": entry.note,
    }


def account_cell(account_id: int) -> Cell:
    """Return an account: a user's leads to the user, the exchange's own has a name."""
    if is_system_account(account_id):
        return Cell(account_name(account_id).removeprefix("account "))
    return Cell(str(account_id), f"{reverse('admin:accounts_user_changelist')}?q={account_id}")
