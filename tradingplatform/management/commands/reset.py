"""Remove everything that a run has made, so that the next one starts anew."""

import shutil
import sys
from pathlib import Path
from typing import Any, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder

from tradingplatform.databases import shown_database
from tradingplatform.mongodb.settings import shown_mongodb
from tradingplatform.supervisor import state


class Command(BaseCommand):
    """Stop the platform and delete database, Redis data, keys and logs."""

    help = "Stop the platform and delete database, Redis data, keys and logs"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Ask, stop, delete."""
        directory = Path(settings.VAR_DIR)
        if settings.PRODUCTION:
            raise CommandError("reset is refused in production", returncode=2)
        if not options["yes"] and not self._confirmed(directory):
            raise CommandError("nothing was deleted", returncode=1)
        state.stop(directory)
        try:
            self._drop_tables()
        except DatabaseError as error:
            raise CommandError(
                f"nothing was deleted: {' '.join(str(error).split())}", returncode=1
            ) from None
        for path in directory.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        self.stdout.write(f"deleted everything in {directory}")

    def _drop_tables(self) -> None:
        """Remove our tables from a database that is not a file below the directory."""
        if connection.vendor == "sqlite":
            return
        tables = [
            *connection.introspection.django_table_names(only_existing=True),
            MigrationRecorder.Migration._meta.db_table,
        ]
        if connection.vendor == "mongodb":
            cast("Any", connection).drop_collections(tables)
        else:
            self._drop_sql_tables(tables)
        self.stdout.write(f"dropped {len(tables)} tables of {_shown_database()}")

    def _drop_sql_tables(self, tables: list[str]) -> None:
        names = ", ".join(connection.ops.quote_name(table) for table in tables)
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {names} CASCADE")

    def _confirmed(self, directory: Path) -> bool:
        if not sys.stdin.isatty():
            self.stderr.write("reset deletes all data: use make reset YES=1 without a terminal")
            return False
        self.stdout.write(
            f"Delete everything in {directory} (keys, logs) and {_shown_database()}? [y/N] ",
            ending="",
        )
        self.stdout.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _shown_database() -> str:
    if settings.MONGODB_URI:
        return shown_mongodb(settings.MONGODB_URI, connection.settings_dict["NAME"])
    return shown_database(settings.DATABASE_URL)
