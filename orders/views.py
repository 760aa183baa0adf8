"""REST of orders and fills: validate, call one service or selector, render."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import body_of, caller_of, requires
from accounts.direct_views import DirectPostView
from accounts.permissions import Permission
from common.errors import not_found
from common.freshness import freshness
from common.ids import parse_id
from common.limits import show_rate, take_cancels, take_orders
from common.openapi import (
    BODY_ERRORS,
    ENGINE_ERRORS,
    LOGIN_ERRORS,
    NOT_FOUND_ERRORS,
    QUERY_ERRORS,
    errors,
)
from common.pagination import decode_cursor, encode_cursor
from common.query import read_query
from common.serializers import refuse_body
from exchange.core.commands import CancelOrder
from orders import schema, selectors, services
from orders.bodies import order_body, order_page_body, placed_body
from orders.change_requests import parse_amend
from orders.queries import (
    CLIENT_ORDER_ID,
    CancelAllQuery,
    FillQuery,
    OrderQuery,
    market_of_query,
)
from orders.render import render_fill, render_order
from orders.requests import parse_order


def _cursor_of(query: dict[str, Any]) -> int | None:
    keys = decode_cursor(query["cursor"])
    return keys[0] if keys else None


class OrdersView(DirectPostView):
    """Place an order, list the open ones, cancel all."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW, write=Permission.TRADE)]
    rate_exempt = frozenset({"POST", "DELETE"})

    @extend_schema(
        operation_id="orders_place",
        summary="Place an order",
        request={"application/json": schema.ORDER_REQUEST},
        responses={
            201: schema.PLACED_ORDER,
            200: schema.PLACED_ORDER,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                ENGINE_ERRORS,
                {
                    404: ("MARKET_NOT_FOUND",),
                    409: ("CLIENT_ORDER_ID_CONFLICT",),
                    422: schema.PLACE_REFUSALS,
                    429: ("ORDER_RATE",),
                },
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """
        Place an order and answer its state after the command, fills included.

        Repeating a request with the same client_order_id answers 200 with the order as it now
        is. After STATUS_UNKNOWN ask by client id.
        """
        user = caller_of(request)
        show_rate(request, take_orders(user))
        command = parse_order(body_of(request), account_id=user.account_id)
        result = services.order_place(command=command)
        body = placed_body(result, user.account_id)
        return Response(body, status=200 if result.repeated else 201)

    @extend_schema(
        operation_id="orders_open",
        summary="List open orders",
        parameters=[OrderQuery],
        responses={
            200: schema.ORDER_PAGE,
            **errors(QUERY_ERRORS, LOGIN_ERRORS, {404: ("MARKET_NOT_FOUND",)}),
        },
    )
    def get(self, request: Request) -> Response:
        """Return a page of the account's open orders, newest first."""
        query = read_query(request, OrderQuery)
        market = market_of_query(query)
        page = selectors.orders_open(
            caller_of(request).account_id,
            limit=query["limit"],
            market_id=market.market_id if market else None,
            below_id=_cursor_of(query),
        )
        return Response(order_page_body(page))

    @extend_schema(
        operation_id="orders_cancel_all",
        summary="Cancel all open orders",
        parameters=[CancelAllQuery],
        request=None,
        responses={
            200: schema.CANCELLED_ALL,
            **errors(QUERY_ERRORS, LOGIN_ERRORS, ENGINE_ERRORS, {404: ("MARKET_NOT_FOUND",)}),
        },
    )
    def delete(self, request: Request) -> Response:
        """Cancel all open orders of the account, or those in one market."""
        refuse_body(request)
        query = read_query(request, CancelAllQuery)
        market = market_of_query(query)
        user = caller_of(request)
        show_rate(request, take_cancels(user))
        done = services.orders_cancel_all(
            account_id=user.account_id, market_id=market.market_id if market else 0
        )
        orders = [render_order(order) for order in done.orders]
        return Response({"orders": orders, "complete": done.complete})


class OrderHistoryView(APIView):
    """Finished orders."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW, write=Permission.TRADE)]
    rate_weight = 5

    @extend_schema(
        operation_id="orders_history",
        summary="List finished orders",
        parameters=[OrderQuery],
        responses={
            200: schema.ORDER_PAGE,
            **errors(QUERY_ERRORS, LOGIN_ERRORS, {404: ("MARKET_NOT_FOUND",)}),
        },
    )
    def get(self, request: Request) -> Response:
        """
        Return a page of the account's finished orders, newest first.

        A filtered page may be short or empty and still have a next_cursor.
        """
        query = read_query(request, OrderQuery)
        market = market_of_query(query)
        page = selectors.orders_finished(
            caller_of(request).account_id,
            limit=query["limit"],
            market_id=market.market_id if market else None,
            from_id=_cursor_of(query),
        )
        return Response(order_page_body(page))


class OrderView(APIView):
    """One order by its number."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW, write=Permission.TRADE)]
    rate_exempt = frozenset({"PUT", "DELETE"})

    @extend_schema(
        operation_id="orders_get",
        summary="Get an order",
        responses={200: schema.ORDER_DETAIL, **errors(LOGIN_ERRORS, NOT_FOUND_ERRORS)},
    )
    def get(self, request: Request, order_id: str) -> Response:
        """Return an order of the account with its fills."""
        read_query(request)
        account_id = caller_of(request).account_id
        number = parse_id(order_id)
        order = selectors.order_of(account_id, number) if number else None
        if order is None:
            raise not_found()
        return Response(order_body(order, account_id))

    @extend_schema(
        operation_id="orders_cancel",
        summary="Cancel an order",
        request=None,
        responses={
            200: schema.ORDER,
            **errors(LOGIN_ERRORS, NOT_FOUND_ERRORS, ENGINE_ERRORS, {422: ("ORDER_NOT_OPEN",)}),
        },
    )
    def delete(self, request: Request, order_id: str) -> Response:
        """Cancel an open order of the account and answer its last state."""
        refuse_body(request)
        read_query(request)
        user = caller_of(request)
        number = parse_id(order_id)
        if number is None:
            raise not_found()
        show_rate(request, take_cancels(user))
        command = CancelOrder(account_id=user.account_id, order_id=number)
        return Response(render_order(services.order_cancel(command=command).order))

    @extend_schema(
        operation_id="orders_amend",
        summary="Amend an order",
        request={"application/json": schema.AMEND_REQUEST},
        responses={
            200: schema.PLACED_ORDER,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                NOT_FOUND_ERRORS,
                ENGINE_ERRORS,
                {422: schema.AMEND_REFUSALS, 429: ("ORDER_RATE",)},
            ),
        },
    )
    def put(self, request: Request, order_id: str) -> Response:
        """
        Change quantity, price or trigger price of an open order in place.

        Less quantity alone keeps the priority; anything else goes to the back and may trade
        at once. A refused amendment leaves the order as it was; a quantity of no more than
        what is filled cancels it.
        """
        read_query(request)
        user = caller_of(request)
        number = parse_id(order_id)
        if number is None:
            raise not_found()
        show_rate(request, take_orders(user))
        command = parse_amend(body_of(request), account_id=user.account_id, order_id=number)
        result = services.order_amend(command=command)
        return Response(placed_body(result, user.account_id))


class OrderByClientIdView(APIView):
    """One order by the id its client gave it."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW, write=Permission.TRADE)]
    rate_exempt = frozenset({"PUT", "DELETE"})

    @extend_schema(
        operation_id="orders_get_by_client_id",
        summary="Get an order by its client id",
        responses={
            200: schema.ORDER_DETAIL,
            **errors(LOGIN_ERRORS, NOT_FOUND_ERRORS, ENGINE_ERRORS),
        },
    )
    def get(self, request: Request, client_order_id: str) -> Response:
        """
        Return the order that was placed under a client id.

        Everything submitted before is awaited, so 404 means that it was never placed.
        """
        read_query(request)
        account_id = caller_of(request).account_id
        if CLIENT_ORDER_ID.fullmatch(client_order_id) is None:
            raise not_found()
        order = services.order_by_client_id(account_id=account_id, client_order_id=client_order_id)
        return Response(order_body(order, account_id))

    @extend_schema(
        operation_id="orders_cancel_by_client_id",
        summary="Cancel an order by its client id",
        request=None,
        responses={
            200: schema.ORDER,
            **errors(LOGIN_ERRORS, NOT_FOUND_ERRORS, ENGINE_ERRORS, {422: ("ORDER_NOT_OPEN",)}),
        },
    )
    def delete(self, request: Request, client_order_id: str) -> Response:
        """Cancel the open order that was placed under a client id."""
        refuse_body(request)
        read_query(request)
        user = caller_of(request)
        if CLIENT_ORDER_ID.fullmatch(client_order_id) is None:
            raise not_found()
        show_rate(request, take_cancels(user))
        command = CancelOrder(
            account_id=user.account_id, order_id=0, client_order_id=client_order_id
        )
        return Response(render_order(services.order_cancel(command=command).order))

    @extend_schema(
        operation_id="orders_amend_by_client_id",
        summary="Amend an order by its client id",
        request={"application/json": schema.AMEND_REQUEST},
        responses={
            200: schema.PLACED_ORDER,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                NOT_FOUND_ERRORS,
                ENGINE_ERRORS,
                {422: schema.AMEND_REFUSALS, 429: ("ORDER_RATE",)},
            ),
        },
    )
    def put(self, request: Request, client_order_id: str) -> Response:
        """Change the open order that was placed under a client id, as by its number."""
        read_query(request)
        user = caller_of(request)
        if CLIENT_ORDER_ID.fullmatch(client_order_id) is None:
            raise not_found()
        show_rate(request, take_orders(user))
        command = parse_amend(
            body_of(request), account_id=user.account_id, client_order_id=client_order_id
        )
        result = services.order_amend(command=command)
        return Response(placed_body(result, user.account_id))


class FillsView(APIView):
    """Own trades."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW, write=Permission.TRADE)]
    rate_weight = 5

    @extend_schema(
        operation_id="fills_list",
        summary="List own fills",
        parameters=[FillQuery],
        responses={
            200: schema.FILL_PAGE,
            **errors(QUERY_ERRORS, LOGIN_ERRORS, {404: ("NOT_FOUND", "MARKET_NOT_FOUND")}),
        },
    )
    def get(self, request: Request) -> Response:
        """
        Return a page of the account's fills, newest first, with role, fee and engine time.

        A filtered page may be short or empty and still have a next_cursor.
        """
        query = read_query(request, FillQuery)
        market = market_of_query(query)
        account_id = caller_of(request).account_id
        from_entry_id = _cursor_of(query)
        if "order_id" in query:
            order = selectors.order_of(account_id, query["order_id"])
            if order is None:
                raise not_found()
            page = selectors.fills_of_order(
                account_id, order=order, limit=query["limit"], from_entry_id=from_entry_id
            )
        else:
            page = selectors.fills_of(
                account_id, limit=query["limit"], from_entry_id=from_entry_id, market=market
            )
        return Response(
            {
                "items": [render_fill(trade, account_id) for trade in page.trades],
                "next_cursor": encode_cursor(page.next_id) if page.next_id else None,
                **freshness(),
            }
        )
