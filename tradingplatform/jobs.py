"""
How tasks are sent, run and watched: ids that follow them, one run a period, time limits.

Connected to Celery's signals when the application is made. The pool is of threads, which
nobody can stop from outside; so a worker whose task has passed its limit ends itself, and
whoever supervises it starts it again.
"""

import logging
import os
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import redis
import structlog
from celery import Task
from celery.exceptions import Ignore
from celery.signals import (
    before_task_publish,
    task_failure,
    task_postrun,
    task_prerun,
    task_revoked,
    worker_ready,
)
from django.conf import settings
from prometheus_client import Counter, Gauge, Histogram

from common.jobs import JobRun, last_runs, record, take_period
from common.redis import client as redis_client
from common.request_id import bind_request_id, current_request_id, make_request_id

log = structlog.get_logger(__name__)

SECONDS = Histogram(
    "job_duration_seconds",
    "How long runs of a job took.",
    ["job_name"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
RUNS = Counter("job_runs", "Runs of a job, by how they ended.", ["job_name", "outcome"])
LAST_SUCCESS = Gauge(
    "job_last_success_timestamp_seconds", "When a job last succeeded.", ["job_name"]
)

OUTCOMES = ("success", "failure", "skipped", "expired")
WATCH_EVERY_S = 1.0
EXIT_OVER_TIME = 70
# Headers of a message of ours, beside Celery's own.
SENT_MS = "sent_ms"
PERIOD_MS = "period_ms"
REQUEST_ID = "request_id"


@dataclass(slots=True)
class _Run:
    """One task under way."""

    job: str
    limit_s: float
    started_ms: int
    started: float = field(default_factory=time.monotonic)
    error: str = ""
    period: int | None = None


_running: dict[str, _Run] = {}
_succeeded_ms: dict[str, int] = {}


class JobTask(Task):
    """A task that, sent by beat, does the work of each period once."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """
        Run, unless a run of the same period was first.

        The period is that of the sending, so that a message delivered again does not count
        as the work of a later one.
        """
        period_ms = self.request.get(PERIOD_MS)
        sent_ms = self.request.get(SENT_MS)
        if period_ms and sent_ms:
            period = int(sent_ms) // int(period_ms)
            run = _running.get(str(self.request.id))
            if run is not None:
                run.period = period
            if not take_period(self.name, period, period_ms=int(period_ms)):
                raise Ignore
        return super().__call__(*args, **kwargs)


@before_task_publish.connect
def stamp(headers: dict[str, Any] | None = None, **_options: Any) -> None:
    """Send along when a task was sent and for which request."""
    if headers is not None:
        headers[SENT_MS] = time.time_ns() // 1_000_000
        headers.setdefault(REQUEST_ID, current_request_id() or make_request_id())


@task_prerun.connect
def begin(task_id: str, task: Task, **_options: Any) -> None:
    """Note a start, and let everything that the task does carry the request's id."""
    request_id = task.request.get(REQUEST_ID) or make_request_id()
    bind_request_id(request_id)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id, job=task.name)
    limit_s = float(task.time_limit or settings.CELERY_TASK_TIME_LIMIT)
    _running[task_id] = _Run(task.name, limit_s, time.time_ns() // 1_000_000)


@task_failure.connect
def fail(task_id: str, exception: BaseException, **_options: Any) -> None:
    """Keep what went wrong for the record of the run."""
    run = _running.get(task_id)
    if run is not None:
        run.error = type(exception).__name__


@task_postrun.connect
def end(task_id: str, state: str | None = None, **_options: Any) -> None:
    """Count a run and keep it as its job's last."""
    run = _running.pop(task_id, None)
    bind_request_id("")
    if run is not None:
        seconds = time.monotonic() - run.started
        outcome = {"SUCCESS": "success", "IGNORED": "skipped"}.get(state or "", "failure")
        RUNS.labels(run.job, outcome).inc()
        if outcome != "skipped":
            SECONDS.labels(run.job).observe(seconds)
            _record(run, seconds, outcome)
            log.debug("job_run", outcome=outcome, period=run.period, seconds=round(seconds, 4))
    structlog.contextvars.clear_contextvars()


@task_revoked.connect
def expire(request: Any = None, expired: bool = False, **_options: Any) -> None:
    """Count a run that no worker took in time."""
    if expired and request is not None:
        RUNS.labels(request.task, "expired").inc()


def _record(run: _Run, seconds: float, outcome: str) -> None:
    if outcome == "success":
        _succeeded_ms[run.job] = time.time_ns() // 1_000_000
        LAST_SUCCESS.labels(run.job).set(_succeeded_ms[run.job] / 1_000)
    done = JobRun(
        job=run.job,
        started_ms=run.started_ms,
        duration_ms=round(seconds * 1_000, 3),
        outcome=outcome,
        error=run.error,
        success_ms=_succeeded_ms.get(run.job, 0),
    )
    try:
        record(redis_client(), done)
    except (redis.RedisError, OSError) as error:
        log.warning("job_not_recorded", error=str(error))


def over_time(now: float) -> list[str]:
    """Return the jobs whose runs have passed their time limits, on the monotonic clock."""
    return [run.job for run in tuple(_running.values()) if now - run.started > run.limit_s]


@worker_ready.connect
def watch(**_options: Any) -> None:
    """Begin to watch the time limits of this worker; and show every figure from its start."""
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        SECONDS.labels(entry["task"])
        LAST_SUCCESS.labels(entry["task"])
        for outcome in OUTCOMES:
            RUNS.labels(entry["task"], outcome)
    try:
        for job, run in last_runs(redis_client()).items():
            _succeeded_ms[job] = run.success_ms
            LAST_SUCCESS.labels(job).set(run.success_ms / 1_000)
    except (redis.RedisError, OSError) as error:
        log.warning("jobs_not_read", error=str(error))
    threading.Thread(target=_watch, name="job-limits", daemon=True).start()


def _watch() -> None:
    waiting = threading.Event()
    while not waiting.wait(WATCH_EVERY_S):
        stuck = over_time(time.monotonic())
        if stuck:
            log.critical("job_over_time", jobs=stuck)
            logging.shutdown()
            os._exit(EXIT_OVER_TIME)
