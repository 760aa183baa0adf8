"""
Typed access to the environment, and the rules that variables keep together.

Standard library only, as the declarations are.
"""

import base64
import os
import sys
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from tradingplatform.databases import check_database_url
from tradingplatform.environment import SHEET_PASSWORD, SHEET_SECRETS, VARIABLES
from tradingplatform.mail_urls import mail_settings
from tradingplatform.mongodb.settings import check_mongodb_uri
from tradingplatform.variables import ConfigurationError, Variable

ADMIN_PASSWORD_LENGTH_MIN = 12
METRICS_TOKEN_LENGTH_MIN = 16
# What Django's own check of a deployment asks for.
SECRET_LENGTH_MIN = 50
SECRET_LETTERS_MIN = 5

_BY_NAME = {variable.name: variable for variable in VARIABLES}


class Environment:
    """Typed access to the declared variables; an undeclared name is a KeyError."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Keep the texts; nothing is read yet."""
        self._environ = environ

    def _pair(self, name: str) -> tuple[Variable, str]:
        variable = _BY_NAME[name]
        return variable, variable.text(self._environ)

    def is_set(self, name: str) -> bool:
        """Return whether the variable was given rather than left to its default."""
        return bool(self._environ.get(_BY_NAME[name].name, "").strip())

    def text(self, name: str) -> str:
        """Return a text; empty when absent."""
        variable, text = self._pair(name)
        return variable.plain(text)

    def key(self, name: str) -> str:
        """Return a PEM key with real line breaks; empty when absent."""
        return self.text(name).replace("\\n", "\n")

    def integer(self, name: str) -> int:
        """Return an integer."""
        variable, text = self._pair(name)
        return variable.integer(text)

    def flag(self, name: str) -> bool:
        """Return a truth value."""
        variable, text = self._pair(name)
        return variable.flag(text)

    def choice(self, name: str) -> str:
        """Return one of the declared choices."""
        variable, text = self._pair(name)
        return variable.choice(text)

    def items(self, name: str) -> list[str]:
        """Return the parts of a comma separated list."""
        return [part.strip() for part in self.text(name).split(",") if part.strip()]

    def networks(self, name: str) -> list[IPv4Network | IPv6Network]:
        """
        Return the IP networks in a comma separated list; an address is a network of one.

        Raises:
            ConfigurationError: if a part is neither.
        """
        try:
            return [ip_network(part) for part in self.items(name)]
        except ValueError as error:
            raise ConfigurationError(
                f"{name} must list addresses or networks such as 10.0.0.0/8 ({error}): correct it"
            ) from None

    def duration_ms(self, name: str) -> int:
        """Return a duration in milliseconds."""
        variable, text = self._pair(name)
        return variable.duration_ms(text)

    def size_bytes(self, name: str) -> int:
        """Return a size in bytes."""
        variable, text = self._pair(name)
        return variable.size_bytes(text)

    def rate_e8(self, name: str) -> int:
        """Return a rate as an integer of 10^-8."""
        variable, text = self._pair(name)
        return variable.rate_e8(text)

    def validate(self) -> None:
        """
        Check every variable and what they mean together.

        Raises:
            ConfigurationError: naming the first variable that cannot be used.
        """
        for variable in VARIABLES:
            variable.check(self._environ)
        self._validate_database()
        self._validate_addresses()
        self._validate_secrets_keys()
        if self.rate_e8("MAKER_FEE") + self.rate_e8("TAKER_FEE") < 0:
            raise ConfigurationError(
                "MAKER_FEE and TAKER_FEE must not be negative together: raise one of them"
            )
        if self.choice("NODE_ENV") == "production":
            self._validate_production()

    def _validate_database(self) -> None:
        if self.text("MONGODB_URI") and self.text("DATABASE_URL"):
            raise ConfigurationError("DATABASE_URL and MONGODB_URI are both set: unset one of them")
        check_mongodb_uri(self.text("MONGODB_URI"))
        check_database_url(self.text("DATABASE_URL"))
        if self.integer("DB_MIN_POOL_SIZE") > self.integer("DB_MAX_POOL_SIZE"):
            raise ConfigurationError(
                "DB_MIN_POOL_SIZE must not be above DB_MAX_POOL_SIZE: lower it or raise the other"
            )

    def _validate_secrets_keys(self) -> None:
        for text in self.items("SECRETS_KEYS"):
            try:
                size = len(base64.b64decode(text, altchars=b"-_", validate=True))
            except ValueError:
                size = 0
            if size != 32:
                raise ConfigurationError(
                    "SECRETS_KEYS must list keys of 32 bytes in URL-safe base64: correct it"
                )

    def _validate_addresses(self) -> None:
        for name in ("REDIS_URL", "CACHE_REDIS_URL"):
            url = self.text(name)
            if url and not url.startswith(("redis://", "rediss://", "unix://")):
                raise ConfigurationError(
                    f"{name} must begin with redis://, rediss:// or unix://: correct or unset it"
                )
        try:
            mail_settings(self.text("EMAIL_URL") or "off:", directory=Path())
        except ValueError as error:
            raise ConfigurationError(f"EMAIL_URL cannot be used ({error}): correct it") from None
        for origin in self.items("CORS_ORIGIN"):
            if origin != "*" and not origin.startswith(("http://", "https://")):
                raise ConfigurationError(
                    "CORS_ORIGIN must list origins such as http://localhost:3001: correct it"
                )
        if "*" in self.items("CORS_ORIGIN") and self.flag("CORS_CREDENTIALS"):
            raise ConfigurationError(
                "CORS_ORIGIN=* is unsafe with CORS_CREDENTIALS=true: name the origins"
            )
        self.networks("ADMIN_ALLOWED_NETWORKS")
        path = self.text("ADMIN_PATH")
        if not path.replace("-", "").replace("_", "").isalnum() or path in {"api", "ws", "static"}:
            raise ConfigurationError(
                f"ADMIN_PATH must be one word of letters, digits, - and _, was {path!r}: correct it"
            )

    def _validate_production(self) -> None:
        secret = self.text("SESSION_SECRET")
        if (
            secret in SHEET_SECRETS
            or len(secret) < SECRET_LENGTH_MIN
            or len(set(secret)) < SECRET_LETTERS_MIN
        ):
            raise ConfigurationError(
                f"SESSION_SECRET must be a random text of {SECRET_LENGTH_MIN} characters or more in"
                " production:"
                " set it, for example from `openssl rand -hex 32`"
            )
        password = self.text("ADMIN_PASSWORD")
        if password == SHEET_PASSWORD or len(password) < ADMIN_PASSWORD_LENGTH_MIN:
            raise ConfigurationError(
                "ADMIN_PASSWORD must not be the example and have"
                f" {ADMIN_PASSWORD_LENGTH_MIN} characters or more in production: set another one"
            )
        if not self.is_set("JWT_PRIVATE_KEY"):
            raise ConfigurationError(
                "JWT_PRIVATE_KEY must be set in production, the same on every machine: set it,"
                " for example from `openssl genrsa 2048`"
            )
        if not self.items("SECRETS_KEYS"):
            raise ConfigurationError(
                "SECRETS_KEYS must be set in production, the same on every machine: set it,"
                " for example from `openssl rand -base64 32 | tr +/ -_`"
            )
        if self.choice("TWO_FACTOR") == "none":
            raise ConfigurationError(
                "TWO_FACTOR=none leaves staff without a second factor: unset it in production"
            )
        if not self.integer("WITHDRAWAL_ADDRESS_DELAY"):
            raise ConfigurationError(
                "WITHDRAWAL_ADDRESS_DELAY=0 lets a thief withdraw at once: set hours in production"
            )
        if self.choice("FEED_MODE") != "live":
            raise ConfigurationError("FEED_MODE must be live in production: set FEED_MODE=live")
        if not self.items("ALLOWED_HOSTS") or "*" in self.items("ALLOWED_HOSTS"):
            raise ConfigurationError(
                "ALLOWED_HOSTS must name the hosts to answer in production: set it"
            )
        self._validate_exposure()

    def _validate_exposure(self) -> None:
        """Check what strangers reach in production."""
        if 0 < len(self.text("METRICS_TOKEN")) < METRICS_TOKEN_LENGTH_MIN:
            raise ConfigurationError(
                f"METRICS_TOKEN must have {METRICS_TOKEN_LENGTH_MIN} characters or more in"
                " production: set it, for example from `openssl rand -hex 16`"
            )
        if "*" in self.items("CORS_ORIGIN"):
            raise ConfigurationError("CORS_ORIGIN=* is refused in production: name the origins")
        if self.is_set("CORS_ORIGIN") and not all(
            origin.startswith("https://") for origin in self.items("CORS_ORIGIN")
        ):
            raise ConfigurationError(
                "CORS_ORIGIN must list https:// origins in production: correct it"
            )
        if not self.integer("NUM_PROXIES"):
            raise ConfigurationError(
                "NUM_PROXIES must be the number of proxies in front in production, where one of"
                " them ends TLS: set NUM_PROXIES=1"
            )


def read_env_file(path: Path) -> dict[str, str]:
    """
    Return the variables of a ``.env`` file; an absent file has none.

    Lines are ``NAME=value``; quotes around a value and a leading ``export`` are dropped.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error}): correct or remove it") from None
    found = {}
    for line in lines:
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and name.strip() and not name.startswith("#"):
            value = value.strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
                value = value[1:-1]
            found[name.strip()] = value
    return found


def load(base_dir: Path) -> Environment:
    """
    Return the validated environment: the process's variables, then those of ``.env``.

    ``ENV_FILE`` names another file; tests point it at nothing.
    """
    path = Path(os.environ.get("ENV_FILE") or base_dir / ".env")
    environment = Environment({**read_env_file(path), **os.environ})
    environment.validate()
    return environment


def load_or_exit(base_dir: Path) -> Environment:
    """Return the validated environment, or end the process: one line on stderr, code 2."""
    try:
        return load(base_dir)
    except ConfigurationError as error:
        sys.stderr.write(f"configuration: {error}\n")
        raise SystemExit(2) from None
