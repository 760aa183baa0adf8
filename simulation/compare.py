"""
Drives the engine and the naive exchange side by side and stops at the first difference.

After every command it compares the answer, the trades, the orders that ended, all balances
and all books; the engine's side is what its *events* say, so the event stream is proven
along. Every so often three states must have one hash: the live engine, an engine loaded
from its image, and an engine that replayed the same envelopes from the first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

from exchange.core import commands as c
from exchange.core import events as e
from exchange.core.engine import Exchange
from exchange.core.enums import FINAL_STATUSES, Lane, OrderStatus, Side, SystemAccount
from exchange.core.rejects import Code
from simulation.commands import CommandSource, TimedCommand
from simulation.naive import NaiveExchange
from simulation.naive_accounts import Answer
from simulation.naive_book import NaiveOrder

OPEN_ORDERS_MOST = "open orders at most"
START_MS = 1_700_000_000_000


class Disagreement(Exception):
    """
    Engine and naive exchange differ; the message says where and in what.

    ``index`` is the command at which they did.
    """

    def __init__(self, message: str, index: int = 0) -> None:
        super().__init__(message)
        self.index = index


@dataclass
class EventMirror:
    """What a reader of the events knows: balances, levels, open orders."""

    balances: dict[tuple[int, int, int], tuple[int, int]] = field(default_factory=dict)
    levels: dict[tuple[int, int], dict[int, int]] = field(default_factory=dict)
    orders: dict[int, e.OrderChanged] = field(default_factory=dict)
    ended: dict[int, e.OrderChanged] = field(default_factory=dict)
    trades: list[e.TradeExecuted] = field(default_factory=list)
    trade_id: int = 0

    def read(self, event: e.AnyEvent) -> None:
        """Take in one event."""
        if isinstance(event, e.BalanceChanged):
            key = (event.account_id, int(event.wallet), event.asset_id)
            self.balances[key] = (event.total_atoms, event.held_atoms)
        elif isinstance(event, e.LevelChanged):
            level = self.levels.setdefault((event.market_id, int(event.side)), {})
            level[event.price_atoms] = event.quantity_atoms
            if event.quantity_atoms == 0:
                del level[event.price_atoms]
        elif isinstance(event, e.OrderChanged):
            self.orders[event.order_id] = event
            if event.status in FINAL_STATUSES:
                self.ended[event.order_id] = self.orders.pop(event.order_id)
        elif isinstance(event, e.TradeExecuted):
            self.trade_id += 1
            if event.trade_id != self.trade_id:
                raise Disagreement(f"expected trade {self.trade_id}, was {event.trade_id}")
            self.trades.append(event)

    def book(self, market_id: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return bids and asks as (price, quantity), best first."""
        bids = self.levels.get((market_id, int(Side.BUY)), {})
        asks = self.levels.get((market_id, int(Side.SELL)), {})
        return sorted(bids.items(), reverse=True), sorted(asks.items())


@dataclass
class LedgerMirror:
    """What the ledger says: balances as sums of postings, and the chain of each account."""

    sums: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    heads: dict[int, int] = field(default_factory=dict)
    last_id: int = 0

    def read(self, entry: e.LedgerPosted) -> None:
        """
        Take in one entry.

        Raises:
            Disagreement: if its number, its chain or the balance it states is wrong.
        """
        self.last_id += 1
        head = self.heads.get(entry.account_id, 0)
        _equal("entry and chain", (entry.entry_id, entry.previous_id), (self.last_id, head))
        self.heads[entry.account_id] = entry.entry_id
        parts = [(entry.asset_id, entry.amount_atoms, entry.balance_atoms)]
        if entry.quote_asset_id:
            quote = entry.quote_asset_id
            parts.append((quote, entry.quote_amount_atoms, entry.quote_balance_atoms))
            self.sums[int(SystemAccount.FEES), 1, quote] += entry.fee_atoms
        for asset_id, amount, balance in parts:
            key = (entry.account_id, int(entry.wallet), asset_id)
            self.sums[key] += amount
            _equal("balance of an entry", balance, self.sums[key])

    def compare(self, balances: dict[tuple[int, int, int], tuple[int, int]]) -> None:
        """
        Compare the sums of all postings with balances.

        Raises:
            Disagreement: if a wallet differs.
        """
        totals = {key: total for key, (total, _) in balances.items() if total}
        _equal("ledger", {key: total for key, total in self.sums.items() if total}, totals)


class Comparison:
    """One engine and one naive exchange under the same commands."""

    def __init__(self) -> None:
        self.engine = Exchange()
        self.naive = NaiveExchange()
        self.mirror = EventMirror()
        self.ledger = LedgerMirror()
        self.replay = Exchange()
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
        command = self._resolve(timed)
        envelope = self._envelope(command, Lane.ORDERS)
        answer = self.naive.apply(envelope)
        outcome = self._apply(envelope)
        while self.engine.has_task:
            self._apply(self._envelope(c.ContinueTask(), Lane.INTERNAL))
            self.counts["internal steps"] += 1
        self._remember_client_id(command, answer)
        _equal(f"code {outcome.detail}", Code(outcome.code).name, answer.code.name)
        _equal("repeated", outcome.repeated, answer.repeated)
        if isinstance(command, (c.PlaceOrder, c.CancelOrder, c.Transfer, c.Credit, c.Debit)):
            _equal("reference", outcome.reference_id, answer.reference_id)
        self._compare_trades(answer)
        self._compare_orders()
        _equal("balances", _not_empty(self.mirror.balances), _not_empty(self.naive.balances()))
        for market_id in self.naive.markets:
            _equal("book", self.mirror.book(market_id), self.naive.levels(market_id))
        self.counts[f"{type(command).__name__} {answer.code.name}"] += 1
        self.counts["fills"] += len(answer.fills)
        for order in self.naive.ended:
            self.counts[f"ended {order.status.name} {order.reason.name}"] += 1
        self.counts[OPEN_ORDERS_MOST] = max(self.counts[OPEN_ORDERS_MOST], len(self.naive.orders))

    def compare_states(self) -> None:
        """
        Compare the hashes of live, loaded and replayed state, and run all full checks.

        The replay goes on where the last one ended: it is one replay from the first command.

        Raises:
            Disagreement: if a hash differs.
        """
        self.engine.check_all()
        self.ledger.compare(self.mirror.balances)
        live = self.engine.state_hash()
        loaded = Exchange.load(self.engine.image())
        loaded.check_all()
        _equal("hash of the loaded state", loaded.state_hash(), live)
        for encoded in self.log:
            self.replay.apply(msgspec.msgpack.decode(encoded, type=c.Envelope))
            self.replay.drain()
        self.log.clear()
        _equal("hash of the replayed log", self.replay.state_hash(), live)
        # What comes next runs on the loaded engine: a field that load forgot shows there.
        self.engine = loaded
        self.counts["hash comparisons"] += 1

    def _apply(self, envelope: c.Envelope) -> e.Outcome:
        self.log.append(msgspec.msgpack.encode(envelope))
        outcome = self.engine.apply(envelope)
        if outcome.code is not Code.OK and outcome.events:
            raise Disagreement("a refused command emitted events")
        changes, coalesced = self.engine.drain()
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

    def _compare_trades(self, answer: Answer) -> None:
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
        _equal("trades", seen, answer.fills)

    def _compare_orders(self) -> None:
        ended = {order_id: _order_facts(order) for order_id, order in self.mirror.ended.items()}
        self.mirror.ended.clear()
        _equal("ended orders", ended, {o.order_id: _naive_facts(o) for o in self.naive.ended})
        live = {order_id: _order_facts(order) for order_id, order in self.mirror.orders.items()}
        _equal("open orders", live, {o.order_id: _naive_facts(o) for o in self.naive.orders})


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


def _equal(what: str, engine: Any, naive: Any) -> None:
    if engine != naive:
        raise Disagreement(f"{what}: engine {engine!r}, naive {naive!r}")


def _not_empty(
    balances: dict[tuple[int, int, int], tuple[int, int]],
) -> dict[tuple[int, int, int], tuple[int, int]]:
    return {key: value for key, value in balances.items() if value != (0, 0)}


def _client_key(command: c.AnyCommand) -> tuple[str, int, str] | None:
    """Return what a client id is unique in: orders and transfers of an account apart."""
    if isinstance(command, c.PlaceOrder) and command.client_order_id:
        return "order", command.account_id, command.client_order_id
    if isinstance(command, (c.Transfer, c.Credit, c.Debit)) and command.client_transfer_id:
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
    )
