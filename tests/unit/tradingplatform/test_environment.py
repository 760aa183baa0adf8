"""The table of variables, .env.example and the product sheet agree; bad values are refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tradingplatform.configuration import Environment, read_env_file
from tradingplatform.env_example import render
from tradingplatform.environment import OWN, SHEET, VARIABLES
from tradingplatform.variables import ConfigurationError

ROOT = Path(__file__).resolve().parents[3]

SHEET_NAMES = """
NODE_ENV PORT HOST MONGODB_URI DB_NAME DB_MAX_POOL_SIZE DB_MIN_POOL_SIZE REDIS_URL REDIS_PREFIX
JWT_SECRET JWT_EXPIRES_IN JWT_REFRESH_SECRET JWT_REFRESH_EXPIRES_IN JWT_PRIVATE_KEY JWT_PUBLIC_KEY
BINANCE_API_KEY BINANCE_API_SECRET COINBASE_API_KEY KRAKEN_API_KEY RATE_LIMIT_WINDOW_MS
RATE_LIMIT_MAX_REQUESTS WS_PING_INTERVAL WS_PING_TIMEOUT WS_MAX_CONNECTIONS WS_RATE_LIMIT_POINTS
WS_RATE_LIMIT_DURATION LOG_LEVEL LOG_DIR LOG_MAX_SIZE LOG_MAX_FILES CORS_ORIGIN CORS_CREDENTIALS
SESSION_SECRET SESSION_MAX_AGE ADMIN_EMAIL ADMIN_PASSWORD DEFAULT_LEVERAGE MAX_LEVERAGE
LIQUIDATION_FEE TAKER_FEE MAKER_FEE
""".split()

PRODUCTION = {
    "NODE_ENV": "production",
    "SESSION_SECRET": "9b1f0c" * 9,
    "ADMIN_PASSWORD": "a-long-one-of-our-own",
    "JWT_PRIVATE_KEY": "a key in PEM form",
    "SECRETS_KEYS": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=",
    "FEED_MODE": "live",
    "ALLOWED_HOSTS": "exchange.example",
    "NUM_PROXIES": "1",
}


class TestTable:
    def test_declares_exactly_the_variables_of_the_sheet_in_its_order(self) -> None:
        assert [variable.name for variable in SHEET] == SHEET_NAMES

    def test_declares_no_name_twice(self) -> None:
        names = [variable.name for variable in VARIABLES]

        assert len(names) == len(set(names))

    def test_accepts_its_own_defaults(self) -> None:
        Environment({}).validate()

    def test_example_file_is_what_the_table_writes(self) -> None:
        assert (ROOT / ".env.example").read_text(encoding="utf-8") == render()

    def test_example_file_can_be_used_as_it_is(self) -> None:
        found = read_env_file(ROOT / ".env.example")

        Environment(found).validate()

        expected = {variable.name for variable in VARIABLES if variable.default}
        assert set(found) == expected

    def test_every_own_variable_says_what_it_is_for(self) -> None:
        assert [variable.name for variable in OWN if not variable.note] == []


@pytest.mark.parametrize(
    ("_case", "environ", "named"),
    [
        ("not a number", {"PORT": "30o0"}, "PORT"),
        ("digits of another script", {"PORT": "٣٠٠٠"}, "PORT"),
        ("too large", {"PORT": "65536"}, "PORT"),
        ("zero", {"PORT": "0"}, "PORT"),
        ("unknown mode", {"FEED_MODE": "simulated"}, "FEED_MODE"),
        ("unknown environment", {"NODE_ENV": "staging"}, "NODE_ENV"),
        ("unknown level", {"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        ("no truth value", {"CORS_CREDENTIALS": "maybe"}, "CORS_CREDENTIALS"),
        ("no duration", {"JWT_EXPIRES_IN": "7 days"}, "JWT_EXPIRES_IN"),
        ("too short", {"JWT_EXPIRES_IN": "1s"}, "JWT_EXPIRES_IN"),
        ("no size", {"LOG_MAX_SIZE": "20x"}, "LOG_MAX_SIZE"),
        ("exponent", {"TAKER_FEE": "4e-4"}, "TAKER_FEE"),
        ("nine decimals", {"TAKER_FEE": "0.000400001"}, "TAKER_FEE"),
        ("above a tenth", {"TAKER_FEE": "0.2"}, "TAKER_FEE"),
        ("rebate above the fee", {"MAKER_FEE": "-0.0005"}, "MAKER_FEE"),
        (
            "two databases",
            {"DATABASE_URL": "sqlite:////tmp/a", "MONGODB_URI": "mongodb://localhost"},
            "MONGODB_URI",
        ),
        ("no MongoDB", {"MONGODB_URI": "http://localhost:27017/x"}, "MONGODB_URI"),
        ("a MongoDB nowhere", {"MONGODB_URI": "mongodb:///x"}, "MONGODB_URI"),
        ("a MongoDB of two names", {"MONGODB_URI": "mongodb://localhost/x/y"}, "MONGODB_URI"),
        ("another database", {"DATABASE_URL": "mysql://localhost/x"}, "DATABASE_URL"),
        ("no name of a database", {"DATABASE_URL": "postgresql://localhost"}, "DATABASE_URL"),
        ("no port", {"DATABASE_URL": "postgresql://localhost:x/x"}, "DATABASE_URL"),
        (
            "an option that is ours",
            {"DATABASE_URL": "postgresql:///x?options=-csynchronous_commit%3Doff"},
            "DATABASE_URL",
        ),
        (
            "more connections at least than at most",
            {"DB_MIN_POOL_SIZE": "11", "DB_MAX_POOL_SIZE": "10"},
            "DB_MIN_POOL_SIZE",
        ),
        ("no Redis", {"REDIS_URL": "localhost:6379"}, "REDIS_URL"),
        ("no origin", {"CORS_ORIGIN": "localhost:3001"}, "CORS_ORIGIN"),
        ("all origins with credentials", {"CORS_ORIGIN": "*"}, "CORS_ORIGIN"),
        ("path of the API", {"ADMIN_PATH": "api"}, "ADMIN_PATH"),
        ("no network", {"ADMIN_ALLOWED_NETWORKS": "10.0.0.0/33"}, "ADMIN_ALLOWED_NETWORKS"),
        ("host bits", {"ADMIN_ALLOWED_NETWORKS": "10.0.0.1/8"}, "ADMIN_ALLOWED_NETWORKS"),
        ("path with slash", {"ADMIN_PATH": "a/b"}, "ADMIN_PATH"),
        ("line break", {"HOST": "a\nb"}, "HOST"),
    ],
)
def test_refuses_a_value_in_one_line_that_names_it(
    _case: str, environ: dict[str, str], named: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Environment(environ).validate()

    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_never_shows_a_secret() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Environment({"ADMIN_PASSWORD": "hidden\nvalue"}).validate()

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "end", ["@host:x/name", "@host", "@host/a/b", "@host/name?a=b", "@host/n?a"]
)
def test_never_shows_the_password_of_a_database(end: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Environment({"DATABASE_URL": f"postgresql://user:hidden{end}"}).validate()

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("end", ["@host/x/y", "@", "@[host"])
def test_never_shows_the_password_of_a_mongodb(end: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Environment({"MONGODB_URI": f"mongodb://user:hidden{end}"}).validate()

    assert "hidden" not in str(caught.value)


class TestProduction:
    def test_accepts_safe_settings(self) -> None:
        Environment(PRODUCTION).validate()

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("SESSION_SECRET", ""),
            ("SESSION_SECRET", "your-session-secret"),
            ("SESSION_SECRET", "short"),
            ("ADMIN_PASSWORD", ""),
            ("JWT_PRIVATE_KEY", ""),
            ("SECRETS_KEYS", ""),
            ("SECRETS_KEYS", "c2hvcnQ="),
            ("SECRETS_KEYS", "not base64"),
            ("TWO_FACTOR", "none"),
            ("WITHDRAWAL_ADDRESS_DELAY", "0"),
            ("FEED_MODE", "auto"),
            ("FEED_MODE", "replay"),
            ("FEED_MODE", ""),
            ("ALLOWED_HOSTS", ""),
            ("ALLOWED_HOSTS", "exchange.example,*"),
            ("CORS_ORIGIN", "*"),
            ("CORS_ORIGIN", "https://a.example,http://b.example"),
            ("NUM_PROXIES", ""),
            ("ADMIN_PASSWORD", "eleven-long"),
        ],
    )
    def test_refuses_what_is_unsafe(self, name: str, value: str) -> None:
        environ = {**PRODUCTION, name: value}

        with pytest.raises(ConfigurationError, match=name):
            Environment(environ).validate()

    def test_t27_staff_needs_a_second_factor_unless_everybody_does(self, tmp_path: Path) -> None:
        environ = {"ENV_FILE": os.devnull, "VAR_DIR": str(tmp_path), **PRODUCTION}
        for choice, expected in (("", "staff"), ("all", "all")):
            done = subprocess.run(
                [sys.executable, "-c", "from tradingplatform.settings import *; print(TWO_FACTOR)"],
                cwd=ROOT,
                env={**os.environ, **environ, "TWO_FACTOR": choice},
                capture_output=True,
                text=True,
                check=False,
            )

            assert done.stdout.split() == [expected], done.stderr


class TestValues:
    def test_reads_each_kind(self) -> None:
        environment = Environment(
            {
                "JWT_EXPIRES_IN": "7d",
                "LOG_MAX_SIZE": "20m",
                "TAKER_FEE": "0.0004",
                "CORS_ORIGIN": "https://a.example, https://b.example",
                "JWT_PUBLIC_KEY": "-----BEGIN\\nEND-----",
            }
        )

        assert environment.duration_ms("JWT_EXPIRES_IN") == 604_800_000
        assert environment.size_bytes("LOG_MAX_SIZE") == 20_971_520
        assert environment.rate_e8("TAKER_FEE") == 40_000
        assert environment.items("CORS_ORIGIN") == ["https://a.example", "https://b.example"]
        assert environment.key("JWT_PUBLIC_KEY") == "-----BEGIN\nEND-----"

    def test_takes_the_default_of_an_empty_variable(self) -> None:
        assert Environment({"PORT": " "}).integer("PORT") == 3000

    def test_reads_an_env_file(self, tmp_path: Path) -> None:
        path = tmp_path / ".env"
        path.write_text("# comment\nexport PORT=4000\nHOST='a b'\n#NODE_ENV=x\nno line\n")

        assert read_env_file(path) == {"PORT": "4000", "HOST": "a b"}

    def test_has_no_variables_without_a_file(self, tmp_path: Path) -> None:
        assert read_env_file(tmp_path / "absent") == {}


@pytest.mark.parametrize(("name", "value"), [("PORT", "x"), ("FEED_MODE", "x"), ("NODE_ENV", "x")])
def test_every_command_ends_with_code_2_and_one_line(name: str, value: str, tmp_path: Path) -> None:
    environ = {**os.environ, "ENV_FILE": os.devnull, "VAR_DIR": str(tmp_path), name: value}

    done = subprocess.run(
        [sys.executable, "manage.py", "validate_env"],
        cwd=ROOT,
        env={**environ, "DJANGO_SETTINGS_MODULE": "tradingplatform.settings"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert name in done.stderr
