"""Writing the rows of an export to a file, part by part, in bounded memory."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from adminpanel.exports.cells import Cell, cell

# More than a spreadsheet opens; who needs more asks for shorter periods.
ROWS_MAX = 10_000_000


class ExportError(Exception):
    """An export that cannot be written; its text is for who asked for it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The rows of an export in ``parts`` ranges of keys, each read when its turn comes."""

    rows: Iterator[Iterator[tuple[Cell, ...]]]
    parts: int


# Told after each part: per cent done and rows written.
Report = Callable[[int, int], None]


def write_csv(path: Path, header: Iterable[str], plan: Plan, report: Report) -> int:
    """
    Write an export and return its number of rows; the file is there whole or not at all.

    Raises:
        ExportError: for more than ``ROWS_MAX`` rows.
        OSError: if the file cannot be written.
    """
    part = path.with_suffix(".part")
    written = 0
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(header)
            for number, rows in enumerate(plan.rows, 1):
                for row in rows:
                    written += 1
                    if written > ROWS_MAX:
                        raise ExportError(f"more than {ROWS_MAX:,} rows: choose a shorter period")
                    writer.writerow(map(cell, row))
                report(number * 100 // max(plan.parts, 1), written)
            stream.flush()
            os.fsync(stream.fileno())
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return written
