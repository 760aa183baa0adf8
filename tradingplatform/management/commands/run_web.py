"""Serve HTTP and WebSocket on one port."""

from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from common.http_protocol import BoundedHttpProtocol
from common.ws.protocol import StreamProtocol

# A larger message is refused with 1009 before it is read into memory.
MESSAGE_MAX_BYTES = 65_536
STOP_TIMEOUT_S = 5


class Command(BaseCommand):
    """Run uvicorn in this process, with this project's limits and logging."""

    help = "Serve HTTP and WebSocket on one port"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reload", action="store_true", help="restart when code changes")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Serve until a signal."""
        uvicorn.run(
            "tradingplatform.asgi:application",
            host=settings.HOST,
            port=settings.PORT,
            http=BoundedHttpProtocol,
            ws=StreamProtocol,
            lifespan="on",
            log_config=None,
            reload=options["reload"],
            access_log=False,
            server_header=False,
            # Forwarded headers of strangers are not believed.
            proxy_headers=False,
            ws_max_size=MESSAGE_MAX_BYTES,
            ws_ping_interval=settings.WS_PING_INTERVAL_MS / 1000,
            ws_ping_timeout=settings.WS_PING_TIMEOUT_MS / 1000,
            # A small frame could unpack to gigabytes.
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=STOP_TIMEOUT_S,
        )
