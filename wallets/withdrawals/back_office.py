"""Withdrawals in the back-office: lists, one with its user's others, and their operations."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from accounts.account_tabs import TAB_URL
from accounts.back_office import OperationsMixin
from accounts.selectors import user_by_account
from common.back_office import ReadOnlyAdmin, shown_time
from wallets.enums import WithdrawalState
from wallets.models import Withdrawal, WithdrawalAddress, WithdrawalTerms
from wallets.render import amount_text, asset_code
from wallets.withdrawals.selectors import withdrawals_page

# Of the same account, beside the one that is looked at.
OTHERS_SHOWN = 10
_STATE_LABELS = {
    WithdrawalState.REQUESTED.label: "warning",
    WithdrawalState.APPROVED.label: "info",
    WithdrawalState.SENT.label: "success",
    WithdrawalState.REJECTED.label: "danger",
}


@admin.register(Withdrawal)
class WithdrawalAdmin(OperationsMixin, ReadOnlyAdmin):
    """What users asked to be paid out, by state; found by account."""

    target_kind = "withdrawal"
    list_display = [
        "id",
        "shown_state",
        "asked",
        "account_id",
        "amount",
        "address",
        "approved_by",
        "settled",
    ]
    list_filter = ["state"]
    search_fields = ["account_id", "id"]
    search_help_text = "Whole account id or number"
    readonly_fields = [
        *("shown_state", "amount", "fee", "owner", "others", "asked", "changed", "settled"),
    ]
    fieldsets = [
        (None, {"fields": ["shown_state", "amount", "fee", "network", "address", "memo"]}),
        ("Decision", {"fields": ["approved_by", "ended_by", "reason", "transaction_id"]}),
        ("Whose", {"fields": ["owner", "others"]}),
        ("Times (UTC) and numbers", {"fields": ["id", "client_id", "asked", "changed", "settled"]}),
    ]

    @display(description="state", label=_STATE_LABELS)
    def shown_state(self, row: Withdrawal) -> str:
        """Return the state's label."""
        return WithdrawalState(row.state).label

    @display(description="amount")
    def amount(self, row: Withdrawal) -> str:
        """Return what is paid out."""
        return f"{amount_text(row.amount_atoms, row.asset_id)} {asset_code(row.asset_id)}"

    @display(description="fee")
    def fee(self, row: Withdrawal) -> str:
        """Return what the exchange earns."""
        return amount_text(row.fee_atoms, row.asset_id)

    @display(description="asked (UTC)")
    def asked(self, row: Withdrawal) -> datetime:
        """Return when it was asked for."""
        return shown_time(row.created_ms)

    @display(description="changed (UTC)")
    def changed(self, row: Withdrawal) -> datetime:
        """Return when its state changed last."""
        return shown_time(row.changed_ms)

    @display(description="settled (UTC)")
    def settled(self, row: Withdrawal) -> datetime | str:
        """Return when the ledger took its end."""
        return shown_time(row.settled_ms) if row.settled_ms else "-"

    @display(description="user")
    def owner(self, row: Withdrawal) -> SafeString | str:
        """Return whose it is, leading to the ledger of the account."""
        user = user_by_account(row.account_id)
        if user is None:
            return str(row.account_id)
        address = reverse(TAB_URL, kwargs={"object_id": user.pk, "slug": "ledger"})
        return format_html(
            '<a href="{}">{}</a>, account {}', address, user.username, row.account_id
        )

    @display(description="latest of the account")
    def others(self, row: Withdrawal) -> SafeString | str:
        """Return the account's latest withdrawals, this one among them."""
        found = withdrawals_page(account_id=row.account_id, limit=OTHERS_SHOWN)[:OTHERS_SHOWN]
        return format_html_join(
            "\n",
            '<div><a href="{}">{}</a> {} {} to {}: {}</div>',
            (
                (
                    reverse("admin:wallets_withdrawal_change", args=[info.withdrawal_id]),
                    str(shown_time(info.created_ms)),
                    amount_text(info.amount_atoms, info.asset_id),
                    asset_code(info.asset_id),
                    info.address,
                    info.state.label.lower(),
                )
                for info in found
            ),
        )


@admin.register(WithdrawalAddress)
class WithdrawalAddressAdmin(ReadOnlyAdmin):
    """Addresses that accounts may withdraw to."""

    list_display = ["id", "account_id", "currency", "label", "address", "added", "usable"]
    search_fields = ["account_id", "id"]
    search_help_text = "Whole account id or number"

    @display(description="currency")
    def currency(self, row: WithdrawalAddress) -> str:
        """Return the asset's code."""
        return asset_code(row.asset_id)

    @display(description="added (UTC)")
    def added(self, row: WithdrawalAddress) -> datetime:
        """Return when it was added."""
        return shown_time(row.created_ms)

    @display(description="usable from (UTC)")
    def usable(self, row: WithdrawalAddress) -> datetime:
        """Return from when on money may be sent there."""
        return shown_time(row.usable_ms)


@admin.register(WithdrawalTerms)
class WithdrawalTermsAdmin(OperationsMixin, ReadOnlyAdmin):
    """On which terms assets are withdrawn; operators change them by operation."""

    target_kind = "asset"
    list_display = [
        "currency",
        "is_open",
        "minimum",
        "fee",
        "daily_trader",
        "daily_maker",
        "daily_internal",
        "halted_because",
    ]
    fields = list_display
    readonly_fields = list_display
    keyset_ascending = True

    def target_key(self, row: Any) -> str:
        """Return the asset's code."""
        return asset_code(row.id)

    @display(description="currency")
    def currency(self, row: WithdrawalTerms) -> str:
        """Return the asset's code."""
        return asset_code(row.id)

    @display(description="minimum")
    def minimum(self, row: WithdrawalTerms) -> str:
        """Return the least amount."""
        return amount_text(row.minimum_atoms, row.id)

    @display(description="fee")
    def fee(self, row: WithdrawalTerms) -> str:
        """Return what one withdrawal costs."""
        return amount_text(row.fee_atoms, row.id)

    @display(description="traders, 24 h")
    def daily_trader(self, row: WithdrawalTerms) -> str:
        """Return the daily limit of traders."""
        return amount_text(row.daily_trader_atoms, row.id)

    @display(description="makers, 24 h")
    def daily_maker(self, row: WithdrawalTerms) -> str:
        """Return the daily limit of makers."""
        return amount_text(row.daily_maker_atoms, row.id)

    @display(description="internal, 24 h")
    def daily_internal(self, row: WithdrawalTerms) -> str:
        """Return the daily limit of the platform's own accounts."""
        return amount_text(row.daily_internal_atoms, row.id)
