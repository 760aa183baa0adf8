"""Servers of a proof's own end with it, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import wait_until

ROOT = Path(__file__).parents[2]
# The word is read only once setpriv has become it: until then it could still survive.
_STARTER = """
import subprocess
from simulation.postgres_server import as_server
# As PostgreSQL does it: a shell that starts us in the background lets SIGINT be ignored.
words = ["env", "--default-signal=INT", "sh", "-c", "echo $$; exec sleep 600"]
server = subprocess.Popen([*as_server(), *words])
server.wait()
"""


@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("setpriv") is None, reason="needs Linux' setpriv"
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_postgresql_ends_with_who_started_it(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _STARTER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        server = int(starter.stdout.readline())

        os.kill(starter.pid, number)
        starter.wait(60)

    wait_until(lambda: not _runs(server), 60.0)


def _runs(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has waited for does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
