"""REST of the audit log: for auditors and administrators."""

import json
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.audit_selectors import TIME_MAX_MS, events_of_period
from accounts.models import AuditEvent
from accounts.permissions import Permission
from common.openapi import (
    IDENTIFIER,
    LOGIN_ERRORS,
    MILLISECONDS,
    QUERY_ERRORS,
    TEXT,
    TEXT_OR_NULL,
    errors,
    list_of,
    object_of,
)
from common.pagination import PageQuery, decode_cursor, page_of
from common.query import read_query

_STATE: dict[str, Any] = {"type": ["object", "null"], "additionalProperties": True}
EVENT = object_of(
    {
        "number": {**IDENTIFIER, "description": "Place in the chain, from 1 without gaps."},
        "time": MILLISECONDS,
        "actor": {**TEXT, "description": "User name, or part of the platform."},
        "actor_id": {**TEXT_OR_NULL, "description": "User id; null for a part of the platform."},
        "action": {**TEXT, "example": "user.role_change"},
        "target": {**TEXT, "example": "user:1234"},
        "before": _STATE,
        "after": _STATE,
        "reason": TEXT,
        "ip": TEXT,
        "request_id": TEXT,
        "seal": {**TEXT, "description": "What binds the event to the one before it."},
    }
)
EVENT_PAGE = object_of({"items": list_of(EVENT), "next_cursor": TEXT_OR_NULL})


class AuditLogQuery(PageQuery):
    """Parameters of the audit log."""

    actor = serializers.CharField(
        required=False, max_length=200, help_text="Only what this user or part did."
    )
    action = serializers.CharField(
        required=False, max_length=64, help_text="Only this action, e.g. user.role_change."
    )
    target = serializers.CharField(
        required=False, max_length=100, help_text="Only what was done to this, e.g. user:1234."
    )
    since = serializers.IntegerField(
        required=False, min_value=0, max_value=TIME_MAX_MS, help_text="From this time on, ms UTC."
    )
    until = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=TIME_MAX_MS,
        help_text="Up to but without this time, ms UTC.",
    )


class AuditLogView(APIView):
    """Who changed what."""

    permission_classes = [requires(Permission.AUDIT_VIEW)]
    rate_weight = 5

    @extend_schema(
        operation_id="admin_audit_logs",
        tags=["admin"],
        summary="List audit events",
        parameters=[AuditLogQuery],
        responses={200: EVENT_PAGE, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """Return a page of the audit log, newest first."""
        query = read_query(request, AuditLogQuery)
        rows: QuerySet[AuditEvent] = AuditEvent.objects.order_by("-id")
        for name in ("actor", "action", "target"):
            if query.get(name):
                rows = rows.filter(**{name: query[name]})
        since_ms, until_ms = query.get("since"), query.get("until")
        if since_ms is not None or until_ms is not None:
            rows = events_of_period(rows, since_ms=since_ms, until_ms=until_ms)
        keys = decode_cursor(query["cursor"])
        if keys:
            rows = rows.filter(id__lt=keys[0])
        limit = query["limit"]
        page = page_of(
            rows[: limit + 1], limit=limit, key=lambda event: event.id, render=render_event
        )
        return Response(page.body())


def render_event(event: AuditEvent) -> dict[str, Any]:
    """Return an event as the API shows it."""
    return {
        "number": str(event.id),
        "time": event.time_ms,
        "actor": event.actor,
        "actor_id": str(event.actor_id) if event.actor_id else None,
        "action": event.action,
        "target": event.target,
        "before": json.loads(event.before) if event.before else None,
        "after": json.loads(event.after) if event.after else None,
        "reason": event.reason,
        "ip": event.ip,
        "request_id": event.request_id,
        "seal": event.seal,
    }
