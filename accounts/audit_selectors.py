"""Reads of the audit log for other apps."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.models import AuditEvent


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
