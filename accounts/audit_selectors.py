"""Reads of the audit log for other apps."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from accounts.archive import audit_keys
from accounts.models import AuditEvent

# Numbers follow the times of events only as well as the clocks of the processes agree.
CLOCKS_APART_MS = 60_000
TIME_MAX_MS = 2**53


@dataclass(frozen=True, slots=True)
class AuditInfo:
    """One audit event without its states."""

    number: int
    time_ms: int
    actor: str
    action: str
    target: str
    reason: str


def audit_recent(limit: int) -> list[AuditInfo]:
    """Return the last audit events, newest first."""
    columns = ("id", "time_ms", "actor", "action", "target", "reason")
    rows = AuditEvent.objects.order_by("-id").values_list(*columns)[:limit]
    return [AuditInfo(*row) for row in rows]


def events_of_period(
    rows: QuerySet[AuditEvent], *, since_ms: int | None, until_ms: int | None
) -> QuerySet[AuditEvent]:
    """
    Return the events from a time up to but without another (None: no bound), UTC ms.

    They are a range of numbers, found by halving, so that this goes together with the index of
    any other column; within it their own times decide.
    """
    since = 0 if since_ms is None else since_ms
    until = TIME_MAX_MS if until_ms is None else until_ms
    keys = audit_keys(since_ms=since - CLOCKS_APART_MS, until_ms=until + CLOCKS_APART_MS)
    within = rows.filter(id__gte=keys.low, id__lt=keys.high)
    return within.filter(time_ms__gte=since, time_ms__lt=until)
