"""The one way to a transaction, whatever the database."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

from django.db import connections, transaction


def atomic(using: str = "default") -> AbstractContextManager[Any]:
    """
    Return the transaction context of the backend behind an alias.

    On MongoDB it knows no savepoints: an error inside ends the whole transaction.
    """
    return transaction.atomic(using=using)


@contextmanager
def read_snapshot(using: str = "default") -> Iterator[None]:
    """
    Let the reads inside see one committed state, without keeping the exchange from writing.

    On SQLite ``atomic`` would take the write lock; a deferred transaction does not. Inside
    another transaction (a test's) or snapshot it adds nothing.
    """
    connection = connections[using]
    if connection.in_atomic_block or _in_raw_transaction(connection):
        yield
        return
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")
        return
    if connection.vendor == "mongodb":
        with cast("Any", connection).read_snapshot():
            yield
        return
    with atomic(using), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def _in_raw_transaction(connection: Any) -> bool:
    """Tell whether a snapshot is open on SQLite, which Django's own bookkeeping does not see."""
    if connection.vendor != "sqlite" or connection.connection is None:
        return False
    return bool(connection.connection.in_transaction)
