"""Very many messages of order entry: of random bytes, or guided by what they reach."""

from __future__ import annotations

import importlib.util
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from simulation.fuzz.desk import BrokenError, Desk
from simulation.fuzz.drawing import draw_message

BYTES_MAX = 160
# What libFuzzer begins with; what it keeps later is not more than some hundred bytes each.
SEEDS = 100
# Longer than any message may take, many of them together.
SLOWEST_S = 3_600.0


@dataclass(slots=True)
class RandomRun:
    """Messages of random bytes, on the default database, which must be migrated and empty."""

    messages: int
    seed: int = 1
    desk: Desk = field(default_factory=Desk)
    broken: str = ""
    seconds: float = 0.0

    def run(self) -> bool:
        """Carry them out; return whether none broke anything."""
        chance = random.Random(self.seed)
        began = time.monotonic()
        try:
            for _ in range(self.messages):
                data = chance.randbytes(chance.randrange(BYTES_MAX))
                self.desk.take(draw_message(data, self.desk.newest_order))
        except BrokenError as error:
            self.broken = str(error)
        finally:
            self.seconds = time.monotonic() - began
            self.desk.close()
        return not self.broken

    def lines(self) -> list[str]:
        """Return the report: how messages ended, and what broke."""
        ends = self.desk.ends
        lines = [f"seed {self.seed}, {ends.total():,d} messages in {self.seconds:.0f} s"]
        lines += [f"{times:10,d}  {end}" for end, times in ends.most_common()]
        return [*lines, f"BROKEN {self.broken}" if self.broken else "nothing broke"]


def can_be_guided() -> bool:
    """Tell whether atheris is installed, which is no requirement of the project."""
    return importlib.util.find_spec("atheris") is not None


@dataclass(slots=True)
class GuidedRun:
    """Messages of bytes that libFuzzer chooses, in a process and a database of their own."""

    messages: int
    seed: int = 1
    broken: str = ""
    reached: str = ""

    def run(self) -> bool:
        """Carry them out; return whether none broke anything."""
        with tempfile.TemporaryDirectory(prefix="exz-") as directory:
            corpus = Path(directory, "corpus")
            corpus.mkdir()
            chance = random.Random(self.seed)
            for number in range(SEEDS):
                (corpus / f"seed-{number}").write_bytes(chance.randbytes(BYTES_MAX))
            words = [f"-runs={self.messages}", f"-seed={self.seed}"]
            done = subprocess.run(
                [sys.executable, "-m", "simulation.fuzz.guided", directory, *words],
                env=os.environ | {"PYTHONHASHSEED": "0"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=SLOWEST_S + self.messages,
                check=False,
            )
        found = re.findall(r"^#\d+\s+DONE.*$", done.stdout, re.MULTILINE)
        self.reached = found[-1] if found else ""
        if done.returncode != 0 or not found:
            self.broken = f"ended with {done.returncode}: {done.stdout[-3_000:]}"
        return not self.broken

    def lines(self) -> list[str]:
        """Return the report: how far it came, and what broke."""
        verdict = f"BROKEN {self.broken}" if self.broken else "nothing broke"
        return [f"seed {self.seed}, guided by coverage: {self.reached}", verdict]
