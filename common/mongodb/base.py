"""
The database engine that settings name for MongoDB: its Django backend with real transactions.

The backend leaves ``django.db.transaction.atomic`` without effect. Here it is a transaction of
the server: durable on a majority, isolated, and rolled back whole, since there are no
savepoints.

Transactions follow one another, as on SQLite. MongoDB does not let a writer wait: who touches
a document that another transaction has changed is refused at once, and its whole transaction
ends. So each waits for its turn before it begins (``common.mongodb.turn``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from pymongo import ReadPreference
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from common.mongodb.backend import DatabaseWrapper as BackendWrapper
from common.mongodb.features import DatabaseFeatures
from common.mongodb.introspection import DatabaseIntrospection
from common.mongodb.operations import DatabaseOperations
from common.mongodb.schema import DatabaseSchemaEditor
from common.mongodb.turn import TURNS, Turn
from common.mongodb.validation import DatabaseValidation
from exchange.store.mongo_sessions import SESSIONS

COMMIT_TRIES = 5

_UNKNOWN = "UnknownTransactionCommitResult"


class DatabaseWrapper(BackendWrapper):
    """A connection whose transactions are durable, isolated and wait for one another."""

    features_class = DatabaseFeatures
    introspection_class = DatabaseIntrospection
    ops_class = DatabaseOperations
    validation_class = DatabaseValidation
    SchemaEditorClass = DatabaseSchemaEditor

    data_types = BackendWrapper.data_types | {
        "PositiveSmallIntegerField": "long",
        "SmallIntegerField": "long",
    }
    # The backend also asks that the value is not null, in three more conditions. A comparison
    # with a number is one of numbers alone, and the server can do it by an index.
    mongo_operators = BackendWrapper.mongo_operators | {
        "lt": lambda column, value: {column: {"$lt": value}},
        "lte": lambda column, value: {column: {"$lte": value}},
    }

    # Of the transaction that is open.
    session: ClientSession | None
    _turn: Turn | None = None

    # Django's own, which the backend replaces by ones for transactions of another kind.
    set_autocommit = BaseDatabaseWrapper.set_autocommit
    on_commit = BaseDatabaseWrapper.on_commit

    def is_usable(self) -> bool:
        """Return true: the driver itself replaces connections that break."""
        return True

    def ping(self) -> None:
        """
        Ask the server for an answer.

        Raises:
            OperationalError: if none comes.
        """
        try:
            self.ensure_connection()
            self.database.command("ping")
        except PyMongoError as error:
            raise OperationalError(str(error)) from error

    @contextmanager
    def read_snapshot(self) -> Iterator[None]:
        """
        Let the queries inside see one committed state; they wait for nobody.

        Raises:
            OperationalError: if the server does not answer.
        """
        if self.session is not None:
            yield
            return
        try:
            self.ensure_connection()
            self.session = self.connection.start_session()
            _begin(self.session)
            yield
        except PyMongoError as error:
            raise OperationalError(f"no snapshot could be read: {error}") from error
        finally:
            self._abandon()

    def drop_collections(self, names: Iterable[str]) -> None:
        """
        Remove collections, and those of this engine and the exchange that have no model.

        Raises:
            OperationalError: if the server does not answer.
        """
        try:
            self.ensure_connection()
            for name in (*names, TURNS, SESSIONS):
                self.database.drop_collection(name)
        except PyMongoError as error:
            raise OperationalError(str(error)) from error

    def _set_autocommit(self, autocommit: bool) -> None:
        if autocommit:
            return
        self._abandon()
        try:
            self.session = self.connection.start_session()
            self._turn = Turn(self.database, self.session)
            self._turn.take(_begin)
        except BaseException as error:
            self._abandon()
            if isinstance(error, PyMongoError):
                raise OperationalError(f"no transaction could begin: {error}") from error
            raise

    def _commit(self) -> None:
        if self.session is None:
            return
        try:
            _commit(self.session)
            if self._turn is not None:
                self._turn.committed()
        except PyMongoError as error:
            raise OperationalError(f"transaction was not committed: {error}") from error
        finally:
            self._abandon()

    def _rollback(self) -> None:
        self._abandon()

    def _abandon(self) -> None:
        """End the session; what it has not committed is aborted."""
        if self.session is not None:
            self._end_session()

    def _end_session(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.close()
        super()._end_session()


def _begin(session: ClientSession) -> None:
    session.start_transaction(
        read_concern=ReadConcern("snapshot"),
        write_concern=WriteConcern("majority", j=True),
        read_preference=ReadPreference.PRIMARY,
    )


def _commit(session: ClientSession) -> None:
    """Commit; while the answer is lost, ask again, which does no harm."""
    for tries_left in range(COMMIT_TRIES, 0, -1):
        try:
            session.commit_transaction()
        except PyMongoError as error:
            if not error.has_error_label(_UNKNOWN) or tries_left == 1:
                raise
        else:
            return
