"""REST of operators on risk: parameters, insurance funds, settlement."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import step_up
from accounts.access import body_of, caller_of, requires
from accounts.permissions import Permission
from common.openapi import BODY_ERRORS, ENGINE_ERRORS, LOGIN_ERRORS, errors
from common.query import read_query
from markets.selectors import MarketNotFound, market_by_symbol
from markets.types import MarketInfo
from orders.requests import market_not_found
from riskengine import schema, selectors, services
from riskengine.render import render_group, render_terms
from riskengine.requests import parse_fund, parse_params, parse_settle
from riskengine.views import funds_body
from wallets.services import asset_of


def _market_named(symbol: str) -> MarketInfo:
    try:
        return market_by_symbol(symbol)
    except MarketNotFound as error:
        raise market_not_found() from error


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
        values = parse_params(body_of(request))
        actor = caller_of(request)
        if "symbol" in values:
            market = _market_named(values["symbol"])
            return Response(services.contract_change(market=market, values=values, actor=actor))
        return Response(services.insurance_change(values=values, actor=actor))


class FundView(APIView):
    """Money of insurance funds."""

    permission_classes = [requires(Permission.MONEY_MANAGE)]

    @extend_schema(
        operation_id="admin_insurance_fund_move",
        tags=["admin"],
        summary="Pay into or take out of an insurance fund",
        parameters=[step_up.PARAMETER],
        request={"application/json": schema.FUND_REQUEST},
        responses={
            200: schema.FUNDS,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                step_up.ERRORS,
                ENGINE_ERRORS,
                {
                    404: ("ASSET_NOT_FOUND", "INSURANCE_GROUP_NOT_FOUND"),
                    422: ("INSUFFICIENT_INSURANCE", "BALANCE_LIMIT", "INVALID_AMOUNT"),
                },
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Move an amount and answer all funds as they then are. Audited with the reason."""
        values = parse_fund(body_of(request))
        asset = asset_of(values["currency"])
        step_up.require_step_up(request)
        services.fund_move(
            group_id=values["insurance_group"],
            asset=asset,
            amount_atoms=values["amount"],
            direction=values["direction"],
            reason=values["reason"],
            actor=caller_of(request),
        )
        return Response({"funds": funds_body()})


class SettleView(APIView):
    """The end of a market."""

    permission_classes = [requires(Permission.RISK_MANAGE)]

    @extend_schema(
        operation_id="admin_market_settle",
        tags=["admin"],
        summary="Settle a perpetual market for good",
        parameters=[step_up.PARAMETER],
        request={"application/json": schema.SETTLE_REQUEST},
        responses={
            200: schema.SETTLED,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                step_up.ERRORS,
                ENGINE_ERRORS,
                {
                    404: ("MARKET_NOT_FOUND",),
                    422: ("NOT_A_PERPETUAL", "MARKET_SETTLED", "INVALID_PRICE"),
                },
            ),
        },
    )
    def post(self, request: Request, symbol: str) -> Response:
        """
        Cancel all orders and close all positions at one price; this cannot be undone.

        Positions close in bounded steps after the answer. Audited with the reason.
        """
        values = parse_settle(body_of(request))
        market = _market_named(symbol)
        step_up.require_step_up(request)
        services.market_settle(
            market=market,
            price_atoms=values.get("price", 0),
            reason=values["reason"],
            actor=caller_of(request),
        )
        return Response({"symbol": market.symbol, "status": "settled"})
