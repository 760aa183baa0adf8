"""What the accounts app itself shows in tabs of a user's page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse

from accounts.account_tabs import TAB_ROWS, AccountTab, Subject
from accounts.models import ApiKey, AuditEvent, Session
from accounts.permissions import Permission
from accounts.services import target_of
from common.tables import Cell, Column, Kind, Table, TableForm, Tone

SESSION_FIELD = "session"

_AUDIT_COLUMNS = (
    Column("id", "Event", Kind.NUMBER),
    Column("time", "Time (UTC)", Kind.TIME),
    Column("actor", "Actor"),
    Column("action", "Action"),
    Column("target", "Target"),
    Column("after", "After"),
    Column("reason", "Reason"),
)
# Characters of an event's state shown in a list; its own page has all of it.
_STATE_SHOWN_MAX = 120


def _milliseconds(moment: Any) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


def _page(rows: QuerySet[Any], before_id: int | None) -> tuple[list[Any], str]:
    """Return a page of rows, the highest key first, and where the next begins."""
    if before_id is not None:
        rows = rows.filter(id__lt=before_id)
    found = list(rows.order_by("-id")[: TAB_ROWS + 1])
    shown = found[:TAB_ROWS]
    return shown, str(shown[-1].id) if len(found) > TAB_ROWS else ""


def _state(revoked_at: Any, reason: str) -> Cell:
    if revoked_at is None:
        return Cell("alive", tone=Tone.GOOD)
    return Cell(reason or "ended")


def _sessions(subject: Subject, before_id: int | None) -> Sequence[Table]:
    shown, next_from = _page(Session.objects.filter(user_id=subject.user_id), before_id)
    rows = [
        {
            "id": session.id,
            "state": _state(session.revoked_at, session.revoked_reason),
            "ip": session.ip,
            "agent": session.user_agent,
            "created": _milliseconds(session.created_at),
            "refreshed": _milliseconds(session.refreshed_at),
            "expires": _milliseconds(session.expires_at),
            "end": Cell("End", action=str(session.id)) if session.revoked_at is None else None,
        }
        for session in shown
    ]
    columns = (
        Column("id", "Session", Kind.NUMBER),
        Column("state", "State", Kind.BADGE),
        Column("ip", "Address"),
        Column("agent", "Program"),
        Column("created", "Opened (UTC)", Kind.TIME),
        Column("refreshed", "Refreshed (UTC)", Kind.TIME),
        Column("expires", "Expires (UTC)", Kind.TIME),
        Column("end", ""),
    )
    form = TableForm(SESSION_FIELD, "End")
    return [Table(columns, rows, "Sessions", next_from=next_from, form=form)]


def _api_keys(subject: Subject, before_id: int | None) -> Sequence[Table]:
    shown, next_from = _page(ApiKey.objects.filter(user_id=subject.user_id), before_id)
    rows = [
        {
            "id": Cell(str(key.id), reverse("admin:accounts_apikey_change", args=[key.id])),
            "name": key.name,
            "state": _state(key.revoked_at, key.revoked_reason),
            "key": key.key,
            "kind": key.kind,
            "scopes": key.scopes,
            "networks": key.networks or "anywhere",
            "created": _milliseconds(key.created_at),
            "expires": _milliseconds(key.expires_at),
        }
        for key in shown
    ]
    columns = (
        Column("id", "Number", Kind.NUMBER),
        Column("name", "Name"),
        Column("state", "State", Kind.BADGE),
        Column("key", "Key", Kind.NUMBER),
        Column("kind", "Kind"),
        Column("scopes", "May"),
        Column("networks", "From"),
        Column("created", "Made (UTC)", Kind.TIME),
        Column("expires", "Expires (UTC)", Kind.TIME),
    )
    return [Table(columns, rows, "API keys", next_from=next_from)]


def audit_table(events: QuerySet[AuditEvent], before_id: int | None, title: str) -> Table:
    """Return a page of audit events, the newest first."""
    shown, next_from = _page(events, before_id)
    rows = [
        {
            "id": Cell(str(event.id), reverse("admin:accounts_auditevent_change", args=[event.id])),
            "time": event.time_ms,
            "actor": event.actor,
            "action": event.action,
            "target": event.target,
            "after": event.after[:_STATE_SHOWN_MAX],
            "reason": event.reason,
        }
        for event in shown
    ]
    return Table(_AUDIT_COLUMNS, rows, title, next_from=next_from)


def _operator_commands(subject: Subject, before_id: int | None) -> Sequence[Table]:
    events = AuditEvent.objects.filter(target=f"account:{subject.account_id}")
    return [audit_table(events, before_id, "What operators made the exchange do to this account")]


def _audit(subject: Subject, before_id: int | None) -> Sequence[Table]:
    about = AuditEvent.objects.filter(target=target_of(subject.user_id))
    return [audit_table(about, before_id, "Events about this user")]


def _deeds(subject: Subject, before_id: int | None) -> Sequence[Table]:
    # By name, which has the index; the number tells the user from one who had the name before.
    own = AuditEvent.objects.filter(Q(actor=subject.username) & Q(actor_id=subject.user_id))
    return [audit_table(own, before_id, "What this user did")]


FIRST_TABS = (
    AccountTab("sessions", "Sessions", Permission.USERS_VIEW, _sessions),
    AccountTab("api-keys", "API keys", Permission.USERS_VIEW, _api_keys),
)
LAST_TABS = (
    AccountTab("commands", "Operator commands", Permission.AUDIT_VIEW, _operator_commands),
    AccountTab("audit", "Audit", Permission.AUDIT_VIEW, _audit),
    AccountTab("deeds", "Own deeds", Permission.AUDIT_VIEW, _deeds),
)
