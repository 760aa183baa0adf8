"""The process that leads the exchange."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand

from exchange import alive, figures
from exchange.crash_points import enable_from_environment
from exchange.runner import lead, settle_memory
from exchange.store.base import LeaseLostError, StoreError
from exchange.store.factory import open_store
from exchange.store.schema import check_schema

logger = structlog.get_logger(__name__)

EXIT_STORE = 2
EXIT_LEASE_LOST = 70


class Command(BaseCommand):
    """Lead the exchange in the foreground, or wait as its standby."""

    help = "Run the exchange: apply commands, commit, answer, publish. A second one stands by."
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Lead until SIGTERM or SIGINT; exit 70 on a lost lease, 2 on an unusable database."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        try:
            enable_from_environment(settings.VAR_DIR)
            check_schema()
            figures.show()
            turning = alive.this_process(settings.VAR_DIR, "exchange")
            lead(open_store, turning.watched(stop.is_set), settle_memory)
        except StoreError as error:
            self._end(EXIT_STORE, str(error))
        except LeaseLostError as error:
            logger.critical("lease_lost", error=str(error))
            self._end(EXIT_LEASE_LOST, str(error))

    def _end(self, code: int, message: str) -> None:
        line = " ".join(message.split())
        self.stderr.write(f"exchange: {line}")
        sys.exit(code)
