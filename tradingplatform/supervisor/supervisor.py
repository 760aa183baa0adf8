"""Starts the platform's processes in order, keeps them running and stops them in reverse."""

import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tradingplatform.supervisor import state as states
from tradingplatform.supervisor.child import Child
from tradingplatform.supervisor.output import Output

# How long the loop waits for output before it looks after the children again.
TICK_S = 0.1
READY_POLL_S = 0.3
# A part that does not become ready must not keep the others from starting.
READY_WAIT_S = 30.0
OWN_NAME = "run"


@dataclass(frozen=True, slots=True)
class Stage:
    """
    A process and what must hold before the next one starts; ``ready`` None waits for nothing.

    ``after_ready``: it starts when the platform has answered that it is ready, so that what
    readiness needs has the processor to itself until then.
    """

    child: Child
    ready: Callable[[], bool] | None = None
    ready_timeout_s: float = 60.0
    after_ready: bool = False


class Supervisor:
    """
    Runs the stages until SIGINT or SIGTERM.

    One thread: signals set a flag, pipes are read without blocking.
    """

    def __init__(
        self,
        *,
        stages: list[Stage],
        output: Output,
        var_dir: Path,
        url: str,
        on_ready: Callable[[], str],
    ) -> None:
        """``on_ready`` returns the text to print when the platform answers for the first time."""
        self._stages = stages
        self._output = output
        self._var_dir = var_dir
        self._url = url
        self._on_ready = on_ready
        self._started: list[Child] = []
        self._stopping = False
        self._signals = 0
        self._announced = False
        self._next_probe = 0.0

    def run(self) -> int:
        """Start everything, supervise, stop everything; return the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        try:
            for stage in self._stages:
                if stage.after_ready:
                    self._wait_until_ready()
                if self._stopping:
                    break
                self._start(stage)
            while not self._stopping:
                self._tick()
        finally:
            self._stop_all()
        return 0

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        self._signals += 1

    def _say(self, text: str) -> None:
        self._output.show(OWN_NAME, text)

    def _start(self, stage: Stage) -> None:
        stage.child.start()
        self._started.append(stage.child)
        self._follow(stage.child)
        if stage.ready is None:
            return
        end = time.monotonic() + stage.ready_timeout_s
        while not self._stopping and not stage.ready():
            if time.monotonic() > end:
                self._say(f"{stage.child.name} is not ready yet, going on")
                return
            self._tick()

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + READY_WAIT_S
        while not (self._stopping or self._announced or time.monotonic() > end):
            self._tick()

    def _follow(self, child: Child) -> None:
        assert child.process is not None  # noqa: S101 - just started
        self._output.add(child.name, child.process)
        self._write_state("running" if self._announced else "starting")

    def _tick(self) -> None:
        self._output.pump(TICK_S)
        for child in self._started:
            if child.poll():
                if not child.done:
                    self._say(f"{child.name} ended ({_describe(child.last_exit)}), restarting")
                self._write_state("running" if self._announced else "starting")
            elif child.due():
                child.restart()
                self._follow(child)
        if not self._announced:
            self._announce()

    def _announce(self) -> None:
        needed = [stage.child for stage in self._stages if not stage.after_ready]
        begun = all(child in self._started for child in needed)
        prepared = all(child.done for child in needed if child.once)
        if not (begun and prepared) or time.monotonic() < self._next_probe:
            return
        self._next_probe = time.monotonic() + READY_POLL_S
        if answers(f"{self._url}/api/health/ready"):
            self._announced = True
            self._write_state("running")
            for line in self._on_ready().splitlines():
                self._say(line)

    def _write_state(self, phase: str) -> None:
        children = {
            child.name: states.ChildState(
                pid=child.pid,
                started=states.start_time(child.pid) if child.pid else "",
                restarts=child.restarts,
            )
            for child in self._started
        }
        try:
            states.write(
                self._var_dir,
                states.State(pid=os.getpid(), url=self._url, phase=phase, children=children),
            )
        except OSError as error:
            self._say(f"the state file could not be written ({error.strerror})")

    def _stop_all(self) -> None:
        self._stopping = True
        if self._started:
            self._write_state("stopping")
            self._say("stopping")
        asked = self._signals
        for child in reversed(self._started):
            if self._signals > asked:
                child.stop_timeout_s = 0.0  # Asked again: no more patience.
            if not child.stop(meanwhile=lambda: self._output.pump(TICK_S)):
                self._say(f"{child.name} did not stop in time and was killed")
        self._output.pump(0)
        if self._started:
            self._started.clear()
            self._write_state("stopped")
            self._say("stopped")
        sys.stdout.flush()


def answers(url: str, *, timeout_s: float = 1.0) -> bool:
    """Return whether a GET is answered with 200."""
    try:
        # The address is our own server's.
        with urllib.request.urlopen(url, timeout=timeout_s) as response:  # noqa: S310  # nosec B310
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _describe(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"
