"""
ASGI entry point: WebSockets here, HTTP through the WSGI application in threads.

Django's WSGI path is several times faster than its ASGI path, so one port serves both: a
request takes a thread, a socket takes none.
"""

import gc
import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingplatform.settings")

from a2wsgi import WSGIMiddleware
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import re_path

from common.asgi import BodyGuard, DropUnderscoreHeaders
from common.waiting import WaitingGuard, taking
from common.ws.asgi import Lifespan, OriginGuard, not_found
from common.ws.hub import get_hub
from tradingplatform.wsgi import application as wsgi_application

# Consumers use models, so they are imported after the line above has set Django up.
from adminpanel.routing import websocket_urlpatterns as admin_patterns  # isort: skip
from markets.routing import websocket_urlpatterns as market_patterns  # isort: skip
from orders.routing import websocket_urlpatterns as order_patterns  # isort: skip
from orders.ws_disconnect import disconnect_watch  # isort: skip

# Django's stubs know no consumers, and a2wsgi's types are stricter than PEP 3333.
_not_found: Any = not_found
_wsgi: Any = taking(wsgi_application)

websocket_urlpatterns = [
    *market_patterns,
    *order_patterns,
    *admin_patterns,
    re_path(r"", _not_found),
]


def _start() -> None:
    """Look after connections from the start: a process that died may have left wishes."""
    disconnect_watch(get_hub())
    # What is loaded now stays. A full collection would look at it again and again: at 127,000
    # objects, for 60 to 200 ms during which no connection is served.
    gc.collect()
    gc.freeze()


async def _stop() -> None:
    await disconnect_watch(get_hub()).stop()


_router = ProtocolTypeRouter(
    {
        "http": WSGIMiddleware(_wsgi, workers=settings.WEB_THREADS),
        "websocket": OriginGuard(URLRouter(websocket_urlpatterns)),
        "lifespan": Lifespan(start=_start, stop=_stop),
    }
)
application = DropUnderscoreHeaders(BodyGuard(WaitingGuard(_router)))
