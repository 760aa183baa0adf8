"""From exceptions to the one error envelope."""

from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.http import Http404
from redis.exceptions import RedisError
from rest_framework import exceptions
from rest_framework.response import Response

from common.db import is_unavailable
from common.errors import ApiError, error_body, not_found
from common.parsers import body_too_large
from common.request_id import current_request_id
from exchange.errors import ExchangeError

log = structlog.get_logger(__name__)

# The framework's code of a field error -> ours; any other is upper-cased.
_FIELD_CODES = {
    "max_length": "TOO_LONG",
    "min_length": "TOO_SHORT",
    "max_value": "TOO_LARGE",
    "min_value": "TOO_SMALL",
    "max_string_length": "TOO_LONG",
    "not_a_list": "INVALID",
    "empty": "BLANK",
}
_FIELDS_MAX = 50


def _flatten(detail: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            own = "" if name == "non_field_errors" else str(name)
            yield from _flatten(inner, f"{path}.{own}".strip("."))
    elif isinstance(detail, (list, tuple)):
        for index, inner in enumerate(detail):
            if isinstance(inner, (Mapping, list, tuple)):
                if inner:
                    yield from _flatten(inner, f"{path}.{index}".strip("."))
            else:
                yield from _flatten(inner, path)
    else:
        code = str(getattr(detail, "code", None) or "invalid")
        yield path or "body", _FIELD_CODES.get(code, code.upper())


def field_codes(error: exceptions.ValidationError) -> dict[str, str]:
    """Return the first code of each invalid field; nested fields are dotted."""
    fields: dict[str, str] = {}
    for name, code in _flatten(error.detail, ""):
        if len(fields) >= _FIELDS_MAX:
            break
        fields.setdefault(name, code)
    return fields


def _from_framework(error: exceptions.APIException) -> ApiError | None:
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return ApiError("NOT_AUTHENTICATED", "The request carries no valid access token.", 401)
    if isinstance(error, exceptions.PermissionDenied):
        return ApiError("PERMISSION_DENIED", "This user may not do that.", 403)
    if isinstance(error, exceptions.NotFound):
        return not_found()
    if isinstance(error, exceptions.MethodNotAllowed):
        return ApiError("METHOD_NOT_ALLOWED", "This address does not take that method.", 405)
    if isinstance(error, exceptions.NotAcceptable):
        return ApiError("NOT_ACCEPTABLE", "Only application/json can be answered.", 406)
    if isinstance(error, exceptions.UnsupportedMediaType):
        return ApiError("UNSUPPORTED_MEDIA_TYPE", "The body must be application/json.", 415)
    if isinstance(error, exceptions.ParseError):
        return ApiError("INVALID_JSON", "The request body is not valid JSON.", 400)
    return None


def to_api_error(error: BaseException) -> ApiError | None:
    """Return the answer to an exception, or None for a bug."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, exceptions.ValidationError):
        return ApiError(
            "VALIDATION_ERROR", "The request is not valid.", 400, fields=field_codes(error)
        )
    if isinstance(error, exceptions.APIException):
        return _from_framework(error)
    if isinstance(error, Http404):
        return not_found()
    if isinstance(error, PermissionDenied):
        return ApiError("PERMISSION_DENIED", "This user may not do that.", 403)
    if isinstance(error, RequestDataTooBig):
        return body_too_large()
    if isinstance(error, SuspiciousOperation):
        return ApiError("BAD_REQUEST", "The request is malformed.", 400)
    if isinstance(error, ExchangeError):
        return ApiError(
            error.code, str(error), error.http_status, retry_after_s=error.retry_after_s
        )
    return _from_dependency(error)


def _from_dependency(error: BaseException) -> ApiError | None:
    """Answer for a database or Redis that is away, locked or full; whoever asks may try again."""
    if not (is_unavailable(error) or isinstance(error, RedisError)):
        return None
    log.error("dependency_failed", error=type(error).__name__, detail=str(error))
    return ApiError("SERVICE_UNAVAILABLE", "The service is not available at the moment.", 503)


def error_headers(error: ApiError) -> dict[str, str]:
    """Return the headers that an error's answer carries."""
    headers = {"Cache-Control": "no-store", **error.headers}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.status_code == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def exception_handler(exception: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer an exception of a view; None lets Django log and answer a bug (500)."""
    error = to_api_error(exception)
    if error is None:
        return None
    body = error_body(
        error.code,
        error.message,
        request_id=current_request_id(),
        fields=error.fields,
        details=error.details,
    )
    return Response(body, status=error.status_code, headers=error_headers(error))
