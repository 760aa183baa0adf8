"""Cells of CSV files that people open in spreadsheets."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from exchange.core.units import format_atoms

# A cell that begins so is a formula to a spreadsheet, whoever wrote it into a note or a name.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")

Cell = int | str | None


def cell(value: Cell) -> str:
    """
    Return a value as the text of a cell that no spreadsheet takes for a formula.

    Plain decimal numbers stay as they are, negative ones too; text that begins like a formula gets
    an apostrophe in front, which a spreadsheet does not show.
    """
    text = "" if value is None else str(value)
    if text.startswith(_FORMULA) and _NUMBER.fullmatch(text) is None:
        return f"'{text}"
    return text


def time_cell(time_ms: int) -> str:
    """Return a time in UTC with milliseconds, "" for none."""
    if not time_ms:
        return ""
    moment = datetime.fromtimestamp(time_ms / 1_000, tz=UTC)
    return moment.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")


def moment_cell(moment: datetime | None) -> str:
    """Return a moment in UTC, "" for none."""
    return "" if moment is None else time_cell(int(moment.timestamp() * 1_000))


def atoms_cell(atoms: int) -> str:
    """Return an amount or price as an exact decimal number."""
    return format_atoms(atoms, 0)
