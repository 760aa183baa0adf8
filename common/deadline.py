"""Until when a signed request counts, from HTTP to the exchange's queue."""

import time
from contextvars import ContextVar

# On the monotonic clock; 0.0 is never.
_ends: ContextVar[float] = ContextVar("deadline", default=0.0)


def bind_deadline(left_ms: int) -> None:
    """Let what this thread or task does count for so long from now."""
    _ends.set(time.monotonic() + left_ms / 1000)


def clear_deadline() -> None:
    """Begin a request that has none."""
    _ends.set(0.0)


def deadline_left_ms() -> int:
    """Return how long the request of this thread or task still counts, at least 1; 0 for ever."""
    ends = _ends.get()
    if not ends:
        return 0
    return max(1, int((ends - time.monotonic()) * 1000))
