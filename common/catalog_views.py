"""The list of every error code."""

from dataclasses import asdict

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.error_catalog import GROUPS, catalog
from common.openapi import TEXT, list_of, object_of
from common.query import read_query

_ERROR_CODE = object_of(
    {
        "code": TEXT,
        "group": {"type": "string", "enum": list(GROUPS)},
        "http_status": {"type": "integer", "description": "0: comes inside another answer."},
        "message": TEXT,
    }
)


class ErrorCatalogView(APIView):
    """Every code explained."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(
        operation_id="errors_list",
        summary="Every error code explained",
        responses={200: object_of({"errors": list_of(_ERROR_CODE)})},
        auth=[],
    )
    def get(self, request: Request) -> Response:
        """Return every code that can leave the platform; codes are stable, messages are not."""
        read_query(request)
        return Response({"errors": [asdict(code) for code in catalog()]})
