"""A process says that its loop turns, and a probe believes it only for a while."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from exchange.alive import Alive, alive_file
from tests.support.platform import ROOT


def probe(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", "tools/alive.py", *words],
        cwd=ROOT,
        env={"VAR_DIR": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_turning_loop_is_alive(tmp_path: Path) -> None:
    asked = Alive(alive_file(tmp_path, "exchange")).watched(lambda: False)

    assert asked() is False
    assert probe(tmp_path, "exchange", "5").returncode == 0


def test_a_loop_that_stands_still_is_not(tmp_path: Path) -> None:
    path = alive_file(tmp_path, "exchange")
    Alive(path).turn()
    before = time.time() - 61
    os.utime(path, (before, before))

    done = probe(tmp_path, "exchange")

    assert done.returncode == 1
    assert "exchange last turned 61 s ago" in done.stderr


def test_a_loop_that_never_turned_is_not(tmp_path: Path) -> None:
    done = probe(tmp_path, "exchange")

    assert done.returncode == 1
    assert "No such file" in done.stderr


def test_a_port_that_nobody_listens_on_is_not(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        done = probe(tmp_path, "--port", str(closed.getsockname()[1]))

    assert done.returncode == 1
    assert "refused" in done.stderr


def test_systemd_hears_that_the_process_is_ready_and_then_that_it_turns(tmp_path: Path) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(1)
        alive = Alive(alive_file(tmp_path, "beat"), notify_address=str(address))

        alive.turn()
        alive.turn()  # Within the same second: says nothing.
        alive._due = 0.0
        alive.turn()

        assert systemd.recv(100) == b"READY=1\nWATCHDOG=1"
        assert systemd.recv(100) == b"WATCHDOG=1"


def test_a_systemd_that_is_gone_does_not_stop_the_loop(tmp_path: Path) -> None:
    alive = Alive(alive_file(tmp_path, "beat"), notify_address=str(tmp_path / "nobody"))

    alive.turn()

    assert alive_file(tmp_path, "beat").exists()
