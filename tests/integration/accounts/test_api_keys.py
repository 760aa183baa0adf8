"""API keys: making and ending them, signed requests; threats T14, T16, T17."""

import base64
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from accounts import api_keys, key_states, services, signatures
from accounts.enums import Role
from accounts.models import ApiKey, AuditEvent, User
from accounts.vault import VaultError, unseal
from common import redis as common_redis
from common.testing import ApiClient, error_code
from orders.models import Order
from tests.support.redis_server import redis_client, redis_url
from tests.support.signing import Signer, send

__all__ = ["redis_client", "redis_url"]

KEYS = "/api/auth/api-keys"
BALANCES = "/api/wallet"
PASSWORD = "correct horse 9"


@pytest.fixture(autouse=True)
def fresh_keys(redis_client):
    key_states.reset()
    yield
    key_states.reset()


@pytest.fixture
def client(trader):
    return ApiClient(trader["access_token"])


def make(client, **options):
    """Make an HMAC key; return its signer and the answer."""
    answer = client.post(KEYS, {"name": "bot", "scopes": ["read"], **options})
    assert answer.status_code == 201, answer.content
    body = answer.json()
    return Signer(body["key"], body["secret"]), body


@pytest.fixture
def signer(client):
    return make(client)[0]


class TestMaking:
    def test_shows_the_secret_once(self, client):
        _, made = make(client, ip_list=["127.0.0.1", "10.0.0.0/8"])

        (listed,) = client.get(KEYS).json()["items"]

        assert len(made["secret"]) == 64
        assert listed == {name: made[name] for name in made if name != "secret"}
        assert listed["ip_list"] == ["127.0.0.1/32", "10.0.0.0/8"]
        assert (listed["scopes"], listed["kind"]) == (["read"], "hmac")
        assert listed["expires_at"] is listed["last_used_at"] is None

    def test_the_secret_is_encrypted_at_rest(self, client):
        _, made = make(client)
        row = ApiKey.objects.get()

        assert made["secret"] not in row.secret
        assert unseal(row.secret, purpose="api-key", owner_id=row.pk) == made["secret"]
        with pytest.raises(VaultError):
            unseal(row.secret, purpose="api-key", owner_id=row.pk + 1)
        with pytest.raises(VaultError):
            unseal(row.secret, purpose="totp", owner_id=row.pk)

    def test_a_secret_moved_to_another_row_opens_nothing(self, client, signer):
        other = ApiKey.objects.get()
        _, made = make(client)
        ApiKey.objects.filter(id=made["id"]).update(secret=other.secret)

        answer = Signer(made["key"], made["secret"]).request("GET", BALANCES)

        assert error_code(answer) == "INVALID_SIGNATURE"

    def test_is_audited_without_the_secret(self, client):
        _, made = make(client)
        client.delete(f"{KEYS}/{made['id']}")

        events = list(AuditEvent.objects.filter(action__startswith="api_key.").order_by("id"))
        assert [event.action for event in events] == ["api_key.create", "api_key.end"]
        assert {event.target for event in events} == {f"api_key:{made['id']}"}
        assert {event.actor for event in events} == {"alice"}
        assert made["secret"] not in events[0].after

    @pytest.mark.parametrize(
        ("_case", "change", "field", "code"),
        [
            ("no name", {"name": ""}, "name", "BLANK"),
            ("blank name", {"name": "  "}, "name", "INVALID"),
            ("line break in the name", {"name": "a\nb"}, "name", "INVALID"),
            ("long name", {"name": "x" * 65}, "name", "TOO_LONG"),
            ("no scope", {"scopes": []}, "scopes", "TOO_SHORT"),
            ("unknown scope", {"scopes": ["withdraw"]}, "scopes.0", "INVALID_CHOICE"),
            ("unknown kind", {"kind": "rsa"}, "kind", "INVALID_CHOICE"),
            ("no network", {"ip_list": ["localhost"]}, "ip_list", "INVALID"),
            ("bits beyond the prefix", {"ip_list": ["10.0.0.1/8"]}, "ip_list", "INVALID"),
            ("too many networks", {"ip_list": ["10.0.0.1"] * 21}, "ip_list", "TOO_LONG"),
            ("over already", {"expires_at": 1_600_000_000_000}, "expires_at", "OUT_OF_RANGE"),
            ("too far", {"expires_at": 10**16}, "expires_at", "TOO_LARGE"),
            ("a public key for hmac", {"public_key": "AAAA"}, "public_key", "CONFLICT"),
            ("none for ed25519", {"kind": "ed25519"}, "public_key", "REQUIRED"),
            (
                "nonsense for ed25519",
                {"kind": "ed25519", "public_key": "AAAA"},
                "public_key",
                "INVALID",
            ),
        ],
    )
    def test_refuses_what_is_wrong(self, client, _case, change, field, code):
        answer = client.post(KEYS, {"name": "bot", "scopes": ["read"], **change})

        assert answer.status_code == 400
        assert answer.json()["error"]["fields"] == {field: code}
        assert not ApiKey.objects.exists()

    def test_an_rsa_key_is_no_ed25519_key(self, client):
        pem = (
            generate_private_key(65537, 2048)
            .public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        body = {"name": "bot", "scopes": ["read"], "kind": "ed25519", "public_key": pem.decode()}

        assert client.post(KEYS, body).json()["error"]["fields"] == {"public_key": "INVALID"}

    def test_a_user_has_only_so_many(self, client, monkeypatch):
        monkeypatch.setattr(api_keys, "KEYS_MAX", 2)
        made = [make(client)[1] for _ in range(2)]

        answer = client.post(KEYS, {"name": "bot", "scopes": ["read"]})

        assert (answer.status_code, error_code(answer)) == (422, "TOO_MANY_API_KEYS")
        client.delete(f"{KEYS}/{made[0]['id']}")
        make(client)


class TestSigned:
    def test_reads(self, client, signer):
        answer = signer.request("GET", BALANCES)

        assert answer.status_code == 200
        assert client.get(KEYS).json()["items"][0]["last_used_at"] > 0

    def test_with_query_and_body(self, client, inline_exchange):
        inline_exchange.seed_markets()
        signer, _ = make(client, scopes=["read", "trade"])
        order = {"symbol": "BTC-USDT", "side": "buy", "type": "limit"}

        listed = signer.request("GET", "/api/orders?limit=5&symbol=BTC-USDT")
        placed = signer.request("POST", "/api/orders", {**order, "price": "1", "quantity": "1"})

        assert listed.status_code == 200
        assert placed.status_code == 422, placed.content

    @pytest.mark.parametrize("as_pem", [True, False])
    def test_with_ed25519(self, client, as_pem):
        private = Ed25519PrivateKey.generate()
        public = private.public_key()
        text = base64.b64encode(public.public_bytes_raw()).decode()
        if as_pem:
            text = public.public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            ).decode()
        _, made = make(client, kind="ed25519", public_key=text)
        assert made["secret"] is None

        good = Signer(made["key"], private).request("GET", BALANCES)
        forged = Signer(made["key"], Ed25519PrivateKey.generate()).request("GET", BALANCES)
        empty = send(
            "GET",
            BALANCES,
            b"",
            {**Signer(made["key"], private).headers("GET", BALANCES), "X-Signature": ""},
        )

        assert good.status_code == 200
        assert [error_code(answer) for answer in (forged, empty)] == ["INVALID_SIGNATURE"] * 2

    def test_the_accounts_limits_are_one_for_all_its_credentials(self, client, signer):
        first = client.get(BALANCES)
        second = signer.request("GET", BALANCES)

        left = [int(answer["X-RateLimit-Remaining"]) for answer in (first, second)]
        assert left[1] == left[0] - 1

    @pytest.mark.parametrize("path", ["ticker", "orderbook", "trades"])
    def test_public_data_counts_for_the_account_too(self, inline_exchange, signer, path):
        inline_exchange.seed_markets()
        address = f"/api/markets/BTC-USDT/{path}"

        signed = signer.request("GET", address)
        forged = Signer(signer.key, "f" * 64).request("GET", address)

        assert signed["X-RateLimit-Limit"] == "1200"
        assert (forged.status_code, error_code(forged)) == (401, "INVALID_SIGNATURE")

    def test_an_expired_key_is_over(self, client, signer):
        ApiKey.objects.update(expires_at="2020-01-01T00:00:00Z")

        answer = signer.request("GET", BALANCES)

        assert (answer.status_code, error_code(answer)) == (401, "KEY_EXPIRED")


class TestT16Signature:
    """T16: what was not signed as it came is 401, the same for a key that does not exist."""

    def test_t16_an_altered_request_is_refused(self, signer):
        headers = signer.headers("GET", "/api/orders?limit=5")
        cases = {
            "method": ("DELETE", "/api/orders?limit=5", b"", headers),
            "path": ("GET", "/api/fills?limit=5", b"", headers),
            "query": ("GET", "/api/orders?limit=6", b"", headers),
            "order of the query": ("GET", "/api/orders?limit=5&", b"", headers),
            "body": ("GET", "/api/orders?limit=5", b"{}", headers),
            "nonce": ("GET", "/api/orders?limit=5", b"", {**headers, "X-Nonce": "another-nonce"}),
            "window": ("GET", "/api/orders?limit=5", b"", {**headers, "X-Recv-Window": "60000"}),
            "time": (
                "GET",
                "/api/orders?limit=5",
                b"",
                {**headers, "X-Timestamp": str(int(headers["X-Timestamp"]) - 1)},
            ),
            "no signature": ("GET", "/api/orders?limit=5", b"", {**headers, "X-Signature": ""}),
            "upper case": (
                "GET",
                "/api/orders?limit=5",
                b"",
                {**headers, "X-Signature": headers["X-Signature"].upper()},
            ),
        }

        answers = {name: send(*case) for name, case in cases.items()}

        assert {name: error_code(answer) for name, answer in answers.items()} == dict.fromkeys(
            cases, "INVALID_SIGNATURE"
        )
        assert {answer.status_code for answer in answers.values()} == {401}
        # The nonce was not used up by any of them.
        assert send("GET", "/api/orders?limit=5", b"", headers).status_code == 200

    def test_t16_an_unknown_key_answers_as_a_wrong_signature(self, signer, monkeypatch):
        compared = []
        real = signatures.hmac.compare_digest
        monkeypatch.setattr(
            signatures.hmac, "compare_digest", lambda a, b: compared.append(1) or real(a, b)
        )
        wrong = Signer(signer.key, "f" * 64).request("GET", BALANCES)
        unknown = Signer("f" * 32, "f" * 64).request("GET", BALANCES)
        bodies = [answer.json()["error"] for answer in (wrong, unknown)]
        for body in bodies:
            body.pop("request_id")

        assert wrong.status_code == unknown.status_code == 401
        assert bodies[0] == bodies[1]
        assert compared == [1, 1]

    @pytest.mark.parametrize("key", ["", " ", "x" * 5_000, "'; --", "\u00e9"])
    def test_t16_garbage_for_a_key(self, trader, key):
        assert error_code(Signer(key, "f" * 64).request("GET", BALANCES)) == "INVALID_SIGNATURE"

    def test_t16_guessing_is_counted_against_the_address(self, signer, settings):
        from common import tiers

        settings.RATE_LIMIT_MAX_REQUESTS = 4  # One was the registration.
        tiers._anonymous.cache_clear()
        try:
            forger = Signer(signer.key, "f" * 64)
            codes = [error_code(forger.request("GET", BALANCES)) for _ in range(5)]
        finally:
            tiers._anonymous.cache_clear()

        assert codes == ["INVALID_SIGNATURE"] * 3 + ["RATE_LIMITED"] * 2
        assert signer.request("GET", BALANCES).status_code == 200


class TestT17Replay:
    """T17: a request counts once, and only near its own time."""

    def test_t17_a_repeated_request_is_refused(self, signer):
        headers = signer.headers("GET", BALANCES)

        first, second = (send("GET", BALANCES, b"", headers) for _ in range(2))

        assert first.status_code == 200
        assert (second.status_code, error_code(second)) == (409, "NONCE_REUSED")

    def test_t17_a_nonce_is_used_up_for_another_request_too(self, signer):
        signer.request("GET", BALANCES, nonce="my-nonce-1")

        answer = signer.request("GET", "/api/orders", nonce="my-nonce-1")

        assert error_code(answer) == "NONCE_REUSED"

    def test_t17_of_parallel_copies_one_counts(self, signer):
        signed = signatures.SignedRequest(
            key=signer.key,
            recv_window="",
            method="GET",
            path=BALANCES,
            query="",
            body=b"",
            **{name: str(value) for name, value in signer.parts("GET", BALANCES).items()},
        )
        key_states.key_state(signer.key)

        def once(_):
            try:
                return signatures.authenticate_signed(signed, ip="127.0.0.1").username
            except Exception as error:
                return getattr(error, "code", repr(error))

        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(once, range(32)))

        assert sorted(found) == ["NONCE_REUSED"] * 31 + ["alice"]

    @pytest.mark.parametrize(
        ("_case", "offset_ms", "window", "status"),
        [
            ("now", 0, None, 200),
            ("almost too old", -4_500, None, 200),
            ("too old", -5_100, None, 400),
            ("old in a wide window", -55_000, 60_000, 200),
            ("too old for the widest", -60_100, 60_000, 400),
            ("old for a narrow window", -600, 500, 400),
            ("a little ahead", 700, None, 200),
            ("too far ahead", 1_500, 60_000, 400),
        ],
    )
    def test_t17_only_near_its_time(self, signer, _case, offset_ms, window, status):
        now_ms = int(time.time() * 1000)

        answer = signer.request("GET", BALANCES, timestamp=now_ms + offset_ms, recv_window=window)

        assert answer.status_code == status, answer.content
        if status == 400:
            error = answer.json()["error"]
            assert error["code"] == "TIMESTAMP_OUT_OF_WINDOW"
            assert 0 <= error["server_time"] - now_ms < 5_000

    @pytest.mark.parametrize(
        ("options", "field", "code"),
        [
            ({"recv_window": 60_001}, "recv_window", "TOO_LARGE"),
            ({"recv_window": 0}, "recv_window", "INVALID"),
            ({"recv_window": -5}, "recv_window", "INVALID"),
            ({"nonce": "short"}, "nonce", "INVALID"),
            ({"nonce": "x" * 65}, "nonce", "INVALID"),
            ({"nonce": "with space"}, "nonce", "INVALID"),
            ({"timestamp": "soon"}, "timestamp", "INVALID"),
            ({"timestamp": ""}, "timestamp", "INVALID"),
            ({"timestamp": 10**400}, "timestamp", "INVALID"),
        ],
    )
    def test_t17_malformed_parts_are_named(self, signer, options, field, code):
        answer = signer.request("GET", BALANCES, **options)

        assert (answer.status_code, error_code(answer)) == (400, "INVALID_PARAMETER")
        assert answer.json()["error"]["fields"] == {field: code}

    def test_t17_a_nonce_is_kept_twice_the_window(self, signer, redis_client):
        signer.request("GET", BALANCES, nonce="my-nonce-1", recv_window=60_000)
        (row,) = ApiKey.objects.all()

        left = redis_client.pttl(common_redis.key("nonce", row.pk, "my-nonce-1"))

        assert 90_000 < left <= 121_000

    def test_t17_the_window_goes_with_the_order_into_the_queue(
        self, client, inline_exchange, monkeypatch
    ):
        inline_exchange.seed_markets()
        signer, _ = make(client, scopes=["trade", "transfer"])
        ages = []
        real = inline_exchange.submit
        monkeypatch.setattr(
            inline_exchange,
            "submit",
            lambda submissions, lane: (
                ages.extend(submission.age_max_ms for submission in submissions)
                or real(submissions, lane)
            ),
        )
        order = TestT14Scope.ORDER

        signer.request("POST", "/api/orders", order, recv_window=60_000)
        signer.request("POST", "/api/orders", order, recv_window=30_000)
        signer.request("POST", "/api/orders/batch", {"orders": [order] * 2}, recv_window=30_000)
        signer.request("POST", "/api/wallet/transfer", TestT14Scope.TRANSFER, recv_window=30_000)
        client.post("/api/orders", order)

        assert len(ages) == 6
        assert 30_000 < ages[0] <= 60_000
        assert all(1 <= age <= 30_000 for age in ages[1:5])
        assert ages[5] == 0

    def test_t17_without_redis_nothing_signed_counts(self, signer, settings):
        settings.REDIS_URL = "unix:///nowhere/redis.sock"

        answers = [signer.request("GET", BALANCES) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [503, 503]
        assert {error_code(answer) for answer in answers} == {"SERVICE_UNAVAILABLE"}


class TestT14Scope:
    """T14: a key does what its scopes say, from where its list says, and nothing else."""

    ORDER = {
        "symbol": "BTC-USDT",
        "side": "buy",
        "type": "limit",
        "price": "1",
        "quantity": "1",
    }
    TRANSFER = {"currency": "USDT", "amount": "1", "to_wallet": "margin"}

    @pytest.mark.parametrize(
        ("scope", "allowed"),
        [("read", {"read"}), ("trade", {"trade"}), ("transfer", {"transfer"})],
    )
    def test_t14_each_scope_does_its_own(self, client, inline_exchange, scope, allowed):
        inline_exchange.seed_markets()
        signer, _ = make(client, scopes=[scope])
        answers = {
            "read": signer.request("GET", "/api/orders"),
            "trade": signer.request("POST", "/api/orders", self.ORDER),
            "transfer": signer.request("POST", "/api/wallet/transfer", self.TRANSFER),
        }

        for name, answer in answers.items():
            if name in allowed:
                assert answer.status_code in (200, 422), answer.content
            else:
                assert (answer.status_code, error_code(answer)) == (403, "KEY_SCOPE")
        assert not Order.objects.exists()

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", KEYS),
            ("POST", KEYS),
            ("DELETE", KEYS),
            ("GET", "/api/auth/profile"),
            ("PUT", "/api/auth/profile"),
            ("POST", "/api/auth/logout"),
            ("GET", "/api/auth/sessions"),
            ("DELETE", "/api/auth/sessions"),
            ("POST", "/api/auth/ws-ticket"),
        ],
    )
    def test_t14_no_key_reaches_credentials(self, client, method, path):
        signer, _ = make(client, scopes=["read", "trade", "transfer"])

        answer = signer.request(method, path)

        assert (answer.status_code, error_code(answer)) == (403, "KEY_SCOPE")
        assert ApiKey.objects.filter(revoked_at=None).count() == 1

    def test_t14_a_key_never_does_more_than_its_owner(self, client, trader):
        signer, _ = make(client, scopes=["read", "trade"])
        User.objects.update(role=Role.SUPPORT)
        key_states.reset()

        answer = signer.request("GET", BALANCES)

        assert (answer.status_code, error_code(answer)) == (403, "PERMISSION_DENIED")

    def test_t14_an_administrators_key_does_not_reach_the_back_office(self, db, redis_client):
        user = services.user_create(
            username="root", email="root@example.com", password=PASSWORD, role=Role.ADMIN
        )
        made = api_keys.api_key_create(user=user, name="bot", scopes=["read", "trade", "transfer"])

        answer = Signer(made.row.key, made.secret).request("GET", "/api/admin/audit-logs")

        assert (answer.status_code, error_code(answer)) == (403, "KEY_SCOPE")

    @pytest.mark.parametrize(
        ("address", "status"),
        [
            ("10.1.2.3", 200),
            ("192.0.2.7", 200),
            ("192.0.2.8", 403),
            ("2001:db8::1", 200),
            ("2001:db9::1", 403),
        ],
    )
    def test_t14_only_from_its_addresses(self, client, address, status):
        signer, _ = make(client, ip_list=["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"])

        answer = send("GET", BALANCES, b"", signer.headers("GET", BALANCES), REMOTE_ADDR=address)

        assert answer.status_code == status
        if status == 403:
            assert error_code(answer) == "IP_NOT_ALLOWED"

    def test_t14_a_forged_address_does_not_help(self, client):
        signer, _ = make(client, ip_list=["10.0.0.0/8"])
        headers = {**signer.headers("GET", BALANCES), "X-Forwarded-For": "10.1.2.3"}

        assert error_code(send("GET", BALANCES, b"", headers)) == "IP_NOT_ALLOWED"


class TestEnding:
    def test_a_deleted_key_is_over_at_once(self, client):
        signer, made = make(client)
        assert signer.request("GET", BALANCES).status_code == 200

        assert client.delete(f"{KEYS}/{made['id']}").status_code == 204

        answer = signer.request("GET", BALANCES)
        assert (answer.status_code, error_code(answer)) == (401, "KEY_REVOKED")
        assert client.get(KEYS).json() == {"items": []}
        assert client.delete(f"{KEYS}/{made['id']}").status_code == 404

    def test_another_process_notices_within_a_second(self, signer, monkeypatch):
        assert signer.request("GET", BALANCES).status_code == 200
        ApiKey.objects.update(revoked_at="2026-01-01T00:00:00Z")
        assert signer.request("GET", BALANCES).status_code == 200
        now = time.monotonic()
        monkeypatch.setattr(key_states.time, "monotonic", lambda: now + 1.0)

        assert error_code(signer.request("GET", BALANCES)) == "KEY_REVOKED"

    def test_all_at_once(self, client):
        signers = [make(client)[0] for _ in range(3)]

        assert client.delete(KEYS).json() == {"revoked": 3}

        for signer in signers:
            assert error_code(signer.request("GET", BALANCES)) == "KEY_REVOKED"

    @pytest.mark.parametrize("change", [{"is_active": False}, {"role": Role.SUPPORT}])
    def test_t10_lost_rights_end_keys_for_good(self, client, signer, change):
        assert signer.request("GET", BALANCES).status_code == 200
        user = User.objects.get()

        services.user_set_access(user=user, **change)
        codes = [error_code(signer.request("GET", BALANCES))]
        services.user_set_access(user=user, is_active=True, role=Role.TRADER)
        codes.append(error_code(signer.request("GET", BALANCES)))

        assert codes == ["KEY_REVOKED"] * 2

    def test_anothers_key_looks_like_a_missing_one(self, client, api, signer):
        row = ApiKey.objects.get()
        other = api.post(
            "/api/auth/register",
            {"username": "bob", "email": "bob@example.com", "password": PASSWORD},
        ).json()
        bob = ApiClient(other["access_token"])

        theirs, missing = bob.delete(f"{KEYS}/{row.pk}"), bob.delete(f"{KEYS}/77")

        bodies = [answer.json()["error"] for answer in (theirs, missing)]
        for body in bodies:
            body.pop("request_id")
        assert theirs.status_code == missing.status_code == 404
        assert bodies[0] == bodies[1]
        assert bob.get(KEYS).json() == {"items": []}
        assert bob.delete(KEYS).json() == {"revoked": 0}
        assert signer.request("GET", BALANCES).status_code == 200
