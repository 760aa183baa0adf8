"""The exchange inside the caller's own process: same engine, store and rows, no Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from exchange.batch import Item, Offsets
from exchange.core.commands import AnyCommand, StartLeadership
from exchange.core.engine import Exchange
from exchange.core.enums import Lane
from exchange.core.events import Outcome
from exchange.errors import StatusUnknown
from exchange.events_stream import BatchEvents
from exchange.lease import acquire
from exchange.processor import BATCH_COMMANDS_MAX, Processor
from exchange.store.base import Store, StoreBusyError
from exchange.store.factory import open_store
from exchange.wire import Submission, make_command_id, now_ms

ATTEMPTS_MAX = 5
ACQUIRE_S = 5.0


class InlineExchange:
    """
    Leads in this process and carries out commands at once, for tests and tools.

    Publishes nothing; what a projector would have read is kept in ``published``.
    """

    def __init__(self, store: Store | None = None, *, clock_ms: Callable[[], int] = now_ms) -> None:
        """
        Take the lease and load the state.

        Raises:
            StoreError: if the database cannot be used.
        """
        give_up_at = time.monotonic() + ACQUIRE_S
        lease = acquire(stop=lambda: time.monotonic() >= give_up_at)
        if lease is None:
            raise StoreBusyError("the exchange is led by a running process: stop it first")
        self._lock = threading.RLock()
        self.published: list[BatchEvents] = []
        self.processor = Processor(
            store or open_store(paced=False), epoch=lease.epoch, clock_ms=clock_ms
        )
        self._run([Item(Submission("", StartLeadership(lease.epoch, 0)), Lane.INTERNAL)])

    @property
    def exchange(self) -> Exchange:
        """The live state."""
        return self.processor.exchange

    def submit(self, submissions: Sequence[Submission], lane: Lane) -> list[Outcome]:
        """
        Carry out submissions in order and return their outcomes, internal work included.

        Raises:
            StatusUnknown: for a command id that was carried out before.
        """
        items = [Item(submission, lane, "inline") for submission in submissions]
        with self._lock:
            outcomes = self._run(items)
            while self.processor.has_work:
                self._run([])
        try:
            return [outcomes[submission.command_id] for submission in submissions]
        except KeyError as error:
            raise StatusUnknown(f"command {error} was delivered before") from error

    def apply(self, command: AnyCommand, *, lane: Lane = Lane.ORDERS) -> Outcome:
        """Carry out one command without an id of its own."""
        return self.submit([Submission(make_command_id(), command)], lane)[0]

    def _run(self, items: list[Item]) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        failures = 0
        while True:
            batch = self.processor.process(items[:BATCH_COMMANDS_MAX], lambda _: Offsets())
            if batch is None:
                failures += 1
                if failures >= ATTEMPTS_MAX + len(items):
                    raise StoreBusyError("the database refuses to commit")
                continue
            self.published.append(batch.events)
            for answer in batch.answers.get("inline", ()):
                outcomes[answer.command_id] = answer.outcome
            items = items[batch.consumed :]
            if not items:
                return outcomes
