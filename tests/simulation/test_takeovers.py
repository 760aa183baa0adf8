"""A standby on another host replaces its leader: killed, stopped, cut off, asked to stop."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulation.takeovers.proxy import FaultProxy

ROOT = Path(__file__).parents[2]
# One of each fault; a machine that is busy with other things manages fewer, and says so.
TAKEOVERS = 5
SECONDS = 40
TAKEOVERS_MIN = 3


@pytest.mark.functional
def test_each_fault_of_a_leader_ends_with_the_other_one_leading() -> None:
    words = ["--takeovers", str(TAKEOVERS), "--seconds", str(SECONDS)]
    done = subprocess.run(
        [sys.executable, "-m", "simulation", "takeovers", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    counted = re.search(r"(\d+) takeovers", done.stdout)
    assert counted
    assert int(counted[1]) >= TAKEOVERS_MIN


class TestFaultProxy:
    @pytest.fixture(autouse=True)
    def _ends(self, tmp_path: Path) -> Iterator[None]:
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(tmp_path / "server"))
        self.server.listen()
        self.proxy = FaultProxy(tmp_path / "proxy", tmp_path / "server")
        self.place = str(tmp_path / "proxy")
        self.client = self.connect()
        self.accepted, _ = self.server.accept()
        self.accepted.settimeout(0.2)
        yield
        self.proxy.close()
        for end in (self.client, self.accepted, self.server):
            end.close()

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(2)
        client.connect(self.place)
        return client

    def test_forwards_both_ways(self) -> None:
        self.client.sendall(b"there")
        assert self.accepted.recv(9) == b"there"
        self.accepted.sendall(b"back")
        assert self.client.recv(9) == b"back"

    def test_cut_lets_nothing_through_and_closes_nothing(self) -> None:
        self.proxy.cut()
        self.client.sendall(b"lost")
        late = self.connect()
        late.sendall(b"lost too")

        with pytest.raises(TimeoutError):
            self.accepted.recv(9)
        self.client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            self.client.recv(9)
        late.close()

    def test_healed_ends_old_connections_and_takes_new_ones(self) -> None:
        self.proxy.cut()
        self.client.sendall(b"lost")
        self.proxy.heal()

        # What was sent into the cut is gone with its connection: closed, or reset.
        with contextlib.suppress(ConnectionResetError):
            assert self.client.recv(9) == b""
        assert self.accepted.recv(9) == b""
        self.client = self.connect()
        self.accepted, _ = self.server.accept()
        self.client.sendall(b"there")
        assert self.accepted.recv(9) == b"there"
