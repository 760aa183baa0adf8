"""Sessions over Redis, tickets, races; threats T9 and T10."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.contrib.auth.hashers import BCryptSHA256PasswordHasher, identify_hasher
from django.db import connection, connections
from django.utils import timezone

from accounts import authentication, opening, passwords, services, sessions, tickets
from accounts.enums import Role
from accounts.models import Account, Session, User
from accounts.tasks import purge_sessions
from accounts.types import Caller, TokenError
from common import redis as common_redis
from common.errors import ApiError
from common.testing import ApiClient, error_code
from common.tiers import Tier
from exchange import gateway
from exchange.core.commands import ConfigureAccount, ConfigureFeeTier
from tests.support.redis_server import redis_client, redis_url

__all__ = ["redis_client", "redis_url"]

PASSWORD = "correct horse 9"
CALLER = Caller(ip="192.0.2.1", user_agent="test")


@pytest.fixture
def user(db):
    return services.user_create(username="alice", email="alice@example.com", password=PASSWORD)


@pytest.fixture
def pair(user):
    return services.session_open(user=user, caller=CALLER)


def another_process():
    """Forget what only this process knows."""
    sessions.reset()
    authentication.forget_checked()


class TestCache:
    def test_a_warm_request_asks_nobody(self, user, pair, django_assert_num_queries):
        authentication.authenticate_token(pair.access_token)

        with django_assert_num_queries(0):
            identity = authentication.authenticate_token(pair.access_token)

        assert (identity.user_id, identity.account_id) == (user.pk, user.account_id)
        assert (identity.role, identity.tier) == (Role.TRADER, Tier.TRADER)
        assert identity.session_id == pair.session_id

    def test_another_process_asks_redis(self, redis_client, pair, django_assert_num_queries):
        authentication.authenticate_token(pair.access_token)
        another_process()

        with django_assert_num_queries(0):
            authentication.authenticate_token(pair.access_token)

    def test_the_process_forgets_after_a_second(self, pair, monkeypatch):
        authentication.authenticate_token(pair.access_token)
        Session.objects.update(revoked_at="2026-01-01T00:00:00Z")
        authentication.authenticate_token(pair.access_token)
        now = time.monotonic()
        monkeypatch.setattr(sessions.time, "monotonic", lambda: now + 1.01)

        with pytest.raises(TokenError, match="TOKEN_REVOKED"):
            authentication.authenticate_token(pair.access_token)

    def test_t10_a_slow_reader_does_not_bring_a_session_back(self, redis_client, pair):
        stale = sessions._from_database(pair.session_id)
        services.session_revoke(user_id=stale.user_id, session_id=pair.session_id)
        redis_client.set(
            common_redis.key("session", pair.session_id), sessions._encode(stale), nx=True, ex=10
        )
        another_process()

        with pytest.raises(TokenError, match="TOKEN_REVOKED"):
            authentication.authenticate_token(pair.access_token)

    def test_t10_a_revocation_overwrites_what_redis_holds(self, redis_client, pair, user):
        identity = authentication.authenticate_token(pair.access_token)
        services.sessions_revoke_all(user_id=user.pk, reason="test")
        another_process()

        with pytest.raises(TokenError, match="TOKEN_REVOKED"):
            authentication.authenticate_token(pair.access_token)
        assert not authentication.credential_is_alive(identity)

    def test_a_revocation_is_told_to_open_sockets(self, redis_client, pair, user):
        listener = redis_client.pubsub(ignore_subscribe_messages=True)
        listener.subscribe(sessions.revocation_channel())
        listener.get_message(timeout=30)

        services.session_revoke(user_id=user.pk, session_id=pair.session_id)

        message = listener.get_message(timeout=30)
        assert message is not None
        assert message["data"] == str(pair.session_id).encode()

    def test_without_redis_the_database_answers(self, settings, pair):
        settings.REDIS_URL = "unix:///nowhere/redis.sock"

        assert authentication.authenticate_token(pair.access_token).session_id == pair.session_id

    def test_a_broken_entry_in_redis_is_not_trusted(self, redis_client, pair):
        redis_client.set(common_redis.key("session", pair.session_id), b"\xc1nonsense")

        assert authentication.authenticate_token(pair.access_token).session_id == pair.session_id

    @pytest.mark.parametrize(
        ("_case", "change"),
        [
            ("disabled", {"is_active": False}),
            ("demoted", {"role": Role.SUPPORT}),
        ],
    )
    def test_t10_lost_rights_end_sessions(self, redis_client, user, pair, _case, change):
        authentication.authenticate_token(pair.access_token)

        services.user_set_access(user=user, **change)
        another_process()

        with pytest.raises(TokenError, match="TOKEN_REVOKED"):
            authentication.authenticate_token(pair.access_token)

    def test_a_new_limit_tier_keeps_the_session(self, redis_client, user, pair):
        authentication.authenticate_token(pair.access_token)

        services.user_set_access(user=user, tier=Tier.MAKER)

        assert authentication.authenticate_token(pair.access_token).tier is Tier.MAKER

    def test_an_expired_session_is_over(self, user, pair):
        Session.objects.update(expires_at="2020-01-01T00:00:00Z")
        another_process()

        with pytest.raises(TokenError, match="TOKEN_REVOKED"):
            authentication.authenticate_token(pair.access_token)

    def test_a_checked_token_still_expires(self, pair, monkeypatch):
        authentication.authenticate_token(pair.access_token)
        now = time.time()
        monkeypatch.setattr(authentication.time, "time", lambda: now + 601)

        with pytest.raises(TokenError, match="TOKEN_EXPIRED"):
            authentication.authenticate_token(pair.access_token)

    def test_the_oldest_of_too_many_sessions_ends(self, user, monkeypatch):
        monkeypatch.setattr(services, "SESSIONS_MAX", 3)
        pairs = [services.session_open(user=user, caller=CALLER) for _ in range(4)]

        ended = Session.objects.exclude(revoked_at=None)
        assert [session.pk for session in ended] == [min(pair.session_id for pair in pairs)]

    def test_only_what_ended_long_ago_is_purged(self, user):
        pairs = [services.session_open(user=user, caller=CALLER) for _ in range(4)]
        ids = [pair.session_id for pair in pairs]
        old = timezone.now() - timedelta(days=31)
        Session.objects.filter(id=ids[0]).update(expires_at=old)
        Session.objects.filter(id=ids[1]).update(revoked_at=old)
        Session.objects.filter(id=ids[2]).update(revoked_at=timezone.now())

        purge_sessions()

        assert sorted(Session.objects.values_list("id", flat=True)) == sorted(ids[2:])


class TestRefreshRace:
    def test_t9_of_20_parallel_refreshes_exactly_one_succeeds(self, own_database):
        # A file: connections to the suite's database in memory lock each other out at once.
        user = services.user_create(username="alice", email="a@example.com", password=PASSWORD)
        pair = services.session_open(user=user, caller=CALLER)
        barrier = threading.Barrier(20)

        def refresh(_):
            try:
                barrier.wait()
                services.session_refresh(refresh_token=pair.refresh_token)
            except TokenError as error:
                return error.code
            else:
                return "OK"
            finally:
                connections.close_all()

        with ThreadPoolExecutor(20) as pool:
            codes = list(pool.map(refresh, range(20)))

        assert codes.count("OK") == 1
        assert codes.count("TOKEN_REUSED") == 19
        assert Session.objects.get().revoked_reason == "reused"


class TestTickets:
    def test_is_good_once(self, redis_client, pair):
        identity = authentication.authenticate_token(pair.access_token)
        ticket = tickets.ticket_create(identity=identity, ip="192.0.2.1")

        assert tickets.ticket_redeem(ticket, ip="192.0.2.1") == identity
        with pytest.raises(TokenError, match="TICKET_INVALID"):
            tickets.ticket_redeem(ticket, ip="192.0.2.1")

    def test_is_good_once_in_a_race(self, redis_client, pair):
        identity = authentication.authenticate_token(pair.access_token)
        ticket = tickets.ticket_create(identity=identity, ip="192.0.2.1")

        def redeem(_):
            try:
                return tickets.ticket_redeem(ticket, ip="192.0.2.1")
            except TokenError as error:
                return error.code

        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(redeem, range(16)))

        assert found.count("TICKET_INVALID") == 15

    def test_another_address_uses_it_up(self, redis_client, pair):
        identity = authentication.authenticate_token(pair.access_token)
        ticket = tickets.ticket_create(identity=identity, ip="192.0.2.1")

        for address in ("192.0.2.2", "192.0.2.1"):
            with pytest.raises(TokenError, match="TICKET_INVALID"):
                tickets.ticket_redeem(ticket, ip=address)

    def test_expires(self, redis_client, pair):
        identity = authentication.authenticate_token(pair.access_token)
        ticket = tickets.ticket_create(identity=identity, ip="192.0.2.1")

        left = redis_client.ttl(common_redis.key("ticket", ticket))

        assert 0 < left <= 30

    def test_an_ended_session_has_none(self, redis_client, user, pair):
        identity = authentication.authenticate_token(pair.access_token)
        ticket = tickets.ticket_create(identity=identity, ip="192.0.2.1")
        services.session_revoke(user_id=user.pk, session_id=pair.session_id)

        with pytest.raises(TokenError, match="TOKEN_REVOKED"):
            tickets.ticket_redeem(ticket, ip="192.0.2.1")

    @pytest.mark.parametrize("ticket", ["", "x", "x" * 5_000, "\u00e9", "a b"])
    def test_garbage(self, redis_client, ticket):
        with pytest.raises(TokenError, match="TICKET_INVALID"):
            tickets.ticket_redeem(ticket, ip="192.0.2.1")

    def test_over_rest(self, redis_client, pair):
        answer = ApiClient(pair.access_token).post("/api/auth/ws-ticket")

        assert answer.status_code == 201
        assert answer.json()["expires_in"] == 30
        assert tickets.ticket_redeem(answer.json()["ticket"], ip="127.0.0.1").username == "alice"

    def test_without_redis_none_is_made(self, settings, pair):
        settings.REDIS_URL = "unix:///nowhere/redis.sock"

        answer = ApiClient(pair.access_token).post("/api/auth/ws-ticket")

        assert answer.status_code == 503
        assert error_code(answer) == "SERVICE_UNAVAILABLE"


class TestPasswords:
    def test_only_so_many_hashes_at_once(self, user, monkeypatch):
        monkeypatch.setattr(passwords, "WAIT_S", 0.01)
        with passwords._hash_slot(), pytest.raises(ApiError) as raised:
            passwords.password_matches(user, PASSWORD)

        assert (raised.value.code, raised.value.status_code) == ("LOGIN_BUSY", 503)
        assert raised.value.retry_after_s == 1
        assert passwords.password_matches(user, PASSWORD)

    def test_a_busy_server_does_not_count_against_the_user(self, user, api, monkeypatch):
        monkeypatch.setattr(passwords, "WAIT_S", 0.01)
        body = {"username": "alice", "password": PASSWORD}
        with passwords._hash_slot():
            for _ in range(8):
                assert error_code(api.post("/api/auth/login", body)) == "LOGIN_BUSY"

        assert api.post("/api/auth/login", body).status_code == 200

    def test_the_platform_hashes_with_bcrypt_over_sha256(self, settings):
        from tradingplatform import settings as real

        settings.PASSWORD_HASHERS = real.PASSWORD_HASHERS
        stored = passwords.password_hash("x" * 200)

        assert isinstance(identify_hasher(stored), BCryptSHA256PasswordHasher)
        assert stored.split("$")[3] == "12"
        user = SimpleNamespace(password=stored, has_usable_password=lambda: True)
        assert passwords.password_matches(user, "x" * 200)
        assert not passwords.password_matches(user, "x" * 199)

    def test_without_redis_nobody_logs_in(self, user, api, settings):
        from common import limits

        settings.REDIS_URL = "unix:///nowhere/redis.sock"
        settings.LIMITS_STORAGE = "redis"
        limits.reset()

        answer = api.post("/api/auth/login", {"username": "alice", "password": PASSWORD})

        assert answer.status_code == 503
        assert error_code(answer) == "LOGIN_UNAVAILABLE"


class TestOpening:
    def test_a_login_opens_what_registration_could_not(self, user, api, inline_exchange):
        assert not Account.objects.exists()

        api.post("/api/auth/login", {"username": "alice", "password": PASSWORD})

        assert Account.objects.get().id == user.account_id

    @pytest.mark.django_db(transaction=True)
    def test_an_exchange_that_is_away_stops_nobody(self, api, settings):
        gateway.use_inline(None)
        settings.EXCHANGE_TRANSPORT = "redis"
        settings.REDIS_URL = "unix:///nowhere/redis.sock"

        answer = api.post(
            "/api/auth/register",
            {"username": "alice", "email": "a@example.com", "password": PASSWORD},
        )

        assert answer.status_code == 201
        assert not Account.objects.exists()

    def test_a_second_time_is_free(self, user, inline_exchange, django_assert_num_queries):
        assert services.account_ensure(user)

        with django_assert_num_queries(0):
            assert services.account_ensure(user)

    def test_settings_of_an_open_account_are_left_alone(self, user, inline_exchange):
        inline_exchange.configure(ConfigureAccount(user.account_id, open_orders_max=7))
        opening.forget_known()

        services.account_ensure(user)

        assert Account.objects.get().open_orders_max == 7

    def test_open_orders_follow_the_limit_tier(
        self, user, inline_exchange, django_capture_on_commit_callbacks
    ):
        services.account_ensure(user)
        assert Account.objects.get().open_orders_max == 200
        inline_exchange.configure(ConfigureFeeTier(3, 0, 0))
        inline_exchange.configure(ConfigureAccount(user.account_id, fee_tier=3))

        with django_capture_on_commit_callbacks(execute=True):
            services.user_set_access(user=user, tier=Tier.MAKER)

        account = Account.objects.get()
        assert (account.open_orders_max, account.fee_tier) == (2_000, 3)


class TestUserCreate:
    def test_is_safe_to_repeat(self, user):
        again = services.user_create(
            username="Alice", email="other@example.com", password="another one 5"
        )

        assert again.pk == user.pk
        assert User.objects.get().verified_email == "alice@example.com"

    def test_an_address_that_is_in_use_is_refused(self, user):
        with pytest.raises(ApiError) as raised:
            services.user_create(username="bob", email="ALICE@example.com", password=PASSWORD)

        assert raised.value.fields == {"email": "EMAIL_TAKEN"}
        assert User.objects.count() == 1
        assert connection.is_usable()
