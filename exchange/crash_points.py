"""
Named points where a kill test may strike, and a marker that says which one it met.

Does nothing unless told by the environment. ``EXCHANGE_PAUSE_AT`` is a comma list such as
``in_batch,in_commit:5ms``. Then the process writes its phase into one mapped byte of
``VAR_DIR/exchange.phase`` and sleeps at the named points, which widens the window. With
``EXCHANGE_CRASH_AT=in_commit:7`` it kills itself when it reaches a point for the seventh time.
"""

from __future__ import annotations

import mmap
import os
import signal
import time
from pathlib import Path

PHASES = ("idle", "in_batch", "before_commit", "in_commit", "after_commit", "in_publish")
PHASE_FILE = "exchange.phase"
PAUSE_DEFAULT_MS = 5


class CrashPoints:
    """The phase marker of one process; inert until ``enable`` is called."""

    def __init__(self) -> None:
        """Start inert."""
        self._marker: mmap.mmap | None = None
        self._pauses_s: dict[str, float] = {}
        self._end_at = ""
        self._end_after = 0

    def enable(self, specification: str, directory: Path) -> None:
        """
        Map the marker file and take the pauses of ``name[:milliseconds "ms"]``, comma separated.

        Raises:
            ValueError: if a point is unknown or a pause is not a whole number.
        """
        for item in specification.split(","):
            name, _, pause = item.strip().partition(":")
            if name not in PHASES:
                raise ValueError(f"EXCHANGE_PAUSE_AT: expected one of {PHASES}, was {name!r}")
            self._pauses_s[name] = int(pause.removesuffix("ms") or PAUSE_DEFAULT_MS) / 1000
        path = directory / PHASE_FILE
        if not path.exists():
            # Never made shorter: a leader may have it mapped while its standby starts.
            path.write_bytes(b"\0")
        with path.open("r+b") as file:
            self._marker = mmap.mmap(file.fileno(), 1)

    def end_at(self, specification: str) -> None:
        """
        Let the process end like ``kill -9`` at ``name:times``, when it is reached so often.

        Raises:
            ValueError: if the point is unknown or the number is none above 0.
        """
        name, _, times = specification.partition(":")
        if name not in PHASES or not times.isdecimal() or int(times) < 1:
            raise ValueError(
                f"EXCHANGE_CRASH_AT: expected one of {PHASES} and a number,"
                f" as in in_commit:7, was {specification!r}"
            )
        self._end_at, self._end_after = name, int(times)

    def reach(self, phase: str) -> None:
        """Mark the phase and sleep when a pause is set for it, or end here."""
        if phase == self._end_at:
            self._end_after -= 1
            if not self._end_after:
                os.kill(os.getpid(), signal.SIGKILL)
        if self._marker is None:
            return
        self._marker[0] = PHASES.index(phase)
        if pause_s := self._pauses_s.get(phase):
            time.sleep(pause_s)


_points = CrashPoints()
reach = _points.reach


def enable_from_environment(directory: Path) -> None:
    """Enable the points when ``EXCHANGE_PAUSE_AT`` or ``EXCHANGE_CRASH_AT`` is set."""
    if specification := os.environ.get("EXCHANGE_PAUSE_AT"):
        _points.enable(specification, directory)
    if specification := os.environ.get("EXCHANGE_CRASH_AT"):
        _points.end_at(specification)


def read_phase(directory: Path) -> str:
    """Return the phase that the marked process was in last."""
    return PHASES[(directory / PHASE_FILE).read_bytes()[0]]
