"""Margin calls as they go to their accounts: on the private channel ``margin``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from common.ws import topics
from common.ws.notices import notices_push
from riskengine import selectors
from riskengine.render import render_call
from riskengine.types import MarginCallInfo

# Calls that a subscription begins with.
SNAPSHOT_CALLS = 10


def notices_send(client: redis.Redis, calls: Sequence[tuple[int, MarginCallInfo]]) -> None:
    """
    Hand calls, each with its account, to the process that numbers private streams.

    Raises:
        redis.RedisError: if they cannot be handed over; they can be read over REST then.
    """
    notices_push(
        client, [(account_id, topics.MARGIN, render_call(call)) for account_id, call in calls]
    )


def margin_snapshot(account_id: int) -> dict[str, Any]:
    """Return the data of a snapshot: the newest calls, newest first."""
    found = selectors.margin_calls_page(account_id, limit=SNAPSHOT_CALLS)
    return {"calls": [render_call(call) for call in found[:SNAPSHOT_CALLS]]}
