"""
The scheduler of beat: the static schedule, with when each job last ran taken from Redis.

Celery keeps that in a file of its own. A container's files are gone with it, and a beat that
begins anew with each restart would never come to its hourly jobs.
"""

import logging
import os
import time
from datetime import UTC, datetime
from typing import Any

import redis
from billiard.process import current_process
from celery.beat import Scheduler as BaseScheduler
from django.conf import settings
from prometheus_client import Gauge

from common.jobs import JobSending, last_runs, record_sending, sendings
from common.redis import client as redis_client
from exchange import alive
from tradingplatform.metrics import start_publisher
from tradingplatform.supervisor.child import end_with_parent

logger = logging.getLogger(__name__)

# However long nothing is due: whoever watches wants to see the loop turn.
TICK_MAX_S = 1.0
# What Celery calls the process of a beat that a worker has started.
BESIDE_A_WORKER = "Beat"
LAST_TICK = Gauge("beat_last_tick_timestamp_seconds", "When beat last looked what is due.")


class Scheduler(BaseScheduler):
    """Beat's scheduler; nothing is written to disk."""

    def setup_schedule(self) -> None:
        """Take the schedule, and go on where the beat before ended."""
        if current_process().name == BESIDE_A_WORKER:
            # A worker that is killed tells nobody: its beat would go on, beside the next one's.
            end_with_parent()
        self._alive = alive.this_process(settings.VAR_DIR, "beat")
        # Beside a worker beat is a fork, which inherits no threads.
        if os.environ.get("PROCESS_NAME"):
            start_publisher()
        self.merge_inplace(self.app.conf.beat_schedule)
        self._first_sent_ms: dict[str, int] = {}
        try:
            known = last_runs(redis_client())
            for job, sending in sendings(redis_client()).items():
                self._first_sent_ms[job] = sending.first_ms
        except (redis.RedisError, OSError) as error:
            logger.warning("jobs_not_read: %s", error)
            return
        for entry in self.schedule.values():
            run = known.get(str(entry.task))
            # What never ran here is due now.
            started_ms = run.started_ms if run is not None else 0
            entry.last_run_at = datetime.fromtimestamp(started_ms / 1_000, UTC)

    def apply_async(self, entry: Any, *args: Any, **kwargs: Any) -> Any:
        """Send a job, and say when, so that everybody knows when it is due again."""
        result = super().apply_async(entry, *args, **kwargs)
        job, now_ms = str(entry.task), time.time_ns() // 1_000_000
        first_ms = self._first_sent_ms.setdefault(job, now_ms)
        try:
            record_sending(redis_client(), job, JobSending(first_ms, now_ms))
        except (redis.RedisError, OSError) as error:
            logger.warning("sending_not_recorded: %s", error)
        return result

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; return how long to wait."""
        self._alive.turn()
        LAST_TICK.set_to_current_time()
        return min(float(super().tick(*args, **kwargs)), TICK_MAX_S)
