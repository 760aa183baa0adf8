"""Input shapes that refuse what they do not know."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import empty
from rest_framework.request import Request

from common.decimals import format_atoms, parse_atoms
from common.errors import ApiError, FieldError, echo
from common.ids import parse_id
from exchange.core.units import DECIMALS_MAX


class TextField(serializers.CharField):
    """A string and nothing else: numbers are not turned into text, spaces are kept."""

    def __init__(self, **kwargs: Any) -> None:
        """Keep white space unless told otherwise."""
        kwargs.setdefault("trim_whitespace", False)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        """Return the string."""
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


@extend_schema_field({"type": "string", "example": "0.01"})
class AtomsField(serializers.Field):
    """A decimal string in JSON, atoms (10^-8) in Python."""

    default_error_messages = {
        "INVALID_DECIMAL": "A decimal string was expected.",
        "TOO_MANY_DECIMALS": "Too many decimals.",
        "OUT_OF_RANGE": "The number is out of range.",
    }

    def __init__(self, *, decimals: int = DECIMALS_MAX, **kwargs: Any) -> None:
        """Accept at most ``decimals`` digits after the point."""
        super().__init__(**kwargs)
        self.decimals = decimals

    def to_internal_value(self, data: Any) -> int:
        """Return atoms."""
        try:
            return parse_atoms(data, field="", decimals=self.decimals)
        except FieldError as error:
            self.fail(error.field_code)

    def to_representation(self, value: int) -> str:
        """Return the shortest exact decimal string."""
        return format_atoms(value)


@extend_schema_field({"type": "string", "example": "1234"})
class IdField(serializers.Field):
    """An id: decimal text in JSON, a 63-bit integer in Python."""

    default_error_messages = {"invalid": "An id was expected."}

    def to_internal_value(self, data: Any) -> int:
        """Return the integer."""
        parsed = parse_id(data)
        if parsed is None:
            self.fail("invalid")
        return parsed

    def to_representation(self, value: int) -> str:
        """Return decimal text."""
        return str(value)


class StrictSerializer(serializers.Serializer):
    """
    A serializer that refuses unknown and read-only fields.

    Ignoring them would hide typos and attempts at setting what is not the client's to set.
    """

    unknown_code = "UNKNOWN_FIELD"
    unknown_message = "The request has a field that is not known or not writable."

    def to_internal_value(self, data: Any) -> Any:
        """
        Return validated data.

        Raises:
            ApiError: 400 ``UNKNOWN_FIELD`` naming the first unknown fields.
        """
        if isinstance(data, Mapping):
            known = {field.field_name for field in self._writable_fields}
            unknown = [name for name in data if name not in known]
            if unknown:
                fields = {echo(name): self.unknown_code for name in unknown[:10]}
                raise ApiError(self.unknown_code, self.unknown_message, 400, fields=fields)
        return super().to_internal_value(data)


def refuse_body(request: Request) -> None:
    """
    Return for a request without a body, or with an empty object.

    An operation that takes none must not ignore one: who sends a symbol with "cancel all"
    means less than all.

    Raises:
        ApiError: ``UNKNOWN_FIELD``, or what the parser refuses.
    """
    meta = request.META
    if meta.get("CONTENT_LENGTH") not in (None, "", "0") or meta.get("HTTP_TRANSFER_ENCODING"):
        validated(StrictSerializer, request.data)


def validated(serializer_class: type[serializers.Serializer], data: Any) -> dict[str, Any]:
    """
    Return ``data`` validated by a serializer.

    Raises:
        ApiError: ``UNKNOWN_FIELD``.
        rest_framework.exceptions.ValidationError: ``VALIDATION_ERROR`` with its fields.
    """
    serializer = serializer_class(data=empty if data is None else data)
    serializer.is_valid(raise_exception=True)
    result: dict[str, Any] = serializer.validated_data
    return result
