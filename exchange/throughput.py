"""How many commands a second the leader carries out, as its status tells it."""

from __future__ import annotations

from collections import deque

# Clients work in bursts: prices and quotes come once a second, so that of two halves of a
# second one is empty. Over a half alone the rate was 1 while 67 to 89 commands a second ran.
WINDOW_S = 5.0


class Throughput:
    """The mean rate over the last ``WINDOW_S``, from a number that only rises."""

    def __init__(self) -> None:
        """Have seen nothing yet."""
        # (monotonic seconds, number), the oldest first.
        self._seen: deque[tuple[float, int]] = deque()

    def per_second(self, number: int, *, now_s: float) -> int:
        """
        Return the growth per second up to now, rounded to the nearest whole.

        The first call begins the measurement and returns 0.
        """
        self._seen.append((now_s, number))
        while len(self._seen) > 2 and self._seen[1][0] <= now_s - WINDOW_S:
            self._seen.popleft()
        since_s, before = self._seen[0]
        return round((number - before) / (now_s - since_s)) if now_s > since_s else 0
