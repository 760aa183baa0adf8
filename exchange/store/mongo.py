"""
The store on MongoDB: one transaction of bulk writes, by the driver alone.

Every integer is stored with 64 bits. MongoDB knows two sorts of integers, and an index over
the one (which is how it tells null from a number) does not hold the other.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from bson import Int64
from bson.errors import BSONError
from django.db import connections
from pymongo import InsertOne, MongoClient, ReadPreference, ReplaceOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from exchange.crash_points import reach
from exchange.fields import MONGODB_KEY
from exchange.projection import Row, Table
from exchange.store.base import (
    DataError,
    Fence,
    Group,
    LeaseLostError,
    StoreBusyError,
    StoreUnusableError,
    checked_groups,
)
from exchange.store.mongo_server import NO_TRANSACTIONS, has_transactions, keeps_history
from exchange.store.mongo_sessions import record_session
from exchange.store.tables import POSITION

Document = dict[str, Any]
Writes = list[InsertOne[Document] | ReplaceOne[Document]]

POSITION_ID = 1
KEYS_PER_QUERY = 10_000
ROWS_PER_FETCH = 5_000
# A message is answered once it is carried out, so its length is what a time-out bounds.
ROWS_PER_WRITE = 1_000

# Another's write of the same row, or a new primary, ends a transaction at once: it is begun
# again for so long. The lease must outlive it.
WRITE_S = 1.0
RETRY_PAUSE_S = 0.005
# A commit whose answer is lost is asked for again, which does no harm, for so long.
COMMIT_S = 3.0

TRANSIENT = "TransientTransactionError"
UNKNOWN = "UnknownTransactionCommitResult"

# Of the server: bad value, failed to parse, type mismatch, immutable field, failed validation,
# document too large (two numbers), duplicate key, key too long.
_DATA_CODES = frozenset({2, 9, 14, 66, 121, 10334, 17419, 17420, 11000, 17280})
# Of the driver, which encodes: out of range, not encodable, too large, not UTF-8.
_ENCODING_ERRORS = (BSONError, OverflowError, TypeError, ValueError)


def _columns(table: Table) -> tuple[str, ...]:
    """Return the names of a table's columns as a document has them."""
    return tuple(_column(table, name) for name in table.columns)


def _column(table: Table, name: str) -> str:
    return MONGODB_KEY if name == table.key else name


def _value(value: object) -> object:
    if value is None:
        raise ValueError("expected a value, was None: no column of the exchange is without one")
    if isinstance(value, int) and not isinstance(value, bool):
        return Int64(value)
    return value


def _writes(table: Table, rows: Sequence[Row]) -> Writes:
    """Return what writes the rows: inserts of what only grows, else upserts by key."""
    names = _columns(table)
    documents = [dict(zip(names, map(_value, row), strict=True)) for row in rows]
    if table.append_only:
        return [InsertOne(document) for document in documents]
    return [
        ReplaceOne({MONGODB_KEY: document[MONGODB_KEY]}, document, upsert=True)
        for document in documents
    ]


def _row(document: Document, names: tuple[str, ...]) -> Row:
    """Return a document's values; the driver's own integers, which the core cannot use, as int."""
    values = [document[name] for name in names]
    return tuple([int(value) if type(value) is Int64 else value for value in values])


class MongoReader:
    """Reads whole collections in the session that its store has opened."""

    def __init__(self, database: Database[Document], session: ClientSession) -> None:
        """Read in the given session."""
        self._database = database
        self._session = session

    def rows(self, table: Table, *, equals: Mapping[str, int] | None = None) -> Iterator[Row]:
        """
        Yield rows in the order of the key, filtered by equality.

        Filtered rows are put in order here: asked for order as well, the server may walk all
        keys of the collection rather than the partial index of the few rows that are meant.
        """
        if not equals:
            return self._fetch(table, {}, in_order=True)
        matching = {_column(table, name): Int64(value) for name, value in equals.items()}
        key = table.columns.index(table.key)
        found = self._fetch(table, matching, in_order=False)
        return iter(sorted(found, key=lambda row: row[key]))

    def rows_from(self, table: Table, first_key: int) -> Iterator[Row]:
        """Yield rows from a key on, in the order of the key."""
        return self._fetch(table, {MONGODB_KEY: {"$gte": Int64(first_key)}}, in_order=True)

    def last_key(self, table: Table) -> int:
        """Return the highest key of a table, 0 when it is empty."""
        found = self._database[table.name].find_one(
            {}, {MONGODB_KEY: 1}, sort=[(MONGODB_KEY, -1)], session=self._session
        )
        return int(found[MONGODB_KEY]) if found else 0

    def _fetch(self, table: Table, matching: Document, *, in_order: bool) -> Iterator[Row]:
        names = _columns(table)
        cursor = self._database[table.name].find(
            matching,
            dict.fromkeys(names, 1) | {MONGODB_KEY: MONGODB_KEY in names},
            batch_size=ROWS_PER_FETCH,
            session=self._session,
        )
        if in_order:
            cursor = cursor.sort(MONGODB_KEY, 1)
        with cursor:
            for document in cursor:
                yield _row(document, names)


class MongoStore:
    """
    The exchange's session with a MongoDB server.

    All its transactions are of one session: beginning the next one aborts what the server may
    still hold open of the last, whatever became of it.
    """

    def __init__(self, using: str = "default") -> None:
        """
        Connect.

        Raises:
            StoreUnusableError: if the server does not answer or has no transactions.
        """
        django = connections[using]
        try:
            django.ensure_connection()
            self._client: MongoClient[Document] = django.connection
            self._database: Database[Document] = self._client[django.settings_dict["NAME"]]
            if not has_transactions(self._client):
                raise StoreUnusableError(NO_TRANSACTIONS)
            self._session = self._client.start_session()
        except PyMongoError as error:
            raise StoreUnusableError(f"database cannot be reached: {error}") from error
        self._is_recorded = False
        self._unsettled: Fence | None = None

    def pause_s(self) -> float:
        """Return 0: a writer here holds up nobody."""
        return 0.0

    def newest_batch(self) -> int:
        """Return 0: the server keeps checksums of its own log."""
        return 0

    def write(self, fence: Fence, groups: Sequence[Group]) -> None:
        """Commit the fence and all rows in one transaction; see ``Store.write``."""
        try:
            writes = [(table.name, _writes(table, rows)) for table, rows in checked_groups(groups)]
        except _ENCODING_ERRORS as error:
            raise DataError(f"rows cannot be encoded: {error}") from error
        try:
            if not self._is_recorded:
                record_session(self._database, self._session)
                self._is_recorded = True
            self._write(fence, writes)
        except _ENCODING_ERRORS as error:
            raise DataError(f"rows cannot be encoded: {error}") from error
        except PyMongoError as error:
            if _blames_data(error):
                raise DataError(f"database refused a value: {error}") from error
            raise StoreBusyError(f"database could not commit: {error}") from error

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[MongoReader]:
        """
        Open a reader that sees one consistent state of all tables.

        Raises:
            StoreUnusableError: if the server does not answer.
        """
        try:
            if self._unsettled is not None:
                self._settle(self._unsettled)
            with _snapshot_session(self._client, self._database) as session:
                yield MongoReader(self._database, session)
        except PyMongoError as error:
            raise StoreUnusableError(f"database cannot be read: {error}") from error

    def find(self, table: Table, keys: Iterable[int]) -> list[Row]:
        """Return the rows of a table that have one of the keys."""
        wanted = iter(sorted(set(keys)))
        names = _columns(table)
        found: list[Row] = []
        try:
            while part := [Int64(key) for key in islice(wanted, KEYS_PER_QUERY)]:
                cursor = self._database[table.name].find(
                    {MONGODB_KEY: {"$in": part}}, dict.fromkeys(names, 1)
                )
                found += [_row(document, names) for document in cursor]
        except PyMongoError as error:
            raise StoreBusyError(f"database could not be read: {error}") from error
        return found

    def close(self) -> None:
        """End the session; the connections belong to the process."""
        self._session.end_session()

    def _write(self, fence: Fence, writes: list[tuple[str, Writes]]) -> None:
        """Make the transaction, again while it was certainly not committed and time is left."""
        give_up_at = time.monotonic() + WRITE_S
        while True:
            try:
                self._attempt(fence, writes)
            except PyMongoError as error:
                if not error.has_error_label(TRANSIENT) or time.monotonic() >= give_up_at:
                    raise
                time.sleep(RETRY_PAUSE_S)
            else:
                return

    def _attempt(self, fence: Fence, writes: list[tuple[str, Writes]]) -> None:
        values = {name: _value(value) for name, value in fence.values.items()}
        with self._transaction(fence):
            self._pass_fence(fence, {"$set": values})
            for name, operations in writes:
                self._write_rows(self._database[name], operations)
            reach("in_commit")

    def _write_rows(self, collection: Collection[Document], operations: Writes) -> None:
        for start in range(0, len(operations), ROWS_PER_WRITE):
            part = operations[start : start + ROWS_PER_WRITE]
            collection.bulk_write(part, ordered=False, session=self._session)

    def _settle(self, fence: Fence) -> None:
        """
        Make certain what became of a transaction after which the server did not answer.

        Until then its commit could still take effect, after the position row was read, or the
        row stay locked for a minute: a load that outlasts a renewal would wait for that.
        """
        with contextlib.suppress(LeaseLostError), self._transaction(fence):
            self._pass_fence(fence, {"$inc": {"heartbeat": Int64(1)}})

    def _pass_fence(self, fence: Fence, change: Document) -> None:
        led = self._database[POSITION.name].update_one(
            {MONGODB_KEY: Int64(POSITION_ID), "epoch": Int64(fence.epoch)},
            change,
            session=self._session,
        )
        if led.matched_count != 1:
            raise LeaseLostError(f"epoch {fence.epoch} no longer leads")

    @contextlib.contextmanager
    def _transaction(self, fence: Fence) -> Iterator[None]:
        session = self._session
        session.start_transaction(
            read_concern=ReadConcern("snapshot"),
            write_concern=WriteConcern("majority", j=True),
            read_preference=ReadPreference.PRIMARY,
        )
        try:
            yield
        except BaseException as error:
            if isinstance(error, ConnectionFailure):
                # The abort does not arrive either: the server still holds the position row.
                self._unsettled = fence
            session.abort_transaction()
            raise
        self._commit(fence)

    def _commit(self, fence: Fence) -> None:
        give_up_at = time.monotonic() + COMMIT_S
        self._unsettled = fence
        while True:
            try:
                self._session.commit_transaction()
            except PyMongoError as error:
                if not error.has_error_label(UNKNOWN):
                    self._unsettled = None
                    raise
                if time.monotonic() >= give_up_at:
                    raise
            else:
                self._unsettled = None
                return


@contextlib.contextmanager
def _snapshot_session(
    client: MongoClient[Document], database: Database[Document]
) -> Iterator[ClientSession]:
    """
    Open a session whose reads all see one moment.

    A transaction ends after a minute, which loading millions of orders may not, so the reads
    are made at a moment of the history that servers keep for five; one that keeps none is
    read in a transaction.
    """
    if keeps_history(database):
        with client.start_session(snapshot=True) as session:
            yield session
        return
    with client.start_session() as session:
        session.start_transaction(
            read_concern=ReadConcern("snapshot"), read_preference=ReadPreference.PRIMARY
        )
        yield session
        session.abort_transaction()


def _blames_data(error: PyMongoError) -> bool:
    """Tell whether the server refused a value, rather than to work."""
    if error.has_error_label(TRANSIENT):
        return False
    if isinstance(error, DuplicateKeyError):
        return True
    if isinstance(error, BulkWriteError):
        refused = (error.details or {}).get("writeErrors") or [{}]
        return all(one.get("code") in _DATA_CODES for one in refused)
    return isinstance(error, OperationFailure) and error.code in _DATA_CODES
