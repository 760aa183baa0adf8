"""Users and audit events by ranges of their keys: for exports by operators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from accounts.models import AuditEvent, User
from common.ids import first_id_of, time_of_id
from common.key_ranges import KeyRange, keys_of_time

ROWS_CHUNK = 2_000

# No secret, no hash and nothing about the second factor but whether there is one.
USER_COLUMNS = (
    *("id", "account_id", "username", "email", "verified_email", "role", "limit_tier"),
    *("is_active", "two_factor__confirmed_at", "last_login", "created_at"),
)
AUDIT_COLUMNS = (
    *("id", "time_ms", "actor_id", "actor", "action", "target", "before", "after"),
    *("reason", "ip", "request_id", "seal"),
)

Row = tuple[Any, ...]


def user_keys(*, since_ms: int, until_ms: int) -> KeyRange:
    """Return the ids of the users who registered in a time."""
    first = User.objects.order_by("id").values_list("id", flat=True).first()
    if first is None:
        return KeyRange(0, 0)
    low = first_id_of(max(since_ms, time_of_id(first)))
    return KeyRange(low, max(low, first_id_of(until_ms)))


def audit_keys(*, since_ms: int, until_ms: int) -> KeyRange:
    """Return the numbers of the audit events of a time."""
    rows = AuditEvent.objects.all()
    return keys_of_time(rows, time_field="time_ms", since_ms=since_ms, until_ms=until_ms)


def users_in(keys: KeyRange, *, account_id: int | None = None) -> Iterator[Row]:
    """Yield ``USER_COLUMNS`` of the users in a range, of one account where asked."""
    rows = User.objects.filter(id__gte=keys.low, id__lt=keys.high).order_by("id")
    if account_id is not None:
        rows = rows.filter(account_id=account_id)
    yield from rows.values_list(*USER_COLUMNS).iterator(chunk_size=ROWS_CHUNK)


def audit_events_in(keys: KeyRange) -> Iterator[Row]:
    """Yield ``AUDIT_COLUMNS`` of the events in a range."""
    rows = AuditEvent.objects.filter(id__gte=keys.low, id__lt=keys.high).order_by("id")
    yield from rows.values_list(*AUDIT_COLUMNS).iterator(chunk_size=ROWS_CHUNK)
