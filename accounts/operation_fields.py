"""
The fields of operators' operations: one declaration for REST, its description and the forms.

A field reads the value that a body of JSON carries; a form turns its text into such a value
first, so both are judged by the same function.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from common.decimals import parse_atoms
from common.errors import ApiError, FieldError, invalid_fields, unknown_fields

REASON_LENGTH_MAX = 200
TEXT_LENGTH_MAX = 500
# The largest integer that every JSON reader keeps exactly.
_WHOLE_MAX = 2**53 - 1
_DECIMAL_PATTERN = r"(0|[1-9][0-9]{0,10})(\.[0-9]{1,8})?"


class FieldKind(StrEnum):
    """What a form shows for a field."""

    TEXT = "text"
    LONG_TEXT = "long text"
    DECIMAL = "decimal"
    WHOLE = "whole number"
    CHOICE = "choice"
    FLAG = "yes or no"
    ROWS = "rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationField:
    """One field; ``read`` takes the value and the name that its refusal carries."""

    name: str
    kind: FieldKind
    description: str
    read: Callable[[object, str], Any]
    schema: Mapping[str, Any]
    required: bool = True
    choices: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Return what a form calls it."""
        return self.name.replace("_", " ").capitalize()


def text(
    name: str,
    description: str,
    *,
    required: bool = True,
    length_max: int = TEXT_LENGTH_MAX,
    example: str = "",
) -> OperationField:
    """Return a field that takes printable text with something in it."""

    def read(value: object, name: str) -> str:
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise FieldError(field=name, code="INVALID")
        if len(value) > length_max:
            raise FieldError(field=name, code="TOO_LONG")
        return value

    schema: dict[str, Any] = {
        "type": "string",
        "minLength": 1,
        "maxLength": length_max,
        "description": description,
    }
    if example:
        schema["example"] = example
    return OperationField(
        name=name,
        kind=FieldKind.LONG_TEXT if length_max > REASON_LENGTH_MAX else FieldKind.TEXT,
        description=description,
        read=read,
        schema=schema,
        required=required,
    )


def decimal(
    name: str,
    description: str,
    *,
    required: bool = True,
    signed: bool = False,
    positive: bool = False,
    example: str = "0.01",
) -> OperationField:
    """Return a field that takes a decimal string, read as integers of 10^-8, 0 included."""

    def read(value: object, name: str) -> int:
        if signed and isinstance(value, str) and value.startswith("-"):
            return -parse_atoms(value[1:], field=name)
        atoms = parse_atoms(value, field=name)
        if positive and not atoms:
            raise FieldError(field=name, code="OUT_OF_RANGE")
        return atoms

    sign = "-?" if signed else ""
    schema = {
        "type": "string",
        "pattern": f"^{sign}{_DECIMAL_PATTERN}$",
        "description": description,
        "example": example,
    }
    return OperationField(
        name=name,
        kind=FieldKind.DECIMAL,
        description=description,
        read=read,
        schema=schema,
        required=required,
    )


def whole(
    name: str, description: str, *, required: bool = True, example: int = 1
) -> OperationField:
    """Return a field that takes a whole number from 0 on; the exchange knows how large."""

    def read(value: object, name: str) -> int:
        if type(value) is not int:
            raise FieldError(field=name, code="INVALID")
        if not 0 <= value <= _WHOLE_MAX:
            raise FieldError(field=name, code="OUT_OF_RANGE")
        return value

    schema = {
        "type": "integer",
        "format": "int64",
        "minimum": 0,
        "maximum": _WHOLE_MAX,
        "description": description,
        "example": example,
    }
    return OperationField(
        name=name,
        kind=FieldKind.WHOLE,
        description=description,
        read=read,
        schema=schema,
        required=required,
    )


def choice(
    name: str,
    description: str,
    choices: Iterable[IntEnum | StrEnum],
    *,
    required: bool = True,
) -> OperationField:
    """Return a field that takes the lower-case name of one of the members."""
    members = {member.name.lower(): member for member in choices}

    def read(value: object, name: str) -> IntEnum | StrEnum:
        member = members.get(value) if isinstance(value, str) else None
        if member is None:
            raise FieldError(field=name, code="INVALID_CHOICE")
        return member

    return OperationField(
        name=name,
        kind=FieldKind.CHOICE,
        description=description,
        read=read,
        schema={"type": "string", "enum": list(members), "description": description},
        required=required,
        choices=tuple(members),
    )


def flag(name: str, description: str, *, required: bool = True) -> OperationField:
    """Return a field that takes true or false."""

    def read(value: object, name: str) -> bool:
        if type(value) is not bool:
            raise FieldError(field=name, code="INVALID")
        return value

    return OperationField(
        name=name,
        kind=FieldKind.FLAG,
        description=description,
        read=read,
        schema={"type": "boolean", "description": description},
        required=required,
    )


def rows(
    name: str,
    description: str,
    columns: Iterable[OperationField],
    *,
    rows_max: int,
    required: bool = True,
) -> OperationField:
    """Return a field that takes a list of objects with the same fields each."""
    fields = tuple(columns)

    def read(value: object, name: str) -> tuple[dict[str, Any], ...]:
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise FieldError(field=name, code="INVALID")
        if not 1 <= len(value) <= rows_max:
            raise FieldError(field=name, code="OUT_OF_RANGE")
        return tuple(read_fields(fields, item) for item in value)

    schema = {
        "type": "array",
        "minItems": 1,
        "maxItems": rows_max,
        "items": schema_of(fields),
        "description": description,
    }
    return OperationField(
        name=name,
        kind=FieldKind.ROWS,
        description=description,
        read=read,
        schema=schema,
        required=required,
    )


REASON = text("reason", "Why; kept in the audit log.", length_max=REASON_LENGTH_MAX)


def read_fields(fields: Iterable[OperationField], body: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the values of a body, each read by its field.

    Raises:
        ApiError: ``UNKNOWN_FIELD``, or ``VALIDATION_ERROR`` naming every invalid field.
    """
    known = {field.name: field for field in fields}
    unknown = [name for name in body if name not in known]
    if unknown:
        raise unknown_fields(unknown)
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, field in known.items():
        if name in body:
            try:
                values[name] = field.read(body[name], name)
            except ApiError as error:
                errors.update(error.fields or {name: "INVALID"})
        elif field.required:
            errors[name] = "REQUIRED"
    if errors:
        raise invalid_fields(errors)
    return values


def schema_of(fields: Iterable[OperationField]) -> dict[str, Any]:
    """Return the OpenAPI schema of a body with these fields."""
    listed = tuple(fields)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [field.name for field in listed if field.required],
        "properties": {field.name: dict(field.schema) for field in listed},
    }


def value_of_text(field: OperationField, shown: str) -> object:
    """
    Return what a body of JSON would carry for the text of a form.

    What cannot be such a value stays text, which the field then refuses.
    """
    plain = shown.strip()
    if field.kind is FieldKind.WHOLE:
        # ASCII only: int() also takes underscores and digits of other scripts.
        return int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 20 else plain
    if field.kind is FieldKind.FLAG:
        return {"true": True, "false": False}.get(plain, plain)
    if field.kind is FieldKind.ROWS:
        try:
            found: object = json.loads(plain)
        except ValueError:
            return plain
        return found
    return plain


def text_of_value(field: OperationField, value: object) -> str:
    """Return how a form shows a value of JSON."""
    if field.kind is FieldKind.FLAG:
        return "true" if value else "false"
    if field.kind is FieldKind.ROWS:
        return json.dumps(value, indent=1)
    return str(value)
