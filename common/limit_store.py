"""
Where limits are counted: in Redis by one script per take, or in this process's memory.

Looking and taking are one step, so however many take at once, exactly as much is granted as
the limit has. A window begins with its first take.
"""

import threading
import time
from typing import Any, NamedTuple, Protocol

from django.conf import settings
from limits.storage import MemoryStorage, RedisStorage

from common import redis as common_redis
from common.once import Once

# KEYS: the window. ARGV: cost, limit, length of the window in ms. A cost of 0 only looks.
# Returns whether it was taken, what is left, and the ms until the window ends.
_TAKE = """
local used = tonumber(redis.call('GET', KEYS[1]) or '0')
local cost, limit, window_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local ends = redis.call('PTTL', KEYS[1])
if ends < 0 then ends = window_ms end
if used + cost > limit then return {0, math.max(0, limit - used), ends} end
if cost > 0 then
    if redis.call('INCRBY', KEYS[1], cost) == cost then
        redis.call('PEXPIRE', KEYS[1], window_ms)
    end
end
return {1, limit - used - cost, ends}
"""


class Taken(NamedTuple):
    """Whether a take was granted, what is left of the limit, and when the window ends."""

    granted: bool
    remaining: int
    ends_in_ms: int


class LimitStore(Protocol):
    """Counts takes."""

    counters: Any

    def take(self, key: str, *, cost: int, limit: int, window_s: int) -> Taken:
        """
        Take a cost if the limit still has it, else nothing; a cost of 0 only looks.

        Raises:
            redis.exceptions.RedisError: if Redis cannot be asked.
        """
        ...


class RedisLimitStore:
    """Counts for all processes of an installation."""

    def __init__(self) -> None:
        """Use the process's pool of connections."""
        self.counters = RedisStorage(
            "redis://",
            connection_pool=common_redis.shared_pool(),
            key_prefix=common_redis.key("limit"),
        )
        self._script = common_redis.client().register_script(_TAKE)

    def take(self, key: str, *, cost: int, limit: int, window_s: int) -> Taken:
        """Take in one script, which Redis runs alone."""
        keys, arguments = [common_redis.key("take", key)], [cost, limit, window_s * 1000]
        granted, remaining, ends_in_ms = self._script(keys=keys, args=arguments)
        return Taken(bool(granted), int(remaining), int(ends_in_ms))


class MemoryLimitStore:
    """Counts in one process: for tests."""

    def __init__(self) -> None:
        """Begin with nothing taken."""
        self.counters = MemoryStorage()
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[int, float]] = {}

    def take(self, key: str, *, cost: int, limit: int, window_s: int) -> Taken:
        """Take under a lock."""
        with self._lock:
            now = time.monotonic()
            used, ends = self._windows.get(key, (0, 0.0))
            if ends <= now:
                used, ends = 0, now + window_s
            granted = used + cost <= limit
            if granted and cost:
                used += cost
                self._windows[key] = (used, ends)
            return Taken(granted, max(0, limit - used), round((ends - now) * 1000))


def _make_store() -> LimitStore:
    return MemoryLimitStore() if settings.LIMITS_STORAGE == "memory" else RedisLimitStore()


store = Once(_make_store)
