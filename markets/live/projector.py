"""The public projector: books, trades, prices, tickers and candles of all markets."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import redis as redis_module

from common.ws.projecting import Output
from exchange.core.enums import TradeKind
from exchange.core.events import (
    IndexPriceChanged,
    LevelChanged,
    MarketConfigured,
    TradeExecuted,
)
from exchange.events_stream import request_books
from markets import selectors
from markets.live.history import restore
from markets.live.market import LiveMarket

if TYPE_CHECKING:
    from exchange.events_stream import BatchEvents

log = logging.getLogger(__name__)

# The exchange answers within a batch; after this long the request was lost with it.
IMAGE_WAIT_S = 1.0


class PublicProjector:
    """
    Keeps a ``LiveMarket`` per market and publishes what changed.

    A book is unknown until the exchange sent its image; changes before it are contained in
    the image and dropped.
    """

    def __init__(self, redis: redis_module.Redis) -> None:
        """Take the client over which images are asked for."""
        self._redis = redis
        self._markets: dict[int, LiveMarket] = {}
        self._asked_at = float("-inf")

    def start(self, epoch: int, time_ms: int) -> None:
        """Build all markets again from the database; their books are asked for if need be."""
        selectors.cache_clear()
        self._markets = {info.market_id: LiveMarket(info) for info in selectors.markets_all()}
        restore(self._markets, time_ms)
        # What opened the epoch may bring the images along.
        self._asked_at = float("-inf")

    def apply(self, batch: BatchEvents) -> None:
        """Take one batch in; a book's changes count from its image on."""
        touched: set[LiveMarket] = set()
        for event in batch.events:
            if isinstance(event, MarketConfigured):
                self._configure(event.market_id, batch.last_command)
            elif isinstance(event, LevelChanged | TradeExecuted | IndexPriceChanged):
                market = self._markets.get(event.market_id)
                if market is not None:
                    self._take(market, event, batch.last_command, touched)
        for market in touched:
            market.book.changed_by(batch.first_command, batch.last_command)
        for image in batch.book_images:
            market = self._markets.get(image.market_id)
            if market is not None:
                market.take_image(image.bids, image.asks, image.command)

    @staticmethod
    def _take(
        market: LiveMarket,
        event: LevelChanged | TradeExecuted | IndexPriceChanged,
        command: int,
        touched: set[LiveMarket],
    ) -> None:
        if isinstance(event, TradeExecuted):
            # What did not meet in the book has a price of its own, which is nobody's last price.
            if event.kind is TradeKind.MATCH:
                market.take_trade(event, command)
        elif isinstance(event, IndexPriceChanged):
            market.take_index(event.price_atoms, command)
        elif market.book.is_known:
            market.book.change(event.side, event.price_atoms, event.quantity_atoms)
            touched.add(market)

    def flush(self, out: Output) -> None:
        """Publish what is due; ask again for books that never came."""
        for market in self._markets.values():
            market.flush(out)
        if (
            any(not market.book.is_known for market in self._markets.values())
            and time.monotonic() - self._asked_at >= IMAGE_WAIT_S
        ):
            self._ask()

    def close(self) -> None:
        """Hold nothing that needs to be closed."""

    def _configure(self, market_id: int, command: int) -> None:
        # The row was committed before this event was published.
        selectors.cache_clear()
        info = selectors.market_by_id(market_id)
        known = self._markets.get(market_id)
        if known is not None:
            known.rename(info)
            return
        self._markets[market_id] = market = LiveMarket(info)
        # Nothing can rest in a market before its first command, so its book is known: empty.
        market.take_image([], [], command)

    def _ask(self) -> None:
        self._asked_at = time.monotonic()
        request_books(self._redis)
