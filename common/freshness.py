"""Reads go on while the exchange is down, but say how old they are."""

from typing import Any

from exchange import gateway
from exchange.liveness import last_alive_ms


def freshness() -> dict[str, Any]:
    """
    Return what a private read adds to its answer: nothing while the exchange runs.

    While it is down, ``stale`` is true and ``as_of`` (milliseconds, UTC) is when it was last
    alive: what is shown is committed, but nothing newer can come.
    """
    status = gateway.status()
    if not status.down:
        return {}
    return {"stale": True, "as_of": status.heartbeat_ms or last_alive_ms()}
