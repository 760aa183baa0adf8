"""``manage.py backup``: a verified copy of the database while everything runs."""

import time
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from redis import RedisError

from common import jobs
from common import redis as redis_clients
from exchange.wire import now_ms
from tradingplatform.backups.manifest import BackupError
from tradingplatform.backups.service import make_backup, prune_backups
from tradingplatform.platform_figures import BACKUP_JOB


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError("must be a number of backups from 1")
    return int(text)


class Command(BaseCommand):
    """Backs the database up, and tells health and metrics that it did."""

    help = "Copy the database while everything runs; the copy is loaded and hashed."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--to", type=Path, default=None, help="directory (default: VAR_DIR/backups)"
        )
        parser.add_argument("--keep", type=_count, help="then delete all but the newest so many")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make a backup; exit code 2 and one line when that is not possible."""
        directory = options["to"] or Path(settings.VAR_DIR) / "backups"
        started_ms, started = now_ms(), time.monotonic()

        try:
            path, manifest = make_backup(directory)
        except BackupError as error:
            self._tell(started_ms, started, type(error).__name__)
            raise CommandError(str(error), returncode=2) from None
        self._tell(started_ms, started, "")
        self.stdout.write(
            f"{path}: batch {manifest.batch}, command {manifest.last_command},"
            f" {manifest.bytes} bytes, state {manifest.state_hash}"
        )
        if options["keep"]:
            for old in prune_backups(directory, options["keep"]):
                self.stdout.write(f"deleted {old}")

    def _tell(self, started_ms: int, started: float, error: str) -> None:
        """Keep how it ended where health and metrics look; a backup is one without Redis too."""
        client = redis_clients.client()
        try:
            last = jobs.last_runs(client).get(BACKUP_JOB)
            run = jobs.JobRun(
                BACKUP_JOB,
                started_ms,
                round((time.monotonic() - started) * 1_000, 3),
                "failure" if error else "success",
                error=error,
                success_ms=now_ms() if not error else last.success_ms if last else 0,
            )
            jobs.record(client, run)
        except RedisError as failure:
            self.stderr.write(f"not told to Redis: {failure}")
