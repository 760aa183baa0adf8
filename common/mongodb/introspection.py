"""Which collections there are."""

from typing import Any

from django.db import OperationalError
from django_mongodb_backend.introspection import DatabaseIntrospection as BackendIntrospection
from pymongo.errors import PyMongoError


class DatabaseIntrospection(BackendIntrospection):
    """The backend's, with Django's errors in place of the driver's."""

    def table_names(self, cursor: Any = None, include_views: bool = False) -> list[str]:
        """
        Return the names of all collections.

        Raises:
            OperationalError: if the server does not answer.
        """
        try:
            return list(super().table_names(cursor, include_views))
        except PyMongoError as error:
            raise OperationalError(str(error)) from error
