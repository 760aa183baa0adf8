"""
Answers outside of any view: Django's own errors, in the envelope of all others.

A browser that is logged into the back-office gets a page instead.
"""

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

from common.errors import NOT_FOUND_MESSAGE, ApiError, error_body, not_found
from common.exceptions import error_headers
from common.parsers import body_too_large
from common.renderers import encode_json
from common.request_id import current_request_id


def error_response(error: ApiError) -> HttpResponse:
    """Return an error as an answer of a plain view."""
    body = error_body(
        error.code,
        error.message,
        request_id=current_request_id(),
        fields=error.fields,
        details=error.details,
    )
    return HttpResponse(
        encode_json(body),
        status=error.status_code,
        content_type="application/json",
        headers=error_headers(error),
    )


class ErrorPage(HttpResponse):
    """An error as a page for people, which stays one."""


def _error_answer(request: HttpRequest, error: ApiError) -> HttpResponse:
    """Return an error as a page to staff in the back-office, else in the envelope."""
    is_browser = "text/html" in request.headers.get("Accept", "")
    is_inside = request.path.startswith(f"/{settings.ADMIN_PATH}/")
    if not (is_browser and is_inside and hasattr(request, "user")):
        return error_response(error)
    if not admin.site.has_permission(request):
        return error_response(error)
    context = {
        **admin.site.each_context(request),
        "title": error.message.rstrip("."),
        "code": error.code,
        "request_id": current_request_id(),
    }
    page = render_to_string("back_office/error.html", context, request)
    return ErrorPage(page, status=error.status_code, headers=error_headers(error))


# What an error that some library answered in its own words is called in ours.
_BY_STATUS = {
    401: ("NOT_AUTHENTICATED", "The request carries no valid access token."),
    403: ("PERMISSION_DENIED", "This user may not do that."),
    404: ("NOT_FOUND", NOT_FOUND_MESSAGE),
    405: ("METHOD_NOT_ALLOWED", "This address does not take that method."),
    406: ("NOT_ACCEPTABLE", "Only application/json can be answered."),
    413: ("BODY_TOO_LARGE", "The request body is too large."),
    415: ("UNSUPPORTED_MEDIA_TYPE", "The body must be application/json."),
    429: ("RATE_LIMITED", "Too many requests."),
    500: ("INTERNAL_ERROR", "The server met an unexpected fault."),
    503: ("SERVICE_UNAVAILABLE", "The service is not available at the moment."),
}
_OF_THE_BODY = frozenset({"content-type", "content-length", "content-encoding", "content-language"})


def enveloped(response: HttpResponseBase) -> HttpResponseBase:
    """
    Return an error as it is if it is in the envelope, else the envelope with its headers.

    Libraries answer some errors by themselves: an empty page for a method that a view does
    not take, YAML from the schema, a page from the static files.
    """
    if isinstance(response, ErrorPage):
        return response
    if response.headers.get("Content-Type", "").startswith("application/json"):
        return response
    status = response.status_code
    fallback = ("BAD_REQUEST", "The request is malformed.") if status < 500 else _BY_STATUS[500]
    code, message = _BY_STATUS.get(status, fallback)
    answer = error_response(ApiError(code, message, status))
    for name, value in response.headers.items():
        if name.lower() not in _OF_THE_BODY:
            answer.headers[name] = value
    answer.headers["Content-Length"] = str(len(answer.content))
    answer.headers["Cache-Control"] = "no-store"
    answer.cookies = response.cookies
    # Not closed here: that would end the request, and its database connection, too early.
    answer._resource_closers.extend(response._resource_closers)  # type: ignore[attr-defined]
    return answer


def handler400(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer a malformed request."""
    if isinstance(exception, RequestDataTooBig):
        return error_response(body_too_large())
    if isinstance(exception, DisallowedHost):
        return error_response(ApiError("BAD_HOST", "The host name is not served here.", 400))
    return error_response(ApiError("BAD_REQUEST", "The request is malformed.", 400))


def handler403(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer a refused request."""
    error = ApiError("PERMISSION_DENIED", "This user may not do that.", 403)
    return _error_answer(request, error)


def handler404(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer an unknown address."""
    return _error_answer(request, not_found())


def handler500(request: HttpRequest) -> HttpResponse:
    """Answer a bug without showing it."""
    return error_response(ApiError("INTERNAL_ERROR", "The server met an unexpected fault.", 500))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer an unsafe request of a browser session without a valid CSRF token."""
    return error_response(ApiError("CSRF_FAILED", "The CSRF token is missing or wrong.", 403))
