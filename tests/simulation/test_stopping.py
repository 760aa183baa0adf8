"""An order stands in all logs; at SIGTERM one that waits is answered, the socket told, all end."""

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
def test_an_order_is_in_all_logs_and_one_that_waits_at_the_end_is_answered() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "simulation.degraded.stopping"],
        cwd=ROOT,
        env={**os.environ, "LOG_LEVEL": "error"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr[-3_000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "followed": "201",
        "token is told": False,
        "order": "201",
        "notice": "SERVER_RESTART",
        "close code": 1012,
        # uvicorn ends by the signal that it was asked with, after all is done.
        "web": -signal.SIGTERM,
        "exchange": 0,
    }
