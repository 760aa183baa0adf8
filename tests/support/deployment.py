"""The platform as production runs it: the Procfile's commands, behind a real nginx."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from simulation.nginx_server import find_nginx, render
from simulation.procfile import command_of
from tests.support.platform import ROOT, free_port, wait_until
from tradingplatform.supervisor.redis_server import find_binary

HOST = "exchange.example"
STOP_S = 20.0


def production_variables(host: str = HOST) -> dict[str, str]:
    """Return what the tool for new installations writes, without what names servers."""
    done = subprocess.run(
        [sys.executable, "tools/production_env.py", host],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    for name in ("DATABASE_URL", "POSTGRES_PASSWORD", "COMPOSE_PROFILES"):
        del found[name]
    return found


def trusting(directory: Path) -> ssl.SSLContext:
    """Return a context that trusts the certificate made for a rendered configuration."""
    context = ssl.create_default_context(cafile=str(directory / "tls" / "fullchain.pem"))
    context.check_hostname = False
    return context


def render_nginx(
    directory: Path, *, ports: Mapping[str, int], static: Path, room: int = 128
) -> Path:
    """Write the deployment's configuration with a test's ports and paths; return its path."""
    tls = directory / "tls"
    tls.mkdir()
    shutil.copy(ROOT / "deploy" / "tls" / "self-signed.sh", tls)
    subprocess.run(["sh", str(tls / "self-signed.sh"), HOST], check=True, capture_output=True)
    return render(
        directory,
        {
            "/etc/nginx/tls/": f"{tls}/",
            "/srv/static/": f"{static}/",
            "listen 8080": f"listen 127.0.0.1:{ports['http']}",
            "listen 8443": f"listen 127.0.0.1:{ports['https']}",
            "server web:3000": f"server 127.0.0.1:{ports['web']}",
            "server ws:3000": f"server 127.0.0.1:{ports['ws']}",
            "max_conns=128": f"max_conns={room}",
        },
    )


class Deployment:
    """Processes by the names of the Procfile, each in a process group of its own."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.directory = directory
        self.ports = {name: free_port() for name in ("http", "https", "web", "ws", "redis")}
        self.variables = production_variables()
        self.token = self.variables["METRICS_TOKEN"]
        self.url = f"https://127.0.0.1:{self.ports['https']}"
        self.password = secrets.token_hex(8)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}},
            **self.variables,
            "ENV_FILE": os.devnull,
            "VAR_DIR": str(directory / "var"),
            "LOG_DIR": "-",
            "STATIC_DIR": str(directory / "static"),
            "REDIS_URL": f"redis://:{self.password}@127.0.0.1:{self.ports['redis']}/0",
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Deployment:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def log(self, name: str) -> str:
        """Return what a process has printed."""
        path = self.directory / f"{name}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def run(self, name: str) -> None:
        """Run a one-shot command of the Procfile to its end."""
        self.spawn(name, command_of(name))
        code = self.processes.pop(name).wait(120)
        assert code == 0, self.log(name)[-2000:]

    def start(self, name: str, *, kind: str = "", **environment: str) -> subprocess.Popen[bytes]:
        """Start a process with the Procfile's command of its kind (its name otherwise)."""
        return self.spawn(name, command_of(kind or name), **environment)

    def spawn(self, name: str, command: list[str], **environment: str) -> subprocess.Popen[bytes]:
        port = {"PORT": str(self.ports[name])} if name in self.ports else {}
        with (self.directory / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env={
                    **self.environment,
                    "PROCESS_NAME": name,
                    "HOST": "127.0.0.1",
                    **port,
                    **environment,
                },
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.processes[name]

    def start_redis(self) -> None:
        """Start the Redis that carries commands, as compose configures it."""
        binary = find_binary()
        assert binary is not None
        data = self.directory / "redis"
        data.mkdir()
        options = f"--port {self.ports['redis']} --bind 127.0.0.1 --appendonly yes --save '' "
        options += f"--maxmemory-policy noeviction --dir {data} --requirepass {self.password}"
        self.spawn("redis", [binary, *shlex.split(options)])

    def start_nginx(self) -> None:
        """Start nginx with the deployment's configuration."""
        binary = find_nginx()
        assert binary is not None
        main = render_nginx(
            self.directory, ports=self.ports, static=Path(self.environment["STATIC_DIR"])
        )
        self.spawn("nginx", [binary, "-c", str(main), "-g", "daemon off;"])

    def wait_for(self, condition: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
        """Wait for a condition; name the processes that have ended if it never holds."""
        try:
            wait_until(condition, timeout_s, what)
        except AssertionError:
            ended = {n: p.returncode for n, p in self.processes.items() if p.poll() is not None}
            logs = "\n".join(f"--- {name}\n{self.log(name)[-1500:]}" for name in self.processes)
            raise AssertionError(f"{what}; ended: {ended}\n{logs}") from None

    def stop(self) -> dict[str, int]:
        """Stop everything in reverse, nginx first; return the exit codes."""
        codes = {}
        for name, process in reversed(self.processes.items()):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGQUIT if name == "nginx" else signal.SIGTERM)
            end = time.monotonic() + STOP_S
            while process.poll() is None and time.monotonic() < end:
                time.sleep(0.02)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            codes[name] = process.wait()
        self.processes.clear()
        return codes


def words_of(command: str | list[str]) -> list[str]:
    """Return a command as a list, whatever interpreter it names as plain ``python``."""
    words = shlex.split(command) if isinstance(command, str) else list(command)
    return [re.sub(r"^/.*/(python)$", r"\1", words[0]), *words[1:]]
