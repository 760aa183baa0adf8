"""Periodic work of the back-office: the samples behind its charts, and exports."""

import time
from typing import Any

import redis
import structlog
from celery import shared_task

from adminpanel import samples
from adminpanel.exports.services import export_write_next, exports_tend
from adminpanel.metric_table import MINUTE_MS
from adminpanel.sampling import sample_all
from common.jobs import take_period

# As long as ten million rows take on a slow disk, and half as long again.
EXPORT_LIMIT_S = 3_600

log = structlog.get_logger(__name__)


@shared_task(name="adminpanel.sample")
def sample(**_options: Any) -> bool:
    """
    Write down the figures of this minute; return whether this run did.

    Of all runs in one minute one works. Safe to run twice all the same.
    """
    now_ms = time.time_ns() // 1_000_000
    try:
        if not take_period("admin-sample", now_ms // MINUTE_MS, period_ms=MINUTE_MS):
            return False
        sample_all(now_ms)
    except redis.RedisError as error:
        log.warning("figures_not_sampled", error=str(error))
        return False
    return True


@shared_task(name="adminpanel.prune_samples")
def prune_samples(**_options: Any) -> int:
    """Delete samples that no chart shows any more; safe to run twice."""
    deleted = samples.prune(time.time_ns() // 1_000_000)
    log.info("samples_pruned", deleted=deleted)
    return deleted


@shared_task(name="adminpanel.write_exports", time_limit=EXPORT_LIMIT_S)
def write_exports(**_options: Any) -> int:
    """Write the exports that wait, one after the other; return how many. Safe to run twice."""
    written = 0
    while export_write_next() is not None:
        written += 1
    return written


@shared_task(name="adminpanel.tend_exports")
def tend_exports(**_options: Any) -> None:
    """Fail what a dead worker left, delete old files, begin what waits; safe to run twice."""
    exports_tend(time.time_ns() // 1_000_000)
    write_exports.delay()
