"""Names of the feed's keys in Redis, all under ``settings.REDIS_PREFIX``."""

from django.conf import settings

from markets.enums import CandleSource


def _key(name: str) -> str:
    return f"{settings.REDIS_PREFIX}{name}"


def holder_key() -> str:
    """Return the key that names who feeds prices now; it expires when nobody does."""
    return _key("feed:holder")


def health_key() -> str:
    """Return the key of the feed's health: JSON of ``markets.feeds.health.FeedHealth``."""
    return _key("feed:health")


def index_key(market_id: int) -> str:
    """
    Return the key of a market's index state: JSON bytes of an object, expiring.

    ``{"index_state", "index_source", "index_time"}``; merged into the ticker. Absent means
    that nobody feeds prices.
    """
    return _key(f"feed:index:{market_id}")


def bar_key(market_id: int, source: CandleSource = CandleSource.INDEX) -> str:
    """Return the key of the index or mark candle of the minute that is now being built."""
    return _key(
        f"feed:bar:{market_id}" if source is CandleSource.INDEX else f"feed:mark-bar:{market_id}"
    )


def halted_key() -> str:
    """Return the key of the set of market ids that the feed itself halted."""
    return _key("feed:halted")


def replay_depth_key(symbol: str) -> str:
    """
    Return the key of a market's recorded depth as it is played now; expires when replay ends.

    JSON ``{"symbol", "time", "bids": [["price", "quantity"], ...], "asks": [...],
    "trades": [{"number", "price", "quantity", "side"}, ...]}``: the best 20 levels, best
    first, and the recorded trades of the last second, oldest first.
    """
    return _key(f"replay:depth:{symbol}")
