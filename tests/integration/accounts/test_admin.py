import pytest
from django.test import Client
from django.urls import reverse

from accounts.api_keys import api_key_create
from accounts.enums import Role
from accounts.models import ApiKey, Session, User
from accounts.services import user_create
from common.testing import ApiClient, error_code
from common.tiers import Tier

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
    def change(self, client, user, **fields):
        data = {"role": user.role, "limit_tier": user.limit_tier, "is_active": "on", **fields}
        url = reverse("admin:accounts_user_change", args=[user.pk])
        return client.post(url, {name: value for name, value in data.items() if value})

    def test_disabling_ends_the_sessions(self, users, api):
        tokens = api.post(
            "/api/auth/login", {"username": "user_trader", "password": PASSWORD}
        ).json()
        operator, _ = signed_in(Role.OPERATOR)

        answer = self.change(operator, users[Role.TRADER], is_active="")

        assert answer.status_code == 302
        profile = ApiClient(tokens["access_token"]).get("/api/auth/profile")
        assert error_code(profile) == "TOKEN_REVOKED"
        assert Session.objects.get().revoked_reason == "access_changed"

    def test_an_operator_changes_limits_but_gives_no_roles(self, users):
        operator, _ = signed_in(Role.OPERATOR)

        self.change(operator, users[Role.TRADER], role="admin", limit_tier="maker")

        user = User.objects.get(username="user_trader")
        assert (user.role, user.limit_tier) == (Role.TRADER, Tier.MAKER)

    def test_an_operator_does_not_touch_staff(self, users):
        operator, _ = signed_in(Role.OPERATOR)

        answer = self.change(operator, users[Role.ADMIN], is_active="")

        assert answer.status_code == 403
        assert User.objects.get(username="user_admin").is_active

    def test_support_changes_nothing(self, users):
        support, _ = signed_in(Role.SUPPORT)

        assert self.change(support, users[Role.TRADER], is_active="").status_code == 403
        assert User.objects.get(username="user_trader").is_active

    def test_an_administrator_gives_roles(self, users):
        admin, _ = signed_in(Role.ADMIN)

        self.change(admin, users[Role.TRADER], role="auditor")

        assert User.objects.get(username="user_trader").role == Role.AUDITOR

    def test_sessions_are_ended_by_action(self, users, api):
        api.post("/api/auth/login", {"username": "user_trader", "password": PASSWORD})
        operator, _ = signed_in(Role.OPERATOR)

        answer = operator.post(
            reverse("admin:accounts_user_changelist"),
            {"action": "end_sessions", "_selected_action": [users[Role.TRADER].pk]},
        )

        assert answer.status_code == 302
        assert Session.objects.get().revoked_at is not None

    @pytest.mark.parametrize("action", ["end_sessions", "end_api_keys"])
    def test_an_operator_ends_nothing_of_an_administrators(self, users, api, action):
        api.post("/api/auth/login", {"username": "user_admin", "password": PASSWORD})
        api_key_create(user=users[Role.ADMIN], name="bot", scopes=["read"])
        operator, _ = signed_in(Role.OPERATOR)

        operator.post(
            reverse("admin:accounts_user_changelist"),
            {"action": action, "_selected_action": [users[Role.ADMIN].pk]},
        )

        assert Session.objects.get().revoked_at is None
        assert ApiKey.objects.get().revoked_at is None

    def test_api_keys_are_ended_by_action(self, users):
        api_key_create(user=users[Role.TRADER], name="bot", scopes=["read"])
        operator, _ = signed_in(Role.OPERATOR)

        answer = operator.post(
            reverse("admin:accounts_user_changelist"),
            {"action": "end_api_keys", "_selected_action": [users[Role.TRADER].pk]},
        )

        assert answer.status_code == 302
        assert ApiKey.objects.get().revoked_reason == "operator"

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
