"""Query parameters of orders and fills."""

import re
from typing import Any

from rest_framework import serializers

from common.pagination import PageQuery
from common.query import QuerySerializer
from common.serializers import IdField
from markets.selectors import MarketNotFound, market_by_symbol
from markets.types import MarketInfo
from orders.requests import market_not_found

CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _symbol() -> serializers.CharField:
    return serializers.CharField(
        required=False, max_length=64, help_text="Only this market, e.g. BTC-USDT."
    )


class OrderQuery(PageQuery):
    """Parameters of a list of orders."""

    symbol = _symbol()


class CancelAllQuery(QuerySerializer):
    """Parameters of cancel-all."""

    symbol = _symbol()


class FillQuery(PageQuery):
    """Parameters of the list of fills."""

    symbol = _symbol()
    order_id = IdField(required=False, help_text="Only the fills of this order.")


def market_of_query(query: dict[str, Any]) -> MarketInfo | None:
    """
    Return the market a query names, None when it names none.

    Raises:
        ApiError: ``MARKET_NOT_FOUND`` (404).
    """
    symbol = query.get("symbol")
    if symbol is None:
        return None
    try:
        return market_by_symbol(symbol)
    except MarketNotFound as error:
        raise market_not_found() from error
