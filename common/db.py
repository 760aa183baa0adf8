"""The one way to a transaction, whatever the database."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

from django.db import (
    DatabaseError,
    InterfaceError,
    InternalError,
    OperationalError,
    connections,
    transaction,
)

# What MongoDB's driver says of errors that pass.
_PASSING = ("TransientTransactionError", "RetryableWriteError")

# SQLSTATE of a write to what only reads.
_READ_ONLY = "25006"


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


def ping(using: str = "default") -> str:
    """
    Ask the database for an answer and return which one it is.

    Raises:
        django.db.DatabaseError: if none comes.
    """
    connection = connections[using]
    if connection.vendor == "mongodb":
        cast("Any", connection).ping()
    else:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    return connection.vendor


def is_unavailable(error: BaseException) -> bool:
    """
    Tell whether an error means that the database is away or cannot do its work now.

    MongoDB's backend makes one kind of error of all that its driver raises. PostgreSQL calls it
    an internal error of its own that a server only reads: a replica, or one that was switched.
    """
    if isinstance(error, OperationalError | InterfaceError):
        return True
    if isinstance(error, InternalError):
        return getattr(error.__cause__, "sqlstate", None) == _READ_ONLY
    driver = sys.modules.get("pymongo.errors")
    if driver is None:
        return False
    cause = error.__cause__ if type(error) is DatabaseError else error
    return isinstance(cause, driver.PyMongoError) and (
        isinstance(cause, driver.ConnectionFailure | driver.ExecutionTimeout)
        or any(map(cause.has_error_label, _PASSING))
    )


def _in_raw_transaction(connection: Any) -> bool:
    """Tell whether a snapshot is open on SQLite, which Django's own bookkeeping does not see."""
    if connection.vendor != "sqlite" or connection.connection is None:
        return False
    return bool(connection.connection.in_transaction)
