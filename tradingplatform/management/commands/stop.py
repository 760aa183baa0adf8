"""Stop the platform that make run started."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from tradingplatform.supervisor import state


class Command(BaseCommand):
    """Stop the running supervisor and its processes."""

    help = "Stop the platform that make run started"
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Wait until nothing runs."""
        stopped = state.stop(settings.VAR_DIR)
        self.stdout.write("stopped" if stopped else "nothing was running")
