"""From Django's queries to MongoDB's: the backend's compilers, and what they lack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import NotSupportedError
from django.db.models.constants import OnConflict
from django_mongodb_backend.compiler import (
    SQLAggregateCompiler,
    SQLCompiler,
    SQLDeleteCompiler,
    SQLUpdateCompiler,
)
from django_mongodb_backend.compiler import SQLInsertCompiler as BackendInsertCompiler
from django_mongodb_backend.query import wrap_database_errors
from pymongo import UpdateOne

# The names that Django looks up here.
__all__ = [
    "SQLAggregateCompiler",
    "SQLCompiler",
    "SQLDeleteCompiler",
    "SQLInsertCompiler",
    "SQLUpdateCompiler",
]

Document = dict[str, Any]


class SQLInsertCompiler(BackendInsertCompiler):
    """
    Inserts that may pass over rows that exist, or replace columns of them.

    Both are upserts by key: an insert that fails would end the whole transaction.
    """

    def insert(
        self, docs: Sequence[Document], returning_fields: Sequence[Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """
        Store documents and return their keys if asked to.

        Raises:
            NotSupportedError: if rows are to be told apart by what they do not all have.
            IntegrityError: if a unique index refuses a row for another reason than its key.
        """
        if self.query.on_conflict is None:
            return list(super().insert(docs, returning_fields=returning_fields))
        self._upsert(docs)
        return [(doc["_id"],) for doc in docs] if returning_fields else []

    @wrap_database_errors
    def _upsert(self, docs: Sequence[Document]) -> None:
        updates = [self._update_of(doc) for doc in docs]
        self.collection.bulk_write(updates, ordered=False, session=self.connection.session)

    def _update_of(self, doc: Document) -> UpdateOne:
        if self.query.on_conflict is OnConflict.IGNORE:
            key, changed = ["_id"], set()
        else:
            key = [field.column for field in self.query.unique_fields]
            changed = {field.column for field in self.query.update_fields}
        if not doc.keys() >= {*key}:
            raise NotSupportedError(f"expected rows with {', '.join(key)} to find others by")
        update = {
            "$set": {name: value for name, value in doc.items() if name in changed},
            "$setOnInsert": {
                name: value
                for name, value in doc.items()
                if name not in changed and name not in key
            },
        }
        # An operator without a column is refused by servers before 5.0.
        filled = {operator: columns for operator, columns in update.items() if columns}
        return UpdateOne(
            {name: doc[name] for name in key}, filled or {"$setOnInsert": {}}, upsert=True
        )
