"""A link between two addresses that can be cut: what is sent waits, nobody is told."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from pathlib import Path

READ_BYTES = 65_536
LOOK_S = 0.05

Address = Path | tuple[str, int]


class FaultProxy:
    """
    Forwards connections from one address to another until it is cut.

    While it is cut, open connections stay open and silent, as when a cable is pulled, and new
    ones are taken and lead nowhere. What was sent meanwhile is lost with its connection when
    the link is healed: both ends then find it closed.
    """

    def __init__(self, listen: Address, target: Address) -> None:
        """Begin to listen, and to forward in threads of its own."""
        self._target = target
        self._cut = threading.Event()
        self._ended = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket | None]] = []
        self._lock = threading.Lock()
        self._listener = _socket(listen)
        self._listener.bind(_place(listen))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._accept, name="fault-proxy", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Let nothing through any more."""
        self._cut.set()

    def heal(self) -> None:
        """Close what was open while the link was cut, and forward again."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
            for pair in pairs:
                _close(*pair)
            self._cut.clear()

    def close(self) -> None:
        """End all connections and stop listening."""
        self._ended.set()
        self._listener.close()
        self.heal()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            # Under the lock: a link that is healed meanwhile must know this connection.
            with self._lock:
                far = None if self._cut.is_set() else self._connect()
                self._pairs.append((near, far))
            if far is not None:
                pump = threading.Thread(target=self._pump, args=(near, far), daemon=True)
                pump.start()

    def _connect(self) -> socket.socket:
        """Return a connection to the target; one that failed is found closed by its pump."""
        far = _socket(self._target)
        try:
            far.connect(_place(self._target))
        except OSError:
            far.close()
        return far

    def _pump(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        try:
            while True:
                ready, _, _ = select.select([near, far], [], [], LOOK_S)
                if self._cut.is_set():
                    # The socket stays open, and what it received stays unread.
                    return
                for end in ready:
                    data = end.recv(READ_BYTES)
                    if not data:
                        raise ConnectionResetError
                    if self._cut.is_set():
                        return
                    other[end].sendall(data)
        except (OSError, ValueError):
            with self._lock, contextlib.suppress(ValueError):
                self._pairs.remove((near, far))
            _close(near, far)


def _socket(address: Address) -> socket.socket:
    if isinstance(address, Path):
        return socket.socket(socket.AF_UNIX)
    made = socket.socket(socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made


def _place(address: Address) -> str | tuple[str, int]:
    return os.fspath(address) if isinstance(address, Path) else address


def _close(*sockets: socket.socket | None) -> None:
    for end in sockets:
        if end is not None:
            end.close()
