"""
Request shapes as tables: one source for checking and for the OpenAPI schema.

Order entry is the hottest endpoint. A framework serializer for it costs more than everything
else that the request does here, so its fields are plain functions in a table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from common.decimals import parse_atoms
from common.errors import ApiError, FieldError, invalid_fields, unknown_fields
from markets.types import MarketInfo

# Reads a value of a field; the market, where it is known, tells how many decimals it may have.
ReadValue = Callable[[object, str, MarketInfo | None], Any]

CLIENT_ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DECIMAL_SCHEMA = {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,10})(\.[0-9]{1,8})?$"}

# The largest integer that every JSON reader keeps exactly.
_TIME_MAX = 2**53 - 1


@dataclass(frozen=True, slots=True)
class RequestField:
    """One field of a request body; ``schema`` is its part of the OpenAPI schema."""

    name: str
    read: ReadValue
    schema: Mapping[str, Any]
    required: bool = False


class RequestTable(dict[str, RequestField]):
    """The fields of a body by name; which of them are required is looked up once."""

    def __init__(self, fields: Iterable[RequestField]) -> None:
        """Take the fields in the order in which the schema lists them."""
        super().__init__((field.name, field) for field in fields)
        self.required = tuple(field.name for field in self.values() if field.required)


def read_body(
    table: RequestTable,
    body: Mapping[str, Any],
    market: MarketInfo | None,
) -> dict[str, Any]:
    """
    Return the values of a body, each read by its field.

    Raises:
        ApiError: ``UNKNOWN_FIELD``, or ``VALIDATION_ERROR`` naming every invalid field.
    """
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, value in body.items():
        field = table.get(name)
        if field is None:
            raise unknown_fields([name for name in body if name not in table])
        try:
            values[name] = field.read(value, name, market)
        except ApiError as error:
            if error.code != "VALIDATION_ERROR":
                raise
            errors.update(error.fields or {})
    for name in table.required:
        if name not in body:
            errors[name] = "REQUIRED"
    if errors:
        raise invalid_fields(errors)
    return values


def text_field(name: str, *, description: str, example: str, required: bool) -> RequestField:
    """Return a field that takes a string of at most 64 characters."""

    def read(value: object, name: str, _market: MarketInfo | None) -> str:
        if type(value) is not str or not 0 < len(value) <= 64:
            raise FieldError(field=name, code="INVALID")
        return value

    schema = {"type": "string", "maxLength": 64, "description": description, "example": example}
    return RequestField(name, read, schema, required)


def client_id_field(name: str, *, description: str) -> RequestField:
    """Return a field that takes an id the client made up."""

    def read(value: object, name: str, _market: MarketInfo | None) -> str:
        if type(value) is not str or _CLIENT_ID.fullmatch(value) is None:
            raise FieldError(field=name, code="INVALID")
        return value

    schema = {"type": "string", "pattern": CLIENT_ID_PATTERN, "description": description}
    return RequestField(name, read, schema)


def choice_field(
    name: str,
    choices: Iterable[IntEnum],
    *,
    description: str,
    required: bool = False,
) -> RequestField:
    """Return a field that takes the lower-case name of one of an enum's members."""
    members = {member.name.lower(): member for member in choices}

    def read(value: object, name: str, _market: MarketInfo | None) -> IntEnum:
        member = members.get(value) if type(value) is str else None
        if member is None:
            raise FieldError(field=name, code="INVALID_CHOICE")
        return member

    schema = {"type": "string", "enum": list(members), "description": description}
    return RequestField(name, read, schema, required)


def boolean_field(name: str, *, description: str) -> RequestField:
    """Return a field that takes true or false."""

    def read(value: object, name: str, _market: MarketInfo | None) -> bool:
        if type(value) is not bool:
            raise FieldError(field=name, code="INVALID")
        return value

    return RequestField(name, read, {"type": "boolean", "description": description})


def decimal_field(
    name: str,
    *,
    description: str,
    example: str,
    decimals: Callable[[MarketInfo], int] | None = None,
    below_atoms: int = 0,
) -> RequestField:
    """
    Return a field that takes a positive decimal string, read as atoms.

    ``decimals`` picks how many the market allows; ``below_atoms`` is an exclusive upper bound.
    """

    def read(value: object, name: str, market: MarketInfo | None) -> int:
        if decimals is None or market is None:
            atoms = parse_atoms(value, field=name)
        else:
            atoms = parse_atoms(value, field=name, decimals=decimals(market))
        if atoms == 0 or (below_atoms and atoms >= below_atoms):
            raise FieldError(field=name, code="OUT_OF_RANGE")
        return atoms

    schema = {**_DECIMAL_SCHEMA, "description": description, "example": example}
    return RequestField(name, read, schema)


def time_field(name: str, *, description: str) -> RequestField:
    """Return a field that takes a time in integer milliseconds UTC."""

    def read(value: object, name: str, _market: MarketInfo | None) -> int:
        if type(value) is not int:
            raise FieldError(field=name, code="INVALID")
        if not 0 < value <= _TIME_MAX:
            raise FieldError(field=name, code="OUT_OF_RANGE")
        return value

    schema = {
        "type": "integer",
        "format": "int64",
        "minimum": 1,
        "maximum": _TIME_MAX,
        "description": description,
    }
    return RequestField(name, read, schema)


def whole_field(
    name: str, *, description: str, example: int, required: bool = False
) -> RequestField:
    """Return a field that takes a whole number from 0 on; the exchange knows how large."""

    def read(value: object, name: str, _market: MarketInfo | None) -> int:
        if type(value) is not int:
            raise FieldError(field=name, code="INVALID")
        if not 0 <= value <= _TIME_MAX:
            raise FieldError(field=name, code="OUT_OF_RANGE")
        return value

    schema = {
        "type": "integer",
        "format": "int64",
        "minimum": 0,
        "maximum": _TIME_MAX,
        "description": description,
        "example": example,
    }
    return RequestField(name, read, schema, required)


def object_field(
    name: str, table: RequestTable, *, description: str, required: bool = False
) -> RequestField:
    """
    Return a field that takes an object with fields of its own.

    Its errors are named with their path, as in ``take_profit.price``.
    """

    def read(value: object, name: str, market: MarketInfo | None) -> dict[str, Any]:
        if type(value) is not dict:
            raise FieldError(field=name, code="INVALID")
        try:
            return read_body(table, value, market)
        except ApiError as error:
            fields = {f"{name}.{inner}": code for inner, code in (error.fields or {}).items()}
            raise ApiError(error.code, error.message, error.status_code, fields=fields) from error

    schema = {**schema_of(table), "description": description}
    return RequestField(name, read, schema, required)


def table_of(*fields: RequestField) -> RequestTable:
    """Return fields by name."""
    return RequestTable(fields)


def schema_of(table: Mapping[str, RequestField]) -> dict[str, Any]:
    """Return the OpenAPI schema of a request body."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, field in table.items() if field.required],
        "properties": {name: dict(field.schema) for name, field in table.items()},
    }
