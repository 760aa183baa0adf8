"""
Transactions that a killed leader left open.

A MongoDB server does not notice that a client is gone: what its transaction has changed stays
locked until the server's limit, a minute by default, and whoever leads next would wait for it.
So a leader writes down its session, and who takes over ends that one first.
"""

from __future__ import annotations

from typing import Any

import structlog
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import PyMongoError

logger = structlog.get_logger(__name__)

SESSIONS = "exchange_leadersession"
_ID = 1


def record_session(database: Database[dict[str, Any]], session: ClientSession) -> None:
    """
    Write down the session in which the leader makes its transactions.

    Raises:
        pymongo.errors.PyMongoError: if the server did not take it.
    """
    database[SESSIONS].update_one(
        {"_id": _ID}, {"$set": {"session": session.session_id["id"]}}, upsert=True
    )


def end_recorded_session(database: Database[dict[str, Any]]) -> None:
    """Abort what the recorded leader has open; that it cannot be asked for is only logged."""
    try:
        recorded = database[SESSIONS].find_one({"_id": _ID})
        if recorded is not None:
            database.command("killSessions", [{"id": recorded["session"]}])
    except PyMongoError as error:
        logger.warning("leader_session_not_ended", error=str(error))
