"""
The database engine that settings name for MongoDB: its Django backend with real transactions.

The backend leaves ``django.db.transaction.atomic`` without effect. Here it is a transaction of
the server: durable on a majority, isolated, and rolled back whole, since there are no
savepoints.

Transactions follow one another, as on SQLite. MongoDB does not let a writer wait: who touches
a document that another transaction has changed is refused at once, and its whole transaction
ends. So each begins by changing one document that all change, and whoever finds it taken
begins again, having done nothing yet.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django_mongodb_backend.base import DatabaseWrapper as BackendWrapper
from pymongo import ReadPreference
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from common.mongodb.features import DatabaseFeatures
from common.mongodb.introspection import DatabaseIntrospection
from common.mongodb.operations import DatabaseOperations
from common.mongodb.schema import DatabaseSchemaEditor
from common.mongodb.validation import DatabaseValidation
from exchange.store.mongo_sessions import SESSIONS

# The collection of the document that every transaction changes first, and of the one that
# says, outside of transactions, whose turn it is.
TURNS = "common_turn"
TURN_ID = 1
HOLDER_ID = 2
# Nobody needs longer. A server keeps the transaction of a client that was killed for a minute
# or so; whoever waited this long for the same one ends it.
TURN_MAX_S = 5.0
# As long as SQLite's writers wait for its lock.
TURN_WAIT_S = 15.0
TURN_PAUSE_MIN_S = 0.001
TURN_PAUSE_MAX_S = 0.02
COMMIT_TRIES = 5

_TRANSIENT = "TransientTransactionError"
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
            self.session = self._begin()
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
            self.session = self._begin_in_turn(_Turn(self.database))
        except PyMongoError as error:
            raise OperationalError(f"no transaction could begin: {error}") from error

    def _commit(self) -> None:
        if self.session is None:
            return
        try:
            _commit(self.session)
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

    def _begin_in_turn(self, turn: _Turn) -> ClientSession:
        while True:
            session = self._begin()
            try:
                if turn.is_taken_by(session):
                    return session
            except BaseException:
                session.end_session()
                raise
            session.end_session()
            turn.wait()

    def _begin(self) -> ClientSession:
        session: ClientSession = self.connection.start_session()
        session.start_transaction(
            read_concern=ReadConcern("snapshot"),
            write_concern=WriteConcern("majority", j=True),
            read_preference=ReadPreference.PRIMARY,
        )
        return session


class _Turn:
    """One wait for the turn to make a transaction."""

    def __init__(self, database: Any) -> None:
        self._turns = database[TURNS]
        self._command = database.command
        self._is_missing = False
        self._holder: Any = None
        self._held_since = 0.0
        self._give_up_at = time.monotonic() + TURN_WAIT_S

    def is_taken_by(self, session: ClientSession) -> bool:
        """Take the turn within a transaction; False if another has it or nobody can yet."""
        try:
            taken = self._turns.update_one({"_id": TURN_ID}, {"$inc": {"turn": 1}}, session=session)
        except PyMongoError as error:
            if error.has_error_label(_TRANSIENT) and time.monotonic() < self._give_up_at:
                return False
            raise
        if taken.matched_count == 0:
            self._is_missing = True
            return False
        self._turns.update_one(
            {"_id": HOLDER_ID}, {"$set": {"session": session.session_id["id"]}}, upsert=True
        )
        return True

    def wait(self) -> None:
        """
        Let the holder get on, or end a transaction that is held for too long.

        A database that is new, or was dropped by another client, has no turn to take. It is
        made here, outside of transactions: one that made it would keep everybody else out of
        the collection, and wait for itself when it says who holds it.
        """
        if self._is_missing:
            self._turns.update_one({"_id": TURN_ID}, {"$setOnInsert": {"turn": 0}}, upsert=True)
            self._is_missing = False
            return
        found = self._turns.find_one({"_id": HOLDER_ID}) or {}
        holder = found.get("session")
        if holder != self._holder:
            self._holder, self._held_since = holder, time.monotonic()
        elif holder is not None and time.monotonic() - self._held_since >= TURN_MAX_S:
            self._command("killSessions", [{"id": holder}])
            self._held_since = time.monotonic()
        pause_s = random.uniform(TURN_PAUSE_MIN_S, TURN_PAUSE_MAX_S)  # noqa: S311  # nosec B311
        time.sleep(pause_s)


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
