"""Periodic work of the orders app."""

from typing import Any

import structlog
from celery import shared_task

from orders.retention import retention_run

log = structlog.get_logger(__name__)

# Steps of one run: 1,000 x 500 orders, at most a minute and a half of which the database is
# left alone for more than half. What is left over waits for the next run.
STEPS_MAX = 1_000
# Beyond it the run hangs.
TIME_LIMIT_S = 600


@shared_task(name="orders.prune", time_limit=TIME_LIMIT_S)
def prune_orders(**_options: Any) -> None:
    """Remove never-filled orders that ended long ago; safe to run twice."""
    done = retention_run(steps_max=STEPS_MAX)
    log.info("orders_pruned", scanned=done.scanned, removed=done.removed, finished=done.finished)
