"""Values on their way to MongoDB and back, and where the backend finds our compilers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bson import Int64
from django_mongodb_backend.operations import DatabaseOperations as BackendOperations


class DatabaseOperations(BackendOperations):
    """
    The backend's operations with the compilers of this package.

    Every integer has 64 bits, those of small columns too: the exchange's store writes all
    alike, and the two sorts of integers that MongoDB knows do not meet in one index.
    """

    compiler_module = "common.mongodb.compiler"

    def adapt_integerfield_value(self, value: Any, internal_type: str) -> Any:
        """Return an integer as MongoDB's of 64 bits."""
        return None if value is None else Int64(value)

    def execute_sql_flush(self, tables: Iterable[str]) -> None:
        """Delete all rows. A collection that has none costs one question and no commit."""
        for name in tables:
            rows = self.connection.database[name]
            if rows.find_one(projection=()) is not None:
                rows.delete_many({})

    def get_db_converters(self, expression: Any) -> list[Callable[..., Any]]:
        """Return what turns a stored value into Python's, integers of any size among them."""
        converters = list(super().get_db_converters(expression))
        if "SmallIntegerField" in expression.output_field.get_internal_type():
            converters.append(self.convert_integerfield_value)
        return converters
