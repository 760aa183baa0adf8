"""What both dispatchers share: a caller's submissions on their way, and packing them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import structlog
from django.db import DatabaseError

from exchange import keys
from exchange.core.enums import Lane
from exchange.core.events import Outcome
from exchange.dispatch.admission import Admission
from exchange.errors import ExchangeError
from exchange.link import Arguments
from exchange.outcome_log import Sent, look_up
from exchange.wire import WIRE_VERSION, Packet, Submission, encode, now_ms

logger = structlog.get_logger(__name__)

# One entry of a lane; larger packs are split so that none is megabytes long.
SUBMISSIONS_PER_ENTRY = 500
# How far before its submission a command's batch can lie in the log: clocks of two hosts.
CLOCKS_APART_MS = 2_000


class Call(ABC):
    """The submissions of one caller, and what is known of their outcomes."""

    __slots__ = ("error", "lane", "missing", "outcomes", "sent", "since_ms", "submissions")

    def __init__(self, submissions: list[Submission], lane: Lane) -> None:
        """Begin with nothing known."""
        self.submissions = submissions
        self.lane = lane
        self.missing = len(submissions)
        self.outcomes: dict[str, Outcome] = {}
        self.sent: Sent | None = None
        self.error: ExchangeError | None = None
        self.since_ms = now_ms()

    @abstractmethod
    def wake(self) -> None:
        """Let the caller go on; safe to call twice."""

    def fail(self, error: ExchangeError) -> None:
        """End the call with an error."""
        self.error = error
        self.wake()

    def answer(self, command_id: str, outcome: Outcome) -> bool:
        """Take one outcome and tell whether it was the last one missing."""
        if command_id not in self.outcomes:
            self.outcomes[command_id] = outcome
            self.missing -= 1
        return self.missing <= 0

    def in_order(self) -> list[Outcome]:
        """Return the outcomes in the order of the submissions."""
        return [self.outcomes[submission.command_id] for submission in self.submissions]

    def look_up_missing(self) -> bool:
        """
        Ask the command log for what did not arrive; tell whether all is known now.

        While the database is away nothing is: what was sent may be carried out all the same.
        """
        if self.sent is None:
            return False
        try:
            return all(self._look_up(one.command_id, self.sent) for one in self.submissions)
        except DatabaseError as error:
            logger.warning("outcome_not_looked_up", error=str(error))
            return False

    def _look_up(self, command_id: str, sent: Sent) -> bool:
        if command_id not in self.outcomes:
            outcome = look_up(command_id, sent, since_ms=self.since_ms - CLOCKS_APART_MS)
            if outcome is None:
                return False
            self.answer(command_id, outcome)
        return True


@dataclass(slots=True)
class Pack:
    """Calls that travel in one entry of a lane."""

    lane: Lane
    calls: list[Call]

    def admit(self, admission: Admission) -> int:
        """Drop the calls that may not be sent, each with its error; return the stream epoch."""
        stream_epoch = 0
        admitted = []
        for call in self.calls:
            try:
                stream_epoch = admission.admit(call.submissions, self.lane).stream_epoch
                admitted.append(call)
            except ExchangeError as error:
                call.fail(error)
        self.calls = admitted
        return stream_epoch

    def mark_sent(self, stream_epoch: int, stream_id: str = "") -> None:
        """Note where the calls went; without an id, that they may have been sent."""
        for call in self.calls:
            call.sent = Sent(self.lane, stream_epoch, stream_id)

    def fail(self, error: ExchangeError) -> None:
        """End all calls with an error."""
        for call in self.calls:
            call.fail(error)

    def command(self, *, stream_epoch: int, reply_to: str) -> Arguments:
        """Return the XADD; it never creates a stream, which only the leader does."""
        submissions = [submission for call in self.calls for submission in call.submissions]
        data = encode(Packet(WIRE_VERSION, reply_to, submissions))
        key = keys.lane(self.lane, stream_epoch)
        return ("XADD", key, "NOMKSTREAM", "*", "n", len(submissions), "d", data)


def make_packs(calls: Sequence[Call]) -> list[Pack]:
    """Return the calls in runs of one lane, each small enough for one entry, in order."""
    packs: list[Pack] = []
    for lane, run in groupby(calls, key=lambda call: call.lane):
        pack: list[Call] = []
        size = 0
        for call in run:
            if pack and size + len(call.submissions) > SUBMISSIONS_PER_ENTRY:
                packs.append(Pack(lane, pack))
                pack, size = [], 0
            pack.append(call)
            size += len(call.submissions)
        packs.append(Pack(lane, pack))
    return packs
