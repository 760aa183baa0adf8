"""``manage.py prune_orders``: remove never-filled orders that ended long ago."""

from typing import Any

from django.core.management.base import BaseCommand

from orders.retention import retention_run


class Command(BaseCommand):
    """Cleans up in short steps beside the running exchange."""

    help = "Remove never-filled orders that ended more than ORDER_RETENTION_DAYS ago."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run to the end and print what was done."""
        done = retention_run(steps_max=1_000_000)
        self.stdout.write(f"read {done.scanned} orders, removed {done.removed}")
