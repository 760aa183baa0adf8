"""
Tables of measurements: printed, and kept in docs/BENCHMARKS.md between markers.

A benchmark module has ``measure(options) -> Section``; ``benchmarks.__main__`` lists them.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "BENCHMARKS.md"


@dataclass(frozen=True)
class Options:
    """How long to measure: ``quick`` shows that everything runs, its figures are noise."""

    quick: bool = False
    rounds: int = 3
    work_dir: Path = ROOT / "var" / "bench"


@dataclass
class Section:
    """One benchmark's table; ``notes`` say how it was measured and what is missing."""

    key: str
    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def bound(self, holds: bool, text: str) -> str:
        """Return a cell that says whether a bound holds, and remember it when it does not."""
        if not holds:
            self.failed.append(f"{self.key}: {text}")
        return f"{text} {'✓' if holds else '✗ MISSED'}"

    def markdown(self) -> str:
        """Return the section as Markdown."""
        lines = [f"## {self.title}", "", _row(self.header), _row("---" for _ in self.header)]
        lines += [_row(row) for row in self.rows]
        lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines).rstrip() + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def say(text: str) -> None:
    """Print at once: a benchmark's progress is watched."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def median(values: Iterable[float]) -> float:
    """Return the median of at least one value."""
    return statistics.median(values)


def percentile(values: list[float], share: float) -> float:
    """Return the value below which a share (0-1) of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def machine() -> str:
    """Return what the figures were measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    date = datetime.now(tz=UTC).date().isoformat()
    python = platform.python_version()
    return f"{model}, {cores} cores, {platform.system()}, Python {python}, {date}"


def write_document(sections: list[Section]) -> None:
    """Replace each section's part of docs/BENCHMARKS.md, leaving everything else as it is."""
    text = DOCUMENT.read_text() if DOCUMENT.exists() else "# Benchmarks\n"
    for section in sections:
        start, end = f"<!-- {section.key}:start -->", f"<!-- {section.key}:end -->"
        body = f"{start}\n{section.markdown()}\n_{machine()}_\n{end}"
        if start in text:
            before, _, rest = text.partition(start)
            text = before + body + rest.partition(end)[2]
        else:
            text = text.rstrip() + "\n\n" + body + "\n"
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(text)
