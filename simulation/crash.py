"""
A crash that fires very many stops: in order, each once, in short steps, cancels served.

Stop-losses lie over the range that a fall of 30 % covers; bids below them are so thin that
each stop that fires takes the price on to the next. Between two internal steps somebody
cancels a stop that has not had its turn, as a user would.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass, field

from exchange.core import commands as c
from exchange.core.engine import Exchange
from exchange.core.enums import (
    EndReason,
    Lane,
    MarketKind,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    TriggerType,
    WalletKind,
)
from exchange.core.events import AnyEvent, OrderChanged, TradeExecuted
from exchange.core.rejects import Code

ATOMS = 10**8
TICK = ATOMS // 100
TOP = 10_000
FALL = 3_000
# Of processor time: what else runs on the machine does not count.
STEP_BOUND_MS = 50
EVENTS_BOUND = 2_000
CANCEL_EVERY_STEPS = 3
OWNERS = 200
FIRST_OWNER, BUYER, SELLER = 1_000_000, 2_000_000, 2_000_001
START_MS = 1_700_000_000_000


@dataclass
class Crash:
    """What happened: stops in the order in which they traded, and how long steps took."""

    stops: int
    triggers: dict[int, int] = field(default_factory=dict)
    traded: list[int] = field(default_factory=list)
    ended: dict[int, EndReason] = field(default_factory=dict)
    cancelled: list[int] = field(default_factory=list)
    refused_cancels: int = 0
    steps: int = 0
    longest_ms: float = 0.0
    most_events: int = 0
    longest_cancel_ms: float = 0.0
    faults: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the figures in words."""
        return [
            f"{self.stops:,d} stops, {len(self.traded):,d} fired, {len(self.cancelled):,d} "
            f"cancelled meanwhile, {self.steps:,d} steps, longest {self.longest_ms:.1f} ms "
            f"and {self.most_events:,d} events, longest cancel {self.longest_cancel_ms:.2f} ms",
            *(f"FAULT {fault}" for fault in self.faults),
        ]


class _Driver:
    def __init__(self) -> None:
        self.exchange = Exchange()
        self.number = 0

    def do(self, command: c.AnyCommand, lane: Lane = Lane.ORDERS) -> tuple[Code, list[AnyEvent]]:
        """Apply one command and end its batch."""
        self.number += 1
        now = START_MS + self.number // 100
        envelope = c.Envelope(c.VERSION, self.number, now, str(self.number), lane, command)
        outcome = self.exchange.apply(envelope)
        self.exchange.drain()
        return outcome.code, list(outcome.events)

    def must(self, command: c.AnyCommand) -> list[AnyEvent]:
        """Apply a command that is accepted."""
        code, events = self.do(command)
        if code is not Code.OK:
            raise ValueError(f"{command} was refused: {code.name}")
        return events


def _order(account: int, side: Side, price: int, lots: int) -> c.PlaceOrder:
    return c.PlaceOrder(
        account,
        1,
        side,
        OrderType.LIMIT,
        TimeInForce.GTC,
        price * TICK,
        lots * TICK,
    )


def _set_up(driver: _Driver, crash: Crash) -> None:
    driver.must(c.ConfigureAsset(1, "BTC", "Bitcoin", 8))
    driver.must(c.ConfigureAsset(2, "USDT", "Tether", 8))
    driver.must(c.ConfigureFeeTier(0, 20_000, 40_000))
    market = c.ConfigureMarket(
        1, "BTC-USDT", MarketKind.SPOT, 1, 2, TICK, TICK, 0, 0, 0, 0, 0, 0, 0
    )  # fmt: skip
    driver.must(market)
    owners = range(FIRST_OWNER, FIRST_OWNER + OWNERS)
    for account in (BUYER, SELLER, *owners):
        driver.must(c.ConfigureAccount(account, open_orders_max=1_000_000))
        for asset in (1, 2):
            amount = 10**7 * ATOMS
            driver.must(c.Credit(account, WalletKind.SPOT, asset, amount, "crash", "crash"))
    # A level holds less than its stops sell, one lot each, so the fall goes on to its end.
    per_tick = _lots_per_tick(crash)
    for ticks in range(FALL + 1):
        driver.must(_order(BUYER, Side.BUY, TOP - ticks, per_tick))
    driver.must(_order(BUYER, Side.BUY, TOP - FALL - 1, crash.stops))
    driver.must(_order(SELLER, Side.SELL, TOP, per_tick))
    for number in range(crash.stops):
        # A prime step mixes the triggers: numbers say nothing about prices.
        price = TOP - 1 - number * 7_919 % FALL
        command = c.PlaceOrder(
            owners[number % OWNERS],
            1,
            Side.SELL,
            OrderType.STOP_LOSS,
            TimeInForce.IOC,
            0,
            TICK,
            special=c.SpecialTerms(TriggerType.LAST, price * TICK),
        )
        (event,) = driver.must(command)
        if isinstance(event, OrderChanged):
            crash.triggers[event.order_id] = price


def _lots_per_tick(crash: Crash) -> int:
    return max(1, crash.stops * 9 // 10 // FALL)


def run(stops: int) -> Crash:
    """Let one sale begin the fall, and follow it to its end."""
    crash = Crash(stops)
    driver = _Driver()
    _set_up(driver, crash)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        _fall(driver, crash)
    finally:
        gc.enable()
        gc.unfreeze()
    driver.exchange.check_all()
    _judge(crash)
    return crash


def _fall(driver: _Driver, crash: Crash) -> None:
    per_tick = _lots_per_tick(crash)
    _read(crash, driver.must(_order(SELLER, Side.SELL, TOP - 1, 1 + per_tick)))
    waiting = sorted(crash.triggers, key=lambda order_id: (crash.triggers[order_id], order_id))
    while driver.exchange.has_task:
        started = time.thread_time()
        _, events = driver.do(c.ContinueTask(), Lane.INTERNAL)
        crash.longest_ms = max(crash.longest_ms, (time.thread_time() - started) * 1000)
        crash.most_events = max(crash.most_events, len(events))
        crash.steps += 1
        _read(crash, events)
        if crash.steps % CANCEL_EVERY_STEPS == 0 and waiting:
            _cancel(driver, crash, waiting.pop(0))


def _cancel(driver: _Driver, crash: Crash, order_id: int) -> None:
    """Cancel a stop; each owner's numbers repeat every ``OWNERS`` orders."""
    first = min(crash.triggers)
    owner = FIRST_OWNER + (order_id - first) % OWNERS
    started = time.thread_time()
    code, events = driver.do(c.CancelOrder(owner, order_id))
    took_ms = (time.thread_time() - started) * 1000
    crash.longest_cancel_ms = max(crash.longest_cancel_ms, took_ms)
    _read(crash, events)
    if code is Code.OK:
        crash.cancelled.append(order_id)
    else:
        crash.refused_cancels += 1


def _read(crash: Crash, events: list[AnyEvent]) -> None:
    for event in events:
        if isinstance(event, TradeExecuted) and event.taker_order_id in crash.triggers:
            crash.traded.append(event.taker_order_id)
        elif isinstance(event, OrderChanged) and event.order_id in crash.triggers:
            if event.order_id in crash.ended:
                crash.faults.append(f"order {event.order_id} ended twice")
            if event.status in (OrderStatus.FILLED, OrderStatus.EXPIRED, OrderStatus.CANCELLED):
                crash.ended[event.order_id] = event.reason


def _judge(crash: Crash) -> None:
    """Note what is not as it must be."""
    lost = set(crash.triggers) - set(crash.traded) - set(crash.cancelled)
    if lost:
        crash.faults.append(f"{len(lost)} stops neither fired nor cancelled")
    if len(set(crash.traded)) != len(crash.traded):
        crash.faults.append("a stop traded twice")
    if set(crash.traded) & set(crash.cancelled):
        crash.faults.append("a cancelled stop traded")
    ranks = [(-crash.triggers[order_id], order_id) for order_id in crash.traded]
    if ranks != sorted(ranks):
        crash.faults.append("stops fired out of order")
    if crash.most_events > EVENTS_BOUND:
        crash.faults.append(f"a step had {crash.most_events:,d} events")
