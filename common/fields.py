"""Columns that mean the same on every database."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class KeyField(models.BigIntegerField):
    """
    Primary key made by us: ``integer`` on SQLite (the rowid), ``bigint`` elsewhere.

    On SQLite a ``bigint`` key is a second index beside the rowid and halves upserts.
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


class AtomsField(models.BigIntegerField):
    """An integer amount or price in units of 10^-8; never a decimal, never summed in SQL."""
