"""What a standby hears of the leader in Redis, beside the heartbeat in the database."""

from __future__ import annotations

import contextlib
import time

from exchange import keys
from exchange.link import Link, RedisError

ASK_S = 0.25
ANSWER_TIMEOUT_S = 0.5


class LeaderWatch:
    """
    Notices a leader that renews its lease and reaches nobody: its way to Redis is cut.

    Silence counts only while Redis answers *here*. A Redis that is down for everybody is no
    reason to change leaders, and a leader's status comes twice a second, while loading too.
    """

    def __init__(self) -> None:
        """Watch through a connection of its own, opened when first asked."""
        self._link = Link(reply_timeout_s=ANSWER_TIMEOUT_S, connect_timeout_s=ANSWER_TIMEOUT_S)
        self._status: bytes | None = None
        self._heard_at: float | None = None
        self._asked_at = 0.0

    def silent_s(self) -> float:
        """Return for how many seconds Redis has answered here and the leader said nothing new."""
        now = time.monotonic()
        if now - self._asked_at >= ASK_S:
            self._asked_at = now
            self._ask()
        return 0.0 if self._heard_at is None else time.monotonic() - self._heard_at

    def highest_epoch(self) -> int:
        """
        Return the highest epoch that Redis has heard of, 0 when it does not answer.

        A database that was restored or begun anew counts from a lower one; its leader would
        be taken for one that has been replaced.
        """
        with contextlib.suppress(RedisError, OSError):
            return int(self._link.call("GET", keys.leader_epoch()) or 0)
        return 0

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def _ask(self) -> None:
        try:
            status = self._link.call("GET", keys.status())
        except (RedisError, OSError):
            self._heard_at = None
            return
        if self._heard_at is None or (status is not None and status != self._status):
            self._heard_at = time.monotonic()
        self._status = status
