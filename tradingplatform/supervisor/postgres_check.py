"""What must hold of a PostgreSQL database before anything starts."""

from typing import Any

import psycopg
from django.conf import settings
from django.db import connections

from exchange.store.base import StoreUnusableError
from exchange.store.postgres import check_server
from tradingplatform.databases import parse_postgresql
from tradingplatform.supervisor.problems import PreflightError, check_version

CONNECT_S = 3
# The oldest that the framework speaks to.
VERSION_MIN = 140_000


def check_postgresql() -> str:
    """
    Check that the server answers, keeps what it commits, and lets us make tables.

    Raises:
        PreflightError: with the remedy in one line.
    """
    shown = parse_postgresql(settings.DATABASE_URL).shown()
    parameters = connections["default"].get_connection_params() | {"connect_timeout": CONNECT_S}
    del parameters["cursor_factory"], parameters["context"], parameters["prepare_threshold"]
    try:
        with psycopg.connect(**parameters, autocommit=True) as connection:
            return _check(connection, shown)
    except psycopg.Error as error:
        raise PreflightError(
            f"database {shown} does not answer ({_one_line(error)}): start the server or correct"
            " DATABASE_URL"
        ) from None
    except StoreUnusableError as error:
        raise PreflightError(f"database {shown} cannot be used: {error}") from None


def _check(connection: psycopg.Connection[Any], shown: str) -> str:
    version = connection.info.server_version
    if version < VERSION_MIN:
        raise PreflightError(
            f"database {shown} is PostgreSQL {version // 10_000}, at least"
            f" {VERSION_MIN // 10_000} is needed: upgrade the server"
        )
    check_server(connection)
    with psycopg.Cursor(connection) as cursor:
        found = cursor.execute(
            "SELECT has_schema_privilege(current_schema(), 'CREATE'),"
            " to_regclass('django_migrations') IS NOT NULL,"
            " pg_database_size(current_database())"
        ).fetchone()
        may_create, migrated, size_bytes = found or (False, False, 0)
        if not may_create:
            raise PreflightError(
                f"database {shown} lets this user make no tables: make the user its owner"
            )
        if migrated:
            check_version(
                shown, cursor.execute("SELECT app, name FROM django_migrations").fetchall()
            )
    return f"{shown}, PostgreSQL {version // 10_000}, {size_bytes // 2**20} MiB"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
