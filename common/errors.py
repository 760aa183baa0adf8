"""Errors that leave the platform: one exception, one envelope, stable codes."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

from rest_framework.exceptions import APIException

from exchange.core.events import Outcome
from exchange.core.rejects import MESSAGES, Code, http_status

# Nothing a client sent is echoed beyond this many characters.
ECHO_MAX = 64
# Unknown fields of a body that an answer names at most.
_UNKNOWN_SHOWN_MAX = 10
NOT_FOUND_MESSAGE = "There is no such object."

_RETRY_AFTER_S = 1


class ApiError(APIException):
    """
    An expected refusal with a machine code.

    ``fields`` maps the name of a field or parameter to its own code, ``details`` are further
    members of the envelope's error. A missing ``retry_after_s`` of a 429 or 503 is answered as
    one second. ``headers`` go onto the answer.
    """

    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        code: str,
        message: str,
        http_status: int,
        *,
        fields: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        """Keep what the envelope needs."""
        super().__init__(detail=message, code=code)
        self.code = code
        self.message = message
        self.status_code = http_status
        self.fields = dict(fields) if fields else None
        self.details = dict(details) if details else None
        if retry_after_s is None and http_status in (429, 503):
            retry_after_s = _RETRY_AFTER_S
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        """Return code and message."""
        return f"{self.code}: {self.message}"


class FieldError(ApiError):
    """One field is wrong: 400 ``VALIDATION_ERROR`` whose fields name it and its own code."""

    def __init__(self, *, field: str, code: str, message: str = "") -> None:
        """Wrap the code of one field."""
        super().__init__(
            "VALIDATION_ERROR", message or "A field is not valid.", 400, fields={field: code}
        )
        self.field = field
        self.field_code = code


def echo(text: object) -> str:
    """Return input in a form that is safe to answer: short, printable."""
    shown = str(text)[:ECHO_MAX]
    return "".join(character if character.isprintable() else "?" for character in shown)


def not_found() -> ApiError:
    """Return the one answer for what is missing and for what belongs to somebody else."""
    return ApiError("NOT_FOUND", NOT_FOUND_MESSAGE, 404)


def unknown_fields(names: Sequence[str]) -> ApiError:
    """Return the refusal of fields that are not part of a request."""
    return ApiError(
        "UNKNOWN_FIELD",
        "The request has a field that is not known or not writable.",
        400,
        fields={echo(name): "UNKNOWN_FIELD" for name in names[:_UNKNOWN_SHOWN_MAX]},
    )


def invalid_fields(errors: Mapping[str, str]) -> ApiError:
    """Return the refusal of fields whose values are not valid."""
    return ApiError("VALIDATION_ERROR", "The request is not valid.", 400, fields=errors)


def error_body(
    code: str,
    message: str,
    *,
    request_id: str,
    fields: Mapping[str, str] | None = None,
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the envelope of an error, the same for REST and WebSocket."""
    error: dict[str, Any] = {"code": code, "message": message, **(details or {})}
    if fields:
        error["fields"] = dict(fields)
    error["request_id"] = request_id
    return {"error": error}


def raise_for_code(code: Code, *, detail: str = "") -> NoReturn:
    """
    Raise the answer that belongs to a refusal of the exchange.

    Raises:
        ApiError: always.
    """
    status = http_status(code)
    message = MESSAGES.get(code, "The request was refused.")
    if detail and status < 500:
        message = f"{message} {echo(detail)}"
    raise ApiError(code.name, message, status)


def raise_for_outcome(outcome: Outcome) -> None:
    """
    Do nothing for a command that was carried out.

    Raises:
        ApiError: with the code of the refusal otherwise.
    """
    if outcome.code != Code.OK:
        raise_for_code(Code(outcome.code), detail=outcome.detail)
