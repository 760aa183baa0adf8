"""May a gateway send now? Judged before XADD, by what the leader said last."""

from __future__ import annotations

import time
from collections.abc import Sequence

from exchange.core.commands import AnyCommand, PlaceLinkedOrders, PlaceOrder
from exchange.core.enums import Lane
from exchange.errors import ExchangeBusy, ExchangeUnavailable
from exchange.wire import StatusMessage, Submission, decode_status

STATUS_AGE_MAX_S = 0.1

# Beyond these the backlog would outlive the 5 s after which commands are void. Cancels, and
# what only reduces a position, have twice the room: they must get through when orders do not.
NEW_ORDERS_BACKLOG_MAX = 5_000
BACKLOG_MAX = 10_000
# A slow machine does not get through so many in time. What the oldest has waited says so, also
# there; what it adds until the next status is the rest of the 5 s.
NEW_ORDERS_AGE_MAX_MS = 1_500
AGE_MAX_MS = 4_000


class Admission:
    """The last status, and how much this process has sent since."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.status: StatusMessage | None = None
        self._read_at = 0.0
        self._sent = {Lane.ORDERS: 0, Lane.SYSTEM: 0}

    def is_old(self) -> bool:
        """Tell whether the status must be read again before it is used."""
        return time.monotonic() - self._read_at > STATUS_AGE_MAX_S

    def update(self, data: bytes | None) -> None:
        """Take a status key's value; None when it has expired."""
        self.status = decode_status(data) if data else None
        self._read_at = time.monotonic()
        self._sent = {Lane.ORDERS: 0, Lane.SYSTEM: 0}

    def forget(self) -> None:
        """Read the status again before the next use: what it said was wrong."""
        self._read_at = 0.0

    def admit(self, submissions: Sequence[Submission], lane: Lane) -> StatusMessage:
        """
        Return the status to send under.

        Raises:
            ExchangeUnavailable: if nobody leads.
            ExchangeBusy: if too much waits for these commands.
        """
        status = self.status
        if status is None or not status.leader:
            raise ExchangeUnavailable
        lag, age_ms = (
            (status.orders_lag, status.orders_age_ms)
            if lane is Lane.ORDERS
            else (status.system_lag, 0)
        )
        waiting = lag + self._sent[lane]
        if waiting >= BACKLOG_MAX or age_ms >= AGE_MAX_MS:
            raise ExchangeBusy
        if (waiting >= NEW_ORDERS_BACKLOG_MAX or age_ms >= NEW_ORDERS_AGE_MAX_MS) and any(
            _is_new_order(submission.command) for submission in submissions
        ):
            raise ExchangeBusy
        self._sent[lane] += len(submissions)
        return status


def _is_new_order(command: AnyCommand) -> bool:
    """Tell whether a command adds orders that do more than reduce a position."""
    if isinstance(command, PlaceLinkedOrders):
        return True
    if not isinstance(command, PlaceOrder):
        return False
    special = command.special
    return special is None or not (special.reduce_only or special.close_position)
