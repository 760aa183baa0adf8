"""
Pages of operators' operations: a form, a page to confirm, the result.

Django's admin wraps its own POSTs in a transaction; these views do not, because commands must
not be submitted inside one.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from accounts.operation_runs import operation_preview, operation_run
from accounts.operations import (
    CLIENT_REQUEST_ID,
    DONE,
    Call,
    Operation,
    Target,
    all_operations,
    call_of,
    operation_url,
    operations_for,
)
from accounts.permissions import role_permits
from accounts.two_factor import code_take
from accounts.user_operations import nothing_to_change
from adminpanel.operation_forms import CodeForm, FieldsForm
from common.errors import ApiError
from common.exceptions import to_api_error
from common.network import client_ip

# A form that was sent is not carried out again within a day, however often it is sent.
FORM_KEPT_S = 86_400
# Results that a browser session remembers.
RESULTS_MAX = 20
_RESULTS = "operation_results"


def operations_page(request: HttpRequest) -> HttpResponse:
    """List what the user may do to the exchange as a whole and to each price source."""
    actor: Any = request.user
    groups = [_group("exchange", "", actor.role)]
    groups += [_group("price-source", name, actor.role) for name in settings.PRICE_SOURCES]
    context = {
        **admin.site.each_context(request),
        "title": "Operations",
        "groups": [group for group in groups if group["items"]],
    }
    return TemplateResponse(request, "adminpanel/operations.html", context)


def _group(kind: str, key: str, role: str) -> dict[str, Any]:
    permitted = operations_for(kind, role)
    target = permitted[0].target.find(key) if permitted else None
    return {
        "title": target.label if target is not None else "",
        "items": [
            {
                "title": operation.title,
                "description": operation.description,
                "url": operation_url(operation.name, key),
            }
            for operation in permitted
            if target is not None and (operation.applies is None or operation.applies(target))
        ],
    }


def operation_page(request: HttpRequest, name: str, target: str = "") -> HttpResponse:
    """Show an operation's form, what it would do, and carry it out when that is confirmed."""
    operation, found = _asked_for(request, name, target)
    actor: Any = request.user
    key = request.POST.get("form_key", "")
    if not re.fullmatch(CLIENT_REQUEST_ID, key):
        key = ""
    try:
        # What is confirmed is carried out as it was shown, whatever is so by now.
        is_filled = operation.initial is not None and not key
        initial = operation.initial(found) if operation.initial and is_filled else {}
    except ApiError as error:
        raise Http404(error.message) from error
    if request.method != "POST":
        form = FieldsForm(operation.body_fields, initial=initial)
        return _form_page(request, operation, found, form)
    form = FieldsForm(operation.body_fields, request.POST, initial)
    if not form.is_valid():
        return _form_page(request, operation, found, form)
    try:
        if form.changes_nothing:
            raise nothing_to_change()
        call = call_of(operation, target, form.body(), actor, client_request_id=key)
        if key:
            return _confirmed(request, call, form, key)
        return _confirm_page(request, call, form)
    except ApiError as error:
        form.refuse(error)
        return _form_page(request, operation, found, form)


def _asked_for(request: HttpRequest, name: str, target: str) -> tuple[Operation, Target]:
    """
    Return the operation and the target that an address names.

    Raises:
        Http404: if there is no such operation or target.
        PermissionDenied: if the role may not.
    """
    operation = all_operations().get(name)
    if operation is None:
        raise Http404
    actor: Any = request.user
    if not role_permits(actor.role, operation.permission):
        raise PermissionDenied
    try:
        return operation, operation.target.find(target)
    except ApiError as error:
        raise Http404(error.message) from error


def result_page(request: HttpRequest, key: str) -> HttpResponse:
    """Show what became of an operation."""
    result = request.session.get(_RESULTS, {}).get(key)
    if result is None:
        raise Http404
    context = {**result, "title": result["operation"], "phase": "result"}
    return _page(request, context)


def second_factor_check(request: HttpRequest) -> CodeForm | None:
    """
    Use up the code of a form if the user has a second factor; return a form that refuses it.

    None means that nothing stands in the way.
    """
    actor: Any = request.user
    if not actor.has_second_factor:
        return None
    form = CodeForm(request.POST)
    if form.is_valid():
        try:
            code_take(user=actor, code=form.cleaned_data["code"], ip=client_ip(request))
            return None
        except ApiError as error:
            form.add_error("code", error.message)
    return form


def _confirmed(request: HttpRequest, call: Call, form: FieldsForm, key: str) -> HttpResponse:
    """Carry out what was confirmed, once for each form, and go to its result."""
    results = request.session.get(_RESULTS, {})
    if key in results:
        return redirect("operation-result", key)
    if call.operation.step_up:
        refused = second_factor_check(request)
        if refused is not None:
            return _confirm_page(request, call, form, code_form=refused)
    if not cache.add(f"operation-form:{key}", 1, FORM_KEPT_S):
        raise ApiError("REQUEST_DECIDED", "This form was sent before.", 409)
    shown: dict[str, Any] = {
        "operation": call.operation.title,
        "target": call.target.label,
        "entered": form.entered(),
    }
    try:
        result = operation_run(call)
    except Exception as error:
        refusal = to_api_error(error)
        if refusal is None:
            raise
        if refusal.status_code < 500:
            raise refusal from error
        shown.update(outcome="failed", error=refusal.message, code=refusal.code)
    else:
        shown.update(
            outcome="done" if result.status == DONE else "pending",
            answer=_answer_shown(call, result.answer),
            approval_id=str(result.approval_id) if result.status != DONE else "",
        )
    kept = list(results.items())[-RESULTS_MAX + 1 :]
    request.session[_RESULTS] = dict([*kept, (key, shown)])
    return redirect("operation-result", key)


def _answer_shown(call: Call, answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return name and text of what was answered beside what was entered."""
    return [
        (name.replace("_", " ").capitalize(), _shown(value))
        for name, value in answer.items()
        if call.given.get(name) != value
    ]


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    if isinstance(value, dict):
        return " ".join(_shown(item) for item in value.values())
    return str(value)


def _form_page(
    request: HttpRequest, operation: Operation, target: Target, form: FieldsForm
) -> HttpResponse:
    context = {
        "title": operation.title,
        "phase": "form",
        "operation": operation,
        "target": target.label,
        "form": form,
    }
    return _page(request, context)


def _confirm_page(
    request: HttpRequest,
    call: Call,
    form: FieldsForm,
    *,
    code_form: CodeForm | None = None,
) -> HttpResponse:
    actor: Any = request.user
    if call.operation.step_up and actor.has_second_factor and code_form is None:
        code_form = CodeForm()
    preview = operation_preview(call)
    context = {
        "title": f"{call.operation.title}: confirm",
        "phase": "confirm",
        "operation": call.operation,
        "target": call.target.label,
        "entered": form.entered(),
        "preview": preview,
        "code_form": code_form,
        "form_key": secrets.token_urlsafe(24),
    }
    return _page(request, context)


def _page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    merged = {**admin.site.each_context(request), **context}
    return TemplateResponse(request, "adminpanel/operation.html", merged)
