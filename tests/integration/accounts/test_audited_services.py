"""Every change of a user, its access or its sessions leaves one event with its author."""

import json
from typing import Any

import pytest

from accounts import profile, services
from accounts.enums import Role
from accounts.models import AuditEvent, Session, User
from accounts.types import Caller, TokenError
from common.errors import ApiError
from common.testing import ApiClient
from common.tiers import Tier

PASSWORD = "correct horse 9"
CALLER = Caller(ip="198.51.100.7", user_agent="tests")


def events(*actions: str) -> list[dict[str, Any]]:
    """Return the events of some actions, oldest first, without what differs from run to run."""
    return [
        {
            "actor": event.actor,
            "action": event.action,
            "target": event.target,
            "before": json.loads(event.before or "null"),
            "after": json.loads(event.after or "null"),
            "reason": event.reason,
            "ip": event.ip,
        }
        for event in AuditEvent.objects.order_by("id")
        if event.action in actions
    ]


@pytest.fixture
def alice(db: Any) -> User:
    return services.user_create(username="alice", email="alice@example.com", password=PASSWORD)


@pytest.fixture
def operator(db: Any) -> User:
    return services.user_create(
        username="olga", email="olga@example.com", password=PASSWORD, role=Role.ADMIN
    )


class TestUsers:
    def test_a_registration_comes_from_where_it_came(self, inline_exchange):
        user, _ = services.user_register(
            username="carol", email="c@example.com", password=PASSWORD, caller=CALLER
        )

        (event,) = events("user.register")
        assert (event["actor"], event["target"]) == ("carol", f"user:{user.pk}")
        assert event["ip"] == "198.51.100.7"

    def test_a_made_user_is_the_platforms_doing(self, alice):
        (event,) = events("user.create")

        assert event["actor"] == "platform"
        assert event["after"] == {"username": "alice", "role": "trader", "tier": "trader"}

    def test_a_changed_password_is_told_without_the_password(self, inline_exchange, alice):
        profile.user_update(
            user=alice,
            current_password=PASSWORD,
            new_password="another horse 10",
            email=None,
            caller=CALLER,
        )

        (event,) = events("user.profile_change")
        assert event["after"] == {"changed": ["password"]}
        assert "another horse" not in str(list(AuditEvent.objects.values()))

    def test_a_refused_change_leaves_no_event(self, inline_exchange, alice):
        with pytest.raises(ApiError, match="INVALID_CREDENTIALS"):
            profile.user_update(
                user=alice,
                current_password="wrong horse 1",
                new_password="another horse 10",
                email=None,
                caller=CALLER,
            )

        assert events("user.profile_change", "session.revoke", "session.open") == []

    def test_access_tells_what_it_was_and_is(self, alice, operator):
        services.session_open(user=alice, caller=CALLER)
        services.user_set_access(
            user=alice, role=Role.SUPPORT, tier=Tier.MAKER, actor=operator, reason="joined"
        )

        (changed,) = events("user.access_change")
        assert changed == {
            "actor": "olga",
            "action": "user.access_change",
            "target": f"user:{alice.pk}",
            "before": {"active": True, "role": "trader", "tier": "trader"},
            "after": {"active": True, "role": "support", "tier": "maker"},
            "reason": "joined",
            "ip": "",
        }
        (revoked,) = events("session.revoke")
        assert (revoked["actor"], revoked["reason"]) == ("olga", "access_changed")

    def test_access_that_stays_as_it_was_is_no_event(self, alice, operator):
        services.user_set_access(user=alice, role=Role.TRADER, is_active=True, actor=operator)

        assert events("user.access_change") == []


class TestSessions:
    def test_a_login_and_a_logout(self, inline_exchange, alice):
        api = ApiClient(REMOTE_ADDR="203.0.113.5")
        answer = api.post("/api/auth/login", {"username": "alice", "password": PASSWORD})
        session = Session.objects.get()
        api.token = answer.json()["access_token"]
        api.post("/api/auth/logout")

        opened, revoked = events("session.open", "session.revoke")
        assert opened["after"] == {"session_id": str(session.pk), "user_agent": ""}
        assert revoked["before"] == {"sessions": 1, "session_ids": [str(session.pk)]}
        assert {opened["actor"], revoked["actor"]} == {"alice"}
        assert {opened["ip"], revoked["ip"]} == {"203.0.113.5"}
        assert revoked["reason"] == "logout"

    def test_a_failed_login_is_none(self, inline_exchange, alice):
        ApiClient().post("/api/auth/login", {"username": "alice", "password": "wrong horse 1"})

        assert events("session.open") == []

    def test_but_the_logs_tell_of_it_without_name_and_password(
        self, inline_exchange, alice, caplog
    ):
        ApiClient().post("/api/auth/login", {"username": "alice", "password": "wrong horse 1"})

        (line,) = [r.getMessage() for r in caplog.records if "login_failed" in r.getMessage()]
        assert "127.0.0.1" in line
        assert "alice" not in line
        assert "wrong horse" not in caplog.text

    def test_a_token_used_twice_is_the_platforms_doing(self, alice):
        pair = services.session_open(user=alice, caller=CALLER)
        services.session_refresh(refresh_token=pair.refresh_token)
        with pytest.raises(TokenError):
            services.session_refresh(refresh_token=pair.refresh_token)

        (event,) = events("session.revoke")
        assert (event["actor"], event["reason"]) == ("platform", "reused")

    def test_ending_what_has_ended_is_no_event(self, alice):
        pair = services.session_open(user=alice, caller=CALLER)
        assert services.session_revoke(user_id=alice.pk, session_id=pair.session_id)
        assert not services.session_revoke(user_id=alice.pk, session_id=pair.session_id)
        assert services.sessions_revoke_all(user_id=alice.pk, reason="test") == 0

        assert len(events("session.revoke")) == 1
