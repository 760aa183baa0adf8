"""SIGTERM while work waits: the order is answered, the socket told, both processes end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.functional
def test_web_answers_the_order_that_waits_and_tells_sockets_before_it_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "simulation.degraded.stopping"],
        cwd=ROOT,
        env={**os.environ, "LOG_LEVEL": "error"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr[-3_000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "order": "201",
        "notice": "SERVER_RESTART",
        "close code": 1012,
        # uvicorn ends by the signal that it was asked with, after all is done.
        "web": -signal.SIGTERM,
        "exchange": 0,
    }
