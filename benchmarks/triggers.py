"""
What waiting orders cost those who do not wait: price updates and commands.

Conditional orders that do not fire must not slow a price down, however many wait, and a deep
book must not slow a command down. Both are compared with an exchange that is nearly empty.
"""

from __future__ import annotations

import gc
import time
from random import Random

from benchmarks.core import ACCOUNTS, BATCH, FIRST_ACCOUNT, Session, setup_commands
from benchmarks.report import Options, Section, median, percentile, say
from exchange.core import commands as c
from exchange.core.enums import OrderType, Side, TimeInForce, TriggerType

ATOMS = 10**8
TICK = ATOMS // 100
MIDDLE = 10**6
ARMED = 100_000
UPDATES = 20_000
UPDATE_BOUND_US = 5.0
RESTING = (1_000, 1_000_000)
COMMANDS = 20_000
# Trailing stops: so many per side and callback rate.
CALLBACKS = tuple(range(1, 101))


def _owner(number: int) -> int:
    return FIRST_ACCOUNT + number * 7_919 % ACCOUNTS


def _conditional(number: int) -> c.PlaceOrder:
    """Return a stop, a take-profit or a trailing stop that no price of this run fires."""
    side = Side.SELL if number % 2 else Side.BUY
    away = 1_000 + number % 50_000
    if number % 3 == 0:
        order_type, special = (
            OrderType.TRAILING_STOP,
            c.SpecialTerms(
                TriggerType.INDEX,
                callback_rate_e8=CALLBACKS[number % 50 + 50] * (ATOMS // 1_000),
            ),
        )
    elif number % 3 == 1:
        price = MIDDLE + (away if side is Side.BUY else -away)
        order_type = OrderType.STOP_LOSS
        special = c.SpecialTerms(TriggerType.INDEX, price * TICK)
    else:
        price = MIDDLE + (-away if side is Side.BUY else away)
        order_type = OrderType.TAKE_PROFIT
        special = c.SpecialTerms(TriggerType.INDEX, price * TICK)
    return c.PlaceOrder(
        _owner(number),
        1,
        side,
        order_type,
        TimeInForce.IOC,
        0,
        ATOMS // 1_000,
        special=special,
    )


def _update_us(armed: int, updates: int) -> float:
    """Return microseconds of a price update, each a new high for the trailing stops."""
    session = Session()
    session.run(session.envelopes(setup_commands()))
    session.run(session.envelopes([_conditional(number) for number in range(armed)]))
    waiting = len(session.exchange.image().orders)
    if waiting != armed:
        raise ValueError(f"{waiting} of {armed} orders wait")
    # A new high in steps far below the nearest trigger.
    prices = [(MIDDLE * TICK + 1 + step * TICK * 900 // updates) for step in range(updates)]
    envelopes = session.envelopes([c.UpdateIndexPrices(((1, price),)) for price in prices])
    seconds, _ = _quietly(session, envelopes)
    if session.exchange.has_task:
        raise ValueError("a price fired something")
    return seconds / updates * 1e6


def _quietly(session: Session, envelopes: list[c.Envelope]) -> tuple[float, object]:
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        return session.run(envelopes)
    finally:
        gc.enable()
        gc.unfreeze()


def _command_us(resting: int, commands: int) -> float:
    """Return the median microseconds of a command beside so many resting orders."""
    session = Session()
    session.run(session.envelopes(setup_commands()))
    first = session.exchange.sequences.order
    session.run(session.envelopes([_resting(number) for number in range(resting)]))
    if session.exchange.sequences.order != first + resting:
        raise ValueError("an order was refused")
    random = Random(1)
    open_ids = [first + 1 + number for number in range(min(resting, commands))]
    flow: list[c.AnyCommand] = []
    for number in range(commands):
        if number % 2 and open_ids:
            place = random.randrange(len(open_ids))
            open_ids[place], open_ids[-1] = open_ids[-1], open_ids[place]
            order_id = open_ids.pop()
            flow.append(c.CancelOrder(_owner(order_id - first - 1), order_id))
        else:
            flow.append(_resting(resting + number))
    apply, drain = session.exchange.apply, session.exchange.drain
    envelopes = session.envelopes(flow)
    times: list[float] = []
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for index, envelope in enumerate(envelopes):
            started = time.perf_counter()
            apply(envelope)
            times.append(time.perf_counter() - started)
            if index % BATCH == 0:
                drain()
    finally:
        gc.enable()
        gc.unfreeze()
    return percentile(times, 0.5) * 1e6


def _resting(number: int) -> c.PlaceOrder:
    side = Side.BUY if number % 2 else Side.SELL
    away = 1 + number * 31 % 5_000
    return c.PlaceOrder(
        _owner(number),
        1,
        side,
        OrderType.LIMIT,
        TimeInForce.GTC,
        (MIDDLE + (-away if side is Side.BUY else away)) * TICK,
        ATOMS // 1_000,
    )


def measure(options: Options) -> Section:
    """Return what armed triggers add to a price update, and depth to a command."""
    section = Section(
        key="triggers",
        title="Waiting orders: what they cost others",
        header=("case", "few", "many", "bound"),
    )
    armed, resting = ARMED, RESTING[1]
    if options.quick:
        armed, resting = armed // 100, resting // 100
    updates, commands = (UPDATES // 10, COMMANDS // 10) if options.quick else (UPDATES, COMMANDS)
    few = median(_update_us(6, updates) for _ in range(options.rounds))
    many = median(_update_us(armed, updates) for _ in range(options.rounds))
    section.rows.append(
        (
            f"price update, 6 and {armed:,d} armed",
            f"{few:.2f} µs",
            f"{many:.2f} µs",
            section.bound(many - few < UPDATE_BOUND_US, f"adds {many - few:.2f} of 5 µs"),
        )
    )
    say("  " + " | ".join(section.rows[-1]))
    small, large = _command_us(RESTING[0], commands), _command_us(resting, commands)
    section.rows.append(
        (
            f"command (p50), {RESTING[0]:,d} and {resting:,d} resting",
            f"{small:.2f} µs",
            f"{large:.2f} µs",
            section.bound(large <= 2 * small, f"x {large / small:.2f} of 2"),
        )
    )
    say("  " + " | ".join(section.rows[-1]))
    section.notes.append(
        "A third each are stops, take-profits and trailing stops (50 callback rates on both "
        "sides); each update is a new high. Commands: places that rest, and cancels, in turn."
    )
    return section
