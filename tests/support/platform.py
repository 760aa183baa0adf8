"""The whole platform as real processes, in a directory and on a port of a test's own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tradingplatform.supervisor import state as states

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "demo-pass-2024"
# A loaded machine needs longer than the bounds that are measured elsewhere.
READY_S = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


class Platform:
    """``run_all`` in a directory and on a port of its own."""

    def __init__(self, var_dir: Path) -> None:
        self.var_dir = var_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tradingplatform.settings",
            "ENV_FILE": os.devnull,
            "VAR_DIR": str(var_dir),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "FEED_MODE": "replay",
            "MARKET_MAKER": "false",
            "DEMO_PASSWORD": PASSWORD,
        }
        self.output = var_dir / "run.output"
        self.process: subprocess.Popen[bytes] | None = None

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self) -> None:
        with self.output.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "run_all"],
                cwd=ROOT,
                env=self.environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        wait_until(self.is_announced, READY_S, "not ready in time")

    def is_announced(self) -> bool:
        state = states.read(self.var_dir)
        assert self.process is not None
        assert self.process.poll() is None, self.output.read_text()[-2000:]
        return state is not None and state.pid == self.process.pid and state.phase == "running"

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def child(self, name: str) -> states.ChildState:
        state = states.read(self.var_dir)
        assert state is not None
        return state.children[name]
