"""DATABASE_URL becomes Django's settings."""

from pathlib import Path
from typing import Any

import pytest

from common.postgresql.base import CHECK_S
from tradingplatform.databases import database_settings, parse_postgresql


def settings_of(url: str) -> dict[str, Any]:
    return database_settings(url, var_dir=Path("/var/exchange"), pool_min=2, pool_max=10)["default"]


class TestSqlite:
    def test_is_a_file_under_var_without_a_url(self) -> None:
        found = settings_of("")

        assert found["ENGINE"] == "django.db.backends.sqlite3"
        assert found["NAME"] == Path("/var/exchange/exchange.sqlite3")

    def test_takes_the_path_of_a_url(self) -> None:
        assert settings_of("sqlite:////srv/a.sqlite3")["NAME"] == Path("/srv/a.sqlite3")

    def test_syncs_every_commit(self) -> None:
        assert "synchronous=FULL" in settings_of("")["OPTIONS"]["init_command"]


class TestPostgresql:
    @pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
    def test_takes_the_parts_of_a_url(self, scheme: str) -> None:
        found = settings_of(f"{scheme}://us%40er:p%3A%2Fw@db.example:5433/name?sslmode=verify-full")

        assert found["ENGINE"] == "common.postgresql"
        assert found["NAME"] == "name"
        assert (found["USER"], found["PASSWORD"]) == ("us@er", "p:/w")
        assert (found["HOST"], found["PORT"]) == ("db.example", "5433")
        assert found["OPTIONS"]["sslmode"] == "verify-full"

    def test_takes_the_directory_of_a_socket(self) -> None:
        found = settings_of("postgresql://me@/name?host=/run/postgresql")

        assert (found["HOST"], found["PORT"]) == ("/run/postgresql", "")
        assert "host" not in found["OPTIONS"]

    def test_takes_several_hosts(self) -> None:
        found = settings_of("postgresql://a:5433,b,[::1]:5/name?target_session_attrs=read-write")

        assert (found["HOST"], found["PORT"]) == ("a,b,::1", "5433,5432,5")

    def test_has_a_bounded_pool_whose_connections_are_looked_at(self) -> None:
        found = settings_of("postgresql://localhost/name")

        pool = found["OPTIONS"]["pool"]
        assert (pool["min_size"], pool["max_size"]) == (2, 10)
        assert pool["timeout"] + CHECK_S < 2
        assert found["CONN_HEALTH_CHECKS"]
        assert found["CONN_MAX_AGE"] == 0

    def test_no_statement_no_lock_and_no_transaction_lasts_for_ever(self) -> None:
        options = settings_of("postgresql://localhost/name")["OPTIONS"]["options"]

        for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            assert f"-c {limit}=" in options

    def test_is_shown_without_its_password(self) -> None:
        url = "postgresql://user:secret@db.example:5433/name"

        assert parse_postgresql(url).shown() == "postgresql://db.example:5433/name"
