"""A new price: which conditional orders it fires, and which trailing stops follow it."""

from __future__ import annotations

from collections import deque
from itertools import chain

from exchange.core.enums import Side, TriggerType
from exchange.core.memory import Market, Memory
from exchange.core.state import ActivateTask, FireTask, Order
from exchange.core.triggers import (
    TrailBucket,
    TrailGroup,
    TriggerLevels,
    Triggers,
    best_price,
    is_reached,
    is_rising,
)


def observe(memory: Memory, market_id: int, trigger_type: TriggerType, price_atoms: int) -> None:
    """
    Take a price of a kind into account; what it fires becomes a task.

    A market that is not trading fires at no price: its conditional orders stay armed and
    meet the first price after it resumed. Trailing stops that are active follow every price.
    """
    market = memory.markets[market_id]
    triggers = market.triggers(trigger_type)
    if triggers.buckets:
        _follow(memory, market, triggers, price_atoms)
    if not memory.evaluates(market):
        return
    for levels in (triggers.rising, triggers.falling):
        if levels.is_reached(price_atoms):
            _fire_levels(memory, market_id, trigger_type, levels, price_atoms)
    if triggers.buckets:
        _fire_trails(memory, market_id, trigger_type, triggers, price_atoms)
    for levels in (triggers.rising_starts, triggers.falling_starts):
        if levels.is_reached(price_atoms):
            _activate(memory, market_id, trigger_type, triggers, levels, price_atoms)


def _fire_levels(
    memory: Memory,
    market_id: int,
    trigger_type: TriggerType,
    levels: TriggerLevels,
    price_atoms: int,
) -> None:
    farthest = levels.keys[0] if levels.rising else levels.keys[-1]
    reached = levels.take_reached(price_atoms)
    last = memory.tasks[-1] if memory.tasks else None
    if isinstance(last, FireTask) and _goes_on(last, market_id, trigger_type, levels, farthest):
        task = last
        task.price_atoms = price_atoms
        task.below_priority = memory.next_priority()
    else:
        task = _add_task(memory, market_id, trigger_type, price_atoms, rising=levels.rising)
    memory.fired[task.number].extend(chain.from_iterable(level.values() for level in reached))


def _goes_on(
    task: FireTask,
    market_id: int,
    trigger_type: TriggerType,
    levels: TriggerLevels,
    farthest_atoms: int,
) -> bool:
    """Tell whether what a price fires lies beyond all that a task fires, in its direction."""
    if (
        task.trails
        or (task.market_id, task.trigger_type) != (market_id, trigger_type)
        or task.rising is not levels.rising
    ):
        return False
    if task.rising:
        return farthest_atoms > task.price_atoms
    return farthest_atoms < task.price_atoms


def _follow(memory: Memory, market: Market, triggers: Triggers, price_atoms: int) -> None:
    """Move the extremes of trailing stops, of those too whose turn to fire has not come."""
    for bucket in triggers.buckets.values():
        storer = bucket.follow(price_atoms)
        if storer is not None:
            memory.changes.orders[storer.order_id] = storer
    for task in memory.tasks:
        if (
            isinstance(task, FireTask)
            and task.market_id == market.config.market_id
            and market.triggers(task.trigger_type) is triggers
        ):
            task.trails = [
                (side, rate, number, best_price(side, price_atoms, extreme))
                for side, rate, number, extreme in task.trails
            ]


def _fire_trails(
    memory: Memory,
    market_id: int,
    trigger_type: TriggerType,
    triggers: Triggers,
    price_atoms: int,
) -> None:
    """Fire the trailing stops whose callback a price reaches."""
    if not any(bucket.is_reached(price_atoms) for bucket in triggers.buckets.values()):
        return
    fired: list[tuple[TrailBucket, TrailGroup]] = []
    for bucket in triggers.ordered_buckets():
        fired += [(bucket, group) for group in bucket.take_reached(price_atoms)]
    if not fired:
        return
    task = _add_task(memory, market_id, trigger_type, price_atoms, rising=False)
    for bucket, group in fired:
        trail = (bucket.side, bucket.rate_e8, group.newest_number, group.extreme_atoms)
        task.trails.append(trail)
        memory.fired[task.number].extend(group.orders.values())


def _activate(
    memory: Memory,
    market_id: int,
    trigger_type: TriggerType,
    triggers: Triggers,
    levels: TriggerLevels,
    price_atoms: int,
) -> None:
    """Let trailing stops follow the price from here on; their rows say so step by step."""
    number = memory.next_priority()
    started: dict[tuple[Side, int], dict[int, Order]] = {}
    for level in levels.take_reached(price_atoms):
        for order in level.values():
            terms = order.terms
            if terms is not None:
                terms.extreme_atoms = price_atoms
                terms.activation_number = number
                key = (order.side, terms.callback_rate_e8)
                started.setdefault(key, {})[order.order_id] = order
    everyone: dict[int, Order] = {}
    for (side, rate_e8), orders in started.items():
        newest = orders[next(reversed(orders))]
        memory.changes.orders[newest.order_id] = newest
        triggers.bucket(side, rate_e8).start(price_atoms, number, orders)
        everyone.update(orders)
    memory.tasks.append(ActivateTask(number, market_id, trigger_type, levels.rising, price_atoms))
    memory.fired[number] = deque(everyone[order_id] for order_id in sorted(everyone))


def _add_task(
    memory: Memory, market_id: int, trigger_type: TriggerType, price_atoms: int, *, rising: bool
) -> FireTask:
    number = memory.next_priority()
    task = FireTask(number, market_id, trigger_type, rising, price_atoms, number, [])
    memory.tasks.append(task)
    memory.fired[number] = deque()
    return task


def stay_armed(memory: Memory, market: Market) -> None:
    """Let fired orders of a market wait again: it stopped trading before their turn came."""
    market_id = market.config.market_id
    tasks = [t for t in memory.tasks if isinstance(t, FireTask) and t.market_id == market_id]
    trails: dict[tuple[TriggerType, Side, int], list[TrailGroup]] = {}
    for task in tasks:
        alive = [o for o in memory.fired.pop(task.number) if memory.orders.get(o.order_id) is o]
        memory.tasks.remove(task)
        triggers = market.triggers(task.trigger_type)
        if not task.trails:
            (triggers.rising if task.rising else triggers.falling).put_back(alive)
        for side, rate_e8, number, extreme in task.trails:
            orders = {o.order_id: o for o in alive if _is_of_trail(o, side, rate_e8, number)}
            alive = [order for order in alive if order.order_id not in orders]
            if orders:
                group = TrailGroup(extreme, number, orders)
                trails.setdefault((task.trigger_type, side, rate_e8), []).append(group)
    for (trigger_type, side, rate_e8), groups in trails.items():
        for storer in market.triggers(trigger_type).bucket(side, rate_e8).put_back(groups):
            memory.changes.orders[storer.order_id] = storer


def _is_of_trail(order: Order, side: Side, rate_e8: int, number: int) -> bool:
    terms = order.terms
    return (
        terms is not None
        and order.side is side
        and terms.callback_rate_e8 == rate_e8
        and terms.activation_number <= number
    )


def mark_active(memory: Memory, orders: list[Order]) -> None:
    """Tell loaded trailing stops that they are active: their rows may not say so yet."""
    tasks = [task for task in memory.tasks if isinstance(task, ActivateTask)]
    if not tasks:
        return
    for order in orders:
        terms = order.terms
        if terms is None or not terms.activation_price_atoms or terms.activation_number:
            continue
        for task in tasks:
            if (
                task.market_id == order.market_id
                and memory.markets[order.market_id].triggers(terms.trigger_type)
                is memory.markets[order.market_id].triggers(task.trigger_type)
                and is_rising(order.order_type, order.side) is task.rising
                and is_reached(task.price_atoms, terms.activation_price_atoms, rising=task.rising)
                and order.priority < task.number
            ):
                terms.extreme_atoms = task.price_atoms
                terms.activation_number = task.number
                break


def restore_announcing(memory: Memory, task: ActivateTask) -> None:
    """Queue what a task of an earlier run still has to announce."""
    memory.fired[task.number] = deque(
        order
        for order_id, order in sorted(memory.orders.items())
        if order_id > task.after_order_id
        and order.terms is not None
        and order.terms.activation_number == task.number
    )


def restore_fired(memory: Memory, market: Market, task: FireTask) -> None:
    """Take out of the triggers what a task of an earlier run still has to carry out."""
    triggers = market.triggers(task.trigger_type)
    queue = memory.fired[task.number] = deque()
    if task.trails:
        for side, rate_e8, number, _ in task.trails:
            queue.extend(triggers.bucket(side, rate_e8).take_through(number))
        return
    levels = triggers.rising if task.rising else triggers.falling
    queue.extend(levels.take_older(task.price_atoms, task.below_priority))
