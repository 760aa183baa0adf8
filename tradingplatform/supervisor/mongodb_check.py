"""What must hold of a MongoDB database before anything starts."""

from typing import Any

from django.conf import settings
from django.db import DatabaseError, connections
from django.db.migrations.recorder import MigrationRecorder
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from exchange.store.mongo_server import NO_TRANSACTIONS, has_transactions
from tradingplatform.mongodb.settings import shown_mongodb
from tradingplatform.supervisor.problems import PreflightError, check_version

# The oldest that the framework's backend speaks to.
VERSION_MIN = (6, 0)


def check_mongodb() -> str:
    """
    Check that the server answers, has transactions, and is not of a newer version.

    Raises:
        PreflightError: with the remedy in one line.
    """
    connection: Any = connections["default"]
    shown = shown_mongodb(settings.MONGODB_URI, connection.settings_dict["NAME"])
    try:
        connection.ensure_connection()
        version = _check_server(connection.connection, shown)
        check_version(shown, set(MigrationRecorder(connection).applied_migrations()))
        size_bytes = connection.database.command("dbStats").get("dataSize", 0)
    except (PyMongoError, DatabaseError) as error:
        raise PreflightError(
            f"database {shown} does not answer ({_one_line(error)}): start the server or correct"
            " MONGODB_URI"
        ) from None
    return f"{shown}, MongoDB {version}, {int(size_bytes) // 2**20} MiB"


def _check_server(client: MongoClient[dict[str, Any]], shown: str) -> str:
    if not has_transactions(client):
        raise PreflightError(f"database {shown} cannot be used: {NO_TRANSACTIONS}")
    info = client.server_info()
    if tuple(info["versionArray"][:2]) < VERSION_MIN:
        raise PreflightError(
            f"database {shown} is MongoDB {info['version']}, at least"
            f" {'.'.join(map(str, VERSION_MIN))} is needed: upgrade the server"
        )
    return str(info["version"])


def _one_line(error: Exception) -> str:
    """Return the first words of an error; the driver's go on with all it knows of servers."""
    return " ".join(str(error).split()).partition(", Timeout:")[0][:200]
