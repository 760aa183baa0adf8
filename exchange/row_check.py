"""Is every row what was written? Holds all rows of the exchange against the batches' sums."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from zlib import crc32

import msgspec

from exchange.findings import Findings
from exchange.position import Position
from exchange.projection import Projection, Row, Table
from exchange.store.base import Store, StoreError, StoreReader
from exchange.store.damage import is_whole
from exchange.store.loader import load_image, read_position
from exchange.store.sums import (
    ROWS_AT_ONCE,
    WrittenRows,
    as_written,
    decode_written,
    layout_of,
    packed,
    row_digests,
    unpack_digests,
    unpack_keys,
)
from exchange.store.tables import BATCH_SUMS, BATCHES, CLIENT_KEYS, OPERATOR_COMMANDS, QUARANTINE

# Rows of history looked up at once.
KEYS_AT_ONCE = 1_000
PROGRESS_S = 10.0


@dataclass(slots=True)
class RowReport(Findings):
    """
    What was found: ``uncovered`` rows have no digest that still applies to them.

    Those are older than the sums, or retention may have changed them since.
    """

    batches: int = 0
    checked: int = 0
    uncovered: int = 0


def verify_rows(
    store: Store,
    projections: Sequence[Projection],
    *,
    pruned_through: Callable[[], Mapping[str, int]] = dict,
    progress: Callable[[str], None] = lambda _: None,
) -> RowReport:
    """
    Return which rows of the exchange are not what was written.

    ``pruned_through`` tells, by table, up to which key rows may have been removed or linked
    anew since; it is asked once the snapshot is open. ``progress`` is told every ten seconds
    how far the check is. Holds a digest in memory for each row of the tables that are not
    append-only, about 100 bytes.
    """
    tables = [OPERATOR_COMMANDS, QUARANTINE]
    tables += [table for projection in projections for table in projection.tables]
    check = _RowCheck(store, tables, progress)
    try:
        with store.snapshot() as reader:
            check.run(reader, projections, pruned_through())
    except (StoreError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        check.report.blame(f"rows cannot be read: {error}")
    return check.report


class _RowCheck:
    """One pass over the batches' sums, then one over each table that changes."""

    def __init__(
        self, store: Store, tables: Iterable[Table], progress: Callable[[str], None]
    ) -> None:
        self.report = RowReport()
        self._store = store
        self._tables = {table.name: table for table in tables}
        self._progress = progress
        self._told = time.monotonic()
        self._newest: dict[str, dict[int, int]] = {
            table.name: {} for table in self._tables.values() if not table.append_only
        }
        self._history: dict[str, list[tuple[int, array[int], int]]] = {}

    def run(
        self,
        reader: StoreReader,
        projections: Sequence[Projection],
        pruned_through: Mapping[str, int],
    ) -> None:
        position = read_position(reader)
        try:
            load_image(reader, projections)
        except (StoreError, ValueError, LookupError, TypeError, ArithmeticError) as error:
            self.report.blame(f"a start would be refused: {error}")
        summed = self._check_sums(reader, position)
        self._check_log(reader, position, summed)
        self._check_client_keys(reader)
        for table in self._tables.values():
            if table.append_only:
                self._compare_history(table)
            else:
                self._compare_rows(reader, table, pruned_through.get(table.name, 0))

    def _check_sums(self, reader: StoreReader, position: Position) -> range:
        """Take the sums of all batches; return for which batches there are some."""
        first = expected = 0
        for row in reader.rows_from(BATCH_SUMS, 1):
            number = row[0]
            first = first or number
            self._expect(f"sums of batch {number}", number, expected or number)
            expected = number + 1
            if not is_whole(row):
                self.report.blame(f"sums of batch {number} are not what was written")
                continue
            for written in decode_written(row[1]):
                self._take(number, written)
            self._tell(f"batch {number:,d} of {position.batch:,d}")
        if first and expected != position.batch + 1:
            self.report.blame(f"sums end at batch {expected - 1}, expected {position.batch}")
        return range(first, expected) if first else range(0)

    def _check_log(self, reader: StoreReader, position: Position, summed: range) -> None:
        number = expected = 0
        for row in reader.rows_from(BATCHES, 1):
            number = row[0]
            self._expect(f"batch {number} of the command log", number, expected or number)
            expected = number + 1
            self.report.batches += 1
            if number not in summed:
                self.report.uncovered += 1
            elif row[-1] is None or not is_whole(row):
                self.report.blame(f"batch {number} of the command log is not what was written")
            self._tell(f"command log, batch {number:,d} of {position.batch:,d}")
        if number != position.batch:
            self.report.blame(f"command log ends at batch {number}, expected {position.batch}")

    def _check_client_keys(self, reader: StoreReader) -> None:
        for row in reader.rows_from(CLIENT_KEYS, 0):
            if row[-1] is None:
                self.report.uncovered += 1
            elif is_whole(row):
                self.report.checked += 1
            else:
                self.report.blame(f"{CLIENT_KEYS.name} {row[0]} is not what was written")
            self._tell(f"client ids, of which {self.report.checked:,d} rows so far")

    def _expect(self, what: str, number: int, expected: int) -> None:
        if number != expected:
            self.report.blame(f"{what} does not follow {expected - 1}")

    def _take(self, batch: int, written: WrittenRows) -> None:
        table = self._tables.get(written.table)
        keys = unpack_keys(written)
        if table is None or written.layout != layout_of(table):
            self.report.uncovered += len(keys)
            return
        digests = unpack_digests(written)
        if not table.append_only:
            self._newest[table.name].update(zip(keys, digests, strict=True))
            return
        waiting = self._history.setdefault(table.name, [])
        waiting.append((batch, keys, digests[0]))
        if sum(len(keys) for _, keys, _ in waiting) >= KEYS_AT_ONCE:
            self._compare_history(table)

    def _compare_history(self, table: Table) -> None:
        """Hold rows that were only ever inserted against the digest of each batch's."""
        waiting = self._history.pop(table.name, [])
        wanted = [key for _, keys, _ in waiting for key in keys]
        try:
            found = {row[0]: row for row in self._store.find(table, wanted)}
        except (StoreError, UnicodeDecodeError) as error:
            self.report.blame(f"{table.name} {wanted[0]} to {wanted[-1]}: {error}")
            return
        for batch, keys, digest in waiting:
            missing = [key for key in keys if key not in found]
            rows = as_written(table, [found[key] for key in keys if key in found])
            self.report.checked += len(keys)
            if missing:
                self.report.blame(f"{table.name} {missing[0]} of batch {batch} is missing")
            elif crc32(packed(rows)) != digest:
                span = f"{keys[0]}" if len(keys) == 1 else f"one of {keys[0]} to {keys[-1]}"
                self.report.blame(f"{table.name} {span} of batch {batch} is not what was written")

    def _compare_rows(self, reader: StoreReader, table: Table, pruned: int) -> None:
        """Hold the rows of a table that change against their newest digests."""
        newest = self._newest.pop(table.name)
        rows = reader.rows_from(table, 0)
        while chunk := list(islice(rows, ROWS_AT_ONCE)):
            self._compare_chunk(table, chunk, newest, pruned)
            self._tell(f"{table.name} {chunk[-1][0]:,d}")
        for key in newest:
            if key > pruned:
                self.report.blame(f"{table.name} {key} is missing")

    def _compare_chunk(
        self, table: Table, rows: list[Row], newest: dict[int, int], pruned: int
    ) -> None:
        for row, digest in zip(rows, row_digests(as_written(table, rows)), strict=True):
            expected = newest.pop(row[0], None)
            if expected == digest:
                self.report.checked += 1
            elif expected is None or row[0] <= pruned:
                self.report.uncovered += 1
            else:
                self.report.blame(f"{table.name} {row[0]} is not what was written")

    def _tell(self, text: str) -> None:
        if time.monotonic() - self._told >= PROGRESS_S:
            self._told = time.monotonic()
            self._progress(text)
