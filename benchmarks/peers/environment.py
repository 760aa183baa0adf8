"""
Installs the other order books where they cannot enter our requirements.

Python books go into a virtual environment of their own under var/, the npm one beside it.
What cannot be installed is named and left out.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.report import ROOT

PYTHON_PEERS = {
    "cython-orderbook": "cython-orderbook==0.1.2",
    "lightmatchingengine": "lightmatchingengine==2019.1.4",
    "pyorderbook": "pyorderbook==0.4.9",
    # Its order book imports what it declares as an extra.
    "order-matching": "order-matching[polars]==0.12.0",
}
NODE_PEER = "nodejs-order-book"
NODE_PACKAGE = "nodejs-order-book@10.1.1"
INSTALL_SECONDS_MAX = 300
WORKER = ROOT / "benchmarks" / "peers" / "worker.py"
NODE_WORKER = ROOT / "benchmarks" / "peers" / "nodejs.mjs"


class Peers:
    """Command lines of the order books that could be installed, and why others could not."""

    def __init__(self, directory: Path = ROOT / "var" / "bench-venv") -> None:
        self.directory = directory
        self.python = directory / "bin" / "python"
        self.missing: dict[str, str] = {}
        self.commands: dict[str, list[str]] = {"ours": [sys.executable, str(WORKER), "ours"]}

    def install(self) -> None:
        """Install what is not there yet; each book by itself, so that one failure is one."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self.python.exists():
            self._run([sys.executable, "-m", "venv", str(self.directory)], "the environment")
        for name, requirement in PYTHON_PEERS.items():
            marker = self.directory / f"{name}.installed"
            if (
                marker.exists()
                or self._run(
                    [
                        str(self.python),
                        "-m",
                        "pip",
                        "install",
                        "-q",
                        "--only-binary",
                        ":all:",
                        requirement,
                    ],
                    name,
                )
                or self._run([str(self.python), "-m", "pip", "install", "-q", requirement], name)
            ):
                marker.write_text(requirement)
                self.missing.pop(name, None)
                self.commands[name] = [str(self.python), str(WORKER), name]
        self._install_node()

    def _install_node(self) -> None:
        npm, node = shutil.which("npm"), shutil.which("node")
        if not npm or not node:
            self.missing[NODE_PEER] = "node and npm are not installed"
            return
        installed = (self.directory / "node_modules" / NODE_PEER).exists()
        command = [npm, "install", "--silent", "--prefix", str(self.directory), NODE_PACKAGE]
        if installed or self._run(command, NODE_PEER):
            self.commands[NODE_PEER] = [node, str(NODE_WORKER)]

    def _run(self, command: list[str], name: str) -> bool:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            self.missing[name] = str(error)
            return False
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            self.missing[name] = lines[-1] if lines else f"exit code {done.returncode}"
        return done.returncode == 0
