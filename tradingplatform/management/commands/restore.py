"""``manage.py restore``: make an empty database what a backup holds."""

from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tradingplatform.backups.manifest import BackupError
from tradingplatform.backups.service import restore_backup


class Command(BaseCommand):
    """Restores, compares the state with the manifest, and adds the ledger up."""

    help = "Make the (empty or missing) database what a backup holds, and prove it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("backup", type=Path, help="folder that manage.py backup made")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Restore; exit code 2 and one line when that is not possible, 1 when money is wrong."""
        try:
            manifest = restore_backup(options["backup"])
        except BackupError as error:
            raise CommandError(str(error), returncode=2) from None
        self.stdout.write(
            f"restored batch {manifest.batch}, command {manifest.last_command}:"
            f" state {manifest.state_hash} as in the manifest"
        )
        call_command("verify_ledger", stdout=self.stdout)
