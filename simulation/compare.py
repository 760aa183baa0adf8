"""
Drives the engine and the naive exchange side by side and stops at the first difference.

After every command it compares the answer, the trades, the orders that ended, all balances
and all books; the engine's side is what its *events* say, so the event stream is proven
along. Every so often three states must have one hash: the live engine, an engine loaded
from the rows that its batches touched, and an engine that replayed the same envelopes from
the first.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from exchange.core import commands as c
from exchange.core import events as e
from exchange.core.engine import Exchange
from exchange.core.enums import Lane, OrderStatus
from exchange.core.rejects import Code
from exchange.core.tasks import ArmTask, FireTask
from simulation.commands import START_MS, TimedCommand
from simulation.mirrors import Disagreement, EventMirror, LedgerMirror, Rows, equal, equal_maps
from simulation.naive import NaiveExchange
from simulation.naive_accounts import Answer
from simulation.naive_book import NaiveOrder
from simulation.special_commands import CommandSource

OPEN_ORDERS_MOST = "open orders at most"


_REFERRING = (
    c.PlaceOrder,
    c.PlaceLinkedOrders,
    c.AmendOrder,
    c.CancelOrder,
    c.Transfer,
    c.Credit,
    c.Debit,
    c.MoveWithdrawal,
)
_TRANSFERS = (c.Transfer, c.Credit, c.Debit, c.MoveWithdrawal)


class Comparison:
    """One engine and one naive exchange under the same commands."""

    def __init__(self) -> None:
        self.engine = Exchange()
        self.naive = NaiveExchange()
        self.mirror = EventMirror()
        self.ledger = LedgerMirror()
        self.replay = Exchange()
        self.rows = Rows()
        self.log: list[bytes] = []
        self.findings: dict[tuple[str, int, str], c.ClientIdFinding] = {}
        self.now_ms = START_MS
        self.counts: Counter[str] = Counter()

    def step(self, timed: TimedCommand) -> None:
        """
        Apply one command to both and compare everything a user could see.

        Raises:
            Disagreement: if anything differs.
        """
        self.now_ms += timed.delay_ms
        if timed.expires_first and self.engine.is_due(self.now_ms):
            self._internal_step()
        command = self._resolve(timed)
        envelope = self._envelope(command, Lane.ORDERS)
        outcome = self._apply(envelope)
        answer = self.naive.apply(envelope)
        steps = timed.steps
        while steps != 0 and self._has_internal_work():
            self._internal_step()
            steps = None if steps is None else steps - 1
        self._remember_client_id(command, answer)
        equal(f"code {outcome.detail}", Code(outcome.code).name, answer.code.name)
        equal("repeated", outcome.repeated, answer.repeated)
        if isinstance(command, _REFERRING):
            equal("reference", outcome.reference_id, answer.reference_id)
        self._compare_trades()
        self._compare_orders()
        equal_maps("balances", _not_empty(self.mirror.balances), _not_empty(self.naive.balances()))
        self._compare_safeguards()
        for market_id in self.naive.markets:
            equal("book", self.mirror.book(market_id), self.naive.levels(market_id))
        self.counts[f"{type(command).__name__} {answer.code.name}"] += 1
        self.counts[OPEN_ORDERS_MOST] = max(self.counts[OPEN_ORDERS_MOST], len(self.naive.orders))

    def _has_internal_work(self) -> bool:
        return self.engine.has_task or self.engine.is_due(self.now_ms)

    def _internal_step(self) -> None:
        """Let the engine take an internal step, and the naive exchange what that was."""
        due = self.engine.is_due(self.now_ms)
        self._apply(self._envelope(c.ContinueTask(), Lane.INTERNAL))
        self.counts["internal steps"] += 1
        if due:
            self.naive.expire(self.now_ms)
        else:
            self.naive.take_turns(self.now_ms, self._turns_ahead())

    def _turns_ahead(self) -> list[tuple[str, int]]:
        """Return the engine's unfinished turns, which say how far a step of it went."""
        turns: list[tuple[str, int]] = []
        for task in self.engine.tasks:
            if isinstance(task, ArmTask):
                turns.append(("arm", task.entry_id))
            elif isinstance(task, FireTask):
                turns += [("fire", order_id) for order_id in self.engine.fired_ids(task)]
        return turns

    def compare_states(self) -> None:
        """
        Compare the hashes of live, loaded and replayed state, and run all full checks.

        The replay goes on where the last one ended: it is one replay from the first command.

        Raises:
            Disagreement: if a hash differs.
        """
        self.engine.check_all()
        self._compare_ledger()
        live = self.engine.state_hash()
        loaded = Exchange.load(self.rows.image(self.engine))
        loaded.check_all()
        equal("hash of the loaded state", loaded.state_hash(), live)
        for encoded in self.log:
            self.replay.apply(msgspec.msgpack.decode(encoded, type=c.Envelope))
            self.replay.drain()
        self.log.clear()
        equal("hash of the replayed log", self.replay.state_hash(), live)
        # What comes next runs on the loaded engine: a field that load forgot shows there.
        self.engine = loaded
        self.counts["hash comparisons"] += 1

    def _compare_ledger(self) -> None:
        self.ledger.compare(self.mirror.balances)

    def _apply(self, envelope: c.Envelope) -> e.Outcome:
        self.log.append(msgspec.msgpack.encode(envelope))
        outcome = self.engine.apply(envelope)
        if outcome.code is not Code.OK and outcome.events:
            raise Disagreement("a refused command emitted events")
        changes, coalesced = self.engine.drain()
        self.rows.write(changes)
        for event in (*outcome.events, *coalesced):
            self.mirror.read(event)
        for entry in changes.entries:
            self.ledger.read(entry)
        return outcome

    def _envelope(self, command: c.AnyCommand, lane: Lane) -> c.Envelope:
        number = self.engine.sequences.command + 1
        return c.Envelope(
            version=c.VERSION,
            number=number,
            time_ms=self.now_ms,
            command_id=f"c{number}",
            lane=lane,
            command=command,
            finding=self.findings.get(_client_key(command) or ("", 0, "")),
        )

    def _resolve(self, timed: TimedCommand) -> c.AnyCommand:
        open_orders = self.naive.orders
        if timed.pick is None or not open_orders:
            return timed.command
        order = open_orders[timed.pick % len(open_orders)]
        if isinstance(timed.command, c.AmendOrder):
            name = order.client_order_id if timed.pick % 10 == 1 else ""
            return msgspec.structs.replace(
                timed.command,
                account_id=order.account_id,
                order_id=0 if name else order.order_id,
                client_order_id=name,
            )
        if timed.pick % 10 == 0 and isinstance(timed.command, c.CancelOrder):
            return c.CancelOrder(timed.command.account_id, order.order_id)
        if timed.pick % 10 == 1 and order.client_order_id:
            return c.CancelOrder(order.account_id, 0, order.client_order_id)
        return c.CancelOrder(order.account_id, order.order_id)

    def _remember_client_id(self, command: c.AnyCommand, answer: Answer) -> None:
        key = _client_key(command)
        if key and answer.code is Code.OK and not answer.repeated:
            request_hash = getattr(command, "request_hash", 0)
            self.findings[key] = c.ClientIdFinding(answer.reference_id, request_hash)

    def _compare_safeguards(self) -> None:
        equal("switches", self.mirror.switches, self.naive.switches)
        frozen = {s: row.frozen_until_ms for s, row in self.mirror.protections.items()}
        naive = {s: protection.frozen_until for s, protection in self.naive.protections.items()}
        equal("protections", frozen, naive)
        markets = {
            key: (row.status, row.status_cause, row.status_until_ms)
            for key, row in self.mirror.markets.items()
        }
        equal(
            "market status",
            markets,
            {
                key: (status, self.naive.cause[key], self.naive.until.get(key, 0))
                for key, status in self.naive.status.items()
            },
        )

    def _compare_trades(self) -> None:
        seen = [
            (
                trade.price_atoms,
                trade.quantity_atoms,
                trade.taker_order_id,
                trade.maker_order_id,
                trade.taker_fee_atoms,
                trade.maker_fee_atoms,
            )
            for trade in self.mirror.trades
        ]
        self.mirror.trades.clear()
        equal("trades", seen, self.naive.fills)
        self.counts["fills"] += len(seen)
        self.naive.fills.clear()

    def _compare_orders(self) -> None:
        ended = {order_id: _order_facts(order) for order_id, order in self.mirror.ended.items()}
        self.mirror.ended.clear()
        equal_maps("ended orders", ended, {o.order_id: _naive_facts(o) for o in self.naive.ended})
        live = {order_id: _order_facts(order) for order_id, order in self.mirror.orders.items()}
        equal_maps("open orders", live, {o.order_id: _naive_facts(o) for o in self.naive.orders})
        for order in self.naive.ended:
            self.counts[f"ended {order.status.name} {order.reason.name}"] += 1
        self.naive.ended.clear()


def run(seed: int, count: int, *, crowded: bool = False, states_every: int = 1_000) -> Counter[str]:
    """
    Compare engine and naive exchange over ``count`` random commands.

    Returns what happened how often.

    Raises:
        Disagreement: at the first difference, naming seed, command and difference.
    """
    commands = CommandSource(seed, crowded=crowded).take(count)
    return run_commands(commands, seed=seed, states_every=states_every)


def run_commands(
    commands: list[TimedCommand], *, seed: int = 0, states_every: int = 1_000
) -> Counter[str]:
    """
    Compare engine and naive exchange over given commands.

    Raises:
        Disagreement: at the first difference, naming seed, command and difference.
    """
    comparison = Comparison()
    for index, timed in enumerate(commands):
        try:
            comparison.step(timed)
            if (index + 1) % states_every == 0:
                comparison.compare_states()
        except Exception as error:
            text = f"seed {seed}, command {index}: {timed.command!r}: {error!r}"
            raise Disagreement(text, index) from error
    comparison.compare_states()
    return comparison.counts


def shrink(commands: list[TimedCommand]) -> list[TimedCommand]:
    """Return a shorter list of commands over which the two still disagree."""

    def fails(candidate: list[TimedCommand]) -> bool:
        try:
            run_commands(candidate)
        except Disagreement:
            return True
        return False

    chunk = max(1, len(commands) // 2)
    while chunk:
        start = 0
        while start < len(commands):
            candidate = commands[:start] + commands[start + chunk :]
            if fails(candidate):
                commands = candidate
            else:
                start += chunk
        chunk //= 2
    return commands


def _not_empty(
    balances: dict[tuple[int, int, int], tuple[int, int]],
) -> dict[tuple[int, int, int], tuple[int, int]]:
    return {key: value for key, value in balances.items() if value != (0, 0)}


def _client_key(command: c.AnyCommand) -> tuple[str, int, str] | None:
    """Return what a client id is unique in: orders and transfers of an account apart."""
    if isinstance(command, c.PlaceOrder | c.PlaceLinkedOrders) and command.client_order_id:
        return "order", command.account_id, command.client_order_id
    if isinstance(command, _TRANSFERS) and command.client_transfer_id:
        return "transfer", command.account_id, command.client_transfer_id
    return None


def _order_facts(order: e.OrderChanged) -> tuple[Any, ...]:
    return (
        OrderStatus(order.status).name,
        order.reason.name,
        order.account_id,
        order.price_atoms,
        order.quantity_atoms,
        order.filled_atoms,
        order.quote_filled_atoms,
        order.fee_atoms,
        order.terms.trigger_price_atoms if order.terms else 0,
        order.terms.link_kind.name if order.terms else "NONE",
    )


def _naive_facts(order: NaiveOrder) -> tuple[Any, ...]:
    return (
        order.status.name,
        order.reason.name,
        order.account_id,
        order.price,
        order.quantity,
        order.filled,
        order.quote_filled,
        order.fee,
        order.trigger,
        order.link_kind.name,
    )
