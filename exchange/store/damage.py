"""Rows that are not what was written: which they are, and the one line a start says of them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from exchange.projection import Row, Table
from exchange.store.base import StoreReader, StoreUnusableError
from exchange.store.sums import (
    LiveSums,
    decode_written,
    layout_of,
    row_checksum,
    unpack_digests,
    unpack_keys,
)
from exchange.store.tables import BATCH_SUMS, BATCHES

LAST_MS = BATCHES.columns.index("last_ms")
PAYLOAD = BATCHES.columns.index("payload")

KEYS_NAMED_MAX = 5


def is_whole(row: Row) -> bool:
    """
    Tell whether a row that ends with its checksum is what was written.

    One without, which an older version wrote, is not judged.
    """
    return row[-1] is None or bool(row[-1] == row_checksum(row[:-1]))


def check_batch(row: Row) -> None:
    """
    Refuse a damaged row of the command log.

    Raises:
        StoreUnusableError: if it is not what was written.
    """
    if not is_whole(row):
        raise StoreUnusableError(
            f"batch {row[0]} of the command log is not what was written: restore a backup"
        )


def check_live_rows(
    reader: StoreReader, tables: Iterable[Table], sums: LiveSums, stored: bytes
) -> None:
    """
    Refuse live rows whose sums are not the stored ones.

    Raises:
        StoreUnusableError: naming the table, and the rows where the sums of the batches know them.
    """
    try:
        differences = sums.differences(stored)
    except msgspec.MsgspecError as error:
        raise StoreUnusableError(f"sums of rows cannot be read ({error}): restore a backup") from (
            error
        )
    if not differences:
        return
    named = [table for table in tables if table.name in differences]
    texts = list(differences.values())
    if keys := _damaged_keys(reader, named, sums):
        texts.append("damaged or lost: " + ", ".join(keys[:KEYS_NAMED_MAX]))
    raise StoreUnusableError(
        f"database is damaged ({'; '.join(texts)}): restore a backup;"
        " manage.py verify_ledger names all damaged rows"
    )


def _damaged_keys(reader: StoreReader, tables: list[Table], sums: LiveSums) -> list[str]:
    """Return the live rows that differ from what was written last by the sums of the batches."""
    wanted = {table.name: table for table in tables}
    newest: dict[str, dict[int, int]] = {name: {} for name in wanted}
    try:
        for _, data, _checksum in reader.rows_from(BATCH_SUMS, 1):
            for written in decode_written(data):
                table = wanted.get(written.table)
                if table is not None and written.layout == layout_of(table):
                    pairs = zip(unpack_keys(written), unpack_digests(written), strict=True)
                    newest[table.name].update(pairs)
    except (msgspec.MsgspecError, ValueError):
        # The list itself is damaged: the table alone is named.
        return []
    return [
        f"{name} {key}"
        for name, table in wanted.items()
        for key, digest in newest[name].items()
        if sums.digests(table).get(key, digest) != digest
    ]
