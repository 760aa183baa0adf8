"""Periodic work of the risk engine."""

import threading
import time
from typing import Any

import redis
import structlog
from celery import shared_task

from common.jobs import take_period
from exchange.gateway import ExchangeError
from riskengine.notices import notices_send
from riskengine.selectors import call_info
from riskengine.sweep import Sweep, client, margin_calls_prune

log = structlog.get_logger(__name__)

PERIOD_MS = 1_000

# One set of arrays per worker process.
_lock = threading.Lock()
_sweep: Sweep | None = None


@shared_task(name="riskengine.sweep")
def sweep(**_options: Any) -> bool:
    """
    Look at all positions once; return whether this run did.

    Of all runs that come in one period, in whatever process, one works. Safe to run twice.
    """
    global _sweep
    if not _lock.acquire(blocking=False):
        return False
    try:
        time_ms = time.time_ns() // 1_000_000
        if not take_period("sweep", time_ms // PERIOD_MS, period_ms=PERIOD_MS):
            return False
        if _sweep is None:
            _sweep = Sweep()
        _sweep.follow(client())
        done = _sweep.turn(time_ms=time_ms)
        notices_send(client(), [(call.account_id, call_info(call)) for call in done.calls])
        _sweep.publish_lights(client())
        _sweep.publish_nearest(client(), time_ms=time_ms)
        if done.calls or done.overdue or done.deleveraged:
            log.info(
                "risk_swept",
                positions=done.positions,
                calls=len(done.calls),
                overdue=len(done.overdue),
                deleveraged=len(done.deleveraged),
            )
    except (redis.RedisError, ExchangeError) as error:
        log.warning("risk_not_swept", error=str(error))
        return False
    finally:
        _lock.release()
    return True


@shared_task(name="riskengine.prune_margin_calls")
def prune_margin_calls(**_options: Any) -> None:
    """Delete old warnings; safe to run twice."""
    deleted = margin_calls_prune(time_ms=time.time_ns() // 1_000_000)
    log.info("margin_calls_pruned", deleted=deleted)
