"""``manage.py replay_log``: apply the command log again and compare."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from exchange.core.units import InvariantError
from exchange.models import Batch
from exchange.processor import make_projections
from exchange.replay import replay_log
from exchange.store.base import StoreError
from exchange.store.factory import open_store
from exchange.store.loader import rows_hash


class Command(BaseCommand):
    """Every command from the first, each result held against the logged one, then the state."""

    help = "Apply the whole command log again; results and state must be those of the rows."
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """
        Replay; exit code 1 if anything differs, 2 if it cannot be replayed.

        Commands that are committed meanwhile would show as a difference: the platform should
        be stopped, or a restored backup be replayed.
        """
        first = Batch.objects.order_by("id").values_list("id", flat=True).first()
        if first is None:
            raise CommandError("the command log is empty", returncode=2)
        if first != 1:
            raise CommandError(
                f"the log begins at batch {first}: older batches were removed"
                " (COMMAND_LOG_RETENTION_HOURS), so it cannot be replayed from the start",
                returncode=2,
            )
        store = open_store()
        try:
            exchange = replay_log(store)
            expected = rows_hash(store, make_projections())
        except InvariantError as error:
            raise CommandError(f"replay differs from the log: {error}", returncode=1) from None
        except StoreError as error:
            raise CommandError(str(error), returncode=2) from None
        replayed = exchange.state_hash()
        if replayed != expected:
            raise CommandError(
                f"replay gives state {replayed}, the rows describe {expected}", returncode=1
            )
        self.stdout.write(f"{exchange.sequences.command} commands replayed: state {replayed}")
