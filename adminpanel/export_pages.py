"""The page of exports: ask for one, watch it, download it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.permissions import Permission, role_permits
from adminpanel.export_requests import parse_export
from adminpanel.export_views import file_response, render_export
from adminpanel.exports.kinds import KINDS
from adminpanel.exports.services import export_request, export_retry, exports_page, may_export
from common.error_catalog import catalog
from common.errors import ApiError
from common.exceptions import to_api_error
from markets.selectors import markets_all

ROWS_SHOWN = 25
_MESSAGES = {code.code: code.message for code in catalog()}
_DATE = "%Y-%m-%d"
# What the form calls the fields of the request.
_FORM_NAMES = {"since": "first_day", "until": "last_day"}


class ExportForm(forms.Form):
    """An export in words; days are whole days in UTC."""

    kind = forms.ChoiceField(label="What", widget=UnfoldAdminSelectWidget())
    account_id = forms.CharField(
        label="Account id (optional)",
        max_length=19,
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "inputmode": "numeric"}),
        help_text="A statement of account needs one; the audit log takes none.",
    )
    symbol = forms.ChoiceField(
        label="Market (optional)",
        required=False,
        widget=UnfoldAdminSelectWidget(),
        help_text="Of orders and fills alone.",
    )
    first_day = forms.DateField(
        label="From day (UTC, optional)",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
    )
    last_day = forms.DateField(
        label="To day, inclusive (UTC, optional)",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
    )
    reason = forms.CharField(
        label="Reason",
        max_length=200,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="Kept in the audit log.",
    )

    def __init__(self, role: str, *arguments: Any, **options: Any) -> None:
        """Offer the kinds that a role may have."""
        super().__init__(*arguments, **options)
        fields: dict[str, Any] = self.fields
        fields["kind"].choices = [
            (kind.name, kind.title) for kind in KINDS.values() if may_export(role, kind)
        ]
        markets = [(market.symbol, market.symbol) for market in markets_all()]
        fields["symbol"].choices = [("", "—"), *markets]

    def body(self) -> dict[str, Any]:
        """Return what was entered as REST would have been sent it."""
        values = self.cleaned_data
        body: dict[str, Any] = {"kind": values["kind"], "reason": values["reason"]}
        body |= {name: values[name] for name in ("account_id", "symbol") if values[name]}
        if values["first_day"]:
            body["since"] = _day_ms(values["first_day"])
        if values["last_day"]:
            body["until"] = _day_ms(values["last_day"]) + 86_400_000
        return body

    def refuse(self, error: ApiError) -> None:
        """Show a refusal at the fields that it names."""
        for name, code in (error.fields or {}).items():
            field = _FORM_NAMES.get(name, name)
            self.add_error(field if field in self.fields else None, _MESSAGES.get(code, code))
        if not error.fields:
            self.add_error(None, error.message)


def _day_ms(day: Any) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000


def _actor(request: HttpRequest) -> Any:
    actor: Any = request.user
    if not role_permits(actor.role, Permission.EXPORT):
        raise PermissionDenied
    return actor


@never_cache
def exports_view(request: HttpRequest) -> HttpResponse:
    """Show the form and one's own exports; a form that was sent asks for one more."""
    actor = _actor(request)
    form = ExportForm(actor.role)
    if request.method == "POST":
        form = ExportForm(actor.role, request.POST)
        if form.is_valid():
            try:
                kind, filters, reason = parse_export(form.body())
                export_request(kind=kind, filters=filters, reason=reason, actor=actor)
            except Exception as error:
                refusal = to_api_error(error)
                if refusal is None:
                    raise
                form.refuse(refusal)
            else:
                messages.success(request, "A worker writes it now; it can be followed below.")
                return redirect("exports")
    context = {
        **admin.site.each_context(request),
        "title": "Exports",
        "form": form,
        "exports": _shown(actor),
    }
    return TemplateResponse(request, "adminpanel/exports.html", context)


@require_GET
@never_cache
def exports_status(request: HttpRequest) -> HttpResponse:
    """Answer the exports shown on the page, as they are now."""
    return JsonResponse({"exports": _shown(_actor(request))})


@require_POST
def export_again(request: HttpRequest, export_id: int) -> HttpResponse:
    """Try a failed export again."""
    try:
        export_retry(export_id=export_id, actor=_actor(request))
    except ApiError as error:
        messages.error(request, error.message)
    return redirect("exports")


@require_GET
@never_cache
def export_download(request: HttpRequest, export_id: int) -> HttpResponseBase:
    """Answer the file."""
    try:
        return file_response(export_id, _actor(request))
    except ApiError as error:
        if error.status_code == 403:
            raise PermissionDenied from error
        raise Http404(error.message) from error


def _shown(actor: Any) -> list[dict[str, Any]]:
    infos = exports_page(actor=actor, limit=ROWS_SHOWN)[:ROWS_SHOWN]
    return [{**render_export(info), "title": KINDS[info.kind].title} for info in infos]
