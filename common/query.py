"""Query parameters: only declared ones, each once, each validated."""

from typing import Any

from django.http import HttpRequest, QueryDict
from django.utils.datastructures import MultiValueDict
from rest_framework import serializers
from rest_framework.request import Request

from common.errors import ApiError, echo
from common.exceptions import field_codes
from common.serializers import StrictSerializer

# Longer than any declared set of parameters; what is longer is an attack or a mistake.
QUERY_BYTES_MAX = 2_048
PARAMETERS_MAX = 20


def _invalid(fields: dict[str, str]) -> ApiError:
    return ApiError(
        "INVALID_PARAMETER", "A query parameter is unknown or not valid.", 400, fields=fields
    )


class QuerySerializer(StrictSerializer):
    """Base of declared query parameters; an empty subclass declares that there are none."""

    unknown_code = "UNKNOWN_PARAMETER"


def read_query(
    request: Request | HttpRequest, serializer_class: type[serializers.Serializer] = QuerySerializer
) -> dict[str, Any]:
    """
    Return the validated query parameters of a request.

    Raises:
        ApiError: 400 ``INVALID_PARAMETER`` for unknown, repeated, array-like, over-long or
            malformed parameters; ``fields`` names them.
    """
    raw = request.META.get("QUERY_STRING", "")
    if not raw and serializer_class is QuerySerializer:
        # None declared, none sent: asking a serializer is a tenth of placing an order.
        return {}
    if not raw:
        parameters: MultiValueDict[str, str] = MultiValueDict()
    elif len(raw) > QUERY_BYTES_MAX or raw.count("&") >= PARAMETERS_MAX:
        raise _invalid({})
    else:
        parameters = QueryDict(raw, encoding="utf-8")
    data: dict[str, str] = {}
    for name, values in parameters.lists():
        if len(values) != 1:
            raise _invalid({echo(name): "DUPLICATE"})
        data[name] = values[0]
    serializer = serializer_class(data=data)
    try:
        serializer.is_valid(raise_exception=True)
    except serializers.ValidationError as error:
        raise _invalid(field_codes(error)) from error
    except ApiError as error:
        raise _invalid(error.fields or {}) from error
    result: dict[str, Any] = serializer.validated_data
    return result
