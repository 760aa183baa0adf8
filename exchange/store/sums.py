"""
Sums over rows, by which a start notices those that are not what was written.

A row's digest is the CRC-32 of its values, packed. All digests of the live rows of a table
(those that a start reads) are added up modulo 2^64; the exchange changes these sums by what
each batch writes and stores them with it, so that lost, changed and outdated rows are all
noticed. Each batch also leaves a list of the digests of all that it wrote, which finds the
damaged row and covers history. This finds accidents; who can write to the database can also
write sums.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import compress, islice, repeat
from operator import itemgetter
from zlib import crc32

import msgspec

from exchange.projection import Reader, Row, Table
from exchange.store.base import DataError, Group

MASK = 2**64 - 1
ROWS_AT_ONCE = 5_000

# Values as bytes: the same for every database, and the shortest way from a row to a digest.
packed = msgspec.msgpack.Encoder().encode
_key = itemgetter(0)
_TRUTH = {0: False, 1: True}


class WrittenRows(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    What one batch wrote to a table: keys as 64-bit and digests as 32-bit numbers, packed.

    There is one digest a row, of an append-only table one over all of them.
    """

    table: str
    layout: int
    keys: bytes
    digests: bytes


class _StoredSum(msgspec.Struct, frozen=True, array_like=True):
    table: str
    layout: int
    rows: int
    total: int


_decode_written = msgspec.msgpack.Decoder(list[WrittenRows]).decode
_decode_sums = msgspec.msgpack.Decoder(list[_StoredSum]).decode


def row_checksum(row: Sequence[object]) -> int:
    """Return the CRC-32 of a row of numbers, texts and bytes."""
    return crc32(packed(row))


def row_digests(rows: Iterable[Row]) -> list[int]:
    """Return the digest of each row."""
    return list(map(crc32, map(packed, rows)))


@cache
def layout_of(table: Table) -> int:
    """Return what tells the columns of a table from those of another version."""
    return crc32(packed((table.columns, table.append_only)))


def as_written(table: Table, rows: list[Row]) -> list[Row]:
    """Return rows that were read the way they were written: truth values as such."""
    if not table.booleans:
        return rows
    indexes = [table.columns.index(name) for name in table.booleans]
    restored = []
    for row in rows:
        values = list(row)
        for index in indexes:
            values[index] = _TRUTH.get(values[index], values[index])
        restored.append(tuple(values))
    return restored


def decode_written(data: bytes) -> list[WrittenRows]:
    """
    Return what a batch wrote, from the list it left.

    Raises:
        msgspec.DecodeError: if the data is damaged.
    """
    return _decode_written(data)


def unpack_keys(written: WrittenRows) -> array[int]:
    """Return the keys of the rows that were written."""
    return array("q", written.keys)


def unpack_digests(written: WrittenRows) -> array[int]:
    """Return the digests of the rows that were written."""
    return array("I", written.digests)


@dataclass(slots=True)
class _TableSum:
    """The live rows of one table: a digest by key, and all digests added up."""

    layout: int
    digests: dict[int, int] = field(default_factory=dict)
    total: int = 0
    # Unlike the digests, rows that were read twice are counted twice.
    rows: int = 0


class LiveSums:
    """The sums of all live rows; kept by the leader, who changes them with each batch."""

    def __init__(self) -> None:
        """Begin without rows."""
        self._sums: dict[str, _TableSum] = {}

    def add(self, groups: Iterable[Group]) -> bytes:
        """
        Take the rows that a batch is about to write; return the list of their digests.

        When the batch is not committed after all, the sums are to be loaded again.

        Raises:
            DataError: if a value is none that a database can hold.
        """
        written = []
        for table, rows in groups:
            if not rows:
                continue
            keys = list(map(_key, rows))
            try:
                if table.append_only:
                    digests = [crc32(packed(rows))]
                else:
                    digests = row_digests(rows)
                    self._replace(table, keys, digests, rows)
                packed_keys = array("q", keys).tobytes()
            except (OverflowError, TypeError, ValueError) as error:
                raise DataError(f"{table.name}: {error}") from error
            packed_digests = array("I", digests).tobytes()
            written.append(WrittenRows(table.name, layout_of(table), packed_keys, packed_digests))
        return packed(written)

    def encoded(self) -> bytes:
        """Return all sums as the position row keeps them."""
        return packed(
            [
                (name, each.layout, each.rows, each.total)
                for name, each in self._sums.items()
                if each.rows
            ]
        )

    def digests(self, table: Table) -> dict[int, int]:
        """Return the digests of the live rows of a table by key."""
        return self._of(table).digests

    def count(self, table: Table, rows: Iterator[Row]) -> Iterator[Row]:
        """Take all live rows of a table as they are read, and pass them on."""
        each = self._of(table)
        while chunk := list(islice(rows, ROWS_AT_ONCE)):
            digests = row_digests(as_written(table, chunk))
            each.digests.update(zip((row[0] for row in chunk), digests, strict=True))
            each.total = (each.total + sum(digests)) & MASK
            each.rows += len(chunk)
            yield from chunk

    def differences(self, stored: bytes) -> dict[str, str]:
        """
        Return, by table, how the rows that were counted differ from sums that were stored.

        A table whose columns another version had is not judged.

        Raises:
            msgspec.DecodeError: if the stored sums are damaged.
        """
        expected = {each.table: each for each in _decode_sums(stored)}
        found = {}
        for name in sorted({*expected, *self._sums}):
            counted, kept = self._sums.get(name), expected.get(name)
            if counted and kept and counted.layout != kept.layout:
                continue
            rows, total = (counted.rows, counted.total) if counted else (0, 0)
            rows_kept, total_kept = (kept.rows, kept.total) if kept else (0, 0)
            if rows != rows_kept:
                found[name] = f"{rows:,d} rows of {name} are live, {rows_kept:,d} were written"
            elif total != total_kept:
                found[name] = f"a live row of {name} is not what was written"
        return found

    def _of(self, table: Table) -> _TableSum:
        each = self._sums.get(table.name)
        if each is None:
            each = self._sums[table.name] = _TableSum(layout_of(table))
        return each

    def _replace(
        self, table: Table, keys: list[int], digests: list[int], rows: Sequence[Row]
    ) -> None:
        """Put digests in the place of those that the rows had; each key comes once."""
        each = self._of(table)
        kept = each.digests
        # No step of Python's per row: this is half of what the sums cost.
        if table.live:
            flags = list(map(itemgetter(table.columns.index(table.live)), rows))
            before = sum(map(kept.pop, keys, repeat(0)))
            digests = list(compress(digests, flags))
            kept.update(zip(compress(keys, flags), digests, strict=True))
        else:
            before = sum(map(kept.get, keys, repeat(0)))
            kept.update(zip(keys, digests, strict=True))
        each.total = (each.total + sum(digests) - before) & MASK
        each.rows = len(kept)


class CountingReader:
    """A reader that counts the live rows it gives out into sums."""

    def __init__(self, reader: Reader, sums: LiveSums) -> None:
        """Read through another reader."""
        self._reader = reader
        self._sums = sums

    def rows(self, table: Table, *, equals: Mapping[str, int] | None = None) -> Iterator[Row]:
        """Yield rows in the order of the key; all live ones of a table are counted."""
        rows = self._reader.rows(table, equals=equals)
        live = {table.live: 1} if table.live else None
        return rows if table.append_only or equals != live else self._sums.count(table, rows)

    def last_key(self, table: Table) -> int:
        """Return the highest key of a table, 0 when it is empty."""
        return self._reader.last_key(table)
