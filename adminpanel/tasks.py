"""Periodic work of the back-office: the samples behind its charts."""

import time
from typing import Any

import redis
import structlog
from celery import shared_task

from adminpanel import samples
from adminpanel.metric_table import MINUTE_MS
from adminpanel.sampling import sample_all
from common.jobs import take_period

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
