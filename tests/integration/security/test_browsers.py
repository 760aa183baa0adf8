"""T15 and what every answer carries for browsers: CSRF, cookies, policies, CORS, compression."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from accounts.enums import Role
from accounts.services import user_create
from common.testing import ApiClient, error_code
from tests.support.trading import Trader

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse 9"
PAGES = ("/", "/docs/api", "/api/docs", "/admin/login/")
JSON = ("/api/time", "/api/markets", "/api/errors", "/api/nowhere", "/nowhere", "/api/account")


@pytest.fixture
def operator(db: Any) -> Any:
    return user_create(username="olga", email="o@example.com", password=PASSWORD, role=Role.ADMIN)


class TestCsrf:
    @pytest.fixture
    def browser(self, operator: Any) -> Client:
        client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        client.force_login(operator)
        return client

    @pytest.mark.parametrize(
        ("_case", "headers"),
        [
            ("no token", {}),
            ("a made-up token", {"X-CSRFToken": "a" * 32}),
            ("a foreign origin", {"Origin": "https://evil.example"}),
            ("a sandboxed page", {"Origin": "null"}),
        ],
    )
    def test_t15_a_form_that_is_not_ours_changes_nothing(
        self, browser: Client, operator: Any, _case: str, headers: dict[str, str]
    ) -> None:
        address = f"/admin/accounts/user/{operator.pk}/change/"
        answer = browser.post(address, {"role": "trader", "limit_tier": "trader"}, headers=headers)

        assert (answer.status_code, error_code(answer)) == (403, "CSRF_FAILED")
        operator.refresh_from_db()
        assert (operator.role, operator.is_active) == (Role.ADMIN, True)

    def test_t15_a_browser_session_is_worth_nothing_to_the_api(self, browser: Client) -> None:
        answers = [browser.get("/api/account"), browser.post("/api/auth/logout")]

        assert [error_code(answer) for answer in answers] == ["NOT_AUTHENTICATED"] * 2

    def test_t15_a_token_needs_no_form(self, alice: Trader) -> None:
        client = Client(enforce_csrf_checks=True)
        headers = {"Authorization": f"Bearer {alice.api.token}"}

        answer = client.delete("/api/orders", headers=headers)

        assert answer.status_code == 200

    def test_t15_cookies_are_for_this_site_and_no_script(self, operator: Any) -> None:
        client = Client()
        form = {"username": operator.username, "password": PASSWORD, "next": "/"}
        assert client.post("/admin/login/", form).status_code == 302

        for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME):
            cookie = client.cookies[name]
            assert cookie["httponly"] is True
            assert cookie["samesite"] == "Strict"

    def test_the_api_sets_no_cookie(self, alice: Trader) -> None:
        answer = alice.api.get("/api/account")

        assert answer.status_code == 200
        assert not answer.cookies


class TestPolicies:
    @pytest.mark.parametrize("path", [*PAGES, *JSON, "/static/site.css"])
    def test_every_answer_carries_them(self, client: Client, path: str) -> None:
        answer = client.get(path)

        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Referrer-Policy"] == "same-origin"
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "camera=()" in answer["Permissions-Policy"]
        assert "default-src 'none'" in answer["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
        assert answer["X-Request-Id"]

    @pytest.mark.parametrize("path", JSON)
    def test_json_loads_nothing_and_is_not_kept(self, client: Client, path: str) -> None:
        answer = client.get(path)

        assert answer["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(
        ("path", "script", "style"),
        [
            ("/", "'self'", "'self'"),
            ("/docs/api", "'self'", "'self'"),
            ("/api/docs", "'self'", "'self' 'unsafe-inline'"),
            ("/admin/login/", "'self' 'unsafe-eval' 'unsafe-inline'", "'self' 'unsafe-inline'"),
            ("/administrator", "", ""),
        ],
    )
    def test_only_vendored_pages_have_wider_ones(
        self, client: Client, path: str, script: str, style: str
    ) -> None:
        policy = dict(
            directive.split(" ", 1)
            for directive in client.get(path)["Content-Security-Policy"].split("; ")
        )

        assert policy.get("script-src", "") == script
        assert policy.get("style-src", "") == style


class TestErrors:
    @pytest.mark.parametrize(
        ("method", "path", "status", "code"),
        [
            ("POST", "/", 405, "METHOD_NOT_ALLOWED"),
            ("POST", "/docs/api", 405, "METHOD_NOT_ALLOWED"),
            ("BREW", "/", 405, "METHOD_NOT_ALLOWED"),
            ("POST", "/static/site.css", 405, "METHOD_NOT_ALLOWED"),
            ("GET", "/static/nothing.css", 404, "NOT_FOUND"),
            ("GET", "/static/../../etc/passwd", 404, "NOT_FOUND"),
            ("GET", "/%ff%fe", 404, "NOT_FOUND"),
            ("GET", "/api/%00", 404, "NOT_FOUND"),
            ("POST", "/api/schema", 405, "METHOD_NOT_ALLOWED"),
            ("POST", "/api/docs", 405, "METHOD_NOT_ALLOWED"),
            ("POST", "/api/time", 405, "METHOD_NOT_ALLOWED"),
            ("GET", "/api/metrics", 503, "SERVICE_UNAVAILABLE"),
        ],
    )
    def test_what_a_library_answers_is_in_the_envelope(
        self, method: str, path: str, status: int, code: str
    ) -> None:
        answer = Client(raise_request_exception=False).generic(method, path)

        assert (answer.status_code, answer["Content-Type"]) == (status, "application/json")
        assert answer["Content-Length"] == str(len(answer.content))
        error = answer.json()["error"]
        assert (error["code"], error["request_id"]) == (code, answer["X-Request-Id"])
        if status == 405 and path in ("/", "/static/site.css"):
            assert "GET" in answer["Allow"]

    def test_a_form_beyond_its_bounds_is_refused(self, operator: Any) -> None:
        client = Client(raise_request_exception=False)

        large = client.post("/admin/login/", {"username": "x" * 70_000})
        many = client.post("/admin/login/", {f"field{n}": "" for n in range(1_001)})

        assert (large.status_code, error_code(large)) == (413, "BODY_TOO_LARGE")
        assert (many.status_code, error_code(many)) == (400, "BAD_REQUEST")


class TestCors:
    OURS, THEIRS = "http://localhost:3001", "https://evil.example"

    def preflight(self, origin: str, path: str = "/api/orders") -> Any:
        return Client().options(
            path,
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type,x-2fa-code",
            },
        )

    def test_a_configured_page_may_call_the_api(self) -> None:
        asked = self.preflight(self.OURS)
        answer = Client().get("/api/time", headers={"Origin": self.OURS})

        for response in (asked, answer):
            assert response["Access-Control-Allow-Origin"] == self.OURS
            assert response["Access-Control-Allow-Credentials"] == "true"
        assert asked.status_code == 200
        allowed = asked["Access-Control-Allow-Headers"].split(", ")
        assert {"authorization", "content-type", "x-2fa-code", "x-api-key"} <= set(allowed)
        assert "Retry-After" in answer["Access-Control-Expose-Headers"]
        assert "origin" in answer["Vary"].lower()

    @pytest.mark.parametrize(
        "origin",
        [THEIRS, "null", "http://localhost:3001.evil.example", "https://localhost:3001"],
    )
    def test_any_other_may_not(self, origin: str) -> None:
        for response in (
            self.preflight(origin),
            Client().get("/api/time", headers={"Origin": origin}),
        ):
            assert "Access-Control-Allow-Origin" not in response

    def test_pages_are_nobodys_else(self) -> None:
        answer = Client().get("/admin/login/", headers={"Origin": self.OURS})

        assert "Access-Control-Allow-Origin" not in answer


class TestCompression:
    GZIP = {"Accept-Encoding": "gzip, br"}

    @pytest.mark.parametrize("path", ["/api/errors", "/docs/api", "/api/schema"])
    def test_what_strangers_may_read_is_compressed(self, path: str) -> None:
        plain = Client().get(path)
        packed = Client().get(path, headers=self.GZIP)

        assert packed["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.content) == plain.content
        assert len(packed.content) < len(plain.content) / 2
        assert "accept-encoding" in packed["Vary"].lower()

    @pytest.mark.parametrize("accepted", ["gzip;q=0", "gzip;q=0.000, *;q=1", "br, gzip ; q=0", ""])
    def test_nothing_is_for_who_does_not_want_it(self, accepted: str) -> None:
        answer = Client().get("/api/errors", headers={"Accept-Encoding": accepted})

        assert "Content-Encoding" not in answer
        assert answer.json()["errors"]

    def test_a_small_weight_is_a_wish_all_the_same(self) -> None:
        answer = Client().get("/api/errors", headers={"Accept-Encoding": "gzip;q=0.05"})

        assert answer["Content-Encoding"] == "gzip"

    def test_what_belongs_to_somebody_is_not(self, alice: Trader, operator: Any) -> None:
        for _ in range(10):
            alice.placed(price="40000")
        orders = alice.api.get("/api/orders", headers=self.GZIP)
        browser = Client()
        browser.force_login(operator)
        page = browser.get("/admin/", headers=self.GZIP)
        login = ApiClient().post(
            "/api/auth/login", {"username": "olga", "password": PASSWORD}, headers=self.GZIP
        )

        assert min(len(orders.content), len(page.content), len(login.content)) > 1_000
        for answer in (orders, page, login):
            assert answer.status_code == 200
            assert "Content-Encoding" not in answer
