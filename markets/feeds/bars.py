"""Candles of index and mark price of the present minute, in Redis until the minute is over."""

import msgspec
import redis
import structlog
from django.db import DatabaseError

from exchange.connections import give_back_connections
from markets.candle_store import price_minutes_store
from markets.candles import MINUTE_MS, Bar
from markets.enums import CandleSource
from markets.feeds import keys

log = structlog.get_logger(__name__)

# A minute that nobody finished for so long is not worth keeping.
BAR_TTL_MS = 10 * MINUTE_MS


def open_price_bar(client: redis.Redis, market_id: int, source: CandleSource) -> Bar | None:
    """Return the index or mark candle of the minute now being built, None without one."""
    raw = client.get(keys.bar_key(market_id, source))
    return None if raw is None else msgspec.json.decode(raw, type=Bar)


class PriceBars:
    """
    Builds minutes from index prices, or from mark prices.

    The open minute lives in Redis, so whichever process feeds next goes on with it.
    """

    def __init__(self, client: redis.Redis, source: CandleSource) -> None:
        """Keep open minutes in this Redis."""
        self._redis = client
        self._source = source

    def take(self, prices_atoms: dict[int, int], now_ms: int) -> None:
        """Take the present price of each market and store the minutes that ended."""
        if not prices_atoms:
            return
        open_ms = now_ms - now_ms % MINUTE_MS
        market_ids = list(prices_atoms)
        stored = self._redis.mget(
            [keys.bar_key(market_id, self._source) for market_id in market_ids]
        )
        pipe = self._redis.pipeline(transaction=False)
        for market_id, raw in zip(market_ids, stored, strict=True):
            bar = None if raw is None else msgspec.json.decode(raw, type=Bar)
            present = Bar.flat(open_ms, prices_atoms[market_id])
            if bar is not None and bar.open_ms == open_ms:
                present = bar.then(present)
            elif bar is not None and bar.open_ms < open_ms:
                self._store(market_id, bar)
            pipe.set(
                keys.bar_key(market_id, self._source), msgspec.json.encode(present), px=BAR_TTL_MS
            )
        pipe.execute()

    def _store(self, market_id: int, bar: Bar) -> None:
        try:
            price_minutes_store(market_id, self._source, [bar])
        except DatabaseError:
            # A chart may miss a minute; prices may not wait for it.
            log.exception("price_candle_not_stored", market_id=market_id)
            give_back_connections()
