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
        """Delete all rows. One question finds the collections that have any."""
        for name in self._filled(list(tables)):
            self.connection.get_collection(name).delete_many({})

    def _filled(self, names: list[str]) -> list[str]:
        """Return the names of the collections that hold something."""
        if not names:
            return []
        looks = [[{"$limit": 1}, {"$project": {"_id": {"$literal": name}}}] for name in names]
        others = [
            {"$unionWith": {"coll": name, "pipeline": look}}
            for name, look in zip(names[1:], looks[1:], strict=True)
        ]
        found = self.connection.get_collection(names[0]).aggregate([*looks[0], *others])
        return [row["_id"] for row in found]

    def get_db_converters(self, expression: Any) -> list[Callable[..., Any]]:
        """Return what turns a stored value into Python's, integers of any size among them."""
        converters = list(super().get_db_converters(expression))
        if "SmallIntegerField" in expression.output_field.get_internal_type():
            converters.append(self.convert_integerfield_value)
        return converters
