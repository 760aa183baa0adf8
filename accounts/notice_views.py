"""REST of what operators told a user."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import caller_of, requires
from accounts.notices import notices_page, render_notice
from accounts.permissions import Permission
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

NOTICE_PROPERTIES: dict[str, Any] = {
    "id": IDENTIFIER,
    "text": TEXT,
    "to_everybody": BOOLEAN,
    "time": MILLISECONDS,
}
NOTICE = object_of(NOTICE_PROPERTIES)
NOTICE_PAGE = object_of({"items": list_of(NOTICE), "next_cursor": TEXT_OR_NULL})


class NoticesView(APIView):
    """Notices."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW)]

    @extend_schema(
        operation_id="account_notices",
        tags=["account"],
        summary="List notices of the operators",
        parameters=[PageQuery],
        responses={200: NOTICE_PAGE, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """Return a page of what operators told this account and everybody, newest first."""
        query = read_query(request, PageQuery)
        keys = decode_cursor(query["cursor"])
        limit = query["limit"]
        rows = notices_page(
            caller_of(request).account_id, limit=limit, below_id=keys[0] if keys else None
        )
        page = page_of(rows, limit=limit, key=lambda notice: notice.pk, render=render_notice)
        return Response(page.body())
