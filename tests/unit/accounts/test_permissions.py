import re
from pathlib import Path

import pytest

from accounts.enums import Role, Scope
from accounts.models import User
from accounts.permissions import (
    ROLE_PERMISSIONS,
    SCOPE_PERMISSIONS,
    Permission,
    role_permits,
    scopes_permit,
)


class TestTable:
    def test_names_every_role(self):
        assert set(ROLE_PERMISSIONS) == set(Role)

    def test_a_trader_only_trades(self):
        assert ROLE_PERMISSIONS[Role.TRADER] == {
            Permission.ACCOUNT_VIEW,
            Permission.TRADE,
            Permission.TRANSFER,
            Permission.WITHDRAW,
        }

    def test_an_auditor_changes_nothing(self):
        managing = {permission for permission in Permission if permission.endswith("_manage")}

        moving = {Permission.TRADE, Permission.TRANSFER, Permission.WITHDRAW}
        assert not ROLE_PERMISSIONS[Role.AUDITOR] & (managing | moving)

    def test_an_unknown_role_may_nothing(self):
        assert not any(role_permits("root", permission) for permission in Permission)


class TestDocument:
    def test_the_guide_shows_the_table_as_it_is(self):
        text = (Path(__file__).resolve().parents[3] / "docs" / "API.md").read_text()
        rows = re.findall(r"^\| (\w+) \| ((?:`\w+`(?:, )?)+) \|$", text, re.MULTILINE)

        shown = {role: set(re.findall(r"`(\w+)`", cells)) for role, cells in rows}

        assert shown == {
            role.value: {permission.value for permission in permissions}
            for role, permissions in ROLE_PERMISSIONS.items()
        }


class TestScopes:
    def test_the_table_names_every_scope(self):
        assert set(SCOPE_PERMISSIONS) == set(Scope)

    def test_no_scope_goes_beyond_the_owners_own_account_or_out_of_the_platform(self):
        reached = frozenset().union(*SCOPE_PERMISSIONS.values())

        assert reached == ROLE_PERMISSIONS[Role.TRADER] - {Permission.WITHDRAW}

    def test_each_is_apart_from_the_others(self):
        assert scopes_permit(["read"], Permission.ACCOUNT_VIEW)
        assert not scopes_permit(["read"], Permission.TRADE)
        assert not scopes_permit(["trade"], Permission.TRANSFER)
        assert not scopes_permit([], Permission.ACCOUNT_VIEW)


class TestDjangoPermissions:
    @pytest.mark.parametrize(
        ("role", "permission", "allowed"),
        [
            (Role.TRADER, "accounts.view_user", False),
            (Role.TRADER, "orders.view_order", False),
            (Role.SUPPORT, "accounts.view_user", True),
            (Role.SUPPORT, "accounts.change_user", False),
            (Role.SUPPORT, "exchange.view_lease", False),
            (Role.OPERATOR, "accounts.change_user", False),
            (Role.OPERATOR, "orders.change_order", False),
            (Role.ADMIN, "wallets.change_balance", False),
            (Role.ADMIN, "wallets.delete_ledgerentry", False),
            (Role.ADMIN, "accounts.delete_user", False),
            (Role.ADMIN, "unknown.view_thing", False),
            (Role.ADMIN, "nonsense", False),
            (Role.AUDITOR, "admin.view_logentry", True),
        ],
    )
    def test_follow_the_table(self, role, permission, allowed):
        assert User(username="a", role=role).has_perm(permission) is allowed

    def test_a_disabled_user_may_nothing(self):
        user = User(username="a", role=Role.ADMIN, is_active=False)

        assert not user.has_perm("accounts.view_user")
        assert not user.has_module_perms("accounts")

    def test_staff_is_everybody_but_traders(self):
        staff = {role for role in Role if User(role=role).is_staff}

        assert staff == set(Role) - {Role.TRADER}
