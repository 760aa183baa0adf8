"""REST of the figures of the whole exchange: what the dashboard shows, for programs."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import caller_of, requires
from accounts.permissions import Permission
from adminpanel.stats.board import board_now
from adminpanel.stats.shapes import Stats
from common.openapi import LOGIN_ERRORS, QUERY_ERRORS, errors, schema_of
from common.query import QuerySerializer, read_query


class StatsView(APIView):
    """System statistics."""

    permission_classes = [requires(Permission.BACK_OFFICE)]
    rate_weight = 5

    @extend_schema(
        operation_id="admin_stats",
        tags=["admin"],
        summary="Figures of the whole exchange",
        responses={200: schema_of(Stats), **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """
        Return health, exposure, who is near liquidation and what changed, at most 1 s old.

        Sections that the caller's role may not see are null.
        """
        read_query(request, QuerySerializer)
        caller = caller_of(request)
        return Response(board_now().body(lambda needed: caller.refusal(needed) is None))
