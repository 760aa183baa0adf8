"""One supervised process: started in its own group, restarted with back-off, stopped whole."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

BACKOFF_FIRST_S = 0.2
BACKOFF_MAX_S = 10.0
# A process that lived this long counts as healthy: its next end is restarted at once.
HEALTHY_AFTER_S = 30.0
_PR_SET_PDEATHSIG = 1
# Loaded before any fork: the child only calls it.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent() -> None:
    """Ask Linux' kernel to send this process SIGTERM when its parent ends, however that happens."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


@dataclass(slots=True)
class Child:
    """
    A process that the supervisor keeps running.

    ``once``: it runs until it has succeeded, and is not started again then.
    ``stop_timeout_s`` is what a stop may take before the whole group is killed.
    """

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    once: bool = False
    stop_timeout_s: float = 8.0
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    last_exit: int | None = None
    _backoff_s: float = BACKOFF_FIRST_S
    _started_at: float = 0.0
    _start_at: float = 0.0

    @property
    def done(self) -> bool:
        """Whether nothing is left to do: a ``once`` process that has succeeded."""
        return self.once and self.process is None and self.last_exit == 0

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self.process.pid if self.process is not None else None

    def start(self) -> None:
        """Start the process in a session of its own, its output on one pipe."""
        self.process = subprocess.Popen(
            self.command,
            env={**os.environ, **self.environment, "PROCESS_NAME": self.name},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        self._started_at = time.monotonic()

    def poll(self) -> bool:
        """Return whether the process has just ended; plans its restart."""
        if self.process is None or self.process.poll() is None:
            return False
        self.last_exit = self.process.returncode
        self.kill_group()
        self.process = None
        now = time.monotonic()
        if now - self._started_at >= HEALTHY_AFTER_S:
            self._backoff_s = BACKOFF_FIRST_S
        self._start_at = now + self._backoff_s
        self._backoff_s = min(self._backoff_s * 2, BACKOFF_MAX_S)
        return True

    def due(self) -> bool:
        """Return whether an ended process is to be started again now."""
        return self.process is None and not self.done and time.monotonic() >= self._start_at

    def restart(self) -> None:
        """Start an ended process again and count it."""
        self.restarts += 1
        self.start()

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and to whatever it has started."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            # macOS answers EPERM for a group whose members have all ended.
            return

    def kill_group(self) -> None:
        """End what is left of the group."""
        self.signal_group(signal.SIGKILL)

    def stop(self, *, meanwhile: Callable[[], None]) -> bool:
        """
        Stop the process; return whether it ended by itself in time.

        ``meanwhile`` is called while waiting, so that a full pipe never blocks the stop.
        """
        if self.process is None:
            return True
        self.signal_group(signal.SIGTERM)
        end = time.monotonic() + self.stop_timeout_s
        while self.process.poll() is None and time.monotonic() < end:
            meanwhile()
        in_time = self.process.poll() is not None
        self.kill_group()
        self.process.wait()
        self.last_exit = self.process.returncode
        return in_time
