"""Public history of perpetual markets: funding and liquidations, without a login."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.errors import ApiError
from common.openapi import QUERY_ERRORS, errors
from common.pagination import PageQuery, decode_cursor, page_of
from common.query import read_query
from exchange.core.enums import MarketKind
from exchange.core.events import FundingSettled
from exchange.core.units import format_atoms
from markets.types import MarketInfo
from markets.views import MARKET_ERRORS, RATE_ERRORS, PublicView, market_or_404
from riskengine.projection import funding_key
from riskengine.selectors import fundings_page

PERPETUAL_ERRORS = {422: ("NOT_A_PERPETUAL",)}


class FundingSerializer(serializers.Serializer):
    """One time's funding; ``rate`` is positive when longs paid."""

    funding_time = serializers.IntegerField(help_text="When it was due (ms).")
    rate = serializers.CharField()
    mark_price = serializers.CharField(help_text="What positions were counted at.")
    skipped = serializers.BooleanField(help_text="It was too late to be charged.")
    settled_at = serializers.IntegerField()


class FundingListSerializer(serializers.Serializer):
    """Funding of a market, newest first."""

    items = FundingSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class FundingListView(PublicView):
    """One perpetual market's funding."""

    @extend_schema(
        operation_id="markets_funding",
        parameters=[PageQuery],
        responses={
            200: FundingListSerializer,
            **errors(QUERY_ERRORS, RATE_ERRORS, MARKET_ERRORS, PERPETUAL_ERRORS),
        },
        tags=["markets"],
    )
    def get(self, request: Request, symbol: str) -> Response:
        """List what longs and shorts paid each other, newest first."""
        query = read_query(request, PageQuery)
        keys = decode_cursor(query["cursor"])
        market = perpetual_or_404(symbol)
        limit = query["limit"]
        below_id = None if keys is None else keys[0]
        found = fundings_page(market.market_id, limit=limit, below_id=below_id)
        page = page_of(
            found, limit=limit, key=funding_key, render=lambda row: funding_json(row, market)
        )
        return Response(page.body())


def perpetual_or_404(symbol: str) -> MarketInfo:
    """
    Return the perpetual market of an address.

    Raises:
        ApiError: 404 ``MARKET_NOT_FOUND``, 422 ``NOT_A_PERPETUAL``.
    """
    market = market_or_404(symbol)
    if market.kind is not MarketKind.PERPETUAL:
        raise ApiError("NOT_A_PERPETUAL", "Only perpetual markets have this.", 422)
    return market


def funding_json(funding: FundingSettled, market: MarketInfo) -> dict[str, Any]:
    """Return one time's funding."""
    return {
        "funding_time": funding.funding_ms,
        "rate": format_atoms(funding.rate_e8, 8),
        "mark_price": market.price_text(funding.mark_atoms),
        "skipped": funding.skipped,
        "settled_at": funding.time_ms,
    }
