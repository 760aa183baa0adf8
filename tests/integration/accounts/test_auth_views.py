import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from accounts import passwords, throttle
from accounts.models import Account, Session, User
from common.errors import ApiError
from common.testing import ApiClient, error_code

PASSWORD = "correct horse 9"


def register(api, username="alice", email="alice@example.com", password=PASSWORD):
    return api.post(
        "/api/auth/register", {"username": username, "email": email, "password": password}
    )


def login(api, username="alice", password=PASSWORD):
    return api.post("/api/auth/login", {"username": username, "password": password})


class TestRegister:
    def test_creates_a_trader_logs_it_in_and_opens_its_account(self, api, inline_exchange):
        answer = register(api)

        assert answer.status_code == 201
        body = answer.json()
        assert body["user"]["username"] == "alice"
        assert body["user"]["role"] == "trader"
        assert body["user"]["email_verified"] is False
        assert Account.objects.filter(id=int(body["user"]["account_id"])).exists()
        profile = ApiClient(body["access_token"]).get("/api/auth/profile")
        assert profile.status_code == 200
        assert profile.json() == body["user"]

    @pytest.mark.parametrize("other", ["alice", "ALICE", "\uff41lice"])
    def test_normal_forms_of_a_name_collide(self, api, trader, other):
        answer = register(api, username=other, email="b@example.com")

        assert answer.status_code == 409
        assert error_code(answer) == "USERNAME_TAKEN"
        assert User.objects.count() == 1

    @pytest.mark.parametrize("name", ["\u0430lice", "al", "a b c", "x" * 33, "alice!", ""])
    def test_other_names_are_refused(self, api, inline_exchange, name):
        answer = register(api, username=name)

        assert answer.status_code == 400
        assert error_code(answer) == "VALIDATION_ERROR"
        assert "username" in answer.json()["error"]["fields"]
        assert User.objects.count() == 0

    def test_t12_a_used_address_is_neither_confirmed_nor_denied(self, api, trader):
        answer = register(api, username="mallory", email="ALICE@example.com")

        assert answer.status_code == 201
        assert answer.json()["user"]["email"] == "alice@example.com"

    @pytest.mark.parametrize("password", ["short", "password123", "alice@example.com"])
    def test_weak_passwords_are_refused(self, api, inline_exchange, password):
        answer = register(api, password=password)

        assert answer.status_code == 400
        assert answer.json()["error"]["fields"]["password"].startswith("PASSWORD_")
        assert User.objects.count() == 0

    @pytest.mark.parametrize("field", ["role", "is_staff", "account_id", "limit_tier"])
    def test_fields_that_are_not_the_users_are_refused(self, api, inline_exchange, field):
        body = {"username": "eve", "email": "e@example.com", "password": PASSWORD, field: "admin"}

        answer = api.post("/api/auth/register", body)

        assert answer.status_code == 400
        assert error_code(answer) == "UNKNOWN_FIELD"
        assert User.objects.count() == 0


class TestLogin:
    def test_opens_a_session(self, api, trader):
        answer = login(api, username="Alice")

        assert answer.status_code == 200
        assert Session.objects.count() == 2

    def test_t12_wrong_password_and_unknown_user_answer_alike(self, api, trader):
        wrong = login(api, password="wrong horse 10").json()
        unknown = login(api, username="nobody", password="wrong horse 10").json()

        wrong["error"].pop("request_id")
        unknown["error"].pop("request_id")
        assert wrong == unknown
        assert wrong["error"]["code"] == "INVALID_CREDENTIALS"

    def test_t12_each_kind_of_failure_hashes_exactly_once(self, api, trader, monkeypatch):
        from django.contrib.auth.hashers import MD5PasswordHasher

        calls = []
        plain = MD5PasswordHasher.encode
        monkeypatch.setattr(
            MD5PasswordHasher,
            "encode",
            lambda self, password, salt: calls.append(1) or plain(self, password, salt),
        )
        login(api, password="wrong horse 10")
        known = len(calls)
        login(api, username="nobody", password="wrong horse 10")
        unknown = len(calls) - known
        User.objects.update(is_active=False)
        login(api)
        disabled = len(calls) - known - unknown

        assert (known, unknown, disabled) == (1, 1, 1)

    def test_t11_the_sixth_try_after_five_failures_is_refused_even_if_right(self, api, trader):
        codes = [error_code(login(api, password="wrong horse 10")) for _ in range(5)]
        answer = login(api)

        assert codes == ["INVALID_CREDENTIALS"] * 5
        assert answer.status_code == 429
        assert error_code(answer) == "TOO_MANY_ATTEMPTS"
        assert 0 < int(answer["Retry-After"]) <= 900

    def test_t11_other_addresses_are_not_locked_out(self, api, trader):
        for _ in range(6):
            login(api, password="wrong horse 10")

        answer = login(ApiClient(REMOTE_ADDR="198.51.100.7"))

        assert answer.status_code == 200

    def test_t11_twenty_failures_lock_an_address_for_every_name(self, api, trader):
        for index in range(20):
            assert login(api, username=f"nobody_{index}").status_code == 401

        assert login(api).status_code == 429

    def test_t11_a_name_under_attack_is_slowed_and_never_locked(self, api, trader, monkeypatch):
        slept = []
        # Only its own sleep: threads of a database's driver sleep as well.
        monkeypatch.setattr(throttle, "time", SimpleNamespace(sleep=slept.append))
        monkeypatch.setattr(throttle, "FAILURES_PER_LOGIN", 6)
        for index in range(6):
            attacker = ApiClient(REMOTE_ADDR=f"198.51.100.{index}")
            assert login(attacker, password="wrong horse 10").status_code == 401
        assert slept == []

        assert login(api).status_code == 200
        assert slept == [1.0]

    def test_t11_of_parallel_guesses_no_more_than_twenty_learn_anything(self, settings):
        settings.PASSWORD_HASHES_AT_ONCE = 64
        passwords._slots.clear()
        barrier = threading.Barrier(60)

        def guess(index):
            barrier.wait()
            try:
                passwords.password_try(None, login=f"n_{index}", password="x", ip="192.0.2.1")
            except ApiError as error:
                return error.code
            return "WRONG"

        try:
            with ThreadPoolExecutor(60) as pool:
                found = list(pool.map(guess, range(60)))
        finally:
            passwords._slots.clear()

        assert found.count("WRONG") == 20
        assert found.count("TOO_MANY_ATTEMPTS") == 40

    @pytest.mark.parametrize(
        "spellings",
        [
            ["alice", "ALICE", "aLiCe", "\uff41lice", "\U0001d41alice"],
            ["alice", "alice@example.com", " alice@example.com", "ALICE@EXAMPLE.COM", "Alice"],
        ],
    )
    def test_t11_spellings_of_one_user_are_one_user(self, api, trader, spellings):
        User.objects.update(verified_email="alice@example.com")
        for spelling in spellings:
            field = "email" if "@" in spelling else "username"
            answer = api.post("/api/auth/login", {field: spelling, "password": "wrong horse 10"})
            assert answer.status_code == 401

        assert login(api).status_code == 429

    def test_success_gives_the_tries_back(self, api, trader):
        for _ in range(4):
            login(api, password="wrong horse 10")
        assert login(api).status_code == 200
        for _ in range(5):
            assert login(api, password="wrong horse 10").status_code == 401

    def test_an_unverified_address_does_not_log_in(self, api, trader):
        answer = api.post("/api/auth/login", {"email": "alice@example.com", "password": PASSWORD})

        assert error_code(answer) == "INVALID_CREDENTIALS"

    def test_needs_exactly_one_name(self, api, trader):
        for body in ({"password": PASSWORD}, {"username": "a", "email": "b", "password": "c"}):
            answer = api.post("/api/auth/login", body)

            assert answer.status_code == 400
            assert answer.json()["error"]["fields"] == {"username": "REQUIRED"}


class TestRefresh:
    def refresh(self, api, token):
        return api.post("/api/auth/refresh", {"refresh_token": token})

    def test_rotates(self, api, trader):
        answer = self.refresh(api, trader["refresh_token"])

        assert answer.status_code == 200
        assert answer.json()["refresh_token"] != trader["refresh_token"]
        profile = ApiClient(answer.json()["access_token"]).get("/api/auth/profile")
        assert profile.status_code == 200

    def test_reuse_ends_the_family(self, api, trader):
        newer = self.refresh(api, trader["refresh_token"]).json()

        answer = self.refresh(api, trader["refresh_token"])

        assert answer.status_code == 401
        assert error_code(answer) == "TOKEN_REUSED"
        assert error_code(self.refresh(api, newer["refresh_token"])) == "TOKEN_REVOKED"
        profile = ApiClient(newer["access_token"]).get("/api/auth/profile")
        assert error_code(profile) == "TOKEN_REVOKED"

    def test_an_access_token_is_no_refresh_token(self, api, trader):
        assert error_code(self.refresh(api, trader["access_token"])) == "TOKEN_INVALID"

    def test_a_disabled_user_cannot_refresh(self, api, trader):
        User.objects.update(is_active=False)

        assert error_code(self.refresh(api, trader["refresh_token"])) == "TOKEN_REVOKED"

    def test_a_deleted_user_cannot_refresh(self, api, trader):
        User.objects.all().delete()

        assert error_code(self.refresh(api, trader["refresh_token"])) == "TOKEN_REVOKED"


class TestSessions:
    def test_logout_ends_the_session(self, api, trader):
        client = ApiClient(trader["access_token"])

        assert client.post("/api/auth/logout").status_code == 204
        answer = client.get("/api/auth/profile")

        assert answer.status_code == 401
        assert error_code(answer) == "TOKEN_REVOKED"
        assert answer["WWW-Authenticate"] == "Bearer"

    def test_lists_and_ends_one_session(self, api, trader):
        other = login(api).json()
        client = ApiClient(trader["access_token"])

        items = client.get("/api/auth/sessions").json()["items"]
        assert [item["current"] for item in items] == [False, True]
        assert client.delete(f"/api/auth/sessions/{other['session_id']}").status_code == 204

        assert error_code(ApiClient(other["access_token"]).get("/api/auth/profile")) == (
            "TOKEN_REVOKED"
        )
        assert client.get("/api/auth/profile").status_code == 200

    def test_ends_all(self, api, trader):
        login(api)
        client = ApiClient(trader["access_token"])

        assert client.delete("/api/auth/sessions").json() == {"revoked": 2}
        assert error_code(client.get("/api/auth/profile")) == "TOKEN_REVOKED"

    def test_anothers_session_looks_like_a_missing_one(self, api, trader):
        other = register(api, username="bob", email="bob@example.com").json()
        client = ApiClient(trader["access_token"])

        theirs = client.delete(f"/api/auth/sessions/{other['session_id']}")
        missing = client.delete("/api/auth/sessions/77")

        assert theirs.status_code == missing.status_code == 404
        bodies = [theirs.json()["error"], missing.json()["error"]]
        for body in bodies:
            body.pop("request_id")
        assert bodies[0] == bodies[1]
        assert Session.objects.filter(revoked_at__isnull=False).count() == 0


class TestProfile:
    def test_new_password_ends_every_session_and_opens_one(self, api, trader):
        client = ApiClient(trader["access_token"])

        answer = client.put(
            "/api/auth/profile",
            {"current_password": PASSWORD, "new_password": "battery staple 7"},
        )

        assert answer.status_code == 200
        assert error_code(client.get("/api/auth/profile")) == "TOKEN_REVOKED"
        renewed = ApiClient(answer.json()["tokens"]["access_token"])
        assert renewed.get("/api/auth/profile").status_code == 200
        assert login(api).status_code == 401
        assert login(api, password="battery staple 7").status_code == 200

    def test_wrong_present_password_changes_nothing(self, api, trader):
        client = ApiClient(trader["access_token"])

        answer = client.put(
            "/api/auth/profile", {"current_password": "wrong horse 10", "email": "x@example.com"}
        )

        assert answer.status_code == 401
        assert User.objects.get().email == "alice@example.com"


class TestTokens:
    @pytest.mark.parametrize(
        ("header", "code"),
        [
            ("", "NOT_AUTHENTICATED"),
            ("Basic YTpi", "NOT_AUTHENTICATED"),
            ("Bearer", "NOT_AUTHENTICATED"),
            ("Bearer x", "TOKEN_INVALID"),
            ("Bearer a.b.c", "TOKEN_INVALID"),
            ("Bearer " + "a" * 5000, "TOKEN_INVALID"),
            ("Bearer \u00e9.\u00e9.\u00e9", "TOKEN_INVALID"),
        ],
    )
    def test_bad_headers(self, db, header, code):
        client = ApiClient()

        answer = client.get("/api/auth/profile", {"Authorization": header} if header else None)

        assert answer.status_code == 401
        assert error_code(answer) == code
        assert answer["WWW-Authenticate"] == "Bearer"
        assert answer["Cache-Control"] == "no-store"

    def test_a_refresh_token_is_no_access_token(self, trader):
        answer = ApiClient(trader["refresh_token"]).get("/api/auth/profile")

        assert error_code(answer) == "TOKEN_INVALID"


class TestAccount:
    def test_shows_settings_and_limits(self, trader):
        answer = ApiClient(trader["access_token"]).get("/api/account")

        assert answer.status_code == 200
        body = answer.json()
        assert body["account_id"] == trader["user"]["account_id"]
        assert body["opened"] is True
        assert body["status"] == "active"
        assert body["limit_tier"] == "trader"
        assert body["limits"]["orders_per_s"] == 10
        assert answer["X-RateLimit-Limit"] == "1200"
