"""Public REST of the risk engine: tiers, insurance funds, liquidations."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import caller_of, requires
from accounts.permissions import Permission
from common.openapi import LOGIN_ERRORS, QUERY_ERRORS, errors
from common.pagination import PageQuery, decode_cursor, page_of
from common.query import read_query
from markets.selectors import market_by_id
from orders.queries import market_of_query
from riskengine import schema, selectors
from riskengine.render import render_call, render_fund, render_liquidation, render_tiers
from riskengine.requests import LiquidationQuery, TierQuery

_PUBLIC_ERRORS = {429: ("RATE_LIMITED",), 503: ("SERVICE_UNAVAILABLE",)}


class TiersView(APIView):
    """Margin tiers."""

    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="risk_tiers",
        summary="List margin tiers",
        parameters=[TierQuery],
        responses={
            200: schema.TIERS,
            **errors(
                QUERY_ERRORS,
                _PUBLIC_ERRORS,
                {404: ("MARKET_NOT_FOUND",)},
            ),
        },
    )
    def get(self, request: Request) -> Response:
        """Return the margin tiers of all perpetual markets, or of one."""
        market = market_of_query(read_query(request, TierQuery))
        contracts = selectors.contracts_by_id([market.market_id] if market else None)
        return Response({"markets": [render_tiers(found) for found in contracts.values()]})


class InsuranceFundView(APIView):
    """Insurance funds."""

    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="risk_insurance_fund",
        summary="List insurance funds",
        responses={200: schema.FUNDS, **errors(QUERY_ERRORS, _PUBLIC_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """Return every insurance fund with its markets, balances and terms."""
        read_query(request)
        return Response({"funds": funds_body()})


class LiquidationsView(APIView):
    """What was liquidated."""

    permission_classes = [AllowAny]
    rate_weight = 2

    @extend_schema(
        operation_id="risk_liquidations",
        summary="List liquidations",
        parameters=[LiquidationQuery],
        responses={
            200: schema.LIQUIDATION_PAGE,
            **errors(QUERY_ERRORS, _PUBLIC_ERRORS, {404: ("MARKET_NOT_FOUND",)}),
        },
    )
    def get(self, request: Request) -> Response:
        """Return a page of the steps of all liquidations, newest first, without whose."""
        query = read_query(request, LiquidationQuery)
        market = market_of_query(query)
        keys = decode_cursor(query["cursor"])
        rows = selectors.liquidations_page(
            limit=query["limit"],
            below_id=keys[0] if keys else None,
            market_id=market.market_id if market else None,
        )
        page = page_of(
            rows,
            limit=query["limit"],
            key=lambda step: step.liquidation_id,
            render=render_liquidation,
        )
        return Response(page.body())


class MarginCallsView(APIView):
    """Warnings of an account."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW)]

    @extend_schema(
        operation_id="risk_margin_calls",
        summary="List own margin calls",
        parameters=[PageQuery],
        responses={200: schema.CALL_PAGE, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """Return a page of the account's warnings at 80 % and 90 % of the way, newest first."""
        query = read_query(request, PageQuery)
        keys = decode_cursor(query["cursor"])
        rows = selectors.margin_calls_page(
            caller_of(request).account_id,
            limit=query["limit"],
            below_id=keys[0] if keys else None,
        )
        page = page_of(
            rows, limit=query["limit"], key=lambda call: call.call_id, render=render_call
        )
        return Response(page.body())


def funds_body() -> list[dict[str, Any]]:
    """Return all insurance funds as they are shown."""
    contracts = selectors.contracts_by_id()
    return [
        render_fund(
            group,
            symbols=[
                market_by_id(market_id).symbol
                for market_id, contract in contracts.items()
                if contract.insurance_group == group.group_id
            ],
            balances=selectors.fund_balances(group.group_id),
        )
        for group in selectors.insurances_all()
    ]
