"""REST of operators on risk parameters, as the product sheet names it."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import body_of, caller_of, requires
from accounts.operation_runs import operation_run
from accounts.operations import all_operations, call_of
from accounts.permissions import Permission
from common.openapi import BODY_ERRORS, ENGINE_ERRORS, LOGIN_ERRORS, errors
from common.query import read_query
from riskengine import schema, selectors
from riskengine.render import render_group, render_terms
from riskengine.requests import split_params


class RiskParamsView(APIView):
    """Risk parameters."""

    permission_classes = [requires(Permission.MARKETS_VIEW, write=Permission.RISK_MANAGE)]

    @extend_schema(
        operation_id="admin_risk_params",
        tags=["admin"],
        summary="List risk parameters",
        responses={200: schema.ALL_PARAMS, **errors(LOGIN_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """Return the terms of all perpetual markets and insurance groups."""
        read_query(request)
        return Response(
            {
                "contracts": [render_terms(c) for c in selectors.contracts_by_id().values()],
                "insurance_groups": [render_group(g) for g in selectors.insurances_all()],
            }
        )

    @extend_schema(
        operation_id="admin_risk_params_change",
        tags=["admin"],
        summary="Change risk parameters",
        request={"application/json": schema.PARAM_REQUEST},
        responses={
            200: schema.PARAMS,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                ENGINE_ERRORS,
                {
                    404: ("MARKET_NOT_FOUND", "INSURANCE_GROUP_NOT_FOUND"),
                    422: (
                        "NOT_A_PERPETUAL",
                        "INVALID_CONFIGURATION",
                        "INVALID_BRACKETS",
                        "MARKET_SETTLED",
                    ),
                },
            ),
        },
    )
    def put(self, request: Request) -> Response:
        """
        Change terms of a perpetual market or of an insurance group; what is left out stays.

        Positions are judged by new brackets at the next mark. Audited with the reason.
        """
        name, target, body = split_params(body_of(request))
        call = call_of(all_operations()[name], target, body, caller_of(request))
        return Response(operation_run(call).answer)
