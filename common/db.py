"""The one way to a transaction, whatever the database."""

from contextlib import AbstractContextManager
from typing import Any

from django.db import connections, transaction


def atomic(using: str = "default") -> AbstractContextManager[Any]:
    """
    Return the transaction context of the backend behind an alias.

    On MongoDB ``django.db.transaction.atomic`` does nothing; its backend has its own.
    """
    if connections[using].vendor == "mongodb":
        from django_mongodb_backend import transaction as mongodb_transaction

        return mongodb_transaction.atomic(using=using)  # type: ignore[no-any-return]
    return transaction.atomic(using=using)
