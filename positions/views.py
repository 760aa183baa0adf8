"""REST reads of positions."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import caller_of, requires
from accounts.permissions import Permission
from common.errors import not_found
from common.freshness import freshness
from common.ids import parse_id
from common.openapi import LOGIN_ERRORS, NOT_FOUND_ERRORS, QUERY_ERRORS, errors
from common.pagination import decode_cursor, encode_cursor, page_of
from common.query import read_query
from orders.queries import market_of_query
from positions import schema, selectors
from positions.render import render_closed, render_payment, render_position
from positions.requests import HistoryQuery, SymbolQuery
from positions.standing import standing_of


def _key_of(query: dict[str, Any]) -> int | None:
    keys = decode_cursor(query["cursor"])
    return keys[0] if keys else None


class PositionsView(APIView):
    """Open positions."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW)]
    rate_weight = 2

    @extend_schema(
        operation_id="positions_open",
        summary="List open positions",
        parameters=[SymbolQuery],
        responses={
            200: schema.POSITIONS,
            **errors(QUERY_ERRORS, LOGIN_ERRORS, {404: ("MARKET_NOT_FOUND",)}),
        },
    )
    def get(self, request: Request) -> Response:
        """Return all open positions of the account at their marks, the oldest first."""
        market = market_of_query(read_query(request, SymbolQuery))
        views = standing_of(caller_of(request).account_id).views()
        shown = [
            render_position(view)
            for view in views
            if market is None or view.slot.market_id == market.market_id
        ]
        return Response({"positions": shown, **freshness()})


class PositionView(APIView):
    """One open position."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW)]
    rate_weight = 2

    @extend_schema(
        operation_id="positions_get",
        summary="Get an open position",
        responses={200: schema.POSITION, **errors(LOGIN_ERRORS, NOT_FOUND_ERRORS)},
    )
    def get(self, request: Request, position_id: str) -> Response:
        """Return one open position of the account; those that ended are in the history."""
        read_query(request)
        number = parse_id(position_id)
        views = standing_of(caller_of(request).account_id).views() if number else []
        found = next((view for view in views if view.slot.position_id == number), None)
        if found is None:
            raise not_found()
        return Response({**render_position(found), **freshness()})


class HistoryView(APIView):
    """Positions that ended."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW)]
    rate_weight = 5

    @extend_schema(
        operation_id="positions_history",
        summary="List closed positions",
        parameters=[HistoryQuery],
        responses={
            200: schema.HISTORY_PAGE,
            **errors(QUERY_ERRORS, LOGIN_ERRORS, {404: ("MARKET_NOT_FOUND",)}),
        },
    )
    def get(self, request: Request) -> Response:
        """Return a page of the account's closed positions, the last opened first."""
        query = read_query(request, HistoryQuery)
        market = market_of_query(query)
        rows = selectors.closed_page(
            caller_of(request).account_id,
            limit=query["limit"],
            below_id=_key_of(query),
            market_id=market.market_id if market else None,
        )
        page = page_of(
            rows,
            limit=query["limit"],
            key=lambda closed: closed.position_id,
            render=render_closed,
        )
        return Response({**page.body(), **freshness()})


class FundingView(APIView):
    """Funding received and paid."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW)]
    rate_weight = 5

    @extend_schema(
        operation_id="positions_funding",
        summary="List funding received and paid",
        parameters=[HistoryQuery],
        responses={
            200: schema.PAYMENT_PAGE,
            **errors(QUERY_ERRORS, LOGIN_ERRORS, {404: ("MARKET_NOT_FOUND",)}),
        },
    )
    def get(self, request: Request) -> Response:
        """
        Return a page of the account's funding, newest first.

        A page may be short or empty and still have a next_cursor.
        """
        query = read_query(request, HistoryQuery)
        market = market_of_query(query)
        payments, next_id = selectors.payments_page(
            caller_of(request).account_id,
            limit=query["limit"],
            from_entry_id=_key_of(query),
            market_id=market.market_id if market else None,
        )
        return Response(
            {
                "items": [render_payment(paid) for paid in payments],
                "next_cursor": encode_cursor(next_id) if next_id else None,
                **freshness(),
            }
        )
