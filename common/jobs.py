"""
Background jobs as everybody sees them: what ran last, how it ended, and whose turn it is.

Kept in Redis by the worker that ran them; labels are the names of tasks, of which there are few.
"""

from __future__ import annotations

from typing import Any

import msgspec
import redis

from common import redis as redis_clients

# The key of a period outlives late runs of the same period by far.
KEPT_PERIODS = 3
KEPT_MS_MIN = 60_000


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


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(JobRun)


def runs_key() -> str:
    """Return the key of the hash of last runs, by name of the job."""
    return redis_clients.key("jobs")


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
