"""The process that turns committed events into live data."""

import signal
import sys
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.module_loading import import_string

from common.redis import blocking_client
from common.ws.projecting import BLOCK_MS, LostLeadershipError, ProjectorHost
from exchange import alive
from exchange.events_stream import EventReader

EXIT_LOST_LEADERSHIP = 70


class Command(BaseCommand):
    """``manage.py run_projector``: runs until SIGTERM or SIGINT."""

    help = "Publish books, trades, prices, candles and private updates from committed events."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Host the projectors of ``settings.EVENT_PROJECTORS``; exits 70 if replaced."""
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        client = blocking_client(BLOCK_MS / 1000)
        host = ProjectorHost(
            redis=client,
            reader=EventReader(client),
            projectors=[import_string(path)(client) for path in settings.EVENT_PROJECTORS],
        )
        try:
            turning = alive.this_process(settings.VAR_DIR, "projector")
            host.run(turning.watched(stopped.is_set))
        except LostLeadershipError:
            self.stderr.write("projector: another projector publishes now")
            sys.exit(EXIT_LOST_LEADERSHIP)
