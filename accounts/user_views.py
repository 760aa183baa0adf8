"""REST of operators on users: found by name, address or number, page by page."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import requires
from accounts.enums import Role
from accounts.models import User
from accounts.permissions import Permission
from accounts.selectors import users_page
from common.openapi import (
    BOOLEAN,
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

USER_PROPERTIES: dict[str, Any] = {
    "id": IDENTIFIER,
    "username": TEXT,
    "email": TEXT,
    "email_verified": BOOLEAN,
    "role": {"type": "string", "enum": list(Role.values)},
    "tier": TEXT,
    "active": BOOLEAN,
    "two_factor": BOOLEAN,
    "withdrawals_frozen": BOOLEAN,
    "account_id": IDENTIFIER,
    "created_at": MILLISECONDS,
    "last_login_at": {**MILLISECONDS, "type": ["integer", "null"]},
}
USER_PAGE = object_of({"items": list_of(object_of(USER_PROPERTIES)), "next_cursor": TEXT_OR_NULL})
SEARCH_LENGTH_MAX = 254


class UsersQuery(PageQuery):
    """Parameters of the users."""

    search = serializers.CharField(
        required=False,
        max_length=SEARCH_LENGTH_MAX,
        help_text="Start of a user name, or a whole e-mail address, user or account id.",
    )
    role = serializers.ChoiceField(
        choices=Role.values, required=False, help_text="Only users with this role."
    )
    active = serializers.ChoiceField(
        choices=["true", "false"], required=False, help_text="Only those who may log in, or not."
    )


class UsersView(APIView):
    """Users."""

    permission_classes = [requires(Permission.USERS_VIEW)]
    rate_weight = 5

    @extend_schema(
        operation_id="admin_users",
        tags=["admin"],
        summary="List users",
        parameters=[UsersQuery],
        responses={200: USER_PAGE, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """Return a page of users, the newest first."""
        query = read_query(request, UsersQuery)
        keys = decode_cursor(query["cursor"])
        limit = query["limit"]
        active = query.get("active")
        rows = users_page(
            limit=limit,
            below_id=keys[0] if keys else None,
            search=query.get("search", ""),
            role=query.get("role"),
            is_active=None if active is None else active == "true",
        )
        return Response(
            page_of(rows, limit=limit, key=lambda user: user.pk, render=render_user).body()
        )


def render_user(user: User) -> dict[str, Any]:
    """Return a user as operators see it."""
    return {
        "id": str(user.pk),
        "username": user.username,
        "email": user.email,
        "email_verified": bool(user.verified_email),
        "role": str(user.role),
        "tier": user.limit_tier,
        "active": user.is_active,
        "two_factor": user.has_second_factor,
        "withdrawals_frozen": user.withdrawals_frozen,
        "account_id": str(user.account_id),
        "created_at": int(user.created_at.timestamp() * 1000),
        "last_login_at": int(user.last_login.timestamp() * 1000) if user.last_login else None,
    }
