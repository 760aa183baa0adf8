"""
Word to whoever watches a process that its main loop still turns.

A thread of its own would say so for ever; so the loop itself does, through the question that
it asks each turn anyway: whether to stop. Containers look at the age of a file
(``tools/alive.py``), systemd gets a message and kills what sends none for ``WatchdogSec``.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

EVERY_S = 1.0


def alive_file(var_dir: Path, process: str) -> Path:
    """Return the file whose age says when a process's loop last turned."""
    return var_dir / "alive" / process


class Alive:
    """Marks the time of the last turn, at most once a second."""

    def __init__(self, path: Path, *, notify_address: str = "") -> None:
        """Mark a file, made with its directory; ``notify_address`` is systemd's socket."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        # "@" stands for the abstract namespace's leading zero.
        self._address = notify_address.replace("@", "\0", 1)
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        self._due = 0.0
        self._ready = False

    def turn(self) -> None:
        """Say that the loop turned; a full disk or an absent systemd is not its concern."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + EVERY_S
        # On a full disk the file grows old, which is the truth: nobody can tell that this lives.
        with contextlib.suppress(OSError):
            self._path.touch()
        if self._socket is not None:
            text = b"WATCHDOG=1" if self._ready else b"READY=1\nWATCHDOG=1"
            try:
                self._socket.sendto(text, self._address)
                self._ready = True
            except OSError:
                # Nobody listens, or its queue is full: the next turn says it again.
                return

    def watched(self, stop: Callable[[], bool]) -> Callable[[], bool]:
        """Return ``stop`` as a question whose asking is a turn."""

        def asked() -> bool:
            self.turn()
            return stop()

        return asked


def this_process(var_dir: Path, default: str) -> Alive:
    """Return the word of this process, named by ``PROCESS_NAME`` or else ``default``."""
    name = os.environ.get("PROCESS_NAME") or default
    return Alive(alive_file(var_dir, name), notify_address=os.environ.get("NOTIFY_SOCKET", ""))
