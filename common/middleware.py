"""Middleware around every HTTP request."""

import logging
from collections.abc import Callable

import structlog
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from common.deadline import clear_deadline
from common.exceptions import to_api_error
from common.network import client_ip
from common.request_id import HEADER, accept_request_id, bind_client_ip, bind_request_id
from common.views import enveloped, error_response

log = logging.getLogger(__name__)

API_PREFIX = "/api/"
# Django answers these through the handlers of ``common.views``, and logs them.
_DJANGOS_OWN = (Http404, PermissionDenied, SuspiciousOperation)


class RequestIdMiddleware:
    """
    Give each request an id and its answer the headers that every answer has.

    A sane ``X-Request-Id`` is kept, any other is replaced. What the API answers is private
    unless its view said otherwise, so it is marked ``no-store``.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        """Wrap the rest of the chain."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Bind the id, answer, and put the id on the answer."""
        request_id = accept_request_id(request.META.get("HTTP_X_REQUEST_ID"))
        request.request_id = request_id  # type: ignore[attr-defined]
        bind_request_id(request_id)
        clear_deadline()
        bind_client_ip(client_ip(request))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = self.get_response(request)
        bind_client_ip("")
        if response.status_code >= 400:
            response = enveloped(response)
        response[HEADER] = request_id
        for name, value in getattr(request, "rate_headers", {}).items():
            response.headers.setdefault(name, value)
        if log.isEnabledFor(logging.DEBUG):
            what = f"{request.method} {request.path_info} {response.status_code}"
            log.debug("request_answered %s", what, extra={"request_id": request_id})
        if request.path_info.startswith(API_PREFIX) and not response.has_header("Cache-Control"):
            response["Cache-Control"] = "no-store"
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer a refusal or a failed dependency of a plain view; Django answers the rest."""
        if isinstance(exception, _DJANGOS_OWN):
            return None
        error = to_api_error(exception)
        return error_response(error) if error is not None else None
