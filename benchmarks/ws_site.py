"""A Redis, an exchange and one web process of their own, for benchmarks of sockets."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT

START_TIMEOUT_S = 120.0
GROWN_ORDERS = 1_000_000


@dataclass(frozen=True)
class Site:
    """Where the measured server listens, its users' tokens, and the environment of helpers."""

    port: int
    web_pid: int
    tokens: list[str]
    environ: dict[str, str]

    def run(self, module: str, job: dict[str, Any]) -> dict[str, Any]:
        """Run a load process with a job as JSON on its standard input; return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", module],
            input=json.dumps({"port": self.port, "tokens": self.tokens, **job}),
            env=self.environ,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result


@contextlib.contextmanager
def running_site(*, users: int, orders: int = 0, exchange: bool = True) -> Iterator[Site]:
    """
    Start everything on a fresh database and stop it after.

    ``users`` have tokens and money; the database holds that many closed ``orders``.
    """
    from tradingplatform.supervisor import redis_server

    directory = Path(tempfile.mkdtemp(prefix="bench-ws-"))
    port = free_port()
    environ = {
        **os.environ,
        "ENV_FILE": os.devnull,
        "VAR_DIR": str(directory),
        "DATABASE_URL": f"sqlite:///{directory / 'exchange.sqlite3'}",
        "REDIS_URL": f"unix://{redis_server.socket_path(directory)}",
        "DJANGO_SETTINGS_MODULE": "tradingplatform.settings",
        "LOG_LEVEL": "warn",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WS_MAX_CONNECTIONS": "20000",
        "WS_MAX_CONNECTIONS_PER_IP": "20000",
        "PYTHONPATH": str(ROOT),
    }
    binary = redis_server.find_binary()
    if binary is None:
        raise SystemExit(redis_server.MISSING)
    log = (directory / "log.txt").open("ab")
    children: list[subprocess.Popen[bytes]] = []

    def start(words: list[str]) -> subprocess.Popen[bytes]:
        children.append(subprocess.Popen(words, env=environ, cwd=ROOT, stdout=log, stderr=log))
        return children[-1]

    try:
        start(redis_server.command(binary, var_dir=directory, fsync="everysec"))
        wait(lambda: not redis_server.ping_problem(environ["REDIS_URL"]), directory)
        tokens = _seed(environ, users=users, orders=orders)
        if exchange:
            start([sys.executable, "manage.py", "run_exchange"])
        web = start([sys.executable, "manage.py", "run_web"])
        wait(lambda: _answers(port), directory)
        yield Site(port=port, web_pid=web.pid, tokens=tokens, environ=environ)
    finally:
        for child in reversed(children):
            child.terminate()
        for child in reversed(children):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=15)
            child.kill()
            child.wait()
        log.close()
        shutil.rmtree(directory, ignore_errors=True)


def memory_bytes(pid: int) -> int:
    """Return how much memory a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait(ready: Callable[[], bool], directory: Path) -> None:
    """Poll until something is ready; end with the site's log when it never is."""
    ends = time.monotonic() + START_TIMEOUT_S
    while not ready():
        if time.monotonic() > ends:
            raise SystemExit("not ready: " + (directory / "log.txt").read_text()[-2_000:])
        time.sleep(0.1)


def _answers(port: int) -> bool:
    address = f"http://127.0.0.1:{port}/api/health"
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:  # nosec B310
            return bool(answer.status == 200)
    except OSError:
        return False


def _seed(environ: dict[str, str], *, users: int, orders: int) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ws_seed", str(users), str(orders)],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2_000:])
    tokens: list[str] = json.loads(done.stdout.splitlines()[-1])
    return tokens
