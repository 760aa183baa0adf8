"""A MongoDB for tests and measurements: SecantusDB on a free port, with files of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

START_S = 30.0
STOP_S = 15.0

# A process of its own: within ours it would share the interpreter's lock with what is tested.
# A transaction that a killed client leaves open ends soon, as an operator would set it. On Linux
# it ends with the thread that started it (PR_SET_PDEATHSIG): nothing stays of a killed test.
# SecantusDB 0.7.0b3 keeps the answers to 10,000 writes, in case a client asks again, and goes
# through all of them at each further one: it took 55 ms rather than 2. Its $project of an
# aggregation takes {a: {b: 1}} for the number 1, where MongoDB means the stored a.b.
_PROGRAM = """
import ctypes, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
from secantus import SecantusDBServer, aggregate, projection, transactions
transactions._RETRYABLE_RECORD_MAX = 256
project = aggregate._project_one
aggregate._project_one = lambda document, fields, names: project(
    document, projection._flatten_projection_spec(fields), names
)
server = SecantusDBServer(
    host="127.0.0.1", port=int(sys.argv[2]), storage_path=sys.argv[1], cache_size="512M",
    sync_on_commit="sync" in sys.argv[3:], transaction_lifetime_seconds=30.0,
    replica_set_name=None if "alone" in sys.argv[3:] else "rs0",
)
server.start()
print(server.address[1], flush=True)
server.wait()
"""


class NoMongoError(Exception):
    """No server can be had here; the message says why."""


class MongoServer:
    """One server that a test may stop, kill and start again; removed by ``remove``."""

    def __init__(self, *, sync: bool = False, alone: bool = False) -> None:
        """
        Choose a directory.

        ``sync`` makes each commit wait for the disk; ``alone`` is a server of no replica set.

        Raises:
            NoMongoError: if SecantusDB is not installed.
        """
        if importlib.util.find_spec("secantus") is None:
            raise NoMongoError("no MongoDB: SecantusDB has no wheel for this platform")
        self.directory = Path(tempfile.mkdtemp(prefix="exmongo-"))
        self._options = ["sync"] * sync + ["alone"] * alone
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """The address of the server, which stays the same after a restart."""
        return f"mongodb://127.0.0.1:{self._port}/"

    def start(self) -> None:
        """Start and wait until it listens."""
        words = [str(self.directory / "data"), str(self._port), *self._options]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, *words],
                cwd=self.directory,
                env={"PATH": os.environ["PATH"]},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        line = self._process.stdout.readline().strip() if self._process.stdout else ""
        if not line.isdigit():
            raise RuntimeError((self.directory / "log").read_text()[-2000:])
        self._port = int(line)

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it; by default as a crash does."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(STOP_S)
            self._process = None

    def freeze(self) -> None:
        """Stop it where it is: it takes connections and never answers."""
        self._signal(signal.SIGSTOP)
        if self._process is not None:
            # A signal is only sent: one of its threads may still answer.
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise NoMongoError("SecantusDB is not running")
        self._process.send_signal(number)

    def remove(self) -> None:
        """Stop it and delete its files."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
