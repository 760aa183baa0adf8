"""Real processes for tests: a Redis of their own, a migrated database file, the exchange."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings as django_settings

from tests.support.databases import OwnDatabase
from tradingplatform.supervisor.redis_server import find_binary

START_S = 60.0


def wait_until(condition: object, timeout_s: float = 30.0) -> None:
    """Poll a callable until it is true; fail the test when it never is."""
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise AssertionError(f"condition was not met within {timeout_s} s")
        time.sleep(0.01)


class RedisProcess:
    """A Redis on a unix socket, append-only, that a test may kill and start again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "r.sock"
        self.url = f"unix://{self.socket}"
        self.client = redis.Redis.from_url(self.url)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = find_binary()
        if binary is None:
            pytest.skip("no Redis binary")
        self._process = subprocess.Popen(
            [
                binary,
                *("--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
                *("--dir", str(self.directory), "--appendonly", "yes", "--save", ""),
                *("--maxmemory-policy", "noeviction"),
            ],
            stdout=subprocess.DEVNULL,
        )
        wait_until(self._answers)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.client.close()

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False


class ExchangeProcess:
    """``manage.py run_exchange`` on a database and a Redis."""

    def __init__(self, *, var_dir: Path, database: OwnDatabase, redis_url: str) -> None:
        self.var_dir = var_dir
        self._log = var_dir / "stdout.log"
        self._environment = {
            **os.environ,
            "ENV_FILE": os.devnull,
            "VAR_DIR": str(var_dir),
            **database.environment,
            "REDIS_URL": redis_url,
            "DJANGO_SETTINGS_MODULE": "tradingplatform.settings",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        self.var_dir.mkdir(exist_ok=True)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "run_exchange"],
                cwd=django_settings.BASE_DIR,
                env=self._environment | environment,
                stdout=log,
                stderr=subprocess.PIPE,
            )
        return self.process

    def wait_for_log(self, event: str) -> None:
        """Wait until something is logged; a process that ends first fails with what it said."""
        process = self.process
        assert process is not None
        wait_until(lambda: self._has_logged(event) or process.poll() is not None, START_S)
        if not self._has_logged(event):
            assert process.stderr is not None
            said = process.stderr.read().decode()
            raise AssertionError(f"ended with {process.returncode} before {event}: {said}")

    def _has_logged(self, event: str) -> bool:
        return event.encode() in self._log.read_bytes()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


@pytest.fixture(scope="session")
def redis_session() -> Iterator[RedisProcess]:
    """One Redis for the session; socket paths are limited to 107 bytes."""
    directory = Path(tempfile.mkdtemp(prefix="exr-"))
    server = RedisProcess(directory)
    server.start()
    yield server
    server.kill()
    shutil.rmtree(directory)


@pytest.fixture
def redis_server(redis_session: RedisProcess, settings: object) -> RedisProcess:
    """The session's Redis, emptied, as the one that settings name."""
    redis_session.client.flushall()
    settings.REDIS_URL = redis_session.url  # type: ignore[attr-defined]
    return redis_session
