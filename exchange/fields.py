"""The key column of the exchange's own tables."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class RowKeyField(models.BigIntegerField):  # type: ignore[type-arg]
    """
    Primary key made by the exchange: the rowid on SQLite, ``bigint`` elsewhere.

    The exchange imports no other app, so it has its own instead of the platform's.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Be the primary key unless told otherwise."""
        kwargs.setdefault("primary_key", True)
        super().__init__(*args, **kwargs)

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        """Return the column type for a database."""
        if connection.vendor == "sqlite":
            return "integer"
        return super().db_type(connection)
