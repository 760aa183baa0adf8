"""Periodic jobs are keyed by job and period, so that each period's work is done by one run."""

from common import redis as redis_clients

# Much longer than any period; the key only has to outlive late runs of the same period.
KEPT_MS = 60_000


def take_period(job: str, period: int) -> bool:
    """
    Return whether this run is the first of a job in a period.

    Raises:
        redis.RedisError: if Redis cannot be asked.
    """
    key = redis_clients.key("job", job, period)
    return bool(redis_clients.client().set(key, b"1", nx=True, px=KEPT_MS))
