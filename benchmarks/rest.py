"""
REST order entry, acknowledged after commit, against an empty view on the same server.

One granian WSGI worker with 16 threads serves both; the exchange, its Redis and the load
generator run beside it. The empty view parses the same body with the same parser and
authentication, and both are measured in turn.
"""

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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT, Options, Section, median, say

THREADS = 16
CONNECTIONS = 32
SECONDS = 4.0
QUICK_SECONDS = 0.5
BOUND_SHARE = 0.75
START_TIMEOUT_S = 60.0

ORDER = json.dumps(
    {
        "symbol": "BTC-USDT",
        "side": "buy",
        "type": "limit",
        "quantity": "0.01",
        "price": "PRICE",
        "client_order_id": "bench-NUMBER",
    },
    separators=(",", ":"),
)


@dataclass(frozen=True)
class _Site:
    """Where the measured server listens and as whom it is asked."""

    port: int
    token: str
    environ: dict[str, str]


def measure(options: Options) -> Section:
    """Return requests per second of an empty view and of order entry, medians, and the ratio."""
    seconds = QUICK_SECONDS if options.quick else SECONDS
    rates: dict[str, list[dict[str, Any]]] = {"/api/empty": [], "/api/orders": []}
    with _running_site() as site:
        for path in rates:
            _load(site, path, seconds=seconds / 2, tag=f"warm{path[-5:].strip('/')}")
        for number in range(options.rounds):
            for path, results in rates.items():
                result = _load(site, path, seconds=seconds, tag=f"{number}{path[-5:].strip('/')}")
                results.append(result)
                say(f"  {path}: {result['per_s']:,.0f}/s, p99 {result['p99_ms']:.1f} ms")
    section = Section(
        key="rest",
        title="REST order entry",
        header=("request", "per second", "p50", "p99", "share of the empty view"),
    )
    empty = median(result["per_s"] for result in rates["/api/empty"])
    for path, name in (("/api/empty", "empty view"), ("/api/orders", "order, after commit")):
        per_s = median(result["per_s"] for result in rates[path])
        share = per_s / empty
        cell = f"{share:.2f}"
        if path == "/api/orders":
            cell = section.bound(share >= BOUND_SHARE, f"{share:.2f} (bound {BOUND_SHARE})")
        section.rows.append(
            (
                name,
                f"{per_s:,.0f}",
                f"{median(result['p50_ms'] for result in rates[path]):.1f} ms",
                f"{median(result['p99_ms'] for result in rates[path]):.1f} ms",
                cell,
            )
        )
    section.notes = [
        f"granian WSGI, 1 worker x {THREADS} threads, {CONNECTIONS} connections, medians of "
        f"{options.rounds} x {seconds:g} s in turn, load generator on the same machine.",
        "SQLite with synchronous=FULL; every order is new, rests, and has a client_order_id.",
    ]
    return section


def _load(site: _Site, path: str, *, seconds: float, tag: str) -> dict[str, Any]:
    job = {
        "host": "127.0.0.1",
        "port": site.port,
        "path": path,
        "headers": {
            "Authorization": f"Bearer {site.token}",
            "Content-Type": "application/json",
        },
        "body": ORDER,
        "tag": tag,
        "connections": CONNECTIONS,
        "seconds": seconds,
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.http_load"],
        input=json.dumps(job),
        env=site.environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    if set(result["statuses"]) != {"201"}:
        raise SystemExit(f"{path}: expected 201 only, was {result['statuses']}")
    return result


@contextlib.contextmanager
def _running_site() -> Iterator[_Site]:
    """Start Redis, the exchange and granian on a database of their own; stop them after."""
    from tradingplatform.supervisor import redis_server

    directory = Path(tempfile.mkdtemp(prefix="bench-rest-"))
    port = _free_port()
    environ = {
        **os.environ,
        "ENV_FILE": os.devnull,
        "VAR_DIR": str(directory),
        "REDIS_URL": f"unix://{redis_server.socket_path(directory)}",
        "DJANGO_SETTINGS_MODULE": "benchmarks.rest_settings",
        "PYTHONPATH": str(ROOT),
    }
    binary = redis_server.find_binary()
    if binary is None:
        raise SystemExit(redis_server.MISSING)
    log = (directory / "log.txt").open("ab")
    children: list[subprocess.Popen[bytes]] = []

    def start(words: list[str]) -> None:
        children.append(subprocess.Popen(words, env=environ, cwd=ROOT, stdout=log, stderr=log))

    try:
        start(redis_server.command(binary, var_dir=directory, fsync="everysec"))
        _wait(lambda: not redis_server.ping_problem(environ["REDIS_URL"]), directory)
        seeded = subprocess.run(
            [sys.executable, "-m", "benchmarks.rest_seed"],
            env=environ,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if seeded.returncode:
            raise SystemExit(seeded.stderr[-2_000:])
        token = seeded.stdout.split()[-1]
        start([sys.executable, "manage.py", "run_exchange"])
        start(_granian(port))
        site = _Site(port=port, token=token, environ=environ)
        _wait(lambda: _answers(site), directory)
        yield site
    finally:
        for child in reversed(children):
            child.terminate()
        for child in reversed(children):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=10)
            child.kill()
        log.close()
        shutil.rmtree(directory, ignore_errors=True)


def _granian(port: int) -> list[str]:
    options = {
        "--interface": "wsgi",
        "--host": "127.0.0.1",
        "--port": str(port),
        "--workers": "1",
        "--blocking-threads": str(THREADS),
        "--log-level": "warning",
    }
    words = [sys.executable, "-m", "granian", "tradingplatform.wsgi:application"]
    for name, value in options.items():
        words += [name, value]
    return words


def _answers(site: _Site) -> bool:
    """Whether an order is accepted."""
    try:
        _load(site, "/api/orders", seconds=0, tag=f"try{time.monotonic_ns()}")
    except (SystemExit, subprocess.CalledProcessError):
        return False
    return True


def _wait(ready: Any, directory: Path) -> None:
    ends = time.monotonic() + START_TIMEOUT_S
    while not ready():
        if time.monotonic() > ends:
            raise SystemExit("not ready: " + (directory / "log.txt").read_text()[-2_000:])
        time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    say(measure(Options()).markdown())
