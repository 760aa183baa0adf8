"""REST writes of positions: validate, call one service, render."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import body_of, caller_of, requires
from accounts.permissions import Permission
from common.errors import not_found, raise_for_code
from common.freshness import freshness
from common.ids import parse_id
from common.limits import show_rate, take_orders
from common.openapi import (
    BODY_ERRORS,
    ENGINE_ERRORS,
    LOGIN_ERRORS,
    QUERY_ERRORS,
    Codes,
    errors,
)
from common.query import read_query
from common.serializers import refuse_body
from exchange.core.rejects import Code
from markets.selectors import MarketNotFound, market_by_id, market_by_symbol
from markets.types import MarketInfo
from orders.bodies import placed_body, result_body
from orders.queries import market_of_query
from orders.requests import market_not_found
from orders.schema import PLACED_ORDER
from positions import schema, selectors, services
from positions.render import render_position, render_setting
from positions.requests import (
    SymbolQuery,
    parse_close,
    parse_exits,
    parse_margin,
    parse_setting,
)

_POSITION_ERRORS: Codes = {404: ("NOT_FOUND", "POSITION_NOT_FOUND")}


def _market_of(account_id: int, position_id: str, *, ended_too: bool = False) -> MarketInfo:
    """
    Return the market of a position of this account.

    Raises:
        ApiError: ``NOT_FOUND`` (404), another's position alike.
    """
    number = parse_id(position_id)
    find = selectors.ever_market_of if ended_too else selectors.open_market_of
    market_id = find(account_id, number) if number else None
    if market_id is None:
        raise not_found()
    return market_by_id(market_id)


class CloseView(APIView):
    """Close a position."""

    permission_classes = [requires(Permission.TRADE)]
    rate_exempt = frozenset({"POST"})

    @extend_schema(
        operation_id="positions_close",
        summary="Close or reverse a position",
        request={"application/json": schema.CLOSE_REQUEST},
        responses={
            201: PLACED_ORDER,
            200: PLACED_ORDER,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                ENGINE_ERRORS,
                _POSITION_ERRORS,
                {
                    409: ("CLIENT_ORDER_ID_CONFLICT",),
                    422: schema.CLOSE_REFUSALS,
                    429: ("ORDER_RATE",),
                },
            ),
        },
    )
    def post(self, request: Request, position_id: str) -> Response:
        """
        Close all or part of a position, at the market or at a limit, by a reduce-only order.

        With reverse as much of the other side is open afterwards. Repeating a request with the
        same client_order_id answers 200 with the first order.
        """
        body = body_of(request)
        user = caller_of(request)
        market = _market_of(user.account_id, position_id, ended_too="client_order_id" in body)
        command = parse_close(body, account_id=user.account_id, market=market)
        show_rate(request, take_orders(user))
        result = services.position_close(command=command)
        answer = placed_body(result, user.account_id)
        return Response(answer, status=200 if result.repeated else 201)


class CloseAllView(APIView):
    """Close everything."""

    permission_classes = [requires(Permission.TRADE)]
    rate_exempt = frozenset({"POST"})

    @extend_schema(
        operation_id="positions_close_all",
        summary="Close all positions at the market",
        parameters=[SymbolQuery],
        request=None,
        responses={
            200: schema.CLOSED_ALL,
            **errors(
                QUERY_ERRORS,
                LOGIN_ERRORS,
                ENGINE_ERRORS,
                {404: ("MARKET_NOT_FOUND",), 429: ("ORDER_RATE",)},
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Close every open position, or that of one market; each has its own result."""
        refuse_body(request)
        market = market_of_query(read_query(request, SymbolQuery))
        user = caller_of(request)
        show_rate(request, take_orders(user))
        closed = services.positions_close(
            account_id=user.account_id, market_id=market.market_id if market else None
        )
        results: list[dict[str, Any]] = [
            {
                "symbol": market_by_id(market_id).symbol,
                "position_id": str(position_id),
                **result_body(result, done_status=201, account_id=user.account_id, with_fills=True),
            }
            for market_id, position_id, result in closed
        ]
        return Response({"results": results})


class MarginView(APIView):
    """Margin of an isolated position."""

    permission_classes = [requires(Permission.TRADE)]

    @extend_schema(
        operation_id="positions_margin",
        summary="Add or remove isolated margin",
        request={"application/json": schema.MARGIN_REQUEST},
        responses={
            200: schema.POSITION,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                ENGINE_ERRORS,
                _POSITION_ERRORS,
                {422: schema.MARGIN_REFUSALS},
            ),
        },
    )
    def put(self, request: Request, position_id: str) -> Response:
        """Move an amount between the margin wallet and the position's, and answer the position."""
        body = body_of(request)
        account_id = caller_of(request).account_id
        market = _market_of(account_id, position_id)
        command = parse_margin(body, account_id=account_id, market=market)
        view = services.margin_adjust(command=command)
        return Response({**render_position(view), **freshness()})


class ExitsView(APIView):
    """Take-profit and stop-loss of a position."""

    permission_classes = [requires(Permission.TRADE)]

    @extend_schema(
        operation_id="positions_tp_sl",
        summary="Set take-profit and stop-loss",
        request={"application/json": schema.EXIT_REQUEST},
        responses={
            200: schema.POSITION,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                ENGINE_ERRORS,
                _POSITION_ERRORS,
                {422: schema.EXIT_REFUSALS},
            ),
        },
    )
    def put(self, request: Request, position_id: str) -> Response:
        """Set both exits of the whole position; null removes one. Those set before end."""
        body = body_of(request)
        account_id = caller_of(request).account_id
        market = _market_of(account_id, position_id)
        command = parse_exits(body, account_id=account_id, market=market)
        view = services.exits_set(command=command)
        return Response({**render_position(view), **freshness()})


class SettingView(APIView):
    """Leverage and margin mode."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW, write=Permission.TRADE)]

    @extend_schema(
        operation_id="positions_setting",
        summary="Get leverage and margin mode",
        responses={
            200: schema.SETTING,
            **errors(LOGIN_ERRORS, {404: ("MARKET_NOT_FOUND",), 422: ("NOT_A_PERPETUAL",)}),
        },
    )
    def get(self, request: Request, symbol: str) -> Response:
        """Return the account's leverage and margin mode in a perpetual market."""
        read_query(request)
        market = _market_named(symbol)
        setting = selectors.setting_of(caller_of(request).account_id, market.market_id)
        if setting is None:
            raise_for_code(Code.NOT_A_PERPETUAL)
        return Response(render_setting(setting))

    @extend_schema(
        operation_id="positions_set",
        summary="Set leverage and margin mode",
        request={"application/json": schema.SETTING_REQUEST},
        responses={
            200: schema.SETTING,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                ENGINE_ERRORS,
                {404: ("MARKET_NOT_FOUND",), 422: schema.SETTING_REFUSALS},
            ),
        },
    )
    def put(self, request: Request, symbol: str) -> Response:
        """Set leverage, margin mode, or both: the mode first. What is left out stays."""
        leverage, mode = parse_setting(body_of(request))
        setting = services.setting_change(
            account_id=caller_of(request).account_id,
            market_id=_market_named(symbol).market_id,
            leverage=leverage,
            mode=mode,
        )
        return Response(render_setting(setting))


def _market_named(symbol: str) -> MarketInfo:
    try:
        return market_by_symbol(symbol)
    except MarketNotFound as error:
        raise market_not_found() from error
