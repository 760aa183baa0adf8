"""REST of the order preview."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import body_of, caller_of, requires
from accounts.permissions import Permission
from common.freshness import freshness
from common.openapi import BODY_ERRORS, LOGIN_ERRORS, errors
from markets.selectors import market_by_id
from orders import schema
from orders.preview import order_preview
from orders.render import render_preview
from orders.requests import parse_order


class OrderPreviewView(APIView):
    """What an order would do."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW)]
    rate_weight = 2

    @extend_schema(
        operation_id="orders_preview",
        summary="Preview an order",
        request={"application/json": schema.ORDER_REQUEST},
        responses={
            200: schema.PREVIEW,
            **errors(
                BODY_ERRORS,
                LOGIN_ERRORS,
                {
                    404: ("MARKET_NOT_FOUND",),
                    422: ("ACCOUNT_NOT_FOUND",),
                    503: ("MARKET_DATA_UNAVAILABLE",),
                },
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """
        Answer fills, fee, average and worst price, or the refusal, without placing anything.

        Computed by the exchange's own rules on the published book, so it is as old as that;
        reserves of icebergs are not in it, and each level counts as one order.
        """
        command = parse_order(body_of(request), account_id=caller_of(request).account_id)
        preview = order_preview(command=command)
        body = render_preview(preview, market_by_id(command.market_id))
        return Response({**body, **freshness()})
