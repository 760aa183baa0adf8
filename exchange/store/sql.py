"""
The statements that the SQL databases share.

Names come from ``Table`` declarations of our own and are quoted, values are always bound:
``mark`` is how the driver writes a parameter.
"""
# ruff: noqa: S608

from collections.abc import Sequence

from exchange.projection import Table
from exchange.store.tables import POSITION


def column_list(columns: Sequence[str]) -> str:
    """Return quoted names with commas between them."""
    return ", ".join(f'"{name}"' for name in columns)


def fence_sql(columns: Sequence[str], mark: str) -> str:
    """Return the update of the position row where the epoch is still the given one."""
    changes = ", ".join(f'"{name}" = {mark}' for name in columns)
    return (
        f'UPDATE "{POSITION.name}" SET {changes}'  # nosec B608
        f' WHERE "{POSITION.key}" = 1 AND "epoch" = {mark}'
    )


def insert_sql(table: Table, source: str) -> str:
    """Return the statement that inserts what ``source`` yields, or replaces it by key."""
    sql = f'INSERT INTO "{table.name}" ({column_list(table.columns)}) {source}'  # nosec B608
    if table.append_only:
        return sql
    changes = ", ".join(
        f'"{name}" = excluded."{name}"' for name in table.columns if name != table.key
    )
    return f'{sql} ON CONFLICT ("{table.key}") DO UPDATE SET {changes}'  # nosec B608


def select_sql(table: Table) -> str:
    """Return the statement that reads all rows, to be continued with conditions."""
    return f'SELECT {column_list(table.columns)} FROM "{table.name}"'  # nosec B608


def last_key_sql(table: Table) -> str:
    """Return the statement that reads the highest key, NULL in an empty table."""
    return f'SELECT MAX("{table.key}") FROM "{table.name}"'  # nosec B608
