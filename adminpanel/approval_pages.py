"""Pages of requests to move money: the list, and one with its decision."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from accounts.enums import RequestStatus
from accounts.operation_fields import REASON, read_fields
from accounts.operation_requests import (
    RequestInfo,
    request_approve,
    request_by_id,
    request_reject,
    requests_page,
)
from accounts.operations import all_operations
from accounts.permissions import Permission, role_permits
from adminpanel.operation_forms import CodeForm, DecisionForm
from adminpanel.operation_pages import second_factor_check
from common.back_office import shown_time
from common.decimals import format_atoms
from common.errors import ApiError
from common.exceptions import to_api_error
from common.ids import parse_id

PAGE_ROWS = 50
TIME = "%Y-%m-%d %H:%M:%S"
_DECIDABLE = (RequestStatus.PENDING, RequestStatus.EXECUTING)
HEADINGS = ("Asked at (UTC)", "What", "For", "Worth", "Asked by", "Reason", "State")


def _check_may_look(request: HttpRequest) -> Any:
    actor: Any = request.user
    if not role_permits(actor.role, Permission.MONEY_VIEW):
        raise PermissionDenied
    return actor


def approvals_page(request: HttpRequest) -> HttpResponse:
    """List the requests, those that wait first chosen."""
    _check_may_look(request)
    status = request.GET.get("status", RequestStatus.PENDING.value)
    if status not in RequestStatus.values and status != "all":
        raise Http404
    below_id = parse_id(request.GET.get("before", ""))
    rows = requests_page(
        limit=PAGE_ROWS, status=None if status == "all" else status, below_id=below_id
    )
    shown = rows[:PAGE_ROWS]
    context = {
        **admin.site.each_context(request),
        "title": "Requests to move money",
        "status": status,
        "statuses": [*RequestStatus.choices, ("all", "All")],
        "headings": HEADINGS,
        "requests": [_shown(info) for info in shown],
        "older": shown[-1].request_id if len(rows) > PAGE_ROWS else None,
    }
    return TemplateResponse(request, "adminpanel/approvals.html", context)


def approval_page(request: HttpRequest, approval_id: int) -> HttpResponse:
    """Show a request, and agree to it or reject it."""
    actor = _check_may_look(request)
    try:
        info = request_by_id(approval_id)
    except ApiError as error:
        raise Http404(error.message) from error
    operation = all_operations()[info.operation]
    may_decide = role_permits(actor.role, operation.permission)
    form, code_form = DecisionForm(), None
    if request.method == "POST":
        if not may_decide:
            raise PermissionDenied
        form = DecisionForm(request.POST)
        try:
            code_form = _decide(request, info, form)
            if code_form is None:
                return redirect("approval", approval_id)
        except Exception as error:
            refusal = to_api_error(error)
            if refusal is None:
                raise
            form.refuse(refusal)
            info = request_by_id(approval_id)
    if code_form is None and operation.step_up and actor.has_second_factor:
        code_form = CodeForm()
    context = {
        **admin.site.each_context(request),
        "title": f"Request {info.request_id}",
        "request_info": _shown(info),
        "about": _about(info),
        "given": list(info.given.items()),
        "result": list((info.result or {}).items()),
        "form": form,
        "code_form": code_form,
        "may_decide": may_decide
        and info.status in (RequestStatus.PENDING, RequestStatus.EXECUTING),
        "may_reject": info.status == RequestStatus.PENDING,
        "is_own": info.requested_by_id == actor.id,
    }
    return TemplateResponse(request, "adminpanel/approval.html", context)


def _decide(request: HttpRequest, info: RequestInfo, form: DecisionForm) -> CodeForm | None:
    """Carry out a decision; return a form that says why the second factor does not do."""
    actor: Any = request.user
    form.is_valid()
    reason = read_fields([REASON], form.body())["reason"]
    if request.POST.get("decision") == "reject":
        request_reject(request_id=info.request_id, actor=actor, reason=reason)
        messages.success(request, "The request was rejected.")
        return None
    if all_operations()[info.operation].step_up:
        refused = second_factor_check(request)
        if refused is not None:
            return refused
    request_approve(request_id=info.request_id, actor=actor, reason=reason)
    messages.success(request, "The request was carried out.")
    return None


def _about(info: RequestInfo) -> list[tuple[str, str]]:
    """Return what a request is, as pairs of name and text; times in UTC."""
    shown = _shown(info)
    pairs = [
        ("What", shown["title"]),
        ("For", shown["label"]),
        ("Worth", shown["value"]),
        ("Asked by", f"{shown['requested_by']}, {shown['created']:{TIME}} UTC"),
        ("Reason", shown["reason"]),
    ]
    if info.decided_by:
        when = f"{shown['decided']:{TIME}} UTC"
        pairs.append(("Decided by", f"{info.decided_by}, {when}: {info.decision_reason}"))
    elif info.status == RequestStatus.PENDING:
        pairs.append(("Waits until", f"{shown['expires']:{TIME}} UTC"))
    return pairs


def _shown(info: RequestInfo) -> dict[str, Any]:
    value = info.value_atoms
    return {
        "id": info.request_id,
        "title": all_operations()[info.operation].title,
        "label": info.label,
        "given": info.given,
        "reason": info.reason,
        "value": "unknown" if value is None else f"{format_atoms(value)} USDT",
        "status": info.status.label,
        "requested_by": info.requested_by,
        "created": shown_time(info.created_ms),
        "expires": shown_time(info.expires_ms),
        "decided_by": info.decided_by,
        "decided": shown_time(info.decided_ms) if info.decided_ms else None,
        "decision_reason": info.decision_reason,
    }
