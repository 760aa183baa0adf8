"""Reads go on while the exchange is down, but say how old they are."""

from typing import Any

from exchange import gateway


def freshness() -> dict[str, Any]:
    """
    Return what a private read adds to its answer: nothing while the exchange runs.

    While it is down, ``stale`` is true and ``as_of`` (milliseconds, UTC) is when it was last
    alive: what is shown is committed, but nothing newer can come.
    """
    status = gateway.status()
    return {"stale": True, "as_of": status.heartbeat_ms} if status.down else {}
