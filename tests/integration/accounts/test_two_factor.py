"""The second factor: setting up, logging in, replay, lockout, step-up, enforcement, back-office."""

import re
from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client
from django.urls import reverse

from accounts import key_states, logins, services, two_factor
from accounts.enums import Role
from accounts.models import ApiKey, AuditEvent, RecoveryCode, Session, TwoFactor, User
from accounts.types import Caller
from common.errors import ApiError
from common.testing import ApiClient, error_code
from tests.support.redis_server import redis_client, redis_url
from tests.support.second_factor import NOW, Authenticator, clock, enable
from tests.support.signing import Signer
from wallets.models import LedgerEntry

__all__ = ["clock", "redis_client", "redis_url"]

PASSWORD = "correct horse 9"

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def client(trader):
    return ApiClient(trader["access_token"])


@pytest.fixture
def enabled(client, clock):
    return enable(client, clock, password=PASSWORD)


@pytest.fixture
def phone(enabled):
    return enabled[0]


def login(api, **body):
    return api.post("/api/auth/login", {"username": "alice", "password": PASSWORD, **body})


def complete(api, challenge, code):
    return api.post("/api/auth/login/2fa", {"challenge": challenge, "code": code})


class TestSettingUp:
    def test_counts_only_once_a_code_was_shown(self, client, clock, api):
        answer = client.post("/api/auth/2fa/setup", {"current_password": PASSWORD})

        assert login(api).status_code == 200
        uri = pyotp.parse_uri(answer.json()["uri"])
        assert (uri.name, uri.issuer, uri.secret) == (
            "alice",
            two_factor.ISSUER,
            answer.json()["secret"],
        )
        status = client.get("/api/auth/2fa").json()
        assert status == {"enabled": False, "enforced": False, "recovery_codes_left": 0}

    def test_ends_every_other_session(self, client, clock, api):
        other = login(api).json()

        enable(client, clock, password=PASSWORD)

        assert error_code(ApiClient(other["access_token"]).get("/api/auth/profile")) == (
            "TOKEN_REVOKED"
        )
        profile = client.get("/api/auth/profile")
        assert (profile.status_code, profile.json()["two_factor"]) == (200, True)
        status = client.get("/api/auth/2fa").json()
        assert status == {"enabled": True, "enforced": False, "recovery_codes_left": 10}

    def test_the_secret_is_encrypted_and_codes_are_hashed_at_rest(self, client, clock):
        _, codes = enable(client, clock, password=PASSWORD)
        factor = TwoFactor.objects.get()

        assert re.fullmatch(r"gAAAA[A-Za-z0-9_=-]+", factor.secret)
        assert len(codes) == len(set(codes)) == 10
        assert all(re.fullmatch(r"([A-Z2-7]{4}-){3}[A-Z2-7]{4}", code) for code in codes)
        hashes = set(RecoveryCode.objects.values_list("code_hash", flat=True))
        assert not hashes & set(codes)
        assert len(hashes) == 10

    def test_needs_the_password(self, client):
        answer = client.post("/api/auth/2fa/setup", {"current_password": "wrong horse 10"})

        assert (answer.status_code, error_code(answer)) == (401, "INVALID_CREDENTIALS")
        assert not TwoFactor.objects.exists()

    def test_a_wrong_code_confirms_nothing(self, client, clock):
        client.post("/api/auth/2fa/setup", {"current_password": PASSWORD})

        answer = client.post("/api/auth/2fa/confirm", {"code": "000000"})

        assert (answer.status_code, error_code(answer)) == (403, "TWO_FACTOR_INVALID")
        assert TwoFactor.objects.get().confirmed_at is None
        assert not RecoveryCode.objects.exists()

    def test_cannot_be_replaced_by_another(self, client, phone):
        answers = [
            client.post("/api/auth/2fa/setup", {"current_password": PASSWORD}),
            client.post("/api/auth/2fa/confirm", {"code": phone.next_code()}),
        ]

        assert [error_code(answer) for answer in answers] == ["TWO_FACTOR_ENABLED"] * 2

    def test_the_secret_shown_last_counts(self, client, clock):
        first = client.post("/api/auth/2fa/setup", {"current_password": PASSWORD}).json()
        second = client.post("/api/auth/2fa/setup", {"current_password": PASSWORD}).json()

        codes = [Authenticator(body["secret"], clock).code() for body in (first, second)]
        answers = [client.post("/api/auth/2fa/confirm", {"code": code}) for code in codes]

        assert [answer.status_code for answer in answers] == [403, 200]

    @pytest.mark.parametrize("path", ["confirm", "recovery-codes"])
    def test_without_one_there_is_nothing_to_confirm(self, client, path):
        answer = client.post(f"/api/auth/2fa/{path}", {"code": "123456"})

        assert (answer.status_code, error_code(answer)) == (409, "TWO_FACTOR_NOT_SET_UP")

    def test_is_audited_without_secrets(self, client, enabled):
        client.post("/api/auth/2fa/disable", {"current_password": PASSWORD, "code": enabled[1][0]})

        actions = list(
            AuditEvent.objects.filter(action__startswith="two_factor.")
            .order_by("id")
            .values_list("action", flat=True)
        )
        assert actions == [
            "two_factor.enable",
            "two_factor.recovery_code_use",
            "two_factor.disable",
        ]


class TestLogin:
    def test_takes_a_second_step(self, api, phone):
        first = login(api)
        second = complete(api, first.json()["challenge"], phone.next_code())

        assert first.status_code == 202
        assert first.json()["expires_in"] == 300
        assert "access_token" not in first.json()
        assert second.status_code == 200
        assert second.json()["user"]["username"] == "alice"

    def test_or_takes_the_code_at_once(self, api, phone):
        assert login(api, code=phone.next_code()).status_code == 200

    @pytest.mark.parametrize("steps", [-1, 1])
    def test_a_clock_may_be_a_step_off(self, api, phone, clock, steps):
        clock.now += 60

        assert login(api, code=phone.code(steps)).status_code == 200

    @pytest.mark.parametrize("steps", [-2, 2])
    def test_but_not_two(self, api, phone, clock, steps):
        clock.now += 90

        assert error_code(login(api, code=phone.code(steps))) == "TWO_FACTOR_INVALID"

    def test_a_used_code_is_refused(self, api, phone):
        code = phone.next_code()

        answers = [login(api, code=code) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [200, 403]
        assert error_code(answers[1]) == "TWO_FACTOR_INVALID"

    def test_so_is_one_from_before_the_used_one(self, api, phone):
        before = phone.next_code()
        assert login(api, code=phone.next_code()).status_code == 200

        assert error_code(login(api, code=before)) == "TWO_FACTOR_INVALID"

    def test_and_the_one_that_confirmed(self, api, phone):
        assert error_code(login(api, code=phone.code())) == "TWO_FACTOR_INVALID"

    def test_a_recovery_code_works_once_however_written(self, api, enabled, client):
        code = enabled[1][3]

        answers = [login(api, code=code.lower().replace("-", " ")), login(api, code=code)]

        assert [answer.status_code for answer in answers] == [200, 403]
        assert client.get("/api/auth/2fa").json()["recovery_codes_left"] == 9

    @pytest.mark.parametrize(
        "code",
        [
            "",
            "12345",
            "1234567",
            "abcdef",
            "\u0661\u0662\u0663\u0664\u0665\u0666",
            "A" * 16,
            "x" * 40,
        ],
    )
    def test_garbage_is_no_code(self, api, phone, code):
        challenge = login(api).json()["challenge"]

        answer = complete(api, challenge, code)

        assert answer.status_code == (403 if code else 400)

    @pytest.mark.parametrize("challenge", ["x", "a:b:c", "eyJ1c2VyIjoiMSJ9:1:x"])
    def test_a_forged_challenge(self, api, phone, challenge):
        answer = complete(api, challenge, phone.next_code())

        assert (answer.status_code, error_code(answer)) == (401, "CHALLENGE_INVALID")

    def test_a_challenge_ends_with_its_time(self, api, phone, monkeypatch):
        challenge = login(api).json()["challenge"]
        monkeypatch.setattr(logins, "CHALLENGE_LIFETIME_S", -1)

        assert error_code(complete(api, challenge, phone.next_code())) == "CHALLENGE_INVALID"

    @pytest.mark.parametrize(
        ("_case", "change"),
        [("disabled", {"is_active": False}), ("other password", {"password": "!"})],
    )
    def test_a_challenge_ends_with_what_it_rests_on(self, api, phone, _case, change):
        challenge = login(api).json()["challenge"]
        User.objects.update(**change)

        assert error_code(complete(api, challenge, phone.next_code())) == "CHALLENGE_INVALID"

    def test_t12_a_wrong_password_does_not_tell_of_a_second_factor(self, api, phone):
        answers = [
            login(api, password="wrong horse 10"),
            login(api, username="nobody", password="wrong horse 10"),
            login(api, password="wrong horse 10", code=phone.next_code()),
        ]
        bodies = [answer.json()["error"] for answer in answers]
        for body in bodies:
            body.pop("request_id")

        assert [answer.status_code for answer in answers] == [401] * 3
        assert bodies[0] == bodies[1] == bodies[2]

    def test_of_parallel_uses_of_a_code_one_counts(self, own_database, redis_client, settings):
        user = services.user_create(username="alice", email="a@example.com", password=PASSWORD)
        secret = two_factor.factor_setup(
            user=user, current_password=PASSWORD, ip="192.0.2.1"
        ).secret
        phone = pyotp.TOTP(secret)
        two_factor.factor_confirm(user=user, code=phone.at(NOW), session_id=0, ip="192.0.2.1")
        code = phone.at(NOW, counter_offset=1)

        def use(index):
            try:
                two_factor.code_take(user=user, code=code, ip=f"192.0.2.{index}")
            except ApiError as error:
                return error.code
            else:
                return "OK"
            finally:
                connections.close_all()

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(use, range(16)))

        assert sorted(found) == ["OK"] + ["TWO_FACTOR_INVALID"] * 15


class TestT11Lockout:
    """T11: wrong codes count like wrong passwords, and per user from everywhere."""

    def test_t11_the_sixth_try_is_refused_even_if_right(self, api, phone):
        challenge = login(api).json()["challenge"]

        codes = [error_code(complete(api, challenge, "000000")) for _ in range(5)]
        answer = complete(api, challenge, phone.next_code())

        assert codes == ["TWO_FACTOR_INVALID"] * 5
        assert (answer.status_code, error_code(answer)) == (429, "TOO_MANY_ATTEMPTS")
        assert 0 < int(answer["Retry-After"]) <= 900
        assert login(api).status_code == 429

    def test_t11_the_right_password_does_not_give_fresh_tries(self, api, phone):
        codes = []
        for _ in range(6):
            answer = login(api)
            if answer.status_code == 202:
                answer = complete(api, answer.json()["challenge"], "000000")
            codes.append(error_code(answer))

        assert codes == ["TWO_FACTOR_INVALID"] * 5 + ["TOO_MANY_ATTEMPTS"]

    def test_t11_from_many_addresses_only_so_many_per_user(self, api, phone):
        challenge = login(api).json()["challenge"]
        clients = [ApiClient(REMOTE_ADDR=f"198.51.100.{index}") for index in range(21)]

        codes = [error_code(complete(client, challenge, "000000")) for client in clients[:20]]
        answer = complete(clients[20], challenge, phone.next_code())

        assert codes == ["TWO_FACTOR_INVALID"] * 20
        assert (answer.status_code, error_code(answer)) == (429, "TOO_MANY_ATTEMPTS")

    def test_t11_a_right_code_gives_the_tries_back(self, api, phone):
        for _ in range(3):
            for _ in range(4):
                assert login(api, code="000000").status_code == 403
            assert login(api, code=phone.next_code()).status_code == 200

    def test_t11_step_up_codes_count_too(self, client, phone):
        body = {"name": "bot", "scopes": ["read"]}
        codes = [
            error_code(client.post("/api/auth/api-keys", body, {"X-2FA-Code": "000000"}))
            for _ in range(6)
        ]

        assert codes == ["TWO_FACTOR_INVALID"] * 5 + ["TOO_MANY_ATTEMPTS"]
        assert not ApiKey.objects.exists()


class TestDisabling:
    def test_needs_password_and_code(self, client, phone):
        path = "/api/auth/2fa/disable"
        wrong = [
            client.post(path, {"current_password": "wrong horse 10", "code": phone.next_code()}),
            client.post(path, {"current_password": PASSWORD, "code": "000000"}),
            client.post(path, {"code": phone.code()}),
        ]
        right = client.post(path, {"current_password": PASSWORD, "code": phone.next_code()})

        assert [answer.status_code for answer in wrong] == [401, 403, 400]
        assert right.status_code == 204
        assert client.get("/api/auth/profile").json()["two_factor"] is False
        assert not TwoFactor.objects.exists()
        assert not RecoveryCode.objects.exists()

    def test_ends_every_other_session(self, api, client, phone):
        other = login(api, code=phone.next_code()).json()

        client.post(
            "/api/auth/2fa/disable", {"current_password": PASSWORD, "code": phone.next_code()}
        )

        profile = ApiClient(other["access_token"]).get("/api/auth/profile")
        assert error_code(profile) == "TOKEN_REVOKED"

    def test_new_recovery_codes_end_the_old_ones(self, api, client, enabled):
        phone, old = enabled

        answer = client.post("/api/auth/2fa/recovery-codes", {"code": phone.next_code()})
        new = answer.json()["recovery_codes"]

        assert len(new) == 10
        assert not set(new) & set(old)
        assert login(api, code=old[0]).status_code == 403
        assert login(api, code=new[0]).status_code == 200

    def test_the_console_resets_a_lost_one(self, api, client, phone):
        call_command("reset_second_factor", "alice", "--reason", "seen in person")

        assert login(api).status_code == 200
        assert error_code(client.get("/api/auth/profile")) == "TOKEN_REVOKED"
        event = AuditEvent.objects.get(action="two_factor.reset")
        assert (event.actor, event.reason) == ("console", "seen in person")
        assert AuditEvent.objects.get(action="session.revoke").actor == "console"
        for name in ("alice", "nobody"):
            with pytest.raises(CommandError):
                call_command("reset_second_factor", name, "--reason", "again")


class TestStepUp:
    """Asked again for transfers to others and API keys."""

    TRANSFER = {"currency": "USDT", "amount": "5", "to_username": "bob"}

    @pytest.fixture
    def funded(self, trader, inline_exchange):
        inline_exchange.seed_markets()
        inline_exchange.add_account(int(trader["user"]["account_id"]), USDT=100)
        services.user_create(username="bob", email="bob@example.com", password=PASSWORD)

    def send(self, client, body, code=None):
        headers = {} if code is None else {"X-2FA-Code": code}
        return client.post("/api/wallet/transfer", body, headers)

    def test_a_transfer_to_another_needs_a_code(self, client, funded, phone):
        entries = LedgerEntry.objects.count()
        missing = self.send(client, self.TRANSFER)
        wrong = self.send(client, self.TRANSFER, "000000")
        assert LedgerEntry.objects.count() == entries

        code = phone.next_code()
        right = self.send(client, self.TRANSFER, code)
        again = self.send(client, self.TRANSFER, code)

        assert (missing.status_code, error_code(missing)) == (403, "TWO_FACTOR_REQUIRED")
        assert (wrong.status_code, error_code(wrong)) == (403, "TWO_FACTOR_INVALID")
        assert right.status_code == 201, right.content
        assert error_code(again) == "TWO_FACTOR_INVALID"

    def test_between_own_wallets_it_is_not_asked(self, client, funded, phone):
        answer = self.send(client, {"currency": "USDT", "amount": "5", "to_wallet": "margin"})

        assert answer.status_code == 201, answer.content

    def test_nor_of_a_user_without_one(self, client, funded):
        assert self.send(client, self.TRANSFER).status_code == 201

    def test_nor_of_a_key_that_was_made_against_one(self, client, funded, phone, redis_client):
        key_states.reset()
        body = {"name": "bot", "scopes": ["transfer"]}
        refused = client.post("/api/auth/api-keys", body)
        made = client.post("/api/auth/api-keys", body, {"X-2FA-Code": phone.next_code()}).json()

        answer = Signer(made["key"], made["secret"]).request(
            "POST", "/api/wallet/transfer", self.TRANSFER
        )

        assert error_code(refused) == "TWO_FACTOR_REQUIRED"
        assert answer.status_code == 201, answer.content

    def test_a_recovery_code_will_do(self, client, enabled):
        body = {"name": "bot", "scopes": ["read"]}

        assert client.post(
            "/api/auth/api-keys", body, {"X-2FA-Code": enabled[1][0]}
        ).status_code == (201)


class TestEnforcement:
    @pytest.mark.parametrize(
        ("_case", "who", "role", "code"),
        [
            ("staff in general", "staff", Role.OPERATOR, "TWO_FACTOR_ENFORCED"),
            ("not traders", "staff", Role.TRADER, None),
            ("everybody", "all", Role.TRADER, "TWO_FACTOR_ENFORCED"),
            ("nobody", "none", Role.ADMIN, None),
        ],
    )
    def test_nothing_but_setting_up(self, db, settings, clock, _case, who, role, code):
        settings.TWO_FACTOR = who
        user = services.user_create(
            username="alice", email="a@example.com", password=PASSWORD, role=role
        )
        client = ApiClient(services.session_open(user=user, caller=Caller(ip="::1")).access_token)

        answers = [client.get(path) for path in ("/api/orders", "/api/auth/api-keys")]
        assert [error_code(a) if a.status_code != 200 else None for a in answers] == [code] * 2
        assert client.get("/api/auth/profile").status_code == 200
        assert client.get("/api/auth/2fa").json()["enforced"] is (code is not None)

        enable(client, clock, password=PASSWORD)

        assert client.get("/api/orders").status_code == 200

    def test_who_must_have_one_keeps_it(self, client, phone, settings):
        settings.TWO_FACTOR = "all"

        answer = client.post(
            "/api/auth/2fa/disable", {"current_password": PASSWORD, "code": phone.next_code()}
        )

        assert (answer.status_code, error_code(answer)) == (403, "TWO_FACTOR_ENFORCED")
        assert TwoFactor.objects.exists()


class TestBackOffice:
    @pytest.fixture
    def operator(self, db):
        return services.user_create(
            username="olga", email="olga@example.com", password=PASSWORD, role=Role.OPERATOR
        )

    @pytest.fixture
    def olgas_phone(self, operator, clock):
        token = services.session_open(user=operator, caller=Caller(ip="::1")).access_token
        return enable(ApiClient(token), clock, password=PASSWORD)[0]

    def sign_in(self, **fields):
        client = Client()
        answer = client.post(
            reverse("admin:login"),
            {"username": "olga", "password": PASSWORD, "next": "/", **fields},
        )
        return client, answer

    def test_t27_asks_for_a_code(self, olgas_phone):
        code = olgas_phone.next_code()
        _, without = self.sign_in()
        _, wrong = self.sign_in(code="000000")
        client, right = self.sign_in(code=code)
        _, again = self.sign_in(code=code)

        assert [answer.status_code for answer in (without, wrong, right, again)] == [
            200,
            200,
            302,
            200,
        ]
        assert b"Enter a code of your second factor" in without.content
        assert b"The code is wrong, used or too old" in wrong.content
        assert client.get(reverse("admin:index")).status_code == 200

    def test_t27_staff_without_one_stays_out_where_it_is_required(self, operator, settings):
        settings.TWO_FACTOR = "staff"

        client, answer = self.sign_in()

        assert answer.status_code == 200
        assert b"must set up a second factor first" in answer.content
        assert client.get(reverse("admin:index")).status_code == 302

    def test_without_one_it_is_as_before_elsewhere(self, operator):
        assert self.sign_in()[1].status_code == 302

    def test_a_right_code_does_not_help_a_wrong_password(self, olgas_phone):
        _, answer = self.sign_in(password="wrong horse 10", code=olgas_phone.next_code())

        assert answer.status_code == 200
        assert b"second factor is" not in answer.content

    def reset(self, operator, user):
        token = services.session_open(user=operator, caller=Caller(ip="::1")).access_token
        return ApiClient(token).post(
            f"/api/admin/users/{user.pk}/reset-2fa", {"reason": "phone lost, passport seen"}
        )

    def test_an_operator_resets_a_traders(self, operator, client, phone):
        alice = User.objects.get(username="alice")

        answer = self.reset(operator, alice)

        assert answer.status_code == 200
        assert not TwoFactor.objects.exists()
        assert not Session.objects.filter(user=alice, revoked_at=None).exists()
        assert "user.reset_2fa" in set(
            AuditEvent.objects.filter(actor="olga").values_list("action", flat=True)
        )

    def test_but_not_an_administrators(self, operator, clock):
        boss = services.user_create(
            username="boss", email="boss@example.com", password=PASSWORD, role=Role.ADMIN
        )
        token = services.session_open(user=boss, caller=Caller(ip="::1")).access_token
        enable(ApiClient(token), clock, password=PASSWORD)

        answer = self.reset(operator, boss)

        assert (answer.status_code, error_code(answer)) == (403, "PERMISSION_DENIED")
        assert TwoFactor.objects.count() == 1
