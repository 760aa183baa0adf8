"""A new price: which conditional orders it fires, and which trailing stops follow it."""

from __future__ import annotations

from collections import deque
from itertools import chain

from exchange.core.enums import MarketStatus, Side, TriggerType
from exchange.core.memory import Market, Memory
from exchange.core.state import FireTask, Order
from exchange.core.triggers import TriggerLevels, Triggers


def observe(memory: Memory, market_id: int, trigger_type: TriggerType, price_atoms: int) -> None:
    """
    Take a price of a kind into account; what it fires becomes a task.

    A market that is not trading looks at no price: its conditional orders stay armed and
    meet the first price after it resumed.
    """
    market = memory.markets[market_id]
    if market.config.status is not MarketStatus.TRADING:
        return
    triggers = market.triggers(trigger_type)
    for levels in (triggers.rising, triggers.falling):
        if levels.is_reached(price_atoms):
            _fire_levels(memory, market_id, trigger_type, levels, price_atoms)
    if triggers.buckets:
        _follow(memory, market_id, trigger_type, triggers, price_atoms)


def _fire_levels(
    memory: Memory,
    market_id: int,
    trigger_type: TriggerType,
    levels: TriggerLevels,
    price_atoms: int,
) -> None:
    reached = levels.take_reached(price_atoms)
    last = memory.tasks[-1] if memory.tasks else None
    if (
        isinstance(last, FireTask)
        and not last.trails
        and (last.market_id, last.trigger_type, last.rising)
        == (market_id, trigger_type, levels.rising)
    ):
        task = last
        task.price_atoms = price_atoms
        task.below_priority = memory.next_priority()
    else:
        task = _add_task(memory, market_id, trigger_type, price_atoms, rising=levels.rising)
    memory.fired[task.number].extend(chain.from_iterable(level.values() for level in reached))


def _follow(
    memory: Memory,
    market_id: int,
    trigger_type: TriggerType,
    triggers: Triggers,
    price_atoms: int,
) -> None:
    """Move the extremes of trailing stops, then fire those whose callback is reached."""
    fired: list[tuple[list[Order], tuple[Side, int, int]]] = []
    for bucket in triggers.ordered_buckets():
        storer = bucket.follow(price_atoms)
        if storer is not None:
            memory.changes.orders[storer.order_id] = storer
        reached = bucket.take_reached(price_atoms)
        if reached:
            newest = reached[-1].terms
            number = newest.activation_number if newest is not None else 0
            fired.append((reached, (bucket.side, bucket.rate_e8, number)))
    if not fired:
        return
    task = _add_task(memory, market_id, trigger_type, price_atoms, rising=False)
    for orders, trail in fired:
        task.trails.append(trail)
        memory.fired[task.number].extend(orders)


def _add_task(
    memory: Memory, market_id: int, trigger_type: TriggerType, price_atoms: int, *, rising: bool
) -> FireTask:
    number = memory.next_priority()
    task = FireTask(number, market_id, trigger_type, rising, price_atoms, number, [])
    memory.tasks.append(task)
    memory.fired[number] = deque()
    return task


def restore_fired(memory: Memory, market: Market, task: FireTask) -> None:
    """Take out of the triggers what a task of an earlier run still has to carry out."""
    triggers = market.triggers(task.trigger_type)
    queue = memory.fired[task.number] = deque()
    if task.trails:
        for side, rate_e8, number in task.trails:
            queue.extend(triggers.bucket(side, rate_e8).take_through(number))
        return
    levels = triggers.rising if task.rising else triggers.falling
    queue.extend(levels.take_older(task.price_atoms, task.below_priority))
