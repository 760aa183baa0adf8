"""What the wallets app shows in tabs of a user's page in the back-office."""

from __future__ import annotations

from collections.abc import Sequence

from django.urls import reverse

from accounts.account_tabs import TAB_ROWS, AccountTab, Subject
from accounts.permissions import Permission
from common.tables import Cell, Column, Kind, Table
from wallets import selectors
from wallets.render import render_balance, render_entry, render_margin
from wallets.withdrawals.render import render_withdrawal
from wallets.withdrawals.selectors import withdrawals_page

_BALANCE_COLUMNS = (
    Column("currency", "Currency"),
    Column("wallet", "Wallet"),
    Column("total", "Total", Kind.FIGURE),
    Column("available", "Available", Kind.FIGURE),
    Column("held", "Held by orders", Kind.FIGURE),
)
_MARGIN_COLUMNS = (
    Column("currency", "Currency"),
    Column("wallet_balance", "Wallet", Kind.FIGURE),
    Column("unrealised_profit", "Unrealised", Kind.FIGURE),
    Column("equity", "Equity", Kind.FIGURE),
    Column("initial_margin", "Initial margin", Kind.FIGURE),
    Column("maintenance_margin", "Maintenance margin", Kind.FIGURE),
    Column("available", "Available", Kind.FIGURE),
    Column("margin_ratio", "Margin ratio", Kind.FIGURE),
)
_ENTRY_COLUMNS = (
    Column("id", "Entry", Kind.NUMBER),
    Column("created_at", "Time (UTC)", Kind.TIME),
    Column("kind", "Kind"),
    Column("wallet", "Wallet"),
    Column("reference_id", "Reference", Kind.NUMBER),
    Column("amount", "Amount", Kind.FIGURE),
    Column("balance", "Balance", Kind.FIGURE),
    Column("currency", "Currency"),
    Column("fee", "Fee", Kind.FIGURE),
    Column("note", "Note"),
)


_WITHDRAWAL_COLUMNS = (
    Column("id", "Withdrawal", Kind.NUMBER),
    Column("created_at", "Asked (UTC)", Kind.TIME),
    Column("amount", "Amount", Kind.FIGURE),
    Column("fee", "Fee", Kind.FIGURE),
    Column("currency", "Currency"),
    Column("address", "To"),
    Column("status", "State", Kind.BADGE),
    Column("transaction_id", "Transaction"),
)


def _wallets(subject: Subject, _from_id: int | None) -> Sequence[Table]:
    balances = [render_balance(row) for row in selectors.balances_of(subject.account_id)]
    margins = [render_margin(row) for row in selectors.margin_summaries(subject.account_id)]
    return [
        Table(_BALANCE_COLUMNS, balances, "Balances", empty="This account never owned anything."),
        Table(_MARGIN_COLUMNS, margins, "Margin wallets at the marks", empty="No margin wallet."),
    ]


def _ledger(subject: Subject, from_id: int | None) -> Sequence[Table]:
    page = selectors.entries_page(subject.account_id, limit=TAB_ROWS, from_id=from_id)
    rows = []
    for entry in page.entries:
        shown = render_entry(entry)
        link = reverse("admin:wallets_ledgerentry_change", args=[entry.entry_id])
        fee = shown["fee"]
        # A trade's entry has two parts, base and quote: one line for each.
        for number, change in enumerate(shown["changes"]):
            first = {**shown, "id": Cell(shown["id"], link)} if number == 0 else {}
            rows.append({**first, **change, "fee": fee and number and fee["amount"]})
    next_from = str(page.next_id) if page.next_id else ""
    return [Table(_ENTRY_COLUMNS, rows, "Ledger", next_from=next_from)]


def _withdrawals(subject: Subject, from_id: int | None) -> Sequence[Table]:
    rows = withdrawals_page(account_id=subject.account_id, limit=TAB_ROWS, below_id=from_id)
    shown = []
    for info in rows[:TAB_ROWS]:
        link = reverse("admin:wallets_withdrawal_change", args=[info.withdrawal_id])
        row = render_withdrawal(info)
        shown.append({**row, "id": Cell(row["id"], link), "status": Cell(row["status"])})
    next_from = str(rows[TAB_ROWS - 1].withdrawal_id) if len(rows) > TAB_ROWS else ""
    return [
        Table(
            _WITHDRAWAL_COLUMNS,
            shown,
            "Withdrawals",
            next_from=next_from,
            empty="This account never withdrew anything.",
        )
    ]


TABS = (
    AccountTab("wallets", "Wallets", Permission.MONEY_VIEW, _wallets),
    AccountTab("ledger", "Ledger", Permission.MONEY_VIEW, _ledger),
    AccountTab("withdrawals", "Withdrawals", Permission.MONEY_VIEW, _withdrawals),
)
