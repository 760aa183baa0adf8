"""Orders and trades in the back-office: read-only."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from accounts.back_office import OperationsMixin
from common.back_office import ReadOnlyAdmin, shown_time
from common.ids import parse_id
from common.keyset import before_key
from exchange.core.enums import EndReason, LinkKind, OrderStatus, OrderType, Side, TriggerType
from exchange.core.units import format_atoms
from markets.selectors import MarketNotFound, market_by_id
from orders.models import Order, OrderTerms, Trade
from wallets.archive import entry_keys
from wallets.chains import chain_ids
from wallets.selectors import chain_heads, trade_entries_page

# Orders of the largest group: a bracket with both children.
GROUP_ORDERS_MAX = 3
# Pages of an account's entries that one page of its trades reads at most.
ENTRY_PAGES_MAX = 20

_STATUS_LABELS = {
    "open": "info",
    "partially_filled": "info",
    "filled": "success",
    "cancelled": "",
    "expired": "warning",
    "untriggered": "primary",
    "waiting": "primary",
}


def symbol_of(market_id: int) -> str:
    """Return a market's symbol."""
    try:
        return market_by_id(market_id).symbol
    except MarketNotFound:
        return f"market {market_id}"


def price_text(atoms: int, market_id: int) -> str:
    """Return a price in its market's decimals, "" for none."""
    if not atoms:
        return ""
    try:
        return market_by_id(market_id).price_text(atoms)
    except MarketNotFound:
        return format_atoms(atoms)


def quantity_text(atoms: int, market_id: int) -> str:
    """Return a quantity in its market's decimals."""
    try:
        return market_by_id(market_id).quantity_text(atoms)
    except MarketNotFound:
        return format_atoms(atoms)


def shows_open(request: HttpRequest) -> bool:
    """Return whether a list is asked for open orders only."""
    return request.GET.get(OpenFilter.parameter_name) == "1"


class OpenFilter(admin.SimpleListFilter):
    """Open orders, or their terms, only: the one filter that has an index."""

    title = "open"
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the one choice."""
        return [("1", "open orders")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return what was chosen."""
        return queryset.filter(is_open=1) if self.value() == "1" else queryset


def account_trade_ids(account_id: int, *, before_id: int | None, rows_max: int) -> list[int]:
    """
    Return up to ``rows_max`` numbers of an account's trades, newest first, below ``before_id``.

    They are named by its ledger entries, of which those of that trade's time or earlier are read.
    """
    from_id = None
    if before_id is not None:
        times = Trade.objects.filter(id=before_id).values_list("time_ms", flat=True)
        time_ms = times.first()
        if time_ms is None:
            return []
        from_id = entry_keys(since_ms=time_ms, until_ms=time_ms + 1).high - 1
    # A trade with oneself is two entries.
    found: dict[int, None] = {}
    for _ in range(ENTRY_PAGES_MAX):
        page = trade_entries_page(account_id, limit=rows_max, from_id=from_id)
        for entry in page.entries:
            if before_id is None or entry.reference_id < before_id:
                found[entry.reference_id] = None
        if not page.next_id or len(found) >= rows_max:
            break
        from_id = page.next_id
    return list(found)[:rows_max]


@admin.register(Order)
class OrderAdmin(OperationsMixin, ReadOnlyAdmin):
    """Orders, found by number or account."""

    target_kind = "order"
    list_display = [
        "id",
        "account_id",
        "symbol",
        "side_name",
        "type_name",
        "price",
        "quantity",
        "filled",
        "status_name",
        "created",
    ]
    list_filter = [OpenFilter]
    search_fields = ["id"]
    search_is_linked = True
    search_help_text = "Whole order number or account id"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Order], search_term: str
    ) -> tuple[QuerySet[Order], bool]:
        """Return an order, or the newest of an account: they are linked, not indexed."""
        number = parse_id(search_term.strip())
        if number is None:
            found = queryset.none() if search_term else queryset
            return found, False
        if shows_open(request):
            # The index of open orders has the account: neither chain nor number is needed.
            return queryset.filter(account_id=number), False
        ids = chain_ids(
            Order,
            head_id=chain_heads(number).order_id,
            account_id=number,
            before_id=before_key(request),
            rows_max=self.list_per_page + 1,
        )
        return queryset.filter(id__in=[number, *ids]), False

    def get_keyset_columns(self, request: HttpRequest) -> Sequence[str]:
        """Return the order: open ones by account, as their index has them."""
        return ("account_id", "id") if shows_open(request) else self.keyset_columns

    @display(description="market")
    def symbol(self, order: Order) -> str:
        """Return the market."""
        return symbol_of(order.market_id)

    @display(description="side")
    def side_name(self, order: Order) -> str:
        """Return the direction."""
        return Side(order.side).name.lower()

    @display(description="type")
    def type_name(self, order: Order) -> str:
        """Return the type."""
        return OrderType(order.order_type).name.lower()

    @display(description="price")
    def price(self, order: Order) -> str:
        """Return the limit."""
        return price_text(order.price_atoms, order.market_id)

    @display(description="quantity")
    def quantity(self, order: Order) -> str:
        """Return the size, in quote where it was given so."""
        if order.quote_quantity_atoms:
            return f"{format_atoms(order.quote_quantity_atoms, 2)} quote"
        return quantity_text(order.quantity_atoms, order.market_id)

    @display(description="filled")
    def filled(self, order: Order) -> str:
        """Return what was traded."""
        return quantity_text(order.filled_atoms, order.market_id)

    @display(description="status", label=_STATUS_LABELS)
    def status_name(self, order: Order) -> str | tuple[str, str]:
        """Return the status, which has its colour, and why it ended."""
        status = OrderStatus(order.status).name.lower()
        reason = EndReason(order.reason)
        shown = status if reason is EndReason.NONE else f"{status}: {reason.name.lower()}"
        return status, shown.replace("_", " ")

    @display(description="placed (UTC)")
    def created(self, order: Order) -> datetime:
        """Return when the exchange took it."""
        return shown_time(order.created_ms)


@admin.register(OrderTerms)
class OrderTermsAdmin(ReadOnlyAdmin):
    """What special orders have beside the plain fields, found by the order's number."""

    list_display = [
        "id",
        "is_open",
        "trigger_name",
        "trigger_price",
        "callback",
        "shown",
        "expires",
        "triggered",
        "group",
    ]
    list_filter = [OpenFilter]
    search_fields = ["id"]
    search_help_text = "Whole order number, or the number of a group's first order"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[OrderTerms], search_term: str
    ) -> tuple[QuerySet[OrderTerms], bool]:
        """Return the terms of an order, or of a group: its numbers follow each other."""
        number = parse_id(search_term.strip())
        if number is None:
            found = queryset.none() if search_term else queryset
            return found, False
        members = [number + offset for offset in range(GROUP_ORDERS_MAX)]
        own = Q(id=number) | Q(id__in=members, link_id=number)
        return queryset.filter(own), False

    @display(description="trigger")
    def trigger_name(self, terms: OrderTerms) -> str:
        """Return which price fires the order."""
        kind = TriggerType(terms.trigger_type)
        return "" if kind is TriggerType.NONE else kind.name.lower()

    @display(description="trigger or activation price")
    def trigger_price(self, terms: OrderTerms) -> str:
        """Return the price the order waits for."""
        atoms = terms.trigger_price_atoms or terms.activation_price_atoms
        return format_atoms(atoms) if atoms else ""

    @display(description="callback rate")
    def callback(self, terms: OrderTerms) -> str:
        """Return how far the price comes back before a trailing stop fires."""
        return format_atoms(terms.callback_rate_e8) if terms.callback_rate_e8 else ""

    @display(description="shown at a time")
    def shown(self, terms: OrderTerms) -> str:
        """Return what an iceberg shows."""
        return format_atoms(terms.display_atoms) if terms.display_atoms else ""

    @display(description="expires (UTC)")
    def expires(self, terms: OrderTerms) -> datetime | None:
        """Return when a good-till-date order ends."""
        return shown_time(terms.expires_ms) if terms.expires_ms else None

    @display(description="triggered (UTC)")
    def triggered(self, terms: OrderTerms) -> datetime | None:
        """Return when a price fired the order."""
        return shown_time(terms.triggered_ms) if terms.triggered_ms else None

    @display(description="group")
    def group(self, terms: OrderTerms) -> str:
        """Return the group and the order's part in it."""
        kind = LinkKind(terms.link_kind)
        return "" if kind is LinkKind.NONE else f"{terms.link_id} ({kind.name.lower()})"


@admin.register(Trade)
class TradeAdmin(ReadOnlyAdmin):
    """Trades, found by number or account."""

    list_display = [
        "id",
        "symbol",
        "taker_side_name",
        "price",
        "quantity",
        "taker_account_id",
        "maker_account_id",
        "taker_order_id",
        "maker_order_id",
        "time",
    ]
    search_fields = ["id"]
    search_is_linked = True
    search_help_text = "Whole trade number or account id"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Trade], search_term: str
    ) -> tuple[QuerySet[Trade], bool]:
        """Return a trade, or a page of an account's, which its ledger entries name."""
        number = parse_id(search_term.strip())
        if number is None:
            found = queryset.none() if search_term else queryset
            return found, False
        ids = account_trade_ids(
            number, before_id=before_key(request), rows_max=self.list_per_page + 1
        )
        return queryset.filter(id__in=[number, *ids]), False

    @display(description="market")
    def symbol(self, trade: Trade) -> str:
        """Return the market."""
        return symbol_of(trade.market_id)

    @display(description="taker")
    def taker_side_name(self, trade: Trade) -> str:
        """Return the taker's direction."""
        return Side(trade.taker_side).name.lower()

    @display(description="price")
    def price(self, trade: Trade) -> str:
        """Return the price."""
        return price_text(trade.price_atoms, trade.market_id)

    @display(description="quantity")
    def quantity(self, trade: Trade) -> str:
        """Return the size."""
        return quantity_text(trade.quantity_atoms, trade.market_id)

    @display(description="time (UTC)")
    def time(self, trade: Trade) -> datetime:
        """Return when the exchange matched it."""
        return shown_time(trade.time_ms)
