"""Answers outside of any view: Django's own errors, in the envelope of all others."""

from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.http import HttpRequest, HttpResponse

from common.errors import ApiError, error_body, not_found
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


def handler400(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer a malformed request."""
    if isinstance(exception, RequestDataTooBig):
        return error_response(body_too_large())
    if isinstance(exception, DisallowedHost):
        return error_response(ApiError("BAD_HOST", "The host name is not served here.", 400))
    return error_response(ApiError("BAD_REQUEST", "The request is malformed.", 400))


def handler403(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer a refused request."""
    return error_response(ApiError("PERMISSION_DENIED", "This user may not do that.", 403))


def handler404(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer an unknown address."""
    return error_response(not_found())


def handler500(request: HttpRequest) -> HttpResponse:
    """Answer a bug without showing it."""
    return error_response(ApiError("INTERNAL_ERROR", "The server met an unexpected fault.", 500))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer an unsafe request of a browser session without a valid CSRF token."""
    return error_response(ApiError("CSRF_FAILED", "The CSRF token is missing or wrong.", 403))
