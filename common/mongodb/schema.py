"""Collections and their indexes."""

from __future__ import annotations

from typing import Any

from django.db.models import Field, Index, Model
from django_mongodb_backend.indexes import _get_condition_mql
from django_mongodb_backend.schema import DatabaseSchemaEditor as BackendSchemaEditor
from pymongo import IndexModel


class DatabaseSchemaEditor(BackendSchemaEditor):
    """
    Makes unique indexes that queries can use.

    The backend's are partial, over the values of the column's type alone, so that many rows
    may be null. A query that asks for equality does not say which type it means, so MongoDB
    would scan the collection for it: every login would read every user.
    """

    def add_index(
        self,
        model: type[Model],
        index: Index,
        *,
        field: Field[Any, Any] | None = None,
        unique: bool = False,
        column_prefix: str = "",
        parent_model: type[Model] | None = None,
    ) -> None:
        """Create an index; a unique one without nulls covers every row it is meant for."""
        fields: list[Any] = [model._meta.get_field(name) for name, _ in index.fields_orders]
        if not unique or column_prefix or any(column.null for column in fields):
            super().add_index(
                model,
                index,
                field=field,
                unique=unique,
                column_prefix=column_prefix,
                parent_model=parent_model,
            )
            return
        options: dict[str, Any] = {"name": index.name, "unique": True}
        if index.condition is not None:
            condition = _get_condition_mql(index, model, self)
            options["partialFilterExpression"] = condition
        keys = [
            (column.column, -1 if order else 1)
            for column, (_, order) in zip(fields, index.fields_orders, strict=True)
        ]
        self.get_collection(model._meta.db_table).create_indexes([IndexModel(keys, **options)])
