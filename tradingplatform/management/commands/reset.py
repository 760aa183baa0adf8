"""Remove everything that a run has made, so that the next one starts anew."""

import shutil
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

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
        for path in directory.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        self.stdout.write(f"deleted everything in {directory}")

    def _confirmed(self, directory: Path) -> bool:
        if not sys.stdin.isatty():
            self.stderr.write("reset deletes all data: use make reset YES=1 without a terminal")
            return False
        self.stdout.write(
            f"Delete everything in {directory} (database, keys, logs)? [y/N] ", ending=""
        )
        self.stdout.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}
