"""The dashboard of the back-office: its page, and the two answers that keep it fresh."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.permissions import Permission, role_permits
from adminpanel.metric_table import RANGES
from adminpanel.stats.board import SECTIONS, Permits, board_now
from adminpanel.stats.charts import charts_data
from common.errors import ApiError
from common.views import error_response

RANGE_FIRST = "1h"


def permits_of(request: HttpRequest) -> Permits:
    """Return what the user of a browser session may do, as a function of the permission."""
    user: Any = request.user

    def permits(permission: Permission) -> bool:
        return role_permits(user.role, permission)

    return permits


def dashboard_context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return the context of the index page: the board as it is now, and what of it is seen."""
    permits = permits_of(request)
    context["board"] = board_now().body(permits)
    context["visible"] = {name for name, permission in SECTIONS.items() if permits(permission)}
    context["ranges"] = list(RANGES)
    context["range_first"] = RANGE_FIRST
    return context


@require_GET
@never_cache
def live_view(request: HttpRequest) -> HttpResponse:
    """Answer the board as the user's role sees it; pages ask for it each second."""
    return JsonResponse(board_now().body(permits_of(request)))


@require_GET
@never_cache
def charts_view(request: HttpRequest) -> HttpResponse:
    """Answer the charts of the ``range`` in the query; 400 for one that does not exist."""
    range_name = request.GET.get("range", RANGE_FIRST)
    if range_name not in RANGES:
        message = "A query parameter is unknown or not valid."
        error = ApiError("INVALID_PARAMETER", message, 400, fields={"range": "INVALID"})
        return error_response(error)
    return JsonResponse(charts_data(range_name, permits_of(request)))
