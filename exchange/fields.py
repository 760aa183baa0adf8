"""The key column of the exchange's own tables."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

# MongoDB's own name of a document's key.
MONGODB_KEY = "_id"


class RowKeyField(models.BigIntegerField):  # type: ignore[type-arg]
    """
    Primary key made by us: the rowid on SQLite, ``bigint`` on PostgreSQL, ``_id`` on MongoDB.

    On SQLite a ``bigint`` key would be a second index beside the rowid, which halves upserts;
    on MongoDB a key of another name would be one beside ``_id``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Be the primary key unless told otherwise."""
        kwargs.setdefault("primary_key", True)
        super().__init__(*args, **kwargs)

    def get_attname_column(self) -> tuple[str, str | None]:
        """Return the attribute and the column, which is ``_id`` where the database is MongoDB."""
        attribute, column = super().get_attname_column()
        if self.primary_key and is_mongodb():
            column = MONGODB_KEY
        return attribute, column

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        """Return the column type for a database."""
        if connection.vendor == "sqlite":
            return "integer"
        return super().db_type(connection)


def is_mongodb() -> bool:
    """Tell whether the platform's database is MongoDB; models are shaped by it."""
    return "mongodb" in settings.DATABASES["default"]["ENGINE"]
