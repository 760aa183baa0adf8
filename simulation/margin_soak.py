"""
The engine alone under every kind of command in perpetual markets, OCO and brackets included.

What the naive exchange does not know of is held by invariants: full checks after every command,
and one hash of live, loaded and replayed state. Work limits of one make every step of funding,
liquidation and settlement meet the commands that come in between.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from exchange.core import commands as c
from exchange.core.engine import Exchange
from exchange.core.enums import Lane
from exchange.core.events import LiquidationStepped, Outcome
from exchange.core.rejects import Code
from simulation.commands import START_MS, TimedCommand
from simulation.margin_commands import MarginSource
from simulation.mirrors import Disagreement, Rows, equal


class Soak:
    """One engine, the rows it touched, and another that replays what it was told."""

    def __init__(self) -> None:
        self.engine = Exchange()
        self.replay = Exchange()
        self.rows = Rows()
        self.log: list[bytes] = []
        self.now_ms = START_MS
        self.counts: Counter[str] = Counter()

    def step(self, timed: TimedCommand) -> None:
        """
        Apply one command and as much internal work as it allows, and check everything.

        Raises:
            Disagreement: if planning failed.
            InvariantError: if the state is not what it must be.
        """
        self.now_ms += timed.delay_ms
        if timed.expires_first and self.engine.is_due(self.now_ms):
            self._apply(c.ContinueTask(), Lane.INTERNAL)
        command = self._resolve(timed)
        outcome = self._apply(command, Lane.ORDERS)
        self.counts[f"{type(command).__name__} {Code(outcome.code).name}"] += 1
        steps = timed.steps
        while steps != 0 and (self.engine.has_task or self.engine.is_due(self.now_ms)):
            self._apply(c.ContinueTask(), Lane.INTERNAL)
            steps = None if steps is None else steps - 1
        self.engine.check_all()

    def compare_states(self) -> None:
        """
        Compare the hashes of live, loaded and replayed state, and go on with the loaded one.

        Raises:
            Disagreement: if a hash differs.
        """
        live = self.engine.state_hash()
        loaded = Exchange.load(self.rows.image(self.engine))
        loaded.check_all()
        equal("hash of the loaded state", loaded.state_hash(), live)
        for encoded in self.log:
            self.replay.apply(msgspec.msgpack.decode(encoded, type=c.Envelope))
            self.replay.drain()
        self.log.clear()
        equal("hash of the replayed log", self.replay.state_hash(), live)
        self.engine = loaded

    def _apply(self, command: c.AnyCommand, lane: Lane) -> Outcome:
        number = self.engine.sequences.command + 1
        envelope = c.Envelope(c.VERSION, number, self.now_ms, f"c{number}", lane, command)
        self.log.append(msgspec.msgpack.encode(envelope))
        outcome = self.engine.apply(envelope)
        if outcome.code is Code.PLANNING_FAILED:
            raise Disagreement(outcome.detail)
        changes, _ = self.engine.drain()
        self.rows.write(changes)
        for event in outcome.events:
            if isinstance(event, LiquidationStepped):
                self.counts[f"liquidation {event.kind.name}"] += 1
        return outcome

    def _resolve(self, timed: TimedCommand) -> c.AnyCommand:
        """Name an open order where the command is to have one; client ids are left out."""
        command = timed.command
        if isinstance(command, c.PlaceOrder | c.PlaceLinkedOrders | c.ClosePosition):
            return msgspec.structs.replace(command, client_order_id="")
        if isinstance(command, c.Transfer):
            return msgspec.structs.replace(command, client_transfer_id="")
        orders = self.engine.image().orders
        if timed.pick is None or not orders:
            return command
        order = orders[timed.pick % len(orders)]
        if isinstance(command, c.AmendOrder):
            return msgspec.structs.replace(
                command, account_id=order.account_id, order_id=order.order_id
            )
        return c.CancelOrder(order.account_id, order.order_id)


def run(seed: int, count: int, *, states_every: int = 200) -> Counter[str]:
    """
    Apply ``count`` random commands; return what happened how often.

    Raises:
        Disagreement: at the first thing that must not be, naming seed and command.
    """
    soak = Soak()
    for index, timed in enumerate(MarginSource(seed).take(count)):
        try:
            soak.step(timed)
            if index % states_every == 0:
                soak.compare_states()
        except Exception as error:
            text = f"seed {seed}, command {index}: {timed.command!r}: {error!r}"
            raise Disagreement(text, index) from error
    soak.compare_states()
    return soak.counts
