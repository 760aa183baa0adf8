"""The back-office's sidebar: every section by what it is about, as far as the role may look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

from accounts.permissions import Permission, role_permits


@dataclass(frozen=True, slots=True)
class ListLink:
    """A list of rows, seen by who may view its model ("app.model")."""

    title: str
    icon: str
    model: str

    def is_seen_by(self, user: Any) -> bool:
        """Return whether a user may look at the list."""
        app, _, model = self.model.partition(".")
        seen: bool = user.has_perm(f"{app}.view_{model}")
        return seen

    @property
    def url(self) -> str:
        """Return the list's address."""
        return reverse(f"admin:{self.model.replace('.', '_')}_changelist")


@dataclass(frozen=True, slots=True)
class PageLink:
    """A page of its own, seen by the roles with a permission."""

    title: str
    icon: str
    url_name: str
    permission: Permission

    def is_seen_by(self, user: Any) -> bool:
        """Return whether a user may look at the page."""
        return role_permits(user.role, self.permission)

    @property
    def url(self) -> str:
        """Return the page's address."""
        return reverse(self.url_name)


_P = Permission
GROUPS: tuple[tuple[str, tuple[ListLink | PageLink, ...]], ...] = (
    ("", (PageLink("Dashboard", "dashboard", "admin:index", _P.BACK_OFFICE),)),
    (
        "Users",
        (
            ListLink("Users", "group", "accounts.user"),
            ListLink("Sessions", "devices", "accounts.session"),
            ListLink("API keys", "key", "accounts.apikey"),
            ListLink("Accounts", "badge", "accounts.account"),
            ListLink("Fee tiers", "percent", "accounts.feetier"),
        ),
    ),
    (
        "Markets",
        (
            ListLink("Markets", "candlestick_chart", "markets.market"),
            ListLink("Assets", "toll", "markets.asset"),
            PageLink("Price sources", "sensors", "section-price-sources", _P.MARKETS_VIEW),
            ListLink("Index prices", "show_chart", "markets.indexprice"),
            ListLink("Candles", "bar_chart", "markets.candle"),
            ListLink("Price feed", "rss_feed", "markets.feedstate"),
        ),
    ),
    (
        "Trading",
        (
            ListLink("Orders", "list_alt", "orders.order"),
            ListLink("Order terms", "rule", "orders.orderterms"),
            ListLink("Fills", "swap_horiz", "orders.trade"),
            ListLink("Positions", "trending_up", "positions.position"),
            PageLink(
                "Near liquidation", "crisis_alert", "section-near-liquidation", _P.EXPOSURE_VIEW
            ),
            ListLink("Closed positions", "history", "positions.closedposition"),
        ),
    ),
    (
        "Risk",
        (
            ListLink("Risk parameters", "tune", "riskengine.contract"),
            ListLink("Liquidations and ADL", "local_fire_department", "riskengine.liquidation"),
            ListLink("Margin calls", "notification_important", "riskengine.margincall"),
            PageLink("Insurance fund", "shield", "section-insurance", _P.MARKETS_VIEW),
            ListLink("Insurance groups", "workspaces", "riskengine.insurance"),
            ListLink("Marks", "straighten", "riskengine.price"),
            ListLink("Funding", "schedule", "riskengine.funding"),
            ListLink("Funding payments", "payments", "positions.fundingpayment"),
        ),
    ),
    (
        "Money",
        (
            PageLink("Trial balance", "balance", "section-trial-balance", _P.MONEY_VIEW),
            PageLink("Deposits and payouts", "import_export", "section-deposits", _P.MONEY_VIEW),
            ListLink("Withdrawals", "outbound", "wallets.withdrawal"),
            ListLink("Withdrawal terms", "rule_settings", "wallets.withdrawalterms"),
            ListLink("Withdrawal addresses", "contacts", "wallets.withdrawaladdress"),
            ListLink("Wallets", "account_balance_wallet", "wallets.balance"),
            ListLink("Ledger", "receipt_long", "wallets.ledgerentry"),
            PageLink("Approvals", "how_to_reg", "approvals", _P.MONEY_VIEW),
            PageLink("Exports", "download", "exports", _P.EXPORT),
        ),
    ),
    (
        "System",
        (
            PageLink("Operations", "construction", "operations", _P.BACK_OFFICE),
            PageLink("System status", "monitor_heart", "section-status", _P.SYSTEM_VIEW),
            PageLink("Jobs", "event_repeat", "section-jobs", _P.SYSTEM_VIEW),
            ListLink("Audit log", "policy", "accounts.auditevent"),
            ListLink("Operator commands", "terminal", "exchange.operatorcommand"),
            ListLink("Leader", "flag", "exchange.logposition"),
            ListLink("Command log", "data_object", "exchange.batch"),
            ListLink("Quarantine", "report", "exchange.quarantine"),
            ListLink("Client ids", "fingerprint", "exchange.clientkey"),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the groups that a user sees anything of, in the theme's form."""
    return list(_groups(request))


def _groups(request: HttpRequest) -> Iterator[dict[str, Any]]:
    for title, links in GROUPS:
        items = [
            {"title": link.title, "icon": link.icon, "link": link.url}
            for link in links
            if link.is_seen_by(request.user)
        ]
        if items:
            yield {"title": title, "items": items}


def stylesheet(_request: HttpRequest) -> str:
    """Return the address of what the back-office's own pages look like."""
    return static("back_office/back_office.css")
