"""A PostgreSQL of a proof's own: a new cluster in a temporary directory, on a unix socket."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

Command = list[str]

START_S = 30.0
STOP_S = 5.0
# PostgreSQL refuses to run as root.
UNPRIVILEGED = "nobody"
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "jit": "off",
}


class NoPostgresError(Exception):
    """No server can be had here; the message says why."""


def find_binaries() -> Path:
    """
    Return the directory of a PostgreSQL's programs: the wheel's, else an installed one's.

    Raises:
        NoPostgresError: if there is none that the server's user can run.
    """
    found = []
    spec = importlib.util.find_spec("pgserver")
    if spec is not None and spec.origin is not None:
        found.append(Path(spec.origin).parent / "pginstall" / "bin")
    installed = shutil.which("postgres")
    if installed is not None:
        found.append(Path(installed).resolve().parent)
    for directory in found:
        try:
            _run([str(directory / "initdb"), "--version"])
        except (OSError, subprocess.CalledProcessError):
            continue
        return directory
    raise NoPostgresError(
        "no PostgreSQL: pgserver has no wheel for this Python and none is installed"
    )


class PostgresServer:
    """One cluster that may be stopped, killed and started again; removed by ``remove``."""

    def __init__(
        self, *, through: Callable[[Command], Command] | None = None, **settings: str
    ) -> None:
        """
        Make the cluster; ``settings`` are the server's, above those of all proofs.

        ``through`` turns the server's command line into one that starts it elsewhere.
        """
        self._through = through or (lambda words: words)
        self._binaries = find_binaries()
        self.directory = Path(tempfile.mkdtemp(prefix="expg-"))
        self.url = f"postgresql://postgres@/postgres?host={self.directory}"
        self._settings = _SETTINGS | {"unix_socket_directories": str(self.directory)} | settings
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            os.chown(self.directory, pwd.getpwnam(UNPRIVILEGED).pw_uid, -1)
        words = ["--auth=trust", "--encoding=UTF8", "--locale=C", "-U", "postgres", "--no-sync"]
        _run([str(self._binaries / "initdb"), *words, "-D", str(self.directory / "data")])

    def start(self) -> None:
        """Start and wait until it answers."""
        words = [str(self._binaries / "postgres"), "-D", str(self.directory / "data")]
        for name, value in self._settings.items():
            words += ["-c", f"{name}={value}"]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._through([*as_server(), *words]),
                cwd=self.directory,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_S
        while not self.answers():
            if time.monotonic() > deadline:
                raise NoPostgresError(f"PostgreSQL did not answer within {START_S:.0f} s")
            time.sleep(0.01)

    def answers(self) -> bool:
        """Tell whether a connection can be made."""
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            if self._process is None or self._process.poll() is not None:
                end = (self.directory / "log").read_text()[-2000:]
                raise NoPostgresError(f"PostgreSQL ended by itself: {end}") from None
            return False
        return True

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT closes all connections, SIGQUIT is a crash that it recovers from."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def freeze(self) -> None:
        """Stop all its processes where they are: it takes connections and never answers."""
        # The one that starts the others first, so that none is missed.
        pids = (self._pid, *self._children())
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        # A signal is only sent: each of them may still answer until it has it.
        wanted = ["ps", "-o", "stat=", "-p", ",".join(map(str, pids))]
        end = time.monotonic() + STOP_S
        while time.monotonic() < end:
            shown = subprocess.run(wanted, check=True, capture_output=True, text=True).stdout
            if all(state[0] in "TZ" for state in shown.split()):
                return
            time.sleep(0.001)
        raise NoPostgresError("PostgreSQL could not be stopped where it is")

    def thaw(self) -> None:
        """Let its processes go on."""
        for pid in (*self._children(), self._pid):
            os.kill(pid, signal.SIGCONT)

    def set_read_only(self, *, on: bool) -> None:
        """Let every transaction from now on be one that only reads, on open connections too."""
        # Its own session is not what is changed: it must be able to change it back.
        options = "-c default_transaction_read_only=off"
        value = "on" if on else "off"
        with psycopg.connect(self.url, autocommit=True, options=options) as connection:
            connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}".encode())
            connection.execute("SELECT pg_reload_conf()")

    @property
    def _pid(self) -> int:
        if self._process is None:
            raise NoPostgresError("PostgreSQL is not running")
        return self._process.pid

    def _children(self) -> list[int]:
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
        ).stdout
        pairs = (line.split() for line in listed.splitlines())
        return [int(pid) for pid, parent in pairs if int(parent) == self._pid]

    def remove(self) -> None:
        """Stop it and delete the cluster."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)


def as_server() -> Command:
    """
    Return the words before a server's command line: it ends with the thread that starts it.

    So nothing stays when a proof is killed. SIGINT is PostgreSQL's own word for at once.
    """
    words = _as_server_user()
    if sys.platform != "linux" or shutil.which("setpriv") is None:
        return words
    return [*(words or ["setpriv"]), "--pdeathsig=INT"]


def _as_server_user() -> Command:
    """Return the words that make us somebody harmless, in place of root."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam(UNPRIVILEGED)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _run(words: Command) -> None:
    subprocess.run([*_as_server_user(), *words], cwd="/", check=True, capture_output=True)
