"""The soak's commands, carried out by an exchange that commits them to the database."""

from __future__ import annotations

from exchange.core.enums import Lane
from exchange.inline import InlineExchange
from exchange.store.factory import open_store
from exchange.wire import Submission, make_command_id
from simulation.margin_commands import MarginSource
from simulation.margin_soak import Soak

COMMANDS_PER_BATCH = 25


class StoredSoak(Soak):
    """Leads in this process on the default database; ``engine`` is its live state."""

    def __init__(self) -> None:
        super().__init__()
        self.inline = InlineExchange(open_store(paced=False), clock_ms=lambda: self.now_ms)
        self.engine = self.inline.exchange

    def run(self, seed: int, count: int) -> None:
        """Commit ``count`` random commands of a seed, a few to a batch."""
        commands = list(MarginSource(seed).take(count))
        for start in range(0, count, COMMANDS_PER_BATCH):
            batch = commands[start : start + COMMANDS_PER_BATCH]
            self.now_ms += sum(timed.delay_ms for timed in batch)
            resolved = [Submission(make_command_id(), self._resolve(timed)) for timed in batch]
            self.inline.submit(resolved, Lane.ORDERS)
            self.engine = self.inline.exchange
