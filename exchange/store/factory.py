"""Which store serves which database."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

from exchange.store.base import Store, StoreUnusableError


def open_store(using: str = "default", *, paced: bool = True) -> Store:
    """
    Return the store of a database alias for the calling thread.

    ``paced`` leaves other writers their turn where the database has one write lock.

    Raises:
        StoreUnusableError: if the database cannot be opened or has no store yet.
    """
    vendor = connections[using].vendor
    # Only the driver that is used is loaded: a standby's start counts in milliseconds.
    if vendor == "sqlite":
        from exchange.store.sqlite import SqliteStore

        return SqliteStore(using, paced=paced)
    if vendor == "postgresql":
        from exchange.store.postgres import PostgresStore

        return PostgresStore(using)
    if vendor == "mongodb":
        from exchange.store.mongo import MongoStore

        return MongoStore(using)
    raise StoreUnusableError(f"expected a database with a store for the exchange, was {vendor}")


def end_left_transaction(using: str = "default") -> None:
    """
    End the transaction that a leader who is gone may have left open.

    Most databases do so themselves once its connection breaks.
    """
    connection = connections[using]
    if connection.vendor == "mongodb":
        from exchange.store.mongo_sessions import end_recorded_session

        connection.ensure_connection()
        end_recorded_session(connection.connection[connection.settings_dict["NAME"]])


@contextmanager
def answered_within(seconds: float, using: str = "default") -> Iterator[None]:
    """
    Let what is asked inside fail with a ``DatabaseError`` if it is kept waiting for longer.

    A write on MongoDB waits for whatever transaction holds its row, whoever has left that open;
    the server ends the wait too, so nothing takes effect later. Others have their own limits.
    """
    if connections[using].vendor != "mongodb":
        yield
        return
    import pymongo

    with pymongo.timeout(seconds):
        yield
