"""
The processes a kill harness needs, in a directory of their own: Redis, exchange, web, clients.

Everything is a real process started the way an operator starts it; the exchange also marks
its phase and lingers a few milliseconds in each (``EXCHANGE_PAUSE_AT``), so that a strike
can be aimed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAUSES = "in_batch:2ms,before_commit:1ms,in_commit:5ms,in_publish:2ms"
START_S = 180.0


class World:
    """All processes and files of one harness run."""

    def __init__(self, directory: Path, *, pauses: str = PAUSES) -> None:
        from tradingplatform.supervisor.redis_server import MISSING, find_binary

        binary = find_binary()
        if binary is None:
            raise SystemExit(MISSING)
        self._redis_binary = binary
        self.directory = directory
        self.redis_socket = directory / "r.sock"
        self.database = directory / "exchange.sqlite3"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.stop_file = directory / "stop"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            **os.environ,
            "ENV_FILE": os.devnull,
            "DJANGO_SETTINGS_MODULE": "tradingplatform.settings",
            "VAR_DIR": str(directory),
            "LOG_DIR": str(directory / "log"),
            "DATABASE_URL": f"sqlite:///{self.database}",
            "REDIS_URL": f"unix://{self.redis_socket}",
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "FEED_MODE": "replay",
            "WS_MAX_CONNECTIONS_PER_IP": "10000",
            "COMMAND_LOG_RETENTION_HOURS": "0",
            "SECRET_KEY": secrets.token_urlsafe(50),
            # All clients come from one address.
            "RATE_LIMIT_MAX_REQUESTS": "1000000",
            "KILL_URL": self.url,
            "LOG_LEVEL": "info",
            "PYTHONPATH": str(ROOT),
        }
        for name in ("NODE_ENV", "MONGODB_URI", "EXCHANGE_PAUSE_AT", "EXCHANGE_CRASH_AT"):
            self.environment.pop(name, None)
        self._pauses = pauses
        self._commands = {
            "redis": self.redis_command(
                *("--port", "0", "--unixsocket", str(self.redis_socket)),
                *("--unixsocketperm", "700"),
            ),
            "exchange": python("manage.py", "run_exchange"),
            "projector": python("manage.py", "run_projector"),
            "web": python("manage.py", "run_web"),
            "feed": python("manage.py", "run_feed"),
        }

    def use_here(self) -> None:
        """Set Django up in this process with the environment of the run; possible once."""
        level = os.environ.get("LOG_LEVEL", "error")
        os.environ.update(self.environment, LOG_LEVEL=level)
        import django

        django.setup()

    def redis_command(self, *where: str) -> list[str]:
        """Return the command line of a durable Redis that listens where it is told."""
        return [
            self._redis_binary,
            *where,
            *("--dir", str(self.directory), "--appendonly", "yes", "--appendfsync", "everysec"),
            *("--save", "", "--maxmemory-policy", "noeviction"),
        ]

    def start_base(self) -> None:
        """Start Redis and migrate, with Django set up here."""
        self.start("redis")
        self.migrate()
        self.wait(self.redis_answers, "Redis answers")

    def migrate(self) -> None:
        """Set Django up here and bring the database to this version."""
        from django.core.management import call_command

        self.use_here()
        call_command("migrate", verbosity=0)

    def start_all(self, exchange: str = "exchange") -> None:
        """Start Redis, migrate, start exchange and web, and wait until all answer."""
        self.start_base()
        self.start(exchange)
        self.start("web")
        self.wait(self.web_answers, "web answers")

    def start(self, name: str, *extra: str, settings: Mapping[str, str] | None = None) -> None:
        """
        Start a process; its output goes to a file of its name.

        ``extra`` are Python's arguments in place of the command of the name's first word,
        ``settings`` variables of this process alone.
        """
        more = dict(settings or {})
        kind = name.partition(" ")[0]
        if kind == "exchange" and self._pauses:
            more["EXCHANGE_PAUSE_AT"] = self._pauses
        self.start_command(name, python(*extra) if extra else self._commands[kind], more)

    def start_command(
        self, name: str, command: Sequence[str], settings: Mapping[str, str] | None = None
    ) -> None:
        """Start any command under a name; its output goes to a file of its name."""
        with (self.directory / f"{name}.out").open("ab") as output:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment | dict(settings or {}),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def kill(self, name: str) -> None:
        """Kill a process with SIGKILL and wait until it is gone."""
        process = self.processes[name]
        process.send_signal(signal.SIGKILL)
        process.wait()

    def ask_to_stop(self, name: str, timeout_s: float = 60.0) -> int:
        """Send SIGTERM and return the exit code."""
        process = self.processes[name]
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout_s)

    def alive(self, name: str) -> bool:
        """Tell whether a process still runs."""
        process = self.processes.get(name)
        return process is not None and process.poll() is None

    def output(self, name: str) -> str:
        """Return what a process has printed, over all its lives."""
        path = self.directory / f"{name}.out"
        return path.read_text(errors="replace") if path.exists() else ""

    def end(self) -> None:
        """Kill whatever still runs."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float = START_S) -> None:
        """
        Poll a condition.

        Raises:
            SystemExit: if it does not hold in time; names it and shows the last outputs.
        """
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                tails = [f"--- {name}\n{self.output(name)[-2000:]}" for name in self.processes]
                raise SystemExit(f"not within {timeout_s} s: {what}\n" + "\n".join(tails))
            time.sleep(0.01)

    def redis_answers(self) -> bool:
        """Tell whether Redis answers on its socket."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(self.redis_socket))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
        return False

    def web_answers(self, url: str = "") -> bool:
        """Tell whether the web process answers, or the one of another address."""
        import httpx

        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{url or self.url}/api/health/live", timeout=2.0).status_code == 200
        return False

    def phase(self) -> str:
        """Return the phase that the exchange is in, or was in when it died."""
        from exchange.crash_points import read_phase

        with contextlib.suppress(OSError, IndexError):
            return read_phase(self.directory)
        return "starting"


@contextlib.contextmanager
def world_of_run(prefix: str, problems: list[str]) -> Iterator[World]:
    """Yield a world of its own; end it, and keep its files only where a problem was found."""
    directory = Path(tempfile.mkdtemp(prefix=prefix))
    world = World(directory, pauses="")
    try:
        yield world
    finally:
        world.end()
    if problems:
        problems.append(f"files are in {directory}")
    else:
        shutil.rmtree(directory)


def python(*words: str) -> list[str]:
    """Return a command line of this Python."""
    return [sys.executable, *words]


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
