"""The commands of the Procfile, as a process of ours starts them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

PATH = Path(__file__).parents[1] / "Procfile"


def procfile() -> dict[str, list[str]]:
    """Return every process of the Procfile and its command."""
    found = {}
    for line in PATH.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, _, command = line.partition(": ")
            found[name] = shlex.split(command)
    return found


def command_of(kind: str) -> list[str]:
    """Return the Procfile's command of a process, run by this Python."""
    words = procfile()[kind]
    return [sys.executable, *words[1:]] if words[0] == "python" else words
