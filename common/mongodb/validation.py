"""The check of a server by ``manage.py check --database default``, and before migrations."""

from typing import Any

from django.core.checks import CheckMessage, Error
from django_mongodb_backend.validation import DatabaseValidation as BackendValidation
from pymongo.errors import PyMongoError

from exchange.store.mongo_server import NO_TRANSACTIONS, has_transactions


class DatabaseValidation(BackendValidation):
    """The backend's checks of fields, and one of the server: it must have transactions."""

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """Return what is wrong with the server."""
        found = list(super().check(**kwargs))
        try:
            self.connection.ensure_connection()
            if not has_transactions(self.connection.connection):
                found.append(Error(NO_TRANSACTIONS, id="common.E101"))
        except PyMongoError as error:
            found.append(Error(f"MongoDB does not answer: {error}", id="common.E102"))
        return found
