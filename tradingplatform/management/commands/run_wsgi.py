"""Serve HTTP alone, for a proxy that ends TLS and sends WebSockets elsewhere."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

# As for the server of development: request line and headers together.
HEAD_BYTES_MAX = 16_384
HEAD_WAIT_MS = 30_000
# What is under way may end; an order waits five seconds for its commit at most.
STOP_TIMEOUT_S = 10


class Command(BaseCommand):
    """Run granian's WSGI server: one process of ``WEB_THREADS`` threads; add processes to grow."""

    help = "Serve HTTP alone (production: behind a proxy, beside run_web for WebSockets)"
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Serve until a signal."""
        Granian(
            "tradingplatform.wsgi:application",
            address=settings.HOST,
            port=settings.PORT,
            interface=Interfaces.WSGI,
            workers=1,
            blocking_threads=settings.WEB_THREADS,
            websockets=False,
            http1_settings=HTTP1Settings(
                header_read_timeout=HEAD_WAIT_MS, max_buffer_size=HEAD_BYTES_MAX
            ),
            log_level=LogLevels(settings.LOG_LEVEL),
            log_dictconfig=server_logging(settings.LOGGING),
            workers_kill_timeout=STOP_TIMEOUT_S,
        ).serve()


def server_logging(configured: dict[str, Any]) -> dict[str, Any]:
    """
    Return the platform's logging for granian's own process, which only supervises.

    It writes no file: the worker, which is another process, writes and rotates that one.
    """
    own = {name: {"propagate": True, "handlers": []} for name in ("_granian", "granian.access")}
    return {
        **configured,
        "handlers": {"console": configured["handlers"]["console"]},
        "root": {**configured["root"], "handlers": ["console"]},
        "loggers": {**configured["loggers"], **own},
    }
