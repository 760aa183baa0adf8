"""Every operation of the app against everybody who may not use it; threats T8, T10, T13."""

import pytest

from accounts import authentication, sessions
from accounts.models import User
from common.testing import ApiClient, error_code

PROTECTED = [
    ("POST", "/api/auth/logout"),
    ("GET", "/api/auth/profile"),
    ("PUT", "/api/auth/profile"),
    ("GET", "/api/auth/sessions"),
    ("DELETE", "/api/auth/sessions"),
    ("DELETE", "/api/auth/sessions/77"),
    ("POST", "/api/auth/ws-ticket"),
    ("GET", "/api/account"),
]
OPEN = [
    ("POST", "/api/auth/register"),
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/refresh"),
]


def send(client, method, path, body=b""):
    headers = {"Authorization": f"Bearer {client.token}"} if client.token else {}
    return client.generic(method, path, body, content_type="application/json", headers=headers)


@pytest.mark.parametrize(("method", "path"), PROTECTED)
class TestProtected:
    def test_anonymous(self, db, method, path):
        answer = send(ApiClient(), method, path)

        assert answer.status_code == 401
        assert error_code(answer) == "NOT_AUTHENTICATED"
        assert answer["WWW-Authenticate"] == "Bearer"

    def test_disabled(self, trader, method, path):
        User.objects.update(is_active=False)
        sessions.reset()

        answer = send(ApiClient(trader["access_token"]), method, path)

        assert answer.status_code == 401
        assert error_code(answer) == "TOKEN_REVOKED"

    def test_deleted(self, trader, method, path):
        User.objects.all().delete()
        sessions.reset()
        authentication.forget_checked()

        answer = send(ApiClient(trader["access_token"]), method, path)

        assert error_code(answer) == "TOKEN_REVOKED"

    def test_unknown_parameters(self, trader, method, path):
        answer = send(ApiClient(trader["access_token"]), method, f"{path}?x=1")

        assert answer.status_code == 400
        assert error_code(answer) == "INVALID_PARAMETER"


@pytest.mark.parametrize(("method", "path"), OPEN)
class TestOpen:
    def test_a_bad_token_does_not_matter(self, db, method, path):
        answer = send(ApiClient("garbage"), method, path, b"{}")

        assert error_code(answer) == "VALIDATION_ERROR"

    @pytest.mark.parametrize(
        "value", [1, 1.5, True, None, [], {}, {"$ne": ""}, "", "\x00", "x" * 5_000, ["a"], {"a": 1}]
    )
    def test_every_kind_of_value_is_refused_not_a_fault(self, db, method, path, value):
        names = ["username", "email", "password", "refresh_token"]
        for name in names:
            answer = ApiClient().post(path, {name: value})

            assert answer.status_code == 400
            assert error_code(answer) in {"VALIDATION_ERROR", "UNKNOWN_FIELD"}
        assert User.objects.count() == 0


class TestRateLimit:
    def test_anonymous_requests_are_counted_by_address(self, db, settings):
        from common import tiers

        settings.RATE_LIMIT_MAX_REQUESTS = 3
        tiers._anonymous.cache_clear()
        try:
            answers = [ApiClient().post("/api/auth/refresh", {}) for _ in range(4)]
            other = ApiClient(REMOTE_ADDR="198.51.100.7").post("/api/auth/refresh", {})
        finally:
            tiers._anonymous.cache_clear()

        assert [answer.status_code for answer in answers] == [400, 400, 400, 429]
        assert [answer["X-RateLimit-Remaining"] for answer in answers[:3]] == ["2", "1", "0"]
        assert error_code(answers[3]) == "RATE_LIMITED"
        assert 0 < int(answers[3]["Retry-After"]) <= 60
        assert other.status_code == 400
