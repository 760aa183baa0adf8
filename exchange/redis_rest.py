"""
What this process knows of a Redis that does not answer, so that nobody waits for it in turn.

A request asks Redis several times: for its limits, its session, the leader's status. Each
question may wait for a time-out. After one of them has, the others go without for a second.
"""

from __future__ import annotations

import time

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

REST_S = 1.0


class _Failure:
    """When Redis last left a question unanswered, on the monotonic clock."""

    at = float("-inf")


def note_failure(error: Exception) -> None:
    """Remember that Redis has not answered; an answer that is an error costs nobody time."""
    if isinstance(error, OSError | RedisConnectionError | RedisTimeoutError):
        _Failure.at = time.monotonic()


def is_resting() -> bool:
    """Return whether Redis left a question unanswered within the last ``REST_S``."""
    return time.monotonic() - _Failure.at < REST_S


def forget_failures() -> None:
    """Ask again at once; for tests."""
    _Failure.at = float("-inf")
