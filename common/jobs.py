"""
Background jobs as everybody sees them: what ran last, how it ended, what is due, whose turn it is.

Kept in Redis by the worker that ran them and the beat that sent them; labels are the names of
tasks, of which there are few.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import redis

from common import redis as redis_clients

# The key of a period outlives late runs of the same period by far.
KEPT_PERIODS = 3
KEPT_MS_MIN = 60_000
# A job that has not run for so many of its periods, and some seconds, is late.
LATE_PERIODS = 3
LATE_GRACE_MS = 15_000


class JobRun(msgspec.Struct, frozen=True, array_like=True):
    """
    The last run of a job.

    ``outcome`` is "success", "failure" (with ``error``, the exception's name) or "skipped",
    when another run has done the work of this period. Times are UTC milliseconds.
    """

    job: str
    started_ms: int
    duration_ms: float
    outcome: str
    error: str = ""
    success_ms: int = 0


class JobSending(msgspec.Struct, frozen=True, array_like=True):
    """When beat sent a job for the first time that it knows of, and last: UTC milliseconds."""

    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class JobState:
    """
    A periodic job as it stands.

    ``due_ms`` is when beat sends it next, None before a beat has ever sent it. It is past while
    nothing is sent. ``is_late`` counts from the last run that ended, so that a job whose runs
    all die is late, and before any from the first sending.
    """

    job: str
    period_ms: int
    last: JobRun | None
    due_ms: int | None
    is_late: bool


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(JobRun)
_sending_decoder = msgspec.msgpack.Decoder(JobSending)


def runs_key() -> str:
    """Return the key of the hash of last runs, by name of the job."""
    return redis_clients.key("jobs")


def sendings_key() -> str:
    """Return the key of the hash of sendings, by name of the job."""
    return redis_clients.key("jobs-sent")


def record(client: redis.Redis, run: JobRun) -> None:
    """
    Keep a run as the last one of its job.

    Raises:
        redis.RedisError: if Redis cannot be asked.
    """
    client.hset(runs_key(), run.job, _encoder.encode(run))


def last_runs(client: redis.Redis) -> dict[str, JobRun]:
    """
    Return the last run of each job that ever ran here.

    Raises:
        redis.RedisError: if Redis cannot be asked.
    """
    found: Any = client.hgetall(runs_key())
    return {name.decode(): _decoder.decode(value) for name, value in sorted(found.items())}


def record_sending(client: redis.Redis, job: str, sending: JobSending) -> None:
    """
    Keep when a job was sent.

    Raises:
        redis.RedisError: if Redis cannot be asked.
    """
    client.hset(sendings_key(), job, _encoder.encode(sending))


def sendings(client: redis.Redis) -> dict[str, JobSending]:
    """
    Return when each job was sent by a beat.

    Raises:
        redis.RedisError: if Redis cannot be asked.
    """
    found: Any = client.hgetall(sendings_key())
    return {name.decode(): _sending_decoder.decode(value) for name, value in found.items()}


def job_states(
    client: redis.Redis, schedule: Iterable[Mapping[str, Any]], *, now_ms: int
) -> list[JobState]:
    """
    Return how each job of beat's schedule stands, by name.

    Raises:
        redis.RedisError: if Redis cannot be asked.
    """
    runs, sent = last_runs(client), sendings(client)
    periods = {str(entry["task"]): round(entry["schedule"] * 1_000) for entry in schedule}
    return [
        job_state(job, periods[job], runs.get(job), sent.get(job), now_ms=now_ms)
        for job in sorted(periods)
    ]


def job_state(
    job: str, period_ms: int, last: JobRun | None, sending: JobSending | None, *, now_ms: int
) -> JobState:
    """Return how a job stands that ran and was sent at these times."""
    turns_ms, since_ms = [], now_ms
    if sending is not None:
        turns_ms.append(sending.last_ms)
        since_ms = sending.first_ms
    if last is not None:
        # Sent by a beat that could not say so, or before beats did.
        turns_ms.append(last.started_ms)
        since_ms = last.started_ms
    return JobState(
        job=job,
        period_ms=period_ms,
        last=last,
        due_ms=max(turns_ms) + period_ms if turns_ms else None,
        is_late=now_ms - since_ms > LATE_PERIODS * period_ms + LATE_GRACE_MS,
    )


def take_period(job: str, period: int, *, period_ms: int) -> bool:
    """
    Return whether this run is the first of a job in a period of so many milliseconds.

    Two schedulers, a message that is delivered twice and two workers that took the same one
    are all the same to it. A run that dies has had its period; the next one has its own.

    Raises:
        redis.RedisError: if Redis cannot be asked.
    """
    key = redis_clients.key("job", job, period)
    kept_ms = max(KEPT_MS_MIN, KEPT_PERIODS * period_ms)
    return bool(redis_clients.client().set(key, b"1", nx=True, px=kept_ms))
