"""
What operators tell users: kept as rows, and sent to whoever listens.

A notice for everybody is one row with account 0. It reaches ``/ws/user`` on the channel
``notices`` through the process that numbers private streams.
"""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from accounts.models import Notice
from common import redis as redis_clients
from common.ws import topics
from common.ws.notices import notices_push

EVERYBODY = 0
# Notices that a subscription begins with.
SNAPSHOT_NOTICES = 20


def notice_add(*, account_id: int, text: str, actor: str) -> Notice:
    """Write a notice down, for one account or (0) everybody; the caller sends and records it."""
    return Notice.objects.create(
        account_id=account_id,
        text=text,
        actor=actor,
        created_ms=int(timezone.now().timestamp() * 1000),
    )


def notice_send(notice: Notice) -> None:
    """
    Hand a notice to the process that numbers private streams.

    Raises:
        redis.RedisError: if it cannot be handed over; it can be read over REST then.
    """
    notices_push(
        redis_clients.client(),
        [(notice.account_id, topics.NOTICES, render_notice(notice))],
    )


def notices_page(account_id: int, *, limit: int, below_id: int | None = None) -> list[Notice]:
    """Return one more than ``limit`` of an account's notices if there are, the newest first."""
    found: list[Notice] = []
    for owner in (account_id, EVERYBODY):
        rows = Notice.objects.filter(account_id=owner).order_by("-id")
        if below_id is not None:
            rows = rows.filter(id__lt=below_id)
        found += rows[: limit + 1]
    found.sort(key=lambda notice: -notice.pk)
    return found[: limit + 1]


def render_notice(notice: Notice) -> dict[str, Any]:
    """Return a notice as its readers see it; who wrote it is for operators."""
    return {
        "id": str(notice.pk),
        "text": notice.text,
        "to_everybody": notice.account_id == EVERYBODY,
        "time": notice.created_ms,
    }


def notices_snapshot(account_id: int) -> dict[str, Any]:
    """Return the data of a snapshot: the newest notices, newest first."""
    found = notices_page(account_id, limit=SNAPSHOT_NOTICES)
    return {"notices": [render_notice(notice) for notice in found[:SNAPSHOT_NOTICES]]}
