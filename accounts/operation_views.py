"""REST of operators' operations: one view each, made from the registry, and the requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import step_up
from accounts.access import body_of, caller_of, requires
from accounts.enums import RequestStatus
from accounts.operation_fields import REASON, read_fields, schema_of
from accounts.operation_requests import (
    RequestInfo,
    request_approve,
    request_by_id,
    request_reject,
    requests_page,
)
from accounts.operation_runs import operation_preview, operation_run
from accounts.operations import (
    CLIENT_REQUEST_ID,
    DONE,
    PENDING,
    Call,
    Operation,
    Preview,
    Result,
    all_operations,
    call_of,
)
from accounts.permissions import Permission
from common.decimals import format_atoms
from common.errors import FieldError
from common.openapi import (
    BODY_ERRORS,
    DECIMAL_OR_NULL,
    ENGINE_ERRORS,
    IDENTIFIER,
    LOGIN_ERRORS,
    MILLISECONDS,
    NOT_FOUND_ERRORS,
    QUERY_ERRORS,
    TEXT,
    TEXT_OR_NULL,
    Codes,
    errors,
    list_of,
    object_of,
)
from common.pagination import PageQuery, decode_cursor, page_of
from common.query import read_query

_ANYTHING: dict[str, Any] = {"type": "object", "additionalProperties": True}
REQUEST_PROPERTIES: dict[str, Any] = {
    "id": IDENTIFIER,
    "operation": {**TEXT, "example": "account-credit"},
    "target": {**TEXT, "description": "Id of the account."},
    "target_name": TEXT,
    "request": {**_ANYTHING, "description": "The body as it was sent; carried out exactly so."},
    "reason": TEXT,
    "value": {**DECIMAL_OR_NULL, "description": "In USDT then; null: nobody knew."},
    "status": {"type": "string", "enum": list(RequestStatus.values)},
    "requested_by": TEXT,
    "decided_by": TEXT_OR_NULL,
    "decision_reason": TEXT_OR_NULL,
    "created_at": MILLISECONDS,
    "expires_at": MILLISECONDS,
    "decided_at": {**MILLISECONDS, "type": ["integer", "null"]},
    "result": {**_ANYTHING, "type": ["object", "null"]},
}
_REQUEST = object_of(REQUEST_PROPERTIES)
_REQUEST_PAGE = object_of({"items": list_of(_REQUEST), "next_cursor": TEXT_OR_NULL})
_REASON_BODY = schema_of([REASON])
_DECISION_ERRORS: Codes = {
    409: ("REQUEST_DECIDED", "REQUEST_EXPIRED"),
    422: ("SECOND_PERSON_NEEDED", "OWN_ACCOUNT"),
}


def answer_schema(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of what an operation answers."""
    return object_of(
        {
            "operation": TEXT,
            "target": TEXT,
            "status": {"type": "string", "enum": [DONE, PENDING]},
            "approval_id": {
                **TEXT_OR_NULL,
                "description": "Number of the request, for what is written down as one.",
            },
            "result": {**object_of(answer), "type": ["object", "null"]},
        }
    )


def render_result(call: Call, result: Result) -> dict[str, Any]:
    """Return what became of a call as the API shows it."""
    return {
        "operation": call.operation.name,
        "target": call.target.key,
        "status": result.status,
        "approval_id": str(result.approval_id) if result.approval_id else None,
        "result": dict(result.answer) if result.status == DONE else None,
    }


def render_request(info: RequestInfo) -> dict[str, Any]:
    """Return a request as the API shows it."""
    return {
        "id": str(info.request_id),
        "operation": info.operation,
        "target": info.target,
        "target_name": info.label,
        "request": dict(info.given),
        "reason": info.reason,
        "value": None if info.value_atoms is None else format_atoms(info.value_atoms),
        "status": info.status.value,
        "requested_by": info.requested_by,
        "decided_by": info.decided_by or None,
        "decision_reason": info.decision_reason or None,
        "created_at": info.created_ms,
        "expires_at": info.expires_ms,
        "decided_at": info.decided_ms or None,
        "result": None if info.result is None else dict(info.result),
    }


def render_preview(preview: Preview) -> dict[str, Any]:
    """Return who would be affected as the API shows it."""
    return {
        "summary": preview.summary,
        "headers": list(preview.headers),
        "rows": [list(row) for row in preview.rows],
    }


_PREVIEW = object_of({"summary": TEXT, "headers": list_of(TEXT), "rows": list_of(list_of(TEXT))})


class OperationView(APIView):
    """Base of the views of operations."""

    operation: Operation
    permission_classes = [requires(Permission.BACK_OFFICE)]

    def call(self, request: Request, named: Mapping[str, object]) -> Call:
        """
        Return what a request asks for.

        Raises:
            ApiError: 400, 403 or 404.
        """
        body = dict(body_of(request))
        client_request_id = ""
        if self.operation.weigh is not None and "client_request_id" in body:
            given = body.pop("client_request_id")
            if not isinstance(given, str) or not re.fullmatch(CLIENT_REQUEST_ID, given):
                raise FieldError(field="client_request_id", code="INVALID")
            client_request_id = given
        return call_of(
            self.operation,
            str(next(iter(named.values()), "")),
            body,
            caller_of(request),
            client_request_id=client_request_id,
        )


def _run(self: OperationView, request: Request, **named: object) -> Response:
    call = self.call(request, named)
    if self.operation.step_up:
        step_up.require_step_up(request)
    result = operation_run(call)
    status = 200 if result.status == DONE else 202
    return Response(render_result(call, result), status=status)


def _preview(self: OperationView, request: Request, **named: object) -> Response:
    preview = operation_preview(self.call(request, named))
    return Response(render_preview(cast(Preview, preview)))


def _parameters(operation: Operation) -> list[OpenApiParameter]:
    target = operation.target
    found = [step_up.PARAMETER] if operation.step_up else []
    if target.parameter:
        found.append(
            OpenApiParameter(
                target.parameter, str, OpenApiParameter.PATH, description=target.description
            )
        )
    return found


def _view_of(operation: Operation) -> type[OperationView]:
    name = "".join(part.capitalize() for part in operation.name.split("-"))
    answer = answer_schema(operation.answer)
    described = extend_schema(
        operation_id=operation.operation_id,
        tags=["admin"],
        summary=operation.title,
        description=f"{operation.description} Audited with the reason.",
        parameters=_parameters(operation),
        request={"application/json": operation.schema()},
        responses={
            200: answer,
            **({202: answer} if operation.weigh is not None else {}),
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                ENGINE_ERRORS,
                step_up.ERRORS if operation.step_up else {},
                {409: ("REQUEST_ID_CONFLICT",)} if operation.weigh is not None else {},
                operation.refusals,
            ),
        },
    )
    members: dict[str, Any] = {
        "__doc__": operation.description,
        "operation": operation,
        "permission_classes": [requires(operation.permission)],
        "post": described(_copy(_run)),
    }
    return type(f"{name}View", (OperationView,), members)


def _preview_view_of(operation: Operation) -> type[OperationView]:
    name = "".join(part.capitalize() for part in operation.name.split("-"))
    described = extend_schema(
        operation_id=f"{operation.operation_id}_preview",
        tags=["admin"],
        summary=f"{operation.title}: who would be affected",
        description="Takes the body of the operation and changes nothing.",
        parameters=[p for p in _parameters(operation) if p is not step_up.PARAMETER],
        request={"application/json": operation.schema()},
        responses={200: _PREVIEW, **errors(BODY_ERRORS, LOGIN_ERRORS, operation.refusals)},
    )
    members: dict[str, Any] = {
        "__doc__": "Who would be affected.",
        "operation": operation,
        "permission_classes": [requires(operation.permission)],
        "post": described(_copy(_preview)),
    }
    return type(f"{name}PreviewView", (OperationView,), members)


def _copy(method: Any) -> Any:
    """Return a method of its own for each view: its description is an attribute of it."""

    def post(self: OperationView, request: Request, **named: object) -> Response:
        answer: Response = method(self, request, **named)
        return answer

    return post


def operation_urls() -> list[URLPattern]:
    """Return the addresses of all operations, below ``/api/``."""
    found = []
    for operation in all_operations().values():
        target = operation.target
        kind = "id" if target.parameter.endswith("_id") else "str"
        converter = f"/<{kind}:{target.parameter}>" if target.parameter else ""
        address = operation.address or f"admin/{target.collection}{converter}/{operation.action}"
        name = f"admin-{operation.name}"
        found.append(path(address, _view_of(operation).as_view(), name=name))
        if operation.preview is not None:
            view = _preview_view_of(operation).as_view()
            found.append(path(f"{address}/preview", view, name=f"{name}-preview"))
    return found


class ApprovalQuery(PageQuery):
    """Parameters of the requests."""

    status = serializers.ChoiceField(
        choices=RequestStatus.values, required=False, help_text="Only those in this state."
    )


class ApprovalsView(APIView):
    """Requests."""

    permission_classes = [requires(Permission.MONEY_VIEW)]

    @extend_schema(
        operation_id="admin_approvals",
        tags=["admin"],
        summary="List credits and debits asked for by operators",
        parameters=[ApprovalQuery],
        responses={200: _REQUEST_PAGE, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """Return a page of requests, the newest first."""
        query = read_query(request, ApprovalQuery)
        keys = decode_cursor(query["cursor"])
        limit = query["limit"]
        rows = requests_page(
            limit=limit, status=query.get("status"), below_id=keys[0] if keys else None
        )
        page = page_of(rows, limit=limit, key=lambda row: row.request_id, render=render_request)
        return Response(page.body())


class ApprovalView(APIView):
    """One request."""

    permission_classes = [requires(Permission.MONEY_VIEW)]

    @extend_schema(
        operation_id="admin_approval",
        tags=["admin"],
        summary="Get a request",
        responses={200: _REQUEST, **errors(LOGIN_ERRORS, NOT_FOUND_ERRORS)},
    )
    def get(self, request: Request, approval_id: int) -> Response:
        """Return a request with what became of it."""
        read_query(request)
        return Response(render_request(request_by_id(approval_id)))


class ApproveView(APIView):
    """Agreeing."""

    permission_classes = [requires(Permission.MONEY_MANAGE)]

    @extend_schema(
        operation_id="admin_approval_approve",
        tags=["admin"],
        summary="Agree to a request",
        parameters=[step_up.PARAMETER],
        request={"application/json": _REASON_BODY},
        responses={
            200: _REQUEST,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                step_up.ERRORS,
                ENGINE_ERRORS,
                NOT_FOUND_ERRORS,
                _DECISION_ERRORS,
            ),
        },
    )
    def post(self, request: Request, approval_id: int) -> Response:
        """
        Carry out exactly what somebody else asked for, once.

        An answer that never came can be asked for again after ten seconds.
        """
        reason = read_fields([REASON], body_of(request))["reason"]
        request_by_id(approval_id)
        step_up.require_step_up(request)
        request_approve(request_id=approval_id, actor=caller_of(request), reason=reason)
        return Response(render_request(request_by_id(approval_id)))


class RejectView(APIView):
    """Rejecting."""

    permission_classes = [requires(Permission.MONEY_MANAGE)]

    @extend_schema(
        operation_id="admin_approval_reject",
        tags=["admin"],
        summary="Reject a request, or take one's own back",
        request={"application/json": _REASON_BODY},
        responses={
            200: _REQUEST,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                NOT_FOUND_ERRORS,
                {409: ("REQUEST_DECIDED", "REQUEST_EXPIRED")},
            ),
        },
    )
    def post(self, request: Request, approval_id: int) -> Response:
        """Let nothing come of a request that waits."""
        reason = read_fields([REASON], body_of(request))["reason"]
        request_reject(request_id=approval_id, actor=caller_of(request), reason=reason)
        return Response(render_request(request_by_id(approval_id)))
