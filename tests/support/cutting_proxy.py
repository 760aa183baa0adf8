"""A proxy in front of PostgreSQL's socket: it takes a commit away, or lets nothing through."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path


class CuttingProxy:
    """
    Listens in a directory as PostgreSQL would; ``cut_next_commit`` arms it once.

    The client of the next COMMIT loses its connection at once, while the server hears the
    COMMIT only after ``delay_s``: to the client its outcome is unknown, and not even decided.

    Between ``hold`` and ``let_go`` it is a server that was stopped: it takes connections and
    answers nothing.
    """

    def __init__(self, directory: Path, server: Path, *, delay_s: float) -> None:
        self._server = str(server)
        self._delay_s = delay_s
        self._armed = threading.Event()
        self._open = threading.Event()
        self._open.set()
        self.cut = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / server.name))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_next_commit(self) -> None:
        self._armed.set()

    def hold(self) -> None:
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    def close(self) -> None:
        self.let_go()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            threading.Thread(target=self._up, args=(client, server), daemon=True).start()
            threading.Thread(target=self._down, args=(client, server), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        while data := _receive(client):
            self._open.wait()
            if self._armed.is_set() and b"COMMIT" in data:
                self._armed.clear()
                client.shutdown(socket.SHUT_RDWR)
                self.cut.set()
                time.sleep(self._delay_s)
                server.sendall(data)
                time.sleep(self._delay_s)
                break
            try:
                server.sendall(data)
            except OSError:
                break
        _end(server)

    def _down(self, client: socket.socket, server: socket.socket) -> None:
        while data := _receive(server):
            self._open.wait()
            try:
                client.sendall(data)
            except OSError:
                continue
        _end(client)


def _end(connection: socket.socket) -> None:
    """Close a connection that another thread may be reading from."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except OSError:
        return b""
