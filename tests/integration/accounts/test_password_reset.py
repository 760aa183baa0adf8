"""Forgotten passwords and proving an address; threat T12: nobody learns who exists."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core import mail
from django.db import connections
from kombu.exceptions import OperationalError

from accounts import password_reset, services, tasks, throttle
from accounts.models import AuditEvent, Session, User
from common.errors import ApiError
from common.testing import ApiClient, error_code

PASSWORD = "correct horse 9"
NEW = "battery staple 7"
RESET, CONFIRM = "/api/auth/password/reset", "/api/auth/password/reset/confirm"
ASK, VERIFY = "/api/auth/email/verification", "/api/auth/email/verify"


@pytest.fixture
def alice(trader):
    User.objects.update(verified_email="alice@example.com")
    return trader


@pytest.fixture
def client(trader):
    return ApiClient(trader["access_token"])


def token_in(message):
    """Return the token of a mail: the one long line of its own."""
    (token,) = re.findall(r"^ {4}(\S{30,})$", message.body, re.MULTILINE)
    return token


def login(api, password=PASSWORD, **who):
    return api.post("/api/auth/login", {**(who or {"username": "alice"}), "password": password})


class TestAsking:
    def test_t12_the_answer_is_the_same_for_everybody(self, api, alice):
        users = [{"username": "alice"}, {"email": "alice@example.com"}]
        nobodies = [{"username": "nobody"}, {"email": "x@example.com"}, {"username": "\u0430"}]

        answers = [api.post(RESET, body) for body in users + nobodies]

        assert {answer.status_code for answer in answers} == {202}
        assert {answer.content for answer in answers} == {b'{"accepted":true}'}
        assert [message.to for message in mail.outbox] == [["alice@example.com"]] * 2

    def test_t12_the_request_itself_looks_nobody_up(
        self, api, alice, monkeypatch, django_assert_num_queries
    ):
        queued = []
        monkeypatch.setattr(
            tasks.mail_password_reset,
            "apply_async",
            lambda kwargs, retry: queued.append(kwargs) or retry,
        )

        for name in ("alice", "nobody"):
            with django_assert_num_queries(0):
                api.post(RESET, {"username": name})

        assert queued == [{"login": "alice"}, {"login": "nobody"}]

    @pytest.mark.parametrize(
        ("_case", "change"),
        [("unverified", {"verified_email": ""}), ("disabled", {"is_active": False})],
    )
    def test_no_mail_goes_to(self, api, alice, _case, change):
        User.objects.update(**change)

        assert api.post(RESET, {"username": "alice"}).status_code == 202
        assert mail.outbox == []

    @pytest.mark.parametrize("body", [{}, {"username": "a", "email": "b"}])
    def test_needs_exactly_one_name(self, api, db, body):
        answer = api.post(RESET, body)

        assert answer.status_code == 400
        assert answer.json()["error"]["fields"] == {"username": "REQUIRED"}

    def test_one_mailbox_is_not_flooded(self, api, alice):
        for _ in range(5):
            assert api.post(RESET, {"username": "alice"}).status_code == 202

        assert len(mail.outbox) == throttle.MAILS_PER_HOUR == 3

    def test_one_address_asks_only_so_often(self, api, alice):
        statuses = [api.post(RESET, {"username": f"x_{n}"}).status_code for n in range(21)]
        answer = api.post(RESET, {"username": "alice"})

        assert statuses == [202] * 20 + [429]
        assert error_code(answer) == "TOO_MANY_ATTEMPTS"
        assert 0 < int(answer["Retry-After"]) <= 3_600

    @pytest.mark.parametrize("name", ["alice", "nobody"])
    def test_without_a_queue_it_says_so_to_everybody(self, api, alice, monkeypatch, name):
        def refuse(**_):
            raise OperationalError("no broker")

        monkeypatch.setattr(tasks.mail_password_reset, "apply_async", refuse)

        answer = api.post(RESET, {"username": name})

        assert (answer.status_code, error_code(answer)) == (503, "SERVICE_UNAVAILABLE")

    def test_with_mail_off_nothing_is_sent(self, api, alice, settings):
        settings.EMAIL_URL = "off:"

        assert api.post(RESET, {"username": "alice"}).status_code == 202
        assert mail.outbox == []


class TestConfirming:
    @pytest.fixture
    def token(self, api, alice):
        api.post(RESET, {"username": "alice"})
        return token_in(mail.outbox[-1])

    def test_sets_the_password_and_ends_every_session(self, api, client, token):
        answer = api.post(CONFIRM, {"token": token, "new_password": NEW})

        assert answer.status_code == 204
        assert error_code(client.get("/api/auth/profile")) == "TOKEN_REVOKED"
        assert not Session.objects.filter(revoked_at=None).exists()
        assert login(api).status_code == 401
        assert login(api, NEW).status_code == 200
        event = AuditEvent.objects.get(action="user.password_reset")
        assert (event.actor, event.before, event.after) == ("alice", "", "")

    def test_works_once(self, api, token):
        answers = [api.post(CONFIRM, {"token": token, "new_password": NEW}) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [204, 400]
        assert error_code(answers[1]) == "RESET_TOKEN_INVALID"

    @pytest.mark.parametrize(
        ("_case", "change"),
        [
            ("another password", {"password": "!"}),
            ("ended sessions", {"session_epoch": 7}),
            ("another address", {"verified_email": "x@example.com"}),
            ("disabled", {"is_active": False}),
        ],
    )
    def test_ends_with_what_it_rests_on(self, api, token, _case, change):
        User.objects.update(**change)
        before = User.objects.get().password

        answer = api.post(CONFIRM, {"token": token, "new_password": NEW})

        assert (answer.status_code, error_code(answer)) == (400, "RESET_TOKEN_INVALID")
        assert User.objects.get().password == before

    def test_ends_after_an_hour(self, api, token, settings):
        assert settings.PASSWORD_RESET_TIMEOUT == 3_600
        settings.PASSWORD_RESET_TIMEOUT = -1

        answer = api.post(CONFIRM, {"token": token, "new_password": NEW})

        assert error_code(answer) == "RESET_TOKEN_INVALID"

    def test_is_bound_to_its_user(self, api, token):
        other = services.user_create(username="bob", email="b@example.com", password=PASSWORD)
        forged = f"{other.pk}.{token.partition('.')[2]}"

        answer = api.post(CONFIRM, {"token": forged, "new_password": NEW})

        assert error_code(answer) == "RESET_TOKEN_INVALID"
        assert login(api, username="bob").status_code == 200

    @pytest.mark.parametrize(
        "token", ["x", ".", "1.x-y", f"{2**63}.a-b", "\u0661.a-b", "a" * 1_000]
    )
    def test_garbage(self, api, db, token):
        answer = api.post(CONFIRM, {"token": token, "new_password": NEW})

        assert error_code(answer) == "RESET_TOKEN_INVALID"

    def test_a_weak_password_uses_nothing_up(self, api, token):
        weak = api.post(CONFIRM, {"token": token, "new_password": "password123"})
        strong = api.post(CONFIRM, {"token": token, "new_password": NEW})

        assert weak.json()["error"]["fields"] == {"new_password": "PASSWORD_TOO_COMMON"}
        assert strong.status_code == 204

    def test_lifts_the_lock_of_this_address(self, api, token):
        for _ in range(6):
            login(api, "wrong horse 10")
        assert login(api).status_code == 429

        api.post(CONFIRM, {"token": token, "new_password": NEW})

        assert login(api, NEW).status_code == 200

    def test_of_parallel_uses_one_counts(self, own_database):
        user = services.user_create(username="alice", email="a@example.com", password=PASSWORD)
        password_reset.password_reset_mail("alice")
        token = token_in(mail.outbox[-1])

        def confirm(index):
            try:
                password_reset.password_reset_confirm(
                    token=token, new_password=f"{NEW} {index}", ip="::1"
                )
            except ApiError as error:
                return error.code
            else:
                return index
            finally:
                connections.close_all()

        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(confirm, range(6)))

        (winner,) = [item for item in found if item != "RESET_TOKEN_INVALID"]
        user.refresh_from_db()
        assert user.check_password(f"{NEW} {winner}")


class TestVerifying:
    def test_a_proved_address_logs_in(self, api, client):
        assert login(api, email="alice@example.com").status_code == 401

        assert client.post(ASK).status_code == 202
        answer = api.post(VERIFY, {"token": token_in(mail.outbox[-1])})

        assert answer.status_code == 204
        assert client.get("/api/auth/profile").json()["email_verified"] is True
        assert login(api, email="ALICE@example.com").status_code == 200

    def test_a_verified_address_gets_no_mail(self, alice, client):
        assert client.post(ASK).status_code == 202
        assert mail.outbox == []

    def test_the_token_ends_when_the_address_changes(self, api, client):
        client.post(ASK)
        token = token_in(mail.outbox[-1])
        client.put(
            "/api/auth/profile", {"current_password": PASSWORD, "email": "other@example.com"}
        )

        answer = api.post(VERIFY, {"token": token})

        assert (answer.status_code, error_code(answer)) == (400, "VERIFICATION_INVALID")
        assert User.objects.get().verified_email == ""

    def test_who_proved_it_first_keeps_it(self, api, client):
        services.user_create(username="bob", email="alice@example.com", password=PASSWORD)
        client.post(ASK)

        answer = api.post(VERIFY, {"token": token_in(mail.outbox[-1])})

        assert answer.json()["error"]["fields"] == {"token": "EMAIL_TAKEN"}
        assert User.objects.get(username="alice").verified_email == ""

    @pytest.mark.parametrize("token", ["x", "a:b:c"])
    def test_garbage(self, api, db, token):
        assert error_code(api.post(VERIFY, {"token": token})) == "VERIFICATION_INVALID"

    def test_a_reset_token_proves_no_address(self, api, alice):
        api.post(RESET, {"username": "alice"})

        answer = api.post(VERIFY, {"token": token_in(mail.outbox[-1])})

        assert error_code(answer) == "VERIFICATION_INVALID"
