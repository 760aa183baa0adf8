"""REST of exports: ask for one, follow its progress, download it."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import body_of, caller_of, requires
from accounts.permissions import Permission
from adminpanel.enums import ExportStatus
from adminpanel.export_requests import ExportRequest, parse_export
from adminpanel.exports.kinds import KINDS
from adminpanel.exports.services import (
    ExportInfo,
    export_file,
    export_of,
    export_request,
    export_retry,
    exports_page,
)
from common.openapi import (
    BODY_ERRORS,
    IDENTIFIER,
    LOGIN_ERRORS,
    MILLISECONDS,
    NOT_FOUND_ERRORS,
    QUERY_ERRORS,
    TEXT,
    TEXT_OR_NULL,
    errors,
    list_of,
    object_of,
)
from common.pagination import PageQuery, decode_cursor, page_of
from common.query import QuerySerializer, read_query
from common.renderers import JSONRenderer
from common.serializers import refuse_body

_TIME_OR_NULL: dict[str, Any] = {**MILLISECONDS, "type": ["integer", "null"]}
EXPORT = object_of(
    {
        "id": IDENTIFIER,
        "kind": {"type": "string", "enum": list(KINDS)},
        "account_id": TEXT_OR_NULL,
        "symbol": TEXT_OR_NULL,
        "since": MILLISECONDS,
        "until": MILLISECONDS,
        "requested_by": TEXT,
        "reason": TEXT,
        "status": {"type": "string", "enum": ExportStatus.values},
        "percent": {"type": "integer", "description": "Of the range of keys that is read."},
        "rows": {"type": "integer"},
        "bytes": {"type": "integer"},
        "error": TEXT_OR_NULL,
        "created": MILLISECONDS,
        "finished": _TIME_OR_NULL,
        "expires": _TIME_OR_NULL,
    }
)
EXPORT_PAGE = object_of({"items": list_of(EXPORT), "next_cursor": TEXT_OR_NULL})


def render_export(info: ExportInfo) -> dict[str, Any]:
    """Return an export as the API shows it."""
    filters = info.filters
    return {
        "id": str(info.export_id),
        "kind": info.kind,
        "account_id": None if filters.account_id is None else str(filters.account_id),
        "symbol": info.symbol,
        "since": filters.since_ms,
        "until": filters.until_ms,
        "requested_by": info.requested_by,
        "reason": info.reason,
        "status": info.status.value,
        "percent": info.percent,
        "rows": info.rows,
        "bytes": info.size_bytes,
        "error": info.error or None,
        "created": info.created_ms,
        "finished": info.finished_ms or None,
        "expires": info.expires_ms or None,
    }


class ExportsView(APIView):
    """Exports of one's own; an administrator's list has everybody's."""

    permission_classes = [requires(Permission.EXPORT)]
    rate_weight = 5

    @extend_schema(
        operation_id="admin_exports",
        tags=["admin"],
        summary="List exports",
        parameters=[PageQuery],
        responses={200: EXPORT_PAGE, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """Return a page of exports, newest first."""
        query = read_query(request, PageQuery)
        keys = decode_cursor(query["cursor"])
        limit = query["limit"]
        rows = exports_page(
            actor=caller_of(request), limit=limit, below_id=keys[0] if keys else None
        )
        page = page_of(rows, limit=limit, key=lambda info: info.export_id, render=render_export)
        return Response(page.body())

    @extend_schema(
        operation_id="admin_export_create",
        tags=["admin"],
        summary="Ask for an export",
        request=ExportRequest,
        responses={
            201: EXPORT,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                {
                    404: ("MARKET_NOT_FOUND",),
                    409: ("EXPORT_LIMIT",),
                    422: ("ACCOUNT_NOT_FOUND",),
                },
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Note it and answer it as it waits; a worker writes the file. Audited."""
        kind, filters, reason = parse_export(body_of(request))
        info = export_request(kind=kind, filters=filters, reason=reason, actor=caller_of(request))
        return Response(render_export(info), status=201)


class ExportView(APIView):
    """One export."""

    permission_classes = [requires(Permission.EXPORT)]

    @extend_schema(
        operation_id="admin_export",
        tags=["admin"],
        summary="Follow an export",
        responses={200: EXPORT, **errors(QUERY_ERRORS, LOGIN_ERRORS, NOT_FOUND_ERRORS)},
    )
    def get(self, request: Request, export_id: int) -> Response:
        """Return status and progress."""
        read_query(request, QuerySerializer)
        return Response(render_export(export_of(export_id, caller_of(request))))


class ExportRetryView(APIView):
    """A second try."""

    permission_classes = [requires(Permission.EXPORT)]

    @extend_schema(
        operation_id="admin_export_retry",
        tags=["admin"],
        summary="Try a failed export again",
        request=None,
        responses={
            200: EXPORT,
            **errors(BODY_ERRORS, LOGIN_ERRORS, NOT_FOUND_ERRORS, {409: ("EXPORT_NOT_FAILED",)}),
        },
    )
    def post(self, request: Request, export_id: int) -> Response:
        """Let it wait again and answer it. Audited."""
        read_query(request)
        refuse_body(request)
        return Response(render_export(export_retry(export_id=export_id, actor=caller_of(request))))


class ExportFileView(APIView):
    """The file."""

    permission_classes = [requires(Permission.EXPORT)]
    renderer_classes = [JSONRenderer]

    @extend_schema(
        operation_id="admin_export_file",
        tags=["admin"],
        summary="Download an export",
        responses={
            (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, description="The rows as CSV."),
            **errors(
                QUERY_ERRORS,
                LOGIN_ERRORS,
                NOT_FOUND_ERRORS,
                {409: ("EXPORT_NOT_READY",), 410: ("EXPORT_EXPIRED",)},
            ),
        },
    )
    def get(self, request: Request, export_id: int) -> FileResponse:
        """Return the file, for a day after it was written. Audited."""
        read_query(request, QuerySerializer)
        return file_response(export_id, caller_of(request))


def file_response(export_id: int, actor: Any) -> FileResponse:
    """Return an export's file as an attachment that no browser keeps or sniffs."""
    path, info = export_file(export_id=export_id, actor=actor)
    response = FileResponse(
        path.open("rb"), as_attachment=True, filename=info.file_name, content_type="text/csv"
    )
    response["Cache-Control"] = "no-store"
    return response
