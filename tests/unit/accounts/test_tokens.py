import base64
import hashlib
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from django.core.exceptions import ImproperlyConfigured

from accounts import keys, tokens
from accounts.checks import check_keys
from accounts.types import TokenError


def make_pem(bits=2048):
    key = generate_private_key(public_exponent=65537, key_size=bits)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


@pytest.fixture(scope="module")
def pem():
    """Making an RSA key takes a tenth of a second or more, so these tests share one."""
    return make_pem()


@pytest.fixture(autouse=True)
def own_keys(settings, tmp_path, pem):
    settings.KEYS_DIR = tmp_path / "keys"
    settings.JWT_PRIVATE_KEY = pem[0]
    tokens.reset()
    yield
    tokens.reset()


def claims(**changes):
    now = int(time.time())
    base = {
        "token_type": "access",
        "sub": "11",
        "sid": "22",
        "jti": "33",
        "iat": now,
        "exp": now + 60,
        "aud": "crypto-exchange-api",
        "iss": "crypto-exchange",
    }
    merged = {**base, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def signed(payload=None, *, key=None, headers=None, algorithm="RS256"):
    ring = keys.key_ring()
    return jwt.encode(
        payload or claims(),
        key or ring.private_key,
        algorithm=algorithm,
        headers={"kid": ring.kid, **(headers or {})},
    )


def code_of(raw):
    with pytest.raises(TokenError) as raised:
        tokens.decode_token(raw, token_type="access")
    return raised.value.code


def segment(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class TestDecode:
    def test_reads_back_what_was_encoded(self):
        raw = tokens.encode_token(
            token_type="access", user_id=11, session_id=22, token_id="33", lifetime_s=60
        )

        found = tokens.decode_token(raw, token_type="access")

        assert (found.user_id, found.session_id, found.token_id) == (11, 22, "33")
        assert 0 < found.expires_at_ms - time.time() * 1000 <= 60_000

    def test_the_control_token_of_these_tests_is_good(self):
        assert tokens.decode_token(signed(), token_type="access").user_id == 11

    def test_t8_expired(self):
        assert code_of(signed(claims(exp=int(time.time()) - 1))) == "TOKEN_EXPIRED"

    @pytest.mark.parametrize(
        ("_case", "changes"),
        [
            ("a refresh token", {"token_type": "refresh"}),
            ("no type", {"token_type": None}),
            ("wrong audience", {"aud": "other"}),
            ("audience in a list", {"aud": ["crypto-exchange-api", "other"]}),
            ("no audience", {"aud": None}),
            ("wrong issuer", {"iss": "other"}),
            ("no issuer", {"iss": None}),
            ("no expiry", {"exp": None}),
            ("expiry as text", {"exp": "tomorrow"}),
            ("expiry without end", {"exp": 10**400}),
            ("expiry infinite", {"exp": 1e308}),
            ("not valid yet", {"nbf": 2**35}),
            ("issued in the future", {"iat": 2**35}),
            ("no subject", {"sub": None}),
            ("subject is a name", {"sub": "abc"}),
            ("subject is too large", {"sub": "9" * 19}),
            ("session is a list", {"sid": ["22"]}),
            ("no session", {"sid": None}),
            ("no id", {"jti": None}),
        ],
    )
    def test_t8_claims_that_are_not_ours(self, _case, changes):
        assert code_of(signed(claims(**changes))) == "TOKEN_INVALID"

    @pytest.mark.parametrize(
        ("_case", "headers"),
        [
            ("unknown key", {"kid": "0" * 16}),
            ("path as key", {"kid": "../../../dev/null"}),
            ("SQL as key", {"kid": "x' UNION SELECT 'y"}),
            ("no key id", {"kid": None}),
            ("number as key", {"kid": 7}),
            ("list as key", {"kid": ["a"]}),
            ("crit", {"crit": ["exp"]}),
            ("embedded key", {"jwk": {"kty": "oct", "k": "AA"}}),
            ("key address", {"jku": "https://evil.example/keys"}),
            ("certificate address", {"x5u": "https://evil.example/cert"}),
            ("b64", {"b64": False}),
            ("compressed", {"zip": "DEF"}),
        ],
    )
    def test_t8_headers_that_are_not_ours(self, _case, headers):
        ring = keys.key_ring()
        header = {"alg": "RS256", "typ": "JWT", "kid": ring.kid, **headers}
        head = segment({name: value for name, value in header.items() if value is not None})
        body = f"{head}.{segment(claims())}"
        signature = jwt.get_algorithm_by_name("RS256").sign(body.encode(), ring.private_key)
        raw = f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

        assert code_of(raw) == "TOKEN_INVALID"

    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
    def test_t8_unsigned(self, algorithm):
        head = segment({"alg": algorithm, "typ": "JWT", "kid": keys.key_ring().kid})
        for signature in ("", "AA"):
            assert code_of(f"{head}.{segment(claims())}.{signature}") == "TOKEN_INVALID"

    def test_t8_public_key_as_shared_secret(self):
        ring = keys.key_ring()
        pem = ring.private_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        for algorithm in ("HS256", "RS256"):
            body = f"{segment({'alg': algorithm, 'kid': ring.kid})}.{segment(claims())}"
            mac = hmac.new(pem, body.encode(), hashlib.sha256).digest()
            raw = f"{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
            assert code_of(raw) == "TOKEN_INVALID"

    @pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
    def test_t8_other_algorithms_of_the_right_key(self, algorithm):
        assert code_of(signed(algorithm=algorithm)) == "TOKEN_INVALID"

    def test_t8_another_key(self):
        other = generate_private_key(public_exponent=65537, key_size=2048)

        assert code_of(signed(key=other)) == "TOKEN_INVALID"

    @pytest.mark.parametrize(
        "raw",
        ["", "x", "a.b", "a.b.c", "..", "a.b.c.d", "\u00e9", "e30.e30.e30", "a" * 3_000, "\x00.."],
    )
    def test_t8_garbage(self, raw):
        assert code_of(raw) == "TOKEN_INVALID"

    def test_t8_every_changed_character_of_a_token_is_noticed(self):
        raw = signed()
        last = len(raw) - 1
        for index in range(0, last, 7):
            changed = "A" if raw[index] != "A" else "B"
            assert code_of(raw[:index] + changed + raw[index + 1 :]) == "TOKEN_INVALID"

    def test_payload_that_is_no_object(self):
        ring = keys.key_ring()
        body = f"{segment({'alg': 'RS256', 'kid': ring.kid})}.{segment([1])}"
        signature = jwt.get_algorithm_by_name("RS256").sign(body.encode(), ring.private_key)
        raw = f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

        assert code_of(raw) == "TOKEN_INVALID"


class TestKeys:
    @pytest.fixture(autouse=True)
    def no_key(self, settings):
        settings.JWT_PRIVATE_KEY = ""

    def test_the_first_start_makes_a_key_for_the_owner_alone(self, settings):
        first = keys.load_key_ring()
        path = settings.KEYS_DIR / "jwt_private.pem"

        assert path.stat().st_mode & 0o777 == 0o600
        assert settings.KEYS_DIR.stat().st_mode & 0o777 == 0o700
        assert keys.load_key_ring().kid == first.kid
        assert [entry.name for entry in settings.KEYS_DIR.iterdir()] == ["jwt_private.pem"]

    def test_processes_that_start_together_agree(self):
        with ThreadPoolExecutor(4) as pool:
            kids = list(pool.map(lambda _: keys.load_key_ring().kid, range(4)))

        assert len(set(kids)) == 1

    def test_production_makes_none(self, settings):
        settings.PRODUCTION = True

        with pytest.raises(ImproperlyConfigured, match="JWT_PRIVATE_KEY"):
            keys.load_key_ring()

    def test_a_check_names_what_is_wrong_before_the_start(self, settings, pem):
        assert check_keys() == []
        settings.PRODUCTION = True
        assert [message.id for message in check_keys()] == ["accounts.E001"]
        settings.JWT_PRIVATE_KEY, _ = pem
        assert check_keys() == []

    def test_the_key_before_stays_good(self, settings, pem):
        old_private, old_public = pem
        settings.JWT_PRIVATE_KEY = old_private
        tokens.reset()
        raw = tokens.encode_token(
            token_type="access", user_id=1, session_id=2, token_id="3", lifetime_s=60
        )
        settings.JWT_PRIVATE_KEY, _ = make_pem()
        tokens.reset()
        assert code_of(raw) == "TOKEN_INVALID"

        settings.JWT_PUBLIC_KEY = old_public
        tokens.reset()

        assert tokens.decode_token(raw, token_type="access").user_id == 1

    @pytest.mark.parametrize("text", ["nonsense", "-----BEGIN PRIVATE KEY-----\nAA\n"])
    def test_an_unusable_key_is_named(self, settings, text):
        settings.JWT_PRIVATE_KEY = text

        with pytest.raises(ImproperlyConfigured, match="JWT_PRIVATE_KEY"):
            keys.load_key_ring()

    def test_a_weak_key_is_refused(self, settings):
        settings.JWT_PRIVATE_KEY, _ = make_pem(bits=1024)

        with pytest.raises(ImproperlyConfigured, match="2048"):
            keys.load_key_ring()
