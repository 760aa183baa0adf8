"""
Per-account histories without an account index.

Rows of an account are linked newest to oldest by ``previous_id``. An index led by the account
would make every insert a random write (it halved the exchange's speed on a grown
database); following the links costs a few microseconds a row, only when somebody looks.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.db import connections, models

# Rows that one statement follows: few first, since most pages are short, then twice as many.
CHUNK_ROWS_FIRST = 64
CHUNK_ROWS_MAX = 512

# How far back a page looks for a position whose row is gone (retention), in rows.
SEEK_ROWS_MAX = 200_000

Row = tuple[Any, ...]


def walk_chain(
    model: type[models.Model],
    *,
    start_id: int,
    account_id: int,
    columns: Sequence[str],
    rows_max: int,
) -> Iterator[Row]:
    """
    Yield up to ``rows_max`` rows of an account's chain, newest first, from ``start_id`` on.

    ``columns`` must start with ``id`` and ``previous_id``. A row of another account ends the
    chain: a wrong link must never show somebody else's data.
    """
    left = rows_max
    next_id = start_id
    chunk_rows = CHUNK_ROWS_FIRST
    while next_id and left > 0:
        chunk = _chunk(
            model,
            start_id=next_id,
            account_id=account_id,
            columns=columns,
            rows_max=min(left, chunk_rows),
        )
        if not chunk:
            return
        yield from chunk
        left -= len(chunk)
        next_id = chunk[-1][1]
        chunk_rows = min(chunk_rows * 2, CHUNK_ROWS_MAX)


def chain_ids(
    model: type[models.Model],
    *,
    head_id: int,
    account_id: int,
    before_id: int | None,
    rows_max: int,
) -> list[int]:
    """Return up to ``rows_max`` keys of an account's chain, newest first, below ``before_id``."""
    start_id = head_id
    if before_id is not None:
        start_id = seek_chain(model, head_id=head_id, account_id=account_id, below_id=before_id - 1)
    rows = walk_chain(
        model,
        start_id=start_id,
        account_id=account_id,
        columns=("id", "previous_id"),
        rows_max=rows_max,
    )
    return [row[0] for row in rows]


def seek_chain(model: type[models.Model], *, head_id: int, account_id: int, below_id: int) -> int:
    """
    Return the newest row of a chain with an id of at most ``below_id``, or 0.

    Reads one row when that very row still exists; otherwise (retention removed it) it follows
    the chain from its head, at most ``SEEK_ROWS_MAX`` rows.
    """
    if below_id >= head_id:
        return head_id
    if model._default_manager.filter(id=below_id, account_id=account_id).exists():
        return below_id
    rows = walk_chain(
        model,
        start_id=head_id,
        account_id=account_id,
        columns=("id", "previous_id"),
        rows_max=SEEK_ROWS_MAX,
    )
    return next((row[0] for row in rows if row[0] <= below_id), 0)


def _chunk(
    model: type[models.Model],
    *,
    start_id: int,
    account_id: int,
    columns: Sequence[str],
    rows_max: int,
) -> list[Row]:
    connection = connections[model._default_manager.db]
    if connection.vendor == "mongodb":
        return _chunk_by_lookups(model, start_id, account_id, columns, rows_max)
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    # Only names of our own models are formatted in; every value is a parameter.
    names = ", ".join(f"link.{quote(column)}" for column in columns)
    # The outer ORDER BY is on the depth: a chain is read in its own order.
    sql = f"""
        WITH RECURSIVE chain(id, previous_id, depth) AS (
            SELECT id, previous_id, 1 FROM {table} WHERE id = %s AND account_id = %s
            UNION ALL
            SELECT link.id, link.previous_id, chain.depth + 1
            FROM chain JOIN {table} link
              ON link.id = chain.previous_id AND link.account_id = %s
            WHERE chain.depth < %s
        )
        SELECT {names} FROM chain JOIN {table} link ON link.id = chain.id ORDER BY chain.depth
    """  # noqa: S608  # nosec B608
    with connection.cursor() as cursor:
        cursor.execute(sql, [start_id, account_id, account_id, rows_max])
        return [tuple(row) for row in cursor.fetchall()]


def _chunk_by_lookups(
    model: type[models.Model],
    start_id: int,
    account_id: int,
    columns: Sequence[str],
    rows_max: int,
) -> list[Row]:
    rows: list[Row] = []
    next_id = start_id
    while next_id and len(rows) < rows_max:
        found = model._default_manager.filter(id=next_id, account_id=account_id)
        row = found.values_list(*columns).first()
        if row is None:
            break
        rows.append(row)
        next_id = row[1]
    return rows
