"""Why the platform cannot start, in the words that all checks share."""

from collections.abc import Iterable


class PreflightError(Exception):
    """The platform cannot start; the message is one line with the remedy."""


def check_version(database: str, applied: Iterable[tuple[str, str]]) -> None:
    """
    Check that this code knows every migration of a database.

    Raises:
        PreflightError: naming the first that is unknown.
    """
    from django.db.migrations.loader import MigrationLoader

    unknown = sorted(set(applied) - set(MigrationLoader(None).disk_migrations))
    if unknown:
        app, name = unknown[0]
        raise PreflightError(
            f"schema of {database} is newer than this code ({app}.{name} is unknown here):"
            " bring the code up to date or name another database"
        )
