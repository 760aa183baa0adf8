import re

import pytest
from django.test import Client
from django.urls import reverse

from accounts.api_keys import api_key_create
from accounts.enums import Role
from accounts.models import User
from accounts.services import user_create

PASSWORD = "correct horse 9"


@pytest.fixture
def users(db):
    return {
        role: user_create(
            username=f"user_{role}", email=f"{role}@example.com", password=PASSWORD, role=role
        )
        for role in Role
    }


def signed_in(role, login=None):
    client = Client()
    answer = client.post(
        reverse("admin:login"),
        {"username": login or f"user_{role}", "password": PASSWORD, "next": "/"},
    )
    return client, answer.status_code


class TestLogin:
    @pytest.mark.parametrize("login", ["user_operator", "USER_Operator", "operator@example.com"])
    def test_by_name_or_verified_address(self, users, login):
        client, status = signed_in(Role.OPERATOR, login)

        assert status == 302
        assert client.get(reverse("admin:accounts_user_changelist")).status_code == 200

    def test_a_trader_does_not_get_in(self, users):
        client, status = signed_in(Role.TRADER)

        assert status == 200
        assert client.get(reverse("admin:index")).status_code == 302

    def test_a_disabled_operator_is_out_at_once(self, users):
        client, _ = signed_in(Role.OPERATOR)
        User.objects.filter(role=Role.OPERATOR).update(is_active=False)

        assert client.get(reverse("admin:index")).status_code == 302

    def test_guessing_is_braked_here_too(self, users):
        client = Client()
        for _ in range(5):
            client.post(
                reverse("admin:login"), {"username": "user_admin", "password": "wrong horse 1"}
            )

        answer = client.post(
            reverse("admin:login"), {"username": "user_admin", "password": PASSWORD}
        )

        assert b"Too many attempts" in answer.content
        assert client.get(reverse("admin:index")).status_code == 302


class TestPages:
    @pytest.mark.parametrize("model", ["user", "session", "account", "feetier"])
    def test_lists_open(self, users, model):
        client, _ = signed_in(Role.SUPPORT)

        assert client.get(reverse(f"admin:accounts_{model}_changelist")).status_code == 200

    def test_a_search_finds(self, users):
        client, _ = signed_in(Role.SUPPORT)

        answer = client.get(reverse("admin:accounts_user_changelist"), {"q": "user_tr"})

        assert b"user_trader" in answer.content
        assert b"user_auditor" not in answer.content

    @pytest.mark.parametrize("model", ["session", "account", "feetier"])
    def test_money_and_sessions_are_not_added_by_hand(self, users, model):
        client, _ = signed_in(Role.ADMIN)

        assert client.get(reverse(f"admin:accounts_{model}_add")).status_code == 403

    def test_password_hashes_are_not_shown(self, users):
        client, _ = signed_in(Role.ADMIN)
        user = users[Role.TRADER]

        page = client.get(reverse("admin:accounts_user_change", args=[user.pk]))

        assert page.status_code == 200
        assert user.password.encode() not in page.content


class TestChanges:
    def test_nobody_edits_a_user_by_hand(self, users):
        admin, _ = signed_in(Role.ADMIN)
        user = users[Role.TRADER]

        answer = admin.post(
            reverse("admin:accounts_user_change", args=[user.pk]),
            {"role": "admin", "limit_tier": "maker"},
        )

        assert answer.status_code == 403
        assert User.objects.get(pk=user.pk).role == Role.TRADER

    def test_the_page_offers_what_the_role_may_do(self, users):
        trader, admin = users[Role.TRADER], users[Role.ADMIN]

        def offered(role, user):
            client, _ = signed_in(role)
            page = client.get(reverse("admin:accounts_user_change", args=[user.pk]))
            return set(re.findall(r"/operations/([a-z0-9-]+)/", page.content.decode()))

        assert "user-log-out" in offered(Role.SUPPORT, trader)
        assert "user-disable" not in offered(Role.SUPPORT, trader)
        assert {"user-disable", "user-tier"} <= offered(Role.OPERATOR, trader)
        # It is enabled already, and roles are given by administrators.
        assert not {"user-enable", "user-role"} & offered(Role.OPERATOR, trader)
        assert "user-role" in offered(Role.ADMIN, trader)
        # Who is above may be told something, and nothing else.
        of_admin = {name for name in offered(Role.OPERATOR, admin) if name.startswith("user-")}
        assert of_admin == {"user-notify"}
        assert offered(Role.AUDITOR, trader) == set()

    def test_keys_are_shown_without_their_secrets(self, users):
        made = api_key_create(user=users[Role.TRADER], name="bot", scopes=["read"])
        operator, _ = signed_in(Role.OPERATOR)

        pages = [
            operator.get(reverse("admin:accounts_apikey_changelist")),
            operator.get(reverse("admin:accounts_apikey_change", args=[made.row.pk])),
        ]

        assert [page.status_code for page in pages] == [200, 200]
        for page in pages:
            assert made.secret.encode() not in page.content
            assert made.row.secret.encode() not in page.content
