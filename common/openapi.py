"""Small builders for the OpenAPI schema of answers that no serializer renders."""

from collections.abc import Mapping
from typing import Any

import msgspec
from drf_spectacular.utils import OpenApiResponse

DECIMAL: dict[str, Any] = {"type": "string", "example": "0.01"}
DECIMAL_OR_NULL: dict[str, Any] = {**DECIMAL, "type": ["string", "null"]}
IDENTIFIER: dict[str, Any] = {"type": "string", "example": "1234"}
TEXT: dict[str, Any] = {"type": "string"}
TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"]}
BOOLEAN: dict[str, Any] = {"type": "boolean"}
MILLISECONDS: dict[str, Any] = {
    "type": "integer",
    "format": "int64",
    "description": "Milliseconds since 1970, UTC.",
}


def names(values: Mapping[Any, str | None]) -> dict[str, Any]:
    """Return the schema of a closed vocabulary; a None among the values makes it nullable."""
    schema: dict[str, Any] = {"type": "string", "enum": [text for text in values.values() if text]}
    if None in values.values():
        schema["type"] = ["string", "null"]
        schema["enum"].append(None)
    return schema


def object_of(properties: Mapping[str, Any], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the schema of an object whose properties are all there but the optional ones."""
    return {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": dict(properties),
    }


def list_of(items: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an array."""
    return {"type": "array", "items": dict(items)}


def schema_of(shape: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the schema of a struct with everything it refers to written out in place."""
    (schema,), components = msgspec.json.schema_components([shape], ref_template="{name}")

    def resolved(part: Any) -> Any:
        if isinstance(part, list):
            return [resolved(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return resolved(components[part["$ref"]])
        return {name: resolved(value) for name, value in part.items() if name != "title"}

    found: dict[str, Any] = resolved(schema)
    return found


# A read that was answered while the exchange is down says so.
FRESHNESS: dict[str, Any] = {
    "stale": {**BOOLEAN, "description": "Present and true while the exchange is down."},
    "as_of": {**MILLISECONDS, "description": "With stale: when the exchange was last alive."},
}


def page_of(items: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of one page of a list."""
    return object_of(
        {"items": list_of(items), "next_cursor": TEXT_OR_NULL, **FRESHNESS},
        optional=tuple(FRESHNESS),
    )


ERROR: dict[str, Any] = object_of(
    {
        "error": object_of(
            {
                "code": TEXT,
                "message": TEXT,
                "fields": {"type": "object", "additionalProperties": TEXT},
                "request_id": TEXT,
            },
            optional=("fields",),
        )
    }
)
_ERROR_NAME = "Error"
_ERROR_REFERENCE = {"$ref": f"#/components/schemas/{_ERROR_NAME}"}


def postprocess_error_schema(result: dict[str, Any], **_others: Any) -> dict[str, Any]:
    """Add the schema that every error answer refers to; a hook of drf-spectacular."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas[_ERROR_NAME] = ERROR
    result["components"]["schemas"] = dict(sorted(schemas.items()))
    return result


Codes = Mapping[int, tuple[str, ...]]

# Codes that many operations share, by status.
LOGIN_ERRORS: Codes = {
    400: ("TIMESTAMP_OUT_OF_WINDOW",),
    401: (
        "NOT_AUTHENTICATED",
        "TOKEN_INVALID",
        "TOKEN_EXPIRED",
        "TOKEN_REVOKED",
        "INVALID_SIGNATURE",
        "KEY_REVOKED",
        "KEY_EXPIRED",
    ),
    403: ("PERMISSION_DENIED", "KEY_SCOPE", "IP_NOT_ALLOWED", "TWO_FACTOR_ENFORCED"),
    409: ("NONCE_REUSED",),
    429: ("RATE_LIMITED",),
    503: ("SERVICE_UNAVAILABLE",),
}
BODY_ERRORS: Codes = {
    400: ("INVALID_JSON", "UNKNOWN_FIELD", "VALIDATION_ERROR"),
    413: ("BODY_TOO_LARGE",),
    415: ("UNSUPPORTED_MEDIA_TYPE",),
}
QUERY_ERRORS: Codes = {400: ("INVALID_PARAMETER",)}
NOT_FOUND_ERRORS: Codes = {404: ("NOT_FOUND",)}
ENGINE_ERRORS: Codes = {
    503: ("ENGINE_BUSY", "ENGINE_UNAVAILABLE", "EXPIRED_IN_QUEUE"),
    504: ("STATUS_UNKNOWN",),
}


def errors(*groups: Codes) -> dict[int, OpenApiResponse]:
    """Return the error answers of an operation with the codes each status may carry."""
    codes_by_status: dict[int, list[str]] = {}
    for group in groups:
        for status, codes in group.items():
            known = codes_by_status.setdefault(status, [])
            known.extend(code for code in codes if code not in known)
    return {
        status: OpenApiResponse(response=_ERROR_REFERENCE, description=", ".join(codes))
        for status, codes in sorted(codes_by_status.items())
    }
