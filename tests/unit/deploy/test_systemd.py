"""systemd takes the units as they are, and finds them hardened."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.platform import ROOT

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
INSTANCES = {"exchange-core@": "exchange", "exchange-web@": "3100", "exchange-ws@": "3200"}
# On systemd's scale of 0 (locked up) to 10 (exposed); 4.0 and more it calls medium.
EXPOSURE_MAX = 2.5


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units, with an interpreter that exists on this machine."""
    directory = tmp_path_factory.mktemp("units")
    shutil.copytree(ROOT / "deploy" / "systemd", directory, dirs_exist_ok=True)
    for path in directory.glob("*.service"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("/opt/exchange/.venv/bin/python", sys.executable))
    return directory


def analyze(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run(
        [ANALYZE, *words],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{directory}:"},
        capture_output=True,
        text=True,
        check=False,
    )


def names(directory: Path) -> list[str]:
    stems = [path.stem for path in sorted(directory.glob("exchange-*.service"))]
    return [f"{stem}{INSTANCES.get(stem, '')}.service" for stem in stems]


@needs_systemd
def test_every_unit_is_understood(directory: Path) -> None:
    done = analyze(directory, "verify", *names(directory), "exchange.target")

    ours = [line for line in done.stderr.splitlines() if "exchange" in line]
    assert (done.returncode, ours) == (0, [])


@needs_systemd
def test_every_unit_is_hardened(directory: Path) -> None:
    for name in names(directory):
        done = analyze(directory, "security", "--offline=yes", "--no-pager", name)

        found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
        assert found is not None, done.stdout + done.stderr
        assert float(found[1]) <= EXPOSURE_MAX, name


def test_every_process_comes_back_and_is_bounded(directory: Path) -> None:
    for path in directory.glob("exchange-*.service"):
        text = path.read_text(encoding="utf-8")
        if path.stem != "exchange-migrate":
            assert "Restart=always" in text, path.name
            assert "MemoryMax=" in text, path.name
        assert "WantedBy=exchange.target" in text
