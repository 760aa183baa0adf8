"""REST of several orders in one request."""

from __future__ import annotations

from collections.abc import Sequence

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import body_of, caller_of, requires
from accounts.permissions import Permission
from common.limits import show_rate, take_cancels, take_orders
from common.openapi import BODY_ERRORS, ENGINE_ERRORS, LOGIN_ERRORS, errors
from orders import schema, services
from orders.bodies import result_body
from orders.change_requests import parse_amend, parse_cancel
from orders.requests import parse_batch, parse_order
from orders.types import OrderFailure, OrderResult


def _answer(
    results: Sequence[OrderResult | OrderFailure],
    *,
    done_status: int,
    account_id: int,
    with_fills: bool = True,
) -> Response:
    bodies = [
        result_body(result, done_status=done_status, account_id=account_id, with_fills=with_fills)
        for result in results
    ]
    return Response({"results": bodies})


class OrderBatchView(APIView):
    """Several orders in one request."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW, write=Permission.TRADE)]
    rate_exempt = frozenset({"POST", "PUT", "DELETE"})

    @extend_schema(
        operation_id="orders_place_batch",
        summary="Place several orders",
        request={"application/json": schema.PLACE_BATCH_REQUEST},
        responses={
            200: schema.PLACE_BATCH_RESULT,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                ENGINE_ERRORS,
                {429: ("ORDER_RATE",)},
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Place up to 40 orders; each has its own result, in order, whatever the others do."""
        user = caller_of(request)
        items = parse_batch(body_of(request))
        show_rate(request, take_orders(user, len(items)))
        results = services.batch_run(
            items,
            parse=lambda item: parse_order(item, account_id=user.account_id),
            run=lambda commands: services.orders_place(commands=commands),
        )
        return _answer(results, done_status=201, account_id=user.account_id)

    @extend_schema(
        operation_id="orders_amend_batch",
        summary="Amend several orders",
        request={"application/json": schema.AMEND_BATCH_REQUEST},
        responses={
            200: schema.PLACE_BATCH_RESULT,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                ENGINE_ERRORS,
                {429: ("ORDER_RATE",)},
            ),
        },
    )
    def put(self, request: Request) -> Response:
        """Amend up to 40 orders; each has its own result, in order, whatever the others do."""
        user = caller_of(request)
        items = parse_batch(body_of(request))
        show_rate(request, take_orders(user, len(items)))
        results = services.batch_run(
            items,
            parse=lambda item: parse_amend(item, account_id=user.account_id),
            run=lambda commands: services.orders_amend(commands=commands),
        )
        return _answer(results, done_status=200, account_id=user.account_id)

    @extend_schema(
        operation_id="orders_cancel_batch",
        summary="Cancel several orders",
        request={"application/json": schema.CANCEL_BATCH_REQUEST},
        responses={
            200: schema.CANCEL_BATCH_RESULT,
            **errors(BODY_ERRORS, LOGIN_ERRORS, ENGINE_ERRORS),
        },
    )
    def delete(self, request: Request) -> Response:
        """Cancel up to 40 orders; each has its own result, in order."""
        user = caller_of(request)
        items = parse_batch(body_of(request))
        show_rate(request, take_cancels(user, len(items)))
        results = services.batch_run(
            items,
            parse=lambda item: parse_cancel(item, account_id=user.account_id),
            run=lambda commands: services.orders_cancel(commands=commands),
        )
        return _answer(results, done_status=200, account_id=user.account_id, with_fills=False)
