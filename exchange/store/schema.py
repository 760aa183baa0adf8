"""Is the database one that this code may write to?"""

from __future__ import annotations

from django.db import DatabaseError, OperationalError, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from exchange.store.base import StoreUnusableError


def check_schema(using: str = "default") -> None:
    """
    Refuse a database that is missing, damaged, behind or ahead of this code.

    Raises:
        StoreUnusableError: with the remedy in one line.
    """
    connection = connections[using]
    name = connection.settings_dict["NAME"]
    try:
        loader = MigrationLoader(connection)
        applied = set(MigrationRecorder(connection).applied_migrations())
    except (DatabaseError, UnicodeDecodeError) as error:
        raise StoreUnusableError(
            f"database {name} cannot be read ({error}): {_remedy(connection.vendor, error)}"
        ) from error
    known = set(loader.disk_migrations)
    ours = {app for app, _ in known}
    newer = sorted(key for key in applied - known if key[0] in ours and not _replaced(loader, key))
    if newer:
        raise StoreUnusableError(
            f"database {name} has migration {'.'.join(newer[0])} of a newer version:"
            " run that version"
        )
    missing = sorted(set(loader.graph.nodes) - applied)
    if missing:
        raise StoreUnusableError(
            f"database {name} lacks migration {'.'.join(missing[0])}: run manage.py migrate"
        )


def _remedy(vendor: str, error: Exception) -> str:
    """Return what helps: a file that cannot be opened is damaged, a server may just be away."""
    if vendor != "sqlite" and isinstance(error, OperationalError):
        return "start its server, or correct the address"
    return "restore it from a backup"


def _replaced(loader: MigrationLoader, key: tuple[str, str]) -> bool:
    return any(key in migration.replaces for migration in loader.disk_migrations.values())
