"""
Whose turn it is to make a transaction: one document says so, and who has taken it.

It is taken by a write outside of transactions, and the transaction's own first statement gives it
back, which takes effect with the commit. A transaction so begins only after everybody can read
whose it is, and begins nothing once the turn was taken away: whatever is still on its way from a
client that is gone, as after a server stood still, either finds the turn its own and is ended by
who waits, or changes nothing.
"""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Callable
from typing import Any

import pymongo
import structlog
from django.db import OperationalError
from pymongo.client_session import ClientSession
from pymongo.errors import ConnectionFailure, PyMongoError
from pymongo.write_concern import WriteConcern

logger = structlog.get_logger(__name__)

TURNS = "common_turn"
TURN_ID = 1
# Nobody needs longer. A server keeps the transaction of a client that was killed for a minute
# or so; whoever waited this long for the same one ends it.
TURN_MAX_S = 5.0
# As long as SQLite's writers wait for its lock.
TURN_WAIT_S = 15.0
TURN_PAUSE_MIN_S = 0.001
TURN_PAUSE_MAX_S = 0.02
# A transaction that begins just after its session was ended keeps the turn once more.
TAKE_AWAY_S = 1.0
# Also the abort: a server that is away is waited for no longer by who has failed already.
GIVE_BACK_S = 0.5

_TRANSIENT = "TransientTransactionError"

_TOKEN = secrets.token_hex(8)
# Of all turns that threads of this process wait for or have.
_in_use: set[str] = set()


class Turn:
    """The turn of one transaction, from the wait for it to its end."""

    def __init__(self, database: Any, session: ClientSession) -> None:
        """Prepare; ``close`` must follow, whatever becomes of the transaction."""
        # What a failover loses of it, the transaction's first statement does not find.
        self._turns = database.get_collection(TURNS, write_concern=WriteConcern(1))
        self._command = database.command
        self._session = session
        self._mark = f"{_process()}{secrets.token_hex(8)}"
        self._holder: str | None = None
        self._held_since = 0.0
        self._give_up_at = time.monotonic() + TURN_WAIT_S
        self._is_over = False
        _in_use.add(self._mark)

    def take(self, begin: Callable[[ClientSession], None]) -> None:
        """
        Wait for the turn and begin the transaction with it; ``begin`` starts one of a session.

        Raises:
            OperationalError: if others have it for too long.
            pymongo.errors.PyMongoError: if the server does not answer.
        """
        try:
            while not (self._is_taken() and self._is_begun(begin)):
                self._wait()
        except ConnectionFailure:
            # Who has waited for a server in vain does not ask it again.
            self._is_over = True
            raise

    def committed(self) -> None:
        """Note that the transaction was committed, which has given the turn back."""
        self._is_over = True

    def close(self) -> None:
        """Abort what was not committed and give the turn back; if that fails, it is left behind."""
        try:
            with pymongo.timeout(GIVE_BACK_S):
                if self._session.in_transaction:
                    self._session.abort_transaction()
                if not self._is_over:
                    self._give_back()
        except PyMongoError as error:
            logger.warning("turn_not_given_back", error=str(error))
        finally:
            _in_use.discard(self._mark)

    def _is_taken(self) -> bool:
        """Take the turn if it is free; also true of one that is this one's already."""
        free = {"_id": TURN_ID, "holder": {"$in": [None, self._mark]}}
        return bool(self._turns.update_one(free, self._taking).matched_count)

    def _is_begun(self, begin: Callable[[ClientSession], None]) -> bool:
        """Begin; False if the turn was taken away, or another changes it and time is left."""
        begin(self._session)
        try:
            begun = self._turns.update_one(
                {"_id": TURN_ID, "holder": self._mark},
                {"$set": {"holder": None}, "$inc": {"turn": 1}},
                session=self._session,
            )
        except PyMongoError as error:
            if isinstance(error, ConnectionFailure) or not error.has_error_label(_TRANSIENT):
                raise
        else:
            if begun.matched_count:
                return True
        self._session.abort_transaction()
        return False

    def _wait(self) -> None:
        """
        Let the holder get on, or take the turn away from one that nobody goes on with.

        A database that is new, or was dropped by another client, has no turn to take. It is
        made here, outside of transactions: one that made it would keep everybody else out of
        the collection.
        """
        # Before the look: a holder that ends in between has given its turn back.
        is_left = self._holder is not None and _is_left_behind(self._holder)
        found = self._turns.find_one({"_id": TURN_ID})
        if found is None:
            self._turns.update_one({"_id": TURN_ID}, {"$setOnInsert": {"turn": 0}}, upsert=True)
            return
        holder, now = found.get("holder"), time.monotonic()
        if now >= self._give_up_at:
            raise OperationalError(f"no transaction could begin within {TURN_WAIT_S} s")
        if holder != self._holder:
            self._holder, self._held_since = holder, now
        elif holder not in (None, self._mark) and (is_left or now - self._held_since >= TURN_MAX_S):
            self._take_away(holder, found["session"])
            return
        time.sleep(random.uniform(TURN_PAUSE_MIN_S, TURN_PAUSE_MAX_S))  # noqa: S311  # nosec B311

    def _take_away(self, holder: str, session: Any) -> None:
        """End the holder's transaction and take its turn, if it is not given back meanwhile."""
        logger.warning("turn_taken_away", holder=holder)
        try:
            with pymongo.timeout(TAKE_AWAY_S):
                self._command("killSessions", [{"id": session}])
                self._turns.update_one({"_id": TURN_ID, "holder": holder}, self._taking)
        except PyMongoError as error:
            # The next look ends it again, or finds that the server is away.
            if not error.timeout:
                raise

    def _give_back(self) -> None:
        self._turns.update_one({"_id": TURN_ID, "holder": self._mark}, {"$set": {"holder": None}})

    @property
    def _taking(self) -> dict[str, Any]:
        return {"$set": {"holder": self._mark, "session": self._session.session_id["id"]}}


def _process() -> str:
    """Return what the marks of this process begin with; a fork is another one."""
    return f"{_TOKEN}-{os.getpid()}-"


def _is_left_behind(mark: str) -> bool:
    """Tell whether a turn was one of this process that no thread of it knows any more."""
    return mark.startswith(_process()) and mark not in _in_use
