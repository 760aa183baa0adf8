"""A new price: which conditional orders it fires, and which trailing stops follow it."""

from __future__ import annotations

from collections import deque

from exchange.core.enums import OrderStatus, TriggerType
from exchange.core.market import Market
from exchange.core.memory import Memory
from exchange.core.state import Order
from exchange.core.tasks import ActivateTask, FireTask
from exchange.core.trailing import FiredLine, Trail, in_turn
from exchange.core.triggers import (
    TriggerLevels,
    Triggers,
    is_reached,
    is_rising,
    turn_of,
)
from exchange.core.units import RATE_ONE


def observe(memory: Memory, market_id: int, trigger_type: TriggerType, price_atoms: int) -> None:
    """
    Take a price of a kind into account; what it fires becomes a task.

    A market that is not trading fires at no price: its conditional orders stay armed and
    meet the first price after it resumed. Trailing stops that are active follow every price.
    Orders with price protection are left alone while last and mark price are far apart.
    """
    market = memory.markets[market_id]
    triggers = market.triggers(trigger_type)
    trails = triggers.trails
    for trail in trails.values():
        storer = trail.follow(price_atoms)
        if storer is not None:
            memory.changes.orders[storer.order_id] = storer
    if not memory.evaluates(market):
        return
    for plain, protected in (
        (triggers.rising, triggers.protected_rising),
        (triggers.falling, triggers.protected_falling),
    ):
        believed = protected.is_reached(price_atoms) and are_close(market)
        if believed or plain.is_reached(price_atoms):
            fired = [plain, protected] if believed else [plain]
            _fire_levels(memory, market_id, trigger_type, fired, price_atoms, protected=believed)
    for (_, guarded), trail in trails.items():
        if trail.is_reached(price_atoms) and (not guarded or are_close(market)):
            _fire_trails(memory, market, trigger_type, triggers, price_atoms)
            break
    for levels in (triggers.rising_starts, triggers.falling_starts):
        if levels.is_reached(price_atoms):
            _activate(memory, market_id, trigger_type, triggers, levels, price_atoms)


def are_close(market: Market) -> bool:
    """
    Tell whether last and mark price agree well enough for protected orders to fire.

    They do where the market does not ask, or where one of the two is not known.
    """
    rate_e8 = market.config.safety.trigger_protect_e8
    mark, last = market.trigger_price(TriggerType.MARK), market.last_atoms
    if not rate_e8 or not mark or not last:
        return True
    return abs(mark - last) * RATE_ONE <= mark * rate_e8


def _fire_levels(
    memory: Memory,
    market_id: int,
    trigger_type: TriggerType,
    fired: list[TriggerLevels],
    price_atoms: int,
    *,
    protected: bool,
) -> None:
    """Take out what a price reached of the triggers of one direction."""
    rising = fired[0].rising
    reached = [
        order
        for levels in fired
        for level in levels.take_reached(price_atoms)
        for order in level.values()
    ]
    if protected:
        reached.sort(key=turn_of)
    farthest = abs(turn_of(reached[0])[0])
    last = memory.tasks[-1] if memory.tasks else None
    if (
        isinstance(last, FireTask)
        and not last.trails
        and (last.market_id, last.trigger_type) == (market_id, trigger_type)
        and (last.rising, last.protected) == (rising, protected)
        and (farthest > last.price_atoms if rising else farthest < last.price_atoms)
    ):
        # All that this price fires lies beyond all that the task fires, in its direction.
        task = last
        task.price_atoms = price_atoms
        task.below_priority = memory.next_priority()
    else:
        task = _add_task(memory, market_id, trigger_type, price_atoms, rising=rising)
        task.protected = protected
    memory.fired[task.number].extend(reached)


def _fire_trails(
    memory: Memory,
    market: Market,
    trigger_type: TriggerType,
    triggers: Triggers,
    price_atoms: int,
) -> None:
    """Fire the trailing stops whose callback a price reaches."""
    task = _add_task(memory, market.config.market_id, trigger_type, price_atoms, rising=False)
    fired: list[FiredLine] = []
    for (side, guarded), trail in triggers.trails.items():
        if guarded and not are_close(market):
            continue
        for rate_e8, number, orders in trail.take_reached(price_atoms):
            task.trails.append((side, rate_e8, number, guarded))
            fired.append((rate_e8, side, orders))
    memory.fired[task.number].extend(in_turn(fired))


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
    started: dict[bool, list[Order]] = {}
    everyone: list[Order] = []
    for level in levels.take_reached(price_atoms):
        for order in level.values():
            terms = order.terms
            if terms is not None:
                terms.extreme_atoms = price_atoms
                terms.activation_number = number
                started.setdefault(terms.price_protect, []).append(order)
                everyone.append(order)
    for protected, orders in started.items():
        newest = orders[-1]
        memory.changes.orders[newest.order_id] = newest
        triggers.trail(newest.side, protected=protected).start(price_atoms, number, orders)
    memory.tasks.append(ActivateTask(number, market_id, trigger_type, levels.rising, price_atoms))
    memory.fired[number] = deque(sorted(everyone, key=_number_of))


def _number_of(order: Order) -> int:
    return order.order_id


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
    places: dict[TriggerLevels | Trail, list[Order]] = {}
    for task in tasks:
        memory.tasks.remove(task)
        triggers = market.triggers(task.trigger_type)
        for order in memory.fired.pop(task.number):
            terms = order.terms
            # One that ended, or fired already, takes no part.
            alive = memory.orders.get(order.order_id) is order
            if terms is None or not alive or order.status is not OrderStatus.UNTRIGGERED:
                continue
            place = (
                triggers.trail_of(order, terms) if task.trails else triggers.levels(order, terms)
            )
            places.setdefault(place, []).append(order)
    for place, orders in places.items():
        place.put_back(orders)


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
    if task.trails:
        lines = [
            (rate, side, triggers.trail(side, protected=protected).take_through(rate, number))
            for side, rate, number, protected in task.trails
        ]
        memory.fired[task.number] = deque(in_turn(lines))
        return
    fired: list[Order] = []
    for protected in (False, True) if task.protected else (False,):
        levels = triggers.fixed(rising=task.rising, protected=protected)
        fired += levels.take_older(task.price_atoms, task.below_priority)
    memory.fired[task.number] = deque(sorted(fired, key=turn_of))
