"""
What operators tell users: kept as rows, and sent to whoever listens.

A notice for everybody is one row with account 0. It reaches ``/ws/user`` on the channel
``notices`` through the process that numbers private streams.
"""

from __future__ import annotations

from typing import Any

import redis
import structlog
from django.db import transaction
from django.utils import timezone

from accounts.mailing import mail_enqueue
from accounts.models import Notice, User
from common import redis as redis_clients
from common.ws import topics
from common.ws.notices import notices_push

log = structlog.get_logger(__name__)

EVERYBODY = 0
# Who tells what no person does.
PLATFORM = "platform"
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


def account_tell(*, account_id: int, subject: str, text: str) -> None:
    """
    Tell a user of something that concerns its security: a notice, and a mail where it can be.

    Call it in the transaction of what it tells of; both are sent after the commit.
    """
    notice = notice_add(account_id=account_id, text=text, actor=PLATFORM)
    transaction.on_commit(lambda: _tell(notice, subject))


def _tell(notice: Notice, subject: str) -> None:
    try:
        notice_send(notice)
    except redis.RedisError as error:
        log.warning("notice_not_sent", notice_id=notice.pk, error=type(error).__name__)
    # The worker looks again; who has no address to write to costs no task.
    reachable = User.objects.filter(account_id=notice.account_id, verified_email__gt="")
    user_id = reachable.values_list("id", flat=True).first()
    if user_id is not None:
        mail_enqueue("mail_notice", user_id=user_id, subject=subject, text=notice.text)


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
