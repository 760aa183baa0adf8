"""What a soak samples of processes, files and streams, and how it judges the samples."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

RSS_GROWTH_MAX_KIB_PER_MIN = 1_024.0
# A pooled connection more or less is no leak; one a minute would be.
FDS_GROWTH_MAX = 3.0
WAL_MAX_BYTES = 64 * 2**20
# The publisher keeps at most so many batches for the projector.
STREAM_MAX = 50_000
# With fewer samples in the second half a slope says nothing.
SAMPLES_MIN = 6


@dataclass(frozen=True, slots=True)
class Usage:
    """Resident memory in KiB and open files of one process."""

    rss_kib: int
    fds: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment of a soak; ``at_s`` counts from its start."""

    at_s: float
    processes: dict[str, Usage]
    wal_bytes: int
    streams: dict[str, int]


@dataclass(slots=True)
class Growth:
    """What became of one process over the second half of a soak."""

    name: str
    rss_kib: int
    rss_kib_per_min: float
    fds: float
    fds_growth: float


@dataclass(slots=True)
class Verdict:
    """The figures of a soak, and what is wrong with them."""

    growths: list[Growth] = field(default_factory=list)
    wal_bytes: int = 0
    streams: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def usage(process_id: int) -> Usage | None:
    """Return what a process uses now, None if it is gone."""
    folder = Path("/proc") / str(process_id)
    with contextlib.suppress(OSError):
        pages = int((folder / "statm").read_text().split()[1])
        kib = pages * os.sysconf("SC_PAGE_SIZE") // 1_024
        return Usage(kib, len(os.listdir(folder / "fd")))
    return None


def judge(samples: Sequence[Sample]) -> Verdict:
    """
    Return growth over the second half and the largest log and streams of the whole.

    Memory grows by the slope of the least squares in KiB a minute; files by the median of the
    last quarter less that of the third.
    """
    verdict = Verdict()
    later = samples[len(samples) // 2 :]
    if len(later) < SAMPLES_MIN:
        verdict.problems.append(f"only {len(later)} samples in the second half, too few to judge")
        return verdict
    for name in sorted(samples[0].processes):
        if any(name not in sample.processes for sample in samples):
            verdict.problems.append(f"{name} ended")
            continue
        growth = _growth(name, later)
        verdict.growths.append(growth)
        if growth.rss_kib_per_min >= RSS_GROWTH_MAX_KIB_PER_MIN:
            verdict.problems.append(f"{name} grows by {growth.rss_kib_per_min:.0f} KiB a minute")
        if growth.fds_growth > FDS_GROWTH_MAX:
            verdict.problems.append(f"{name} opened {growth.fds_growth:.0f} files more")
    verdict.wal_bytes = max(sample.wal_bytes for sample in samples)
    if verdict.wal_bytes >= WAL_MAX_BYTES:
        verdict.problems.append(f"the write-ahead log grew to {verdict.wal_bytes // 2**20} MiB")
    for sample in samples:
        for stream, length in sample.streams.items():
            verdict.streams[stream] = max(verdict.streams.get(stream, 0), length)
    verdict.problems += [
        f"stream {stream} grew to {length:,d} entries"
        for stream, length in verdict.streams.items()
        if length > STREAM_MAX
    ]
    return verdict


def _growth(name: str, samples: Sequence[Sample]) -> Growth:
    used = [sample.processes[name] for sample in samples]
    files = [one.fds for one in used]
    middle = len(files) // 2
    minutes = [sample.at_s / 60 for sample in samples]
    return Growth(
        name,
        used[-1].rss_kib,
        _slope(minutes, [one.rss_kib for one in used]),
        median(files[middle:]),
        median(files[middle:]) - median(files[:middle]),
    )


def _slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return the slope of the line that fits best."""
    x_mean, y_mean = mean(xs), mean(ys)
    spread = sum((x - x_mean) ** 2 for x in xs)
    return sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / spread
