"""Telling users what became of their withdrawals: the channel ``withdrawals`` of their socket."""

from __future__ import annotations

from typing import Any

import redis
import structlog

from common import redis as redis_clients
from common.ws import topics
from common.ws.notices import notices_push
from wallets.withdrawals.render import render_withdrawal
from wallets.withdrawals.selectors import withdrawals_page
from wallets.withdrawals.types import WithdrawalInfo

log = structlog.get_logger(__name__)

# Withdrawals that a subscription begins with.
SNAPSHOT_WITHDRAWALS = 20


def tell_changed(info: WithdrawalInfo) -> None:
    """Send a withdrawal as it was at a change; without Redis it can be read over REST."""
    told = (info.account_id, topics.WITHDRAWALS, render_withdrawal(info))
    try:
        notices_push(redis_clients.client(), [told])
    except redis.RedisError as error:
        log.warning(
            "withdrawal_not_told", withdrawal_id=info.withdrawal_id, error=type(error).__name__
        )


def withdrawals_snapshot(account_id: int) -> dict[str, Any]:
    """Return the data of a snapshot: the newest withdrawals, newest first."""
    found = withdrawals_page(account_id=account_id, limit=SNAPSHOT_WITHDRAWALS)
    return {"withdrawals": [render_withdrawal(info) for info in found[:SNAPSHOT_WITHDRAWALS]]}
