"""Tables of the back-office's own pages: what they show, apart from how it looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from common.back_office import shown_time

# Where the next page of a table begins, in the address.
FROM_VAR = "from"


class Kind(StrEnum):
    """How a column is set: figures to the right, badges and numbers of rows in their own type."""

    TEXT = "text"
    FIGURE = "figure"
    NUMBER = "number"
    TIME = "time"
    BADGE = "badge"
    BAR = "bar"


class Tone(StrEnum):
    """What a badge or a bar says at a glance."""

    NEUTRAL = ""
    GOOD = "success"
    NOTE = "info"
    WARNING = "warning"
    BAD = "danger"


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``key`` is the name under which rows have its value."""

    key: str
    title: str
    kind: Kind = Kind.TEXT


@dataclass(frozen=True, slots=True)
class Cell:
    """
    A value with more than its text: where it leads, what it says, how full its bar is.

    ``percent`` is 0-100. A cell with ``action`` is a button that sends it in the table's form.
    """

    text: str
    href: str = ""
    tone: Tone = Tone.NEUTRAL
    percent: int = 0
    action: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """
    A titled table; ``next_from`` is where the next page begins, "" at the end.

    ``address`` is the query of the table's first page, if the page has a choice of tables.

    Each row maps the columns' keys to a cell, a text, None for nothing, or milliseconds where
    the column is one of times.
    """

    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    title: str = ""
    note: str = ""
    empty: str = "Nothing here."
    next_from: str = ""
    address: str = "?"
    form: TableForm | None = None

    @property
    def next_address(self) -> str:
        """Return the query of the next page."""
        joint = "" if self.address.endswith("?") else "&"
        return f"{self.address}{joint}{urlencode({FROM_VAR: self.next_from})}"

    @property
    def cells(self) -> list[list[tuple[Column, Cell]]]:
        """Return the rows as the template draws them."""
        return [
            [(column, _cell_of(column, row.get(column.key))) for column in self.columns]
            for row in self.rows
        ]


@dataclass(frozen=True, slots=True)
class TableForm:
    """
    What the buttons of a table send, beside the reason that is asked for.

    The value of the pressed button goes under ``name``.
    """

    name: str
    button: str
    reason_length_max: int = 200
    hidden: Mapping[str, str] = field(default_factory=dict)


def _cell_of(column: Column, value: Any) -> Cell:
    if isinstance(value, Cell):
        return value
    if value is None or value == "":
        return Cell("")
    if column.kind is Kind.TIME:
        return Cell(f"{shown_time(value):%Y-%m-%d %H:%M:%S}") if value else Cell("")
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    return Cell(str(value))
