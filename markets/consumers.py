"""Public namespaces: prices for who watches, market data for who trades."""

from common.ws import topics
from common.ws.consumer import StreamConsumer
from markets.live.catalogue import catalogue


class PublicConsumer(StreamConsumer):
    """What both public namespaces share; neither asks who is there."""

    async def market_id(self, symbol: str, kind: str) -> int:
        """
        Return the id of a market by any accepted spelling.

        Raises:
            LookupError: if there is none.
            topics.UnknownChannelError: for what only perpetual markets have, of another.
        """
        known = catalogue(self.hub)
        market_id = await known.market_id(symbol)
        if kind in topics.PERPETUAL_KINDS and not known.is_perpetual(market_id):
            raise topics.UnknownChannelError(symbol)
        return market_id


class PricesConsumer(PublicConsumer):
    """``/ws/prices``: prices, marks, tickers and trades."""

    namespace = "prices"
    kinds = frozenset({topics.PRICE, topics.TICKER, topics.TRADE, topics.MARK})


class MarketConsumer(PublicConsumer):
    """``/ws/market``: books, trades, candles, tickers, and what perpetuals have beside."""

    namespace = "market"
    kinds = topics.PERPETUAL_KINDS | {topics.BOOK, topics.TRADE, topics.KLINE, topics.TICKER}
