"""What a MongoDB server can do that the platform needs to know."""

from __future__ import annotations

from typing import Any

from bson import Timestamp
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure

from exchange.store.tables import POSITION

NO_TRANSACTIONS = (
    "MongoDB server is no member of a replica set and so has no transactions:"
    " start it with --replSet and call rs.initiate(), one member is enough"
)

# The first second of 1970: no server keeps what it held then.
_LONG_AGO = Timestamp(1, 1)
# Of databases seen already: a server does not change its mind.
_history: dict[tuple[str, int | None, str], bool] = {}


def has_transactions(client: MongoClient[dict[str, Any]]) -> bool:
    """
    Tell whether the server is a member of a replica set, or leads to a cluster.

    Raises:
        pymongo.errors.PyMongoError: if it does not answer.
    """
    hello = client.admin.command("hello")
    return "setName" in hello or hello.get("msg") == "isdbgrid"


def keeps_history(database: Database[dict[str, Any]]) -> bool:
    """
    Tell whether reads outside transactions can be made at a past moment.

    A server that can refuses one that is too long ago; one that cannot answers with today's.

    Raises:
        pymongo.errors.PyMongoError: if it does not answer.
    """
    key = (*(database.client.address or ("", None)), database.name)
    if key not in _history:
        try:
            database.command(
                {
                    "find": POSITION.name,
                    "limit": 1,
                    "readConcern": {"level": "snapshot", "atClusterTime": _LONG_AGO},
                }
            )
        except OperationFailure:
            _history[key] = True
        else:
            _history[key] = False
    return _history[key]
