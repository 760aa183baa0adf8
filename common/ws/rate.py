"""How many messages a client may send: a bucket that refills evenly."""

import time
from collections.abc import Callable


class MessageRate:
    """At most ``messages`` at once, refilled over ``window_s`` seconds; 0 is no limit."""

    def __init__(
        self, *, messages: int, window_s: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with a full bucket."""
        self._size = messages
        self._per_s = messages / window_s
        self._clock = clock
        self._left = float(messages)
        self._at = clock()

    def take(self) -> bool:
        """Take one message; False when there is none left."""
        if self._size == 0:
            return True
        now = self._clock()
        self._left = min(self._size, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
