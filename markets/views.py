"""Public market data over REST: no login, declared parameters only."""

from typing import Any

import redis
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.key_authentication import identify
from common import redis as redis_clients
from common.errors import ApiError
from common.exceptions import to_api_error
from common.freshness import freshness
from common.limits import show_rate, take_request
from common.openapi import QUERY_ERRORS, Codes, errors
from common.query import QuerySerializer, read_query
from common.renderers import accepts_json
from common.views import error_response
from exchange.core.enums import MarketKind
from exchange.core.events import ContractConfigured
from exchange.gateway import ExchangeError
from markets import selectors
from markets.candle_store import bars_read
from markets.candles import Bar, Series
from markets.enums import INTERVAL_NAMES, CandleSource, Interval
from markets.feeds.bars import open_price_bar
from markets.feeds.mode import feed_chosen
from markets.feeds.recorded import REPLAY_NOTE
from markets.feeds.service import LIVE_NOTE
from markets.feeds.sources import wall_clock_ms
from markets.live_bytes import book_bytes, open_trade_bar, ticker_bytes, trades_bytes
from markets.perpetuals import contracts_by_id
from markets.render import asset_json, kline_json, market_json
from markets.serializers import (
    DepthQuery,
    ExchangeInfoSerializer,
    KlineListSerializer,
    KlinesQuery,
    MarketListSerializer,
    MarketSerializer,
    OrderBookSerializer,
    TickerSerializer,
    TimeSerializer,
    TradeListSerializer,
    TradesQuery,
)
from markets.types import MarketInfo

RATE_ERRORS: Codes = {429: ("RATE_LIMITED",)}
MARKET_ERRORS: Codes = {404: ("MARKET_NOT_FOUND",)}
LIVE_ERRORS: Codes = {503: ("MARKET_DATA_UNAVAILABLE",)}


def market_or_404(symbol: str) -> MarketInfo:
    """
    Return the market of an address.

    Raises:
        ApiError: 404 ``MARKET_NOT_FOUND``.
    """
    try:
        return selectors.market_by_symbol(symbol)
    except selectors.MarketNotFound as error:
        raise ApiError("MARKET_NOT_FOUND", "The market does not exist.", 404) from error


class PublicView(APIView):
    """A view for everybody; a login only raises the rate limit."""

    permission_classes = (AllowAny,)


class PlainView(PublicView):
    """
    A public view without the framework's way from request to answer.

    Tickers and books are asked for most and are ready-made bytes: negotiation, parsing and
    rendering would cost more than the answer. Identity, rate limit and errors are the same.
    """

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: str) -> HttpResponseBase:
        """Answer GET and HEAD; every error in the common envelope."""
        try:
            if request.method not in {"GET", "HEAD"}:
                raise ApiError("METHOD_NOT_ALLOWED", "This address does not take that method.", 405)
            if not accepts_json(request.META.get("HTTP_ACCEPT", "")):
                raise ApiError("NOT_ACCEPTABLE", "Only application/json can be answered.", 406)
            # Never the browser session of the back-office: its user has no limit tier.
            request.user = identify(request)  # type: ignore[assignment]
            show_rate(request, take_request(request))
            return self.get(request, **kwargs)
        except Exception as error:
            answer = to_api_error(error)
            if answer is None:
                raise
            return error_response(answer)

    def get(self, request: HttpRequest, symbol: str) -> HttpResponseBase:
        """Answer one market's data."""
        raise NotImplementedError


def _json(body: bytes) -> HttpResponse:
    return HttpResponse(body, content_type="application/json")


class MarketListView(PublicView):
    """All markets."""

    @extend_schema(
        operation_id="markets_list",
        responses={200: MarketListSerializer, **errors(QUERY_ERRORS, RATE_ERRORS)},
        tags=["markets"],
    )
    def get(self, request: Request) -> Response:
        """List all markets with their rules."""
        read_query(request, QuerySerializer)
        return Response({"items": _markets_json()})


class MarketDetailView(PublicView):
    """One market."""

    @extend_schema(
        operation_id="markets_retrieve",
        responses={200: MarketSerializer, **errors(QUERY_ERRORS, RATE_ERRORS, MARKET_ERRORS)},
        tags=["markets"],
    )
    def get(self, request: Request, symbol: str) -> Response:
        """Show a market's rules and status."""
        read_query(request, QuerySerializer)
        market = market_or_404(symbol)
        return Response(market_json(market, _contracts([market]).get(market.market_id)))


class TickerView(PlainView):
    """One market's ticker."""

    @extend_schema(
        operation_id="markets_ticker",
        responses={
            200: TickerSerializer,
            **errors(QUERY_ERRORS, RATE_ERRORS, MARKET_ERRORS, LIVE_ERRORS),
        },
        tags=["markets"],
    )
    def get(self, request: HttpRequest, symbol: str) -> HttpResponseBase:
        """Show the last 24 hours, best prices and the index price with its state."""
        read_query(request, QuerySerializer)
        return _json(ticker_bytes(market_or_404(symbol)))


class OrderBookView(PlainView):
    """One market's order book."""

    @extend_schema(
        operation_id="markets_orderbook",
        parameters=[DepthQuery],
        responses={
            200: OrderBookSerializer,
            **errors(QUERY_ERRORS, RATE_ERRORS, MARKET_ERRORS, LIVE_ERRORS),
        },
        tags=["markets"],
    )
    def get(self, request: HttpRequest, symbol: str) -> HttpResponseBase:
        """Show the best price levels of both sides."""
        query = read_query(request, DepthQuery)
        return _json(book_bytes(market_or_404(symbol), query["depth"]))


class TradeListView(PlainView):
    """One market's recent trades."""

    @extend_schema(
        operation_id="markets_trades",
        parameters=[TradesQuery],
        responses={
            200: TradeListSerializer,
            **errors(QUERY_ERRORS, RATE_ERRORS, MARKET_ERRORS, LIVE_ERRORS),
        },
        tags=["markets"],
    )
    def get(self, request: HttpRequest, symbol: str) -> HttpResponseBase:
        """List the latest trades, newest first."""
        query = read_query(request, TradesQuery)
        return _json(trades_bytes(market_or_404(symbol), query["limit"]))


class KlineListView(PublicView):
    """One market's candles."""

    rate_weight = 2

    @extend_schema(
        operation_id="markets_klines",
        parameters=[KlinesQuery],
        responses={200: KlineListSerializer, **errors(QUERY_ERRORS, RATE_ERRORS, MARKET_ERRORS)},
        tags=["markets"],
    )
    def get(self, request: Request, symbol: str) -> Response:
        """List candles of trades, index or mark price, without holes, oldest first."""
        query = read_query(request, KlinesQuery)
        market = market_or_404(symbol)
        interval = INTERVAL_NAMES[query["interval"]]
        source = CandleSource[query["source"].upper()]
        series = Series(market.market_id, source, interval)
        now_ms = wall_clock_ms()
        bars = bars_read(
            series,
            start_ms=query.get("start"),
            end_ms=min(query.get("end", now_ms), now_ms),
            limit=query["limit"],
            **_live_bars(market, source, interval),
        )
        return Response(
            {
                "symbol": market.symbol,
                "interval": query["interval"],
                "source": query["source"],
                "klines": [
                    kline_json(bar, market, length_ms=series.length_ms, now_ms=now_ms)
                    for bar in bars
                ],
                **_freshness(),
            }
        )


def _markets_json() -> list[dict[str, Any]]:
    markets = selectors.markets_all()
    contracts = _contracts(markets)
    return [market_json(market, contracts.get(market.market_id)) for market in markets]


def _contracts(markets: list[MarketInfo]) -> dict[int, ContractConfigured]:
    """Return the terms of those markets that are perpetuals."""
    ids = [market.market_id for market in markets if market.kind is MarketKind.PERPETUAL]
    return contracts_by_id(ids) if ids else {}


def _freshness() -> dict[str, Any]:
    try:
        return freshness()
    except ExchangeError:
        # Candles are read from the database; not knowing about the exchange is no reason to fail.
        return {"stale": True}


def _live_bars(
    market: MarketInfo, source: CandleSource, interval: Interval
) -> dict[str, Bar | None]:
    """Return what is not stored yet: the open candle of trades, or a price's open minute."""
    if source is CandleSource.TRADES:
        name = next(name for name, value in INTERVAL_NAMES.items() if value is interval)
        return {"open_bar": open_trade_bar(market, name)}
    try:
        return {"open_minute": open_price_bar(redis_clients.client(), market.market_id, source)}
    except redis.RedisError:
        return {}


class TimeView(PublicView):
    """The server's clock."""

    @extend_schema(
        operation_id="time_retrieve",
        responses={200: TimeSerializer, **errors(QUERY_ERRORS, RATE_ERRORS)},
        tags=["exchange"],
    )
    def get(self, request: Request) -> Response:
        """Show the server's time, for clients that sign with a timestamp."""
        read_query(request, QuerySerializer)
        return Response({"time": wall_clock_ms()})


class ExchangeInfoView(PublicView):
    """What a client needs before it trades."""

    @extend_schema(
        operation_id="exchange_info_retrieve",
        responses={200: ExchangeInfoSerializer, **errors(QUERY_ERRORS, RATE_ERRORS)},
        tags=["exchange"],
    )
    def get(self, request: Request) -> Response:
        """Show assets, markets, candle intervals and where prices come from."""
        read_query(request, QuerySerializer)
        chosen = feed_chosen()
        mode = None if chosen is None else chosen.mode.value
        notes = {None: "", "live": LIVE_NOTE, "replay": REPLAY_NOTE}
        return Response(
            {
                "time": wall_clock_ms(),
                "feed": {"mode": mode, "note": notes[mode]},
                "intervals": list(INTERVAL_NAMES),
                "assets": [asset_json(asset) for asset in selectors.assets_all()],
                "markets": _markets_json(),
            }
        )
