"""Periodic work: prices when nobody streams them, and candles."""

import threading
from typing import Any

import redis
import structlog
from celery import shared_task

from exchange import gateway
from markets.candle_store import candles_build
from markets.feeds.mode import FeedModeError, feed_choose
from markets.feeds.service import FeedService, feed_for
from markets.feeds.sources import wall_clock_ms

log = structlog.get_logger(__name__)

# One engine per worker process: it remembers each source's last quotes between runs.
_lock = threading.Lock()
_service: FeedService | None = None


@shared_task(name="markets.tasks.prices_ingest")
def prices_ingest(**kwargs: Any) -> bool:
    """
    Feed prices once unless ``run_feed`` holds the source; return whether this run fed.

    Safe to run twice at a time: the second run leaves at once.
    """
    global _service
    if not _lock.acquire(blocking=False):
        return False
    try:
        if _service is None:
            chosen = feed_choose()
            _service = FeedService(feed_for(chosen), chosen.mode, streaming=False)
        if not _service.hold():
            return False
        _service.publish_depth(wall_clock_ms())
        _service.turn()
    except (FeedModeError, redis.RedisError, gateway.ExchangeError) as error:
        log.warning("prices_not_ingested", error=str(error))
        return False
    finally:
        _lock.release()
    return True


@shared_task(name="markets.tasks.candles_update")
def candles_update(**kwargs: Any) -> int:
    """Count new trades into candles; return how many. Safe to run twice."""
    return candles_build()
