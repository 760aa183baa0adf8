"""
Who may do what: one table, read by REST, WebSocket and the back-office alike.

There are no groups and no permissions in the database: what a role may do is reviewed here.
"""

from collections.abc import Iterable
from enum import StrEnum

from django.conf import settings

from accounts.enums import STAFF_ROLES, Role, Scope


class Permission(StrEnum):
    """One thing a user may do."""

    ACCOUNT_VIEW = "account_view"
    TRADE = "trade"
    TRANSFER = "transfer"
    # Out of the platform, and which addresses to; no scope of an API key reaches that.
    WITHDRAW = "withdraw"
    BACK_OFFICE = "back_office"
    USERS_VIEW = "users_view"
    USERS_SUPPORT = "users_support"
    USERS_MANAGE = "users_manage"
    ROLES_MANAGE = "roles_manage"
    MONEY_VIEW = "money_view"
    MONEY_MANAGE = "money_manage"
    TRADING_MANAGE = "trading_manage"
    MARKETS_VIEW = "markets_view"
    MARKETS_MANAGE = "markets_manage"
    RISK_MANAGE = "risk_manage"
    # Figures of the exchange as a business: fees, exposure, who is near liquidation.
    EXPOSURE_VIEW = "exposure_view"
    # Taking rows out of the house as files; each kind needs what looking at it needs, too.
    EXPORT = "export"
    SYSTEM_VIEW = "system_view"
    AUDIT_VIEW = "audit_view"


_P = Permission
_OWN = frozenset({_P.ACCOUNT_VIEW, _P.TRADE, _P.TRANSFER, _P.WITHDRAW})
_LOOK = frozenset(
    {
        _P.BACK_OFFICE,
        _P.USERS_VIEW,
        _P.MONEY_VIEW,
        _P.MARKETS_VIEW,
        _P.EXPOSURE_VIEW,
        _P.EXPORT,
        _P.SYSTEM_VIEW,
    }
)

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.TRADER: _OWN,
    Role.SUPPORT: frozenset(
        {_P.BACK_OFFICE, _P.USERS_VIEW, _P.USERS_SUPPORT, _P.MONEY_VIEW, _P.MARKETS_VIEW}
    ),
    Role.RISK_MANAGER: _LOOK | {_P.TRADING_MANAGE, _P.MARKETS_MANAGE, _P.RISK_MANAGE},
    Role.OPERATOR: _LOOK
    | _OWN
    | {
        _P.USERS_SUPPORT,
        _P.USERS_MANAGE,
        _P.MONEY_MANAGE,
        _P.TRADING_MANAGE,
        _P.MARKETS_MANAGE,
    },
    Role.AUDITOR: _LOOK | {_P.AUDIT_VIEW},
    Role.ADMIN: frozenset(Permission),
}

# What an API key may do: this and what its owner's role may, never more. No scope reaches
# credentials, the back-office or anything else that is not here.
SCOPE_PERMISSIONS: dict[Scope, frozenset[Permission]] = {
    Scope.READ: frozenset({_P.ACCOUNT_VIEW}),
    Scope.TRADE: frozenset({_P.TRADE}),
    Scope.TRANSFER: frozenset({_P.TRANSFER}),
}

# What looking at the models of an app in the back-office needs.
_APP_VIEW: dict[str, Permission] = {
    "accounts": _P.USERS_VIEW,
    "wallets": _P.MONEY_VIEW,
    "orders": _P.MONEY_VIEW,
    "positions": _P.MONEY_VIEW,
    "markets": _P.MARKETS_VIEW,
    "riskengine": _P.MARKETS_VIEW,
    "exchange": _P.SYSTEM_VIEW,
    "admin": _P.AUDIT_VIEW,
}
_MODEL_VIEW: dict[str, Permission] = {"accounts.auditevent": _P.AUDIT_VIEW}


def role_permits(role: str, permission: Permission) -> bool:
    """Return whether a role may do one thing."""
    try:
        return permission in ROLE_PERMISSIONS[Role(role)]
    except ValueError:
        return False


def scopes_permit(scopes: Iterable[str], permission: Permission) -> bool:
    """Return whether one of an API key's scopes may do one thing."""
    return any(permission in SCOPE_PERMISSIONS[Scope(scope)] for scope in scopes)


def is_staff_role(role: str) -> bool:
    """Return whether a role works in the back-office."""
    return role in STAFF_ROLES


def needs_second_factor(role: str) -> bool:
    """Return whether a role may do nothing without a second factor (``TWO_FACTOR``)."""
    if settings.TWO_FACTOR == "all":
        return True
    return settings.TWO_FACTOR == "staff" and is_staff_role(role)


def model_permits(role: str, django_permission: str) -> bool:
    """
    Return whether a role has one of Django's model permissions, such as "orders.view_order".

    Nobody adds, changes or deletes rows by hand: what changes, changes by an operation.
    """
    app, _, name = django_permission.partition(".")
    action, _, model = name.partition("_")
    if action != "view":
        return False
    needed = _MODEL_VIEW.get(f"{app}.{model}", _APP_VIEW.get(app))
    return needed is not None and role_permits(role, needed)


def app_permits(role: str, app: str) -> bool:
    """Return whether a role sees an app in the back-office."""
    needed = _APP_VIEW.get(app)
    return needed is not None and role_permits(role, needed)
