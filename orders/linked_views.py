"""REST of orders that belong together."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import body_of, caller_of, requires
from accounts.permissions import Permission
from common.limits import show_rate, take_orders
from common.openapi import BODY_ERRORS, ENGINE_ERRORS, LOGIN_ERRORS, errors
from orders import schema, services
from orders.bodies import group_body
from orders.linked_requests import BRACKET_COST, OCO_COST, parse_bracket, parse_oco

_ERRORS = errors(
    BODY_ERRORS,
    LOGIN_ERRORS,
    ENGINE_ERRORS,
    {
        404: ("MARKET_NOT_FOUND",),
        409: ("CLIENT_ORDER_ID_CONFLICT",),
        422: schema.GROUP_REFUSALS,
        429: ("ORDER_RATE",),
    },
)


class OcoView(APIView):
    """One cancels the other."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW, write=Permission.TRADE)]
    rate_exempt = frozenset({"POST"})

    @extend_schema(
        operation_id="orders_place_oco",
        summary="Place an OCO",
        request={"application/json": schema.OCO_REQUEST},
        responses={201: schema.ORDER_GROUP, 200: schema.ORDER_GROUP, **_ERRORS},
    )
    def post(self, request: Request) -> Response:
        """
        Place a take-profit and a stop-loss of one size and side, of which one cancels the other.

        Any fill or trigger of one leg ends the other. Funds are held once. Repeating a request
        with the same client_order_id answers 200 with the orders as they now are.
        """
        user = caller_of(request)
        show_rate(request, take_orders(user, OCO_COST))
        command = parse_oco(body_of(request), account_id=user.account_id)
        group = services.order_group_place(command=command)
        return Response(group_body(group, user.account_id), status=200 if group.repeated else 201)


class BracketView(APIView):
    """An entry with what closes it."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW, write=Permission.TRADE)]
    rate_exempt = frozenset({"POST"})

    @extend_schema(
        operation_id="orders_place_bracket",
        summary="Place a bracket",
        request={"application/json": schema.BRACKET_REQUEST},
        responses={201: schema.ORDER_GROUP, 200: schema.ORDER_GROUP, **_ERRORS},
    )
    def post(self, request: Request) -> Response:
        """
        Place an entry with a take-profit, a stop-loss or both against it.

        They wait until the entry ends, then become an OCO over what it filled; without a fill
        they end. Repeating a request with the same client_order_id answers 200 with the orders
        as they now are.
        """
        user = caller_of(request)
        show_rate(request, take_orders(user, BRACKET_COST))
        command = parse_bracket(body_of(request), account_id=user.account_id)
        group = services.order_group_place(command=command)
        return Response(group_body(group, user.account_id), status=200 if group.repeated else 201)
