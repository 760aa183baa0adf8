"""Bring the database to this version, for as long as that takes."""

from typing import Any

from django.core.management.commands import migrate
from django.db import connections

from tradingplatform.databases import LIMITS_MS


class Command(migrate.Command):
    """Django's own, without the limits that a request has: an index on a grown table takes."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Lift the limits of this process's connection, then migrate."""
        connection = connections[options["database"]]
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                for name in LIMITS_MS:
                    cursor.execute(f"SET {name} = 0")
        super().handle(*args, **options)
