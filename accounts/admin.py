"""Users, sessions, accounts and fee tiers in the back-office."""

from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import path
from unfold.decorators import display

from accounts.audit_selectors import events_of_period
from accounts.back_office import OperationsMixin
from accounts.enums import Role
from accounts.models import Account, ApiKey, AuditEvent, FeeTier, Session, User
from accounts.permissions import Permission, role_permits
from accounts.selectors import LAST_CHARACTER, SEARCHED_USERS_MAX
from accounts.tab_views import tab_view
from common.back_office import ReadOnlyAdmin, shown_time
from common.decimals import format_rate
from common.period_filter import PeriodFilter

admin.site.login_template = "accounts/login.html"
# Roles come from a table in code, so the framework's groups are not shown.
admin.site.unregister(Group)


class ActiveFilter(admin.SimpleListFilter):
    """Users who may log in, or who may not."""

    title = "active"
    parameter_name = "active"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return both choices."""
        return [("1", "active"), ("0", "disabled")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        """Return what was chosen, in a form in which SQLite sees that the index serves it."""
        if self.value() not in ("0", "1"):
            return queryset
        return queryset.filter(is_active__in=[self.value() == "1"])


@admin.register(User)
class UserAdmin(OperationsMixin, ReadOnlyAdmin):
    """Users: find one, see it, and what an operator may do to it."""

    list_display = [
        "username",
        "email",
        "shown_role",
        "limit_tier",
        "shown_active",
        "shown_second_factor",
        "account_id",
        "created_at",
    ]
    list_filter = ["role", "limit_tier", ActiveFilter]
    search_fields = ["username", "email", "account_id", "id"]
    search_help_text = "Start of a user name, or a whole e-mail address, account or user id"
    fieldsets = [
        (None, {"fields": ["username", "email", "verified_email"]}),
        ("Access", {"fields": ["role", "limit_tier", "is_active", "withdrawals_frozen"]}),
        ("Numbers", {"fields": ["id", "account_id", "last_login", "created_at"]}),
    ]
    list_select_related = ["two_factor"]

    @display(
        description="Role",
        ordering="role",
        label={"Administrator": "danger", "Operator": "warning", "Trader": "info"},
    )
    def shown_role(self, user: User) -> str:
        """Return the role's label."""
        return user.get_role_display()

    @display(description="Active", boolean=True)
    def shown_active(self, user: User) -> bool:
        """Return whether the user may log in."""
        return user.is_active

    @display(description="Second factor", boolean=True)
    def shown_second_factor(self, user: User) -> bool:
        """Return whether a second factor is set up."""
        return user.has_second_factor

    def operation_targets(self, row: User) -> list[tuple[str, str]]:
        """Return the user and its account."""
        return [("user", str(row.pk)), ("account", str(row.account_id))]

    def manages(self, request: HttpRequest, user: User) -> bool:
        """Return whether the role manages users; only administrators touch staff."""
        actor: Any = request.user
        if not role_permits(actor.role, Permission.USERS_MANAGE):
            return False
        return actor.role == Role.ADMIN or not user.is_staff

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        """Return the user that is meant, else those whose names begin so."""
        found, may_have_duplicates = super().get_search_results(
            request, queryset, search_term.lower()
        )
        start = search_term.strip().lower()
        if not found.query.is_empty() or not start:
            return found, may_have_duplicates
        # A range of the index of names; LIKE would look at every user.
        names = User.objects.filter(username__gte=start, username__lt=start + LAST_CHARACTER)
        ids = list(names.order_by("username").values_list("id", flat=True)[:SEARCHED_USERS_MAX])
        return queryset.filter(id__in=ids), False

    def get_urls(self) -> list[Any]:
        """Return the addresses, those of the tabs of a user's page first."""
        tab = path(
            "<path:object_id>/tab/<slug:slug>/",
            self.admin_site.admin_view(partial(tab_view, manages=self.manages)),
            name="accounts_user_tab",
        )
        return [tab, *super().get_urls()]


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """API keys: whose, for what, from where, and how they ended."""

    list_display = [
        "id",
        "user",
        "name",
        "kind",
        "scopes",
        "networks",
        "created_at",
        "expires_at",
        "shown_alive",
        "revoked_reason",
    ]
    list_select_related = ["user"]
    search_fields = ["user__username", "key", "id"]
    search_help_text = "Whole user name, public key or number"
    exclude = ["secret"]

    @display(description="Alive", boolean=True)
    def shown_alive(self, key: ApiKey) -> bool:
        """Return whether the key has not been ended."""
        return key.revoked_at is None


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    """Who is logged in, from where, and how sessions ended."""

    list_display = [
        "id",
        "user",
        "ip",
        "created_at",
        "refreshed_at",
        "expires_at",
        "shown_alive",
        "revoked_reason",
    ]
    list_select_related = ["user"]
    search_fields = ["user__username", "id"]
    search_help_text = "Whole user name or session number"
    exclude = ["refresh_hash"]

    @display(description="Alive", boolean=True)
    def shown_alive(self, session: Session) -> bool:
        """Return whether the session has not been ended."""
        return session.revoked_at is None


class AuditPeriodFilter(PeriodFilter):
    """Events of a period."""

    def rows_of_period(
        self, rows: QuerySet[Any], *, since_ms: int | None, until_ms: int | None
    ) -> QuerySet[Any]:
        """Return the events of a period, as a range of their numbers."""
        return events_of_period(rows, since_ms=since_ms, until_ms=until_ms)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """The audit log."""

    list_filter = [AuditPeriodFilter]
    list_filter_submit = True

    list_display = ["id", "time", "actor", "action", "target", "reason", "ip", "request_id"]
    fields = [
        "id",
        "time",
        "actor",
        "actor_id",
        "action",
        "target",
        "before",
        "after",
        "reason",
        "ip",
        "request_id",
        "seal",
    ]
    readonly_fields = ["time"]
    search_fields = ["target", "actor", "action", "id"]
    search_help_text = "Whole user name, action, target such as user:123, or event number"

    @display(description="time (UTC)")
    def time(self, event: AuditEvent) -> datetime:
        """Return when it was recorded."""
        return shown_time(event.time_ms)


@admin.register(Account)
class AccountAdmin(OperationsMixin, ReadOnlyAdmin):
    """Accounts as the exchange knows them; they change by command."""

    target_kind = "account"
    list_display = ["id", "status", "fee_tier", "open_orders_max", "self_trade_mode"]
    search_fields = ["id"]


@admin.register(FeeTier)
class FeeTierAdmin(ReadOnlyAdmin):
    """Fee tiers as the exchange knows them; they change by command."""

    list_display = ["id", "maker_fee", "taker_fee"]
    keyset_ascending = True

    @display(description="Maker fee")
    def maker_fee(self, tier: FeeTier) -> str:
        """Return the rate as a decimal."""
        return format_rate(tier.maker_rate_e8)

    @display(description="Taker fee")
    def taker_fee(self, tier: FeeTier) -> str:
        """Return the rate as a decimal."""
        return format_rate(tier.taker_rate_e8)
