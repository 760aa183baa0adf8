"""
How an app that owns rows of the exchange takes part in the one transaction.

A projection turns the objects a batch touched into rows of its app, and its rows back into
state at start. It is listed by dotted path in ``settings.EXCHANGE_PROJECTIONS``, the way
middleware is. It runs before ``BEGIN`` and must not touch the database in ``rows``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from exchange.core.state import Changes, Image

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """
    A table the exchange writes.

    ``key`` is the column that identifies a row; ``append_only`` rows are inserted and never
    changed. ``columns`` are the database columns in the order of the rows, the key first.
    Of a table with a ``live`` column only rows that have a 1 there are loaded at start.
    ``booleans`` are the columns of truth values, which SQLite gives back as numbers.
    ``partition_rows``: of how many keys each a new partition is on PostgreSQL, 0 for a table that
    has none; see ``exchange.partitions``.
    """

    name: str
    columns: tuple[str, ...]
    key: str = "id"
    append_only: bool = False
    live: str = ""
    booleans: tuple[str, ...] = ()
    partition_rows: int = 0


class Reader(Protocol):
    """Reads whole rows at start, in one consistent snapshot, in batches."""

    def rows(self, table: Table, *, equals: Mapping[str, int] | None = None) -> Iterator[Row]:
        """Yield rows of ``table.columns`` in the order of the key, filtered by equality."""
        ...

    def last_key(self, table: Table) -> int:
        """Return the highest key of a table, 0 when it is empty."""
        ...


class Projection(Protocol):
    """What ``EXCHANGE_PROJECTIONS`` names."""

    tables: tuple[Table, ...]

    def rows(self, changes: Changes) -> Iterable[tuple[Table, list[Row]]]:
        """Return the rows to write for what a batch touched; pure, no I/O."""
        ...

    def load(self, reader: Reader, image: Image) -> None:
        """Fill this app's part of the image from its rows."""
        ...


ProjectionFactory = Callable[[], Projection]
