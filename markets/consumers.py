"""Public namespaces: prices for who watches, market data for who trades."""

from common.ws import topics
from common.ws.consumer import StreamConsumer
from markets.live.catalogue import catalogue


class PublicConsumer(StreamConsumer):
    """What both public namespaces share; neither asks who is there."""

    async def market_id(self, symbol: str) -> int:
        """Return the id of a market by any accepted spelling; LookupError if there is none."""
        return await catalogue(self.hub).market_id(symbol)


class PricesConsumer(PublicConsumer):
    """``/ws/prices``: prices, tickers and trades."""

    namespace = "prices"
    kinds = frozenset({topics.PRICE, topics.TICKER, topics.TRADE})


class MarketConsumer(PublicConsumer):
    """``/ws/market``: books, trades, candles and tickers."""

    namespace = "market"
    kinds = frozenset({topics.BOOK, topics.TRADE, topics.KLINE, topics.TICKER})
