"""Which store serves which database."""

from django.db import connections

from exchange.store.base import Store, StoreUnusableError
from exchange.store.sqlite import SqliteStore


def open_store(using: str = "default", *, paced: bool = True) -> Store:
    """
    Return the store of a database alias for the calling thread.

    ``paced`` leaves other writers their turn where the database has one write lock.

    Raises:
        StoreUnusableError: if the database cannot be opened or has no store yet.
    """
    vendor = connections[using].vendor
    if vendor == "sqlite":
        return SqliteStore(using, paced=paced)
    raise StoreUnusableError(f"expected a SQLite database for the exchange, was {vendor}")
