"""Balances and ledger entries in the back-office: read-only."""

from datetime import datetime

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from common.back_office import ReadOnlyAdmin, shown_time
from common.ids import parse_id
from common.keyset import before_key
from exchange.core.enums import LedgerKind, WalletKind
from wallets.chains import chain_ids
from wallets.models import Balance, LedgerEntry
from wallets.render import amount_text, asset_code
from wallets.selectors import chain_heads
from wallets.withdrawals import back_office as back_office  # Importing it registers its lists.


@admin.register(Balance)
class BalanceAdmin(ReadOnlyAdmin):
    """Balances, found by account."""

    list_display = ["account_id", "currency", "wallet_name", "total", "available", "held"]
    search_fields = ["account_id"]
    search_help_text = "Whole account id"

    @display(description="currency")
    def currency(self, balance: Balance) -> str:
        """Return the asset's code."""
        return asset_code(balance.asset_id)

    @display(description="wallet")
    def wallet_name(self, balance: Balance) -> str:
        """Return which wallet it is."""
        return WalletKind(balance.wallet).name.lower()

    @display(description="total")
    def total(self, balance: Balance) -> str:
        """Return the whole balance."""
        return amount_text(balance.total_atoms, balance.asset_id)

    @display(description="available")
    def available(self, balance: Balance) -> str:
        """Return what is not held."""
        return amount_text(balance.total_atoms - balance.held_atoms, balance.asset_id)

    @display(description="held by orders")
    def held(self, balance: Balance) -> str:
        """Return what open orders hold."""
        return amount_text(balance.held_atoms, balance.asset_id)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    """The ledger, found by entry or account."""

    list_display = [
        "id",
        "account_id",
        "kind_name",
        "reference_id",
        "amount",
        "quote_amount",
        "fee",
        "time",
        "note",
    ]
    search_fields = ["id"]
    search_is_linked = True
    search_help_text = "Whole entry number or account id"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[LedgerEntry], search_term: str
    ) -> tuple[QuerySet[LedgerEntry], bool]:
        """Return an entry, or the newest of an account: they are linked, not indexed."""
        number = parse_id(search_term.strip())
        if number is None:
            found = queryset.none() if search_term else queryset
            return found, False
        ids = chain_ids(
            LedgerEntry,
            head_id=chain_heads(number).entry_id,
            account_id=number,
            before_id=before_key(request),
            rows_max=self.list_per_page + 1,
        )
        return queryset.filter(id__in=[number, *ids]), False

    @display(description="kind")
    def kind_name(self, entry: LedgerEntry) -> str:
        """Return why ownership changed."""
        return LedgerKind(entry.kind).name.lower()

    @display(description="amount")
    def amount(self, entry: LedgerEntry) -> str:
        """Return what moved."""
        return f"{amount_text(entry.amount_atoms, entry.asset_id)} {asset_code(entry.asset_id)}"

    @display(description="quote")
    def quote_amount(self, entry: LedgerEntry) -> str:
        """Return the quote part of a trade, net of the fee."""
        if not entry.quote_asset_id:
            return ""
        text = amount_text(entry.quote_amount_atoms, entry.quote_asset_id)
        return f"{text} {asset_code(entry.quote_asset_id)}"

    @display(description="fee")
    def fee(self, entry: LedgerEntry) -> str:
        """Return what the fee account received."""
        return amount_text(entry.fee_atoms, entry.quote_asset_id) if entry.quote_asset_id else ""

    @display(description="time (UTC)")
    def time(self, entry: LedgerEntry) -> datetime:
        """Return when the exchange booked it."""
        return shown_time(entry.time_ms)
