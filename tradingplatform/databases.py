"""
Which database, from the environment: ``DATABASE_URL`` names SQLite or PostgreSQL.

Standard library only, as the variables' checks are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from tradingplatform.variables import ConfigurationError

SQLITE_SCHEME = "sqlite:///"
POSTGRESQL_SCHEMES = ("postgresql", "postgres")
# What a URL may set of the connection beside the address; all else is ours to decide.
POSTGRESQL_OPTIONS = frozenset(
    {
        "application_name",
        "host",
        "passfile",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "target_session_attrs",
    }
)
_REMEDY = "correct or unset it"

# A request waits this long for a connection of its process's pool, then it gets 503: within
# the two seconds in which everybody is answered, with the look at the connection.
POOL_WAIT_S = 1.0
# The pool's own attempts slow down; after these seconds the next request makes a new one.
RECONNECT_S = 3.0
# A healthy server takes a connection in milliseconds.
CONNECT_S = 2
# A server that is gone without a word is noticed within some ten seconds.
KEEPALIVE = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# Nothing that serves a request may hold rows or the server longer; migrations lift it.
LIMITS_MS = {
    "statement_timeout": 30_000,
    "lock_timeout": 5_000,
    "idle_in_transaction_session_timeout": 30_000,
}


@dataclass(frozen=True, slots=True)
class PostgresqlAddress:
    """Parts of a PostgreSQL URL; several hosts are tried in their order."""

    name: str
    user: str = ""
    password: str = ""
    hosts: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)

    def shown(self) -> str:
        """Return the address without its password."""
        where = ",".join(
            f"{host}:{port}" if port else host
            for host, port in zip(self.hosts, self.ports, strict=True)
        )
        return f"postgresql://{where or self.options.get('host', '')}/{self.name}"


def check_database_url(url: str) -> None:
    """
    Check that a URL names a database that we know; an empty one does.

    Raises:
        ConfigurationError: with the remedy in one line.
    """
    if url and not url.startswith(SQLITE_SCHEME):
        parse_postgresql(url)


def parse_postgresql(url: str) -> PostgresqlAddress:
    """
    Return the parts of ``postgresql://user:password@host:port/name?sslmode=require``.

    Raises:
        ConfigurationError: with the remedy in one line, without the password.
    """
    # By hand: how the standard library takes several bracketed hosts differs by its version.
    scheme, _, rest = url.partition("://")
    rest, _, query = rest.partition("?")
    place, _, path = rest.partition("/")
    try:
        options = dict(parse_qsl(query, strict_parsing=True)) if query else {}
    except ValueError:
        raise ConfigurationError(f"DATABASE_URL cannot be read: {_REMEDY}") from None
    if scheme not in POSTGRESQL_SCHEMES:
        raise ConfigurationError(
            f"DATABASE_URL must begin with {SQLITE_SCHEME} or postgresql://: {_REMEDY}"
        )
    unknown = sorted(options.keys() - POSTGRESQL_OPTIONS)
    if unknown:
        raise ConfigurationError(
            f"DATABASE_URL must not set {unknown[0]!r}, but one of"
            f" {', '.join(sorted(POSTGRESQL_OPTIONS))}: {_REMEDY}"
        )
    credentials, _, addresses = place.rpartition("@")
    user, _, password = credentials.partition(":")
    hosts, ports = _split_addresses(addresses)
    name = unquote(path)
    if not name or "/" in name:
        raise ConfigurationError(
            "DATABASE_URL must name a database, as in postgresql://user:password@host/name:"
            f" {_REMEDY}"
        )
    return PostgresqlAddress(
        name=name,
        user=unquote(user),
        password=unquote(password),
        hosts=hosts,
        ports=ports,
        options=options,
    )


def _split_addresses(addresses: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    hosts, ports = [], []
    for address in addresses.split(",") if addresses else ():
        host, colon, port = address.rpartition(":")
        if not colon or address.endswith("]"):
            host, port = address, ""
        elif not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
            raise ConfigurationError(
                f"DATABASE_URL must have a port from 1 to 65535, was {port[:20]!r}: {_REMEDY}"
            )
        hosts.append(unquote(host.removeprefix("[").removesuffix("]")))
        ports.append(port)
    return tuple(hosts), tuple(ports)


def sqlite_settings(path: Path) -> dict[str, Any]:
    """
    Return Django's settings for a SQLite file.

    IMMEDIATE: a deferred read-then-write fails at once with "locked" whatever the timeout.
    FULL: acknowledged means on disk, so every commit is synced.
    """
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": 15,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }


def postgresql_settings(
    address: PostgresqlAddress, *, pool_min: int, pool_max: int
) -> dict[str, Any]:
    """
    Return Django's settings for a PostgreSQL database, pooled in each process.

    A connection goes back to the pool after each request and is looked at before the next
    one gets it (``common.postgresql``), so a restart of the server costs nobody a failed
    request of their own.
    """
    options: dict[str, Any] = {
        "application_name": "exchange",
        **address.options,
        **KEEPALIVE,
        "connect_timeout": CONNECT_S,
        "options": server_options(LIMITS_MS),
        "server_side_binding": True,
        "pool": {
            "min_size": pool_min,
            "max_size": pool_max,
            "timeout": POOL_WAIT_S,
            "reconnect_timeout": RECONNECT_S,
        },
    }
    return {
        "ENGINE": "common.postgresql",
        "NAME": address.name,
        "USER": address.user,
        "PASSWORD": address.password,
        "HOST": ",".join(address.hosts) or options.pop("host", ""),
        "PORT": _joined(address.ports),
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


def server_options(limits_ms: dict[str, int]) -> str:
    """Return limits as the text that a connection hands to the server."""
    return " ".join(f"-c {name}={value}" for name, value in limits_ms.items())


def shown_database(url: str) -> str:
    """Return what to call the database of a checked URL, without its password."""
    if url and not url.startswith(SQLITE_SCHEME):
        return parse_postgresql(url).shown()
    return "the database file"


def _joined(ports: Sequence[str]) -> str:
    """Return ports as libpq reads them; one without a number has the default."""
    return ",".join(port or "5432" for port in ports) if any(ports) else ""


def database_settings(
    url: str, *, var_dir: Path, pool_min: int, pool_max: int
) -> dict[str, dict[str, Any]]:
    """Return Django's ``DATABASES`` for a checked URL; an empty one is a file under ``var_dir``."""
    if not url:
        return {"default": sqlite_settings(var_dir / "exchange.sqlite3")}
    if url.startswith(SQLITE_SCHEME):
        return {"default": sqlite_settings(Path(url.removeprefix(SQLITE_SCHEME)))}
    address = parse_postgresql(url)
    return {"default": postgresql_settings(address, pool_min=pool_min, pool_max=pool_max)}
