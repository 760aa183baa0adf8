"""Orders that belong together: OCO pairs and brackets."""

from __future__ import annotations

import msgspec

from exchange.core import checks, margin_checks, protecting
from exchange.core.commands import PlaceLinkedOrders, PlaceOrder
from exchange.core.enums import (
    EndReason,
    LinkKind,
    MarketStatus,
    OrderStatus,
    OrderType,
    Side,
)
from exchange.core.events import AnyEvent, Outcome
from exchange.core.executing import execute
from exchange.core.ledger import Account, hold_of
from exchange.core.market import Market
from exchange.core.matching import Plan
from exchange.core.memory import Memory
from exchange.core.observing import observe
from exchange.core.placing import (
    PlacePlan,
    arm,
    check_order,
    new_order,
    plan_funds,
    register,
)
from exchange.core.rejects import Code
from exchange.core.state import Order, Terms
from exchange.core.taking import plan_order, plan_waiting
from exchange.core.tasks import ArmTask
from exchange.core.triggers import CONDITIONAL_TYPES

_PROFIT_TYPES = (OrderType.LIMIT, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)
_STOP_TYPES = (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT, OrderType.TRAILING_STOP)


class LinkPlan(msgspec.Struct, gc=False):
    """A group that passed every check: its orders, and the entry's own plan in a bracket."""

    account: Account
    market: Market
    orders: list[Order]
    entry: PlacePlan | None
    needed_atoms: int


def plan_linked(memory: Memory, command: PlaceLinkedOrders) -> LinkPlan | Code:
    """Return what placing the group would do, or why it is refused."""
    if not command.orders:
        return Code.OCO_LEGS
    first = command.orders[0]
    account = memory.ledger.accounts.get(command.account_id)
    market = memory.markets.get(first.market_id)
    code = checks.check_open(memory, first, account, market)
    if code or account is None or market is None:
        return code
    if command.kind is LinkKind.OCO:
        code = _check_oco(command, market)
    else:
        code = _check_bracket(command, market)
    if code:
        return code
    for index, leg in enumerate(command.orders):
        waits = command.kind is LinkKind.ENTRY and index > 0
        code = check_order(memory, leg, market, waits=waits)
        if code:
            return code
    code = _check_room(memory, account, command) or _check_margined(
        memory, account, market, command
    )
    if code:
        return code
    orders = _new_orders(memory, command, account, market)
    if command.kind is LinkKind.OCO:
        return _plan_oco(memory, account, market, orders)
    return _plan_bracket(memory, account, market, orders)


def _same_owner(command: PlaceLinkedOrders) -> bool:
    first = command.orders[0]
    return all(
        (leg.account_id, leg.market_id) == (command.account_id, first.market_id)
        and not leg.client_order_id
        for leg in command.orders
    )


def _check_oco(command: PlaceLinkedOrders, market: Market) -> Code:
    legs = command.orders
    if len(legs) != 2 or not _same_owner(command):
        return Code.OCO_LEGS
    profit, stop = legs
    if (
        profit.order_type not in _PROFIT_TYPES
        or stop.order_type not in _STOP_TYPES
        or profit.side is not stop.side
        or profit.quantity_atoms != stop.quantity_atoms
        or (profit.time_in_force not in checks.RESTING and profit.order_type is OrderType.LIMIT)
    ):
        return Code.OCO_LEGS
    reference = market.last_atoms or market.index_atoms
    if not reference:
        return Code.REFERENCE_PRICE_MISSING
    special = stop.special
    profit_price = _leg_price(profit)
    stop_price = special.trigger_price_atoms if special is not None else 0
    if profit.side is Side.SELL:
        ordered = profit_price > reference and (not stop_price or stop_price < reference)
    else:
        ordered = profit_price < reference and (not stop_price or stop_price > reference)
    if not ordered:
        return Code.LEG_PRICES
    best = market.book.opposite(profit.side).best_price()
    if profit.order_type is OrderType.LIMIT and best:
        crosses = profit_price >= best if profit.side is Side.BUY else profit_price <= best
        if crosses:
            return Code.LEG_PRICES
    return Code.OK


def _leg_price(leg: PlaceOrder) -> int:
    if leg.order_type is OrderType.LIMIT or leg.special is None:
        return leg.price_atoms
    return leg.special.trigger_price_atoms


def _check_bracket(command: PlaceLinkedOrders, market: Market) -> Code:
    legs = command.orders
    if not 2 <= len(legs) <= 3 or not _same_owner(command):
        return Code.BRACKET_LEGS
    entry, *children = legs
    if entry.order_type not in (OrderType.LIMIT, OrderType.MARKET) or entry.quote_quantity_atoms:
        return Code.BRACKET_LEGS
    if any(
        child.side is entry.side
        or child.quantity_atoms != entry.quantity_atoms
        or child.order_type not in _PROFIT_TYPES + _STOP_TYPES
        or child.order_type is OrderType.TRAILING_STOP
        or child.post_only
        or (child.order_type is OrderType.LIMIT and child.time_in_force not in checks.RESTING)
        for child in children
    ):
        return Code.BRACKET_LEGS
    kinds = [child.order_type in _PROFIT_TYPES for child in children]
    if len(kinds) == 2 and kinds != [True, False]:
        return Code.BRACKET_LEGS
    opposite = market.book.opposite(entry.side)
    price = entry.price_atoms or opposite.best_price() or market.last_atoms
    if not price:
        return Code.REFERENCE_PRICE_MISSING
    for child, is_profit in zip(children, kinds, strict=True):
        above = is_profit == (entry.side is Side.BUY)
        if _leg_price(child) <= price if above else _leg_price(child) >= price:
            return Code.LEG_PRICES
    return Code.OK


def _new_orders(
    memory: Memory, command: PlaceLinkedOrders, account: Account, market: Market
) -> list[Order]:
    orders: list[Order] = []
    link_id = memory.sequences.order + 1
    for index, leg in enumerate(command.orders):
        order = new_order(memory, leg, account, market)
        order.order_id = link_id + index
        order.previous_id = link_id + index - 1 if index else order.previous_id
        order.priority += index
        terms = order.terms = order.terms or Terms()
        terms.link_id = link_id
        terms.link_kind = command.kind
        if command.kind is LinkKind.ENTRY and index:
            terms.link_kind = LinkKind.CHILD
            terms.holds = False
            order.status = OrderStatus.WAITING
        orders.append(order)
    if command.client_order_id:
        orders[0].client_order_id = command.client_order_id
        orders[0].request_hash = command.request_hash
    return orders


def _check_room(memory: Memory, account: Account, command: PlaceLinkedOrders) -> Code:
    """Check that the account may have so many more orders in the market."""
    market_id = command.orders[0].market_id
    if any(protecting.may_rest(leg) for leg in command.orders) and protecting.is_frozen(
        account, market_id, memory.time_ms
    ):
        return Code.QUOTES_FROZEN
    count = account.open_counts.get(market_id, 0) + len(command.orders)
    return Code.TOO_MANY_OPEN_ORDERS if count > account.config.open_orders_max else Code.OK


def _check_margined(
    memory: Memory, account: Account, market: Market, command: PlaceLinkedOrders
) -> Code:
    """Check the legs that meet a perpetual market now; a bracket's children come later."""
    if market.contract is None:
        return Code.OK
    now = command.orders if command.kind is LinkKind.OCO else command.orders[:1]
    for leg in now:
        code = margin_checks.check_placing(memory, account, market, leg)
        if code:
            return code
    return Code.OK


def _plan_oco(
    memory: Memory, account: Account, market: Market, orders: list[Order]
) -> LinkPlan | Code:
    """Funds are held once, by the leg that needs more; margin is the resting leg's."""
    if orders[0].margined:
        if orders[0].order_type not in CONDITIONAL_TYPES:
            code = plan_waiting(memory, account, market, orders[0])
            if code:
                return code
        return LinkPlan(account, market, orders, None, 0)
    needs = [hold_of(order) for order in orders]
    holder = needs.index(max(needs))
    wallet = account.spot.get(market.paying_asset_id(orders[0].side))
    if wallet is None or max(needs) > wallet.total_atoms - wallet.held_atoms:
        return Code.INSUFFICIENT_BALANCE
    for index, order in enumerate(orders):
        if order.terms is not None:
            order.terms.holds = index == holder
    return LinkPlan(account, market, orders, None, max(needs))


def _plan_bracket(
    memory: Memory, account: Account, market: Market, orders: list[Order]
) -> LinkPlan | Code:
    entry = plan_funds(memory, account, market, orders[0])
    if isinstance(entry, Code):
        return entry
    return LinkPlan(account, market, orders, entry, entry.needed_atoms)


def place_linked(memory: Memory, plan: LinkPlan) -> Outcome:
    """Carry out a plan of :func:`plan_linked`; cannot fail."""
    events: list[AnyEvent] = []
    for order in plan.orders:
        register(memory, plan.account, plan.market, order)
    if plan.entry is None:
        for order in plan.orders:
            _open_leg(memory, plan.account, plan.market, order, events)
    else:
        _open_bracket(memory, plan, plan.entry, events)
    return Outcome(Code.OK, plan.orders[0].order_id, events)


def _open_bracket(memory: Memory, plan: LinkPlan, entry: PlacePlan, events: list[AnyEvent]) -> None:
    order = entry.order
    execute(memory, plan.account, plan.market, order, entry.match, entry.needed_atoms, events)
    for child in plan.orders[1:]:
        memory.list_order(plan.account, child)
        events.append(memory.changed(child))
    if order.order_id not in memory.orders:
        memory.tasks.append(ArmTask(order.order_id, order.filled_atoms))


def _open_leg(
    memory: Memory, account: Account, market: Market, order: Order, events: list[AnyEvent]
) -> None:
    """Let one leg wait or rest; it does not trade now."""
    held = hold_of(order)
    if order.order_type in CONDITIONAL_TYPES:
        order.status = OrderStatus.UNTRIGGERED
        arm(memory, account, market, order, held, events)
        return
    memory.rest(account, market, order, held)
    events.append(memory.changed(order))


def arm_step(memory: Memory, task: ArmTask, events: list[AnyEvent]) -> bool:
    """
    Arm the children of a bracket whose entry ended, over what it filled.

    Without anything filled, or without the funds, they end. One whose price is reached
    already fires or trades at once.
    """
    children = [memory.orders[order_id] for order_id in memory.links.get(task.entry_id, ())]
    if not children:
        return True
    first = children[0]
    account = memory.ledger.accounts[first.account_id]
    market = memory.markets[first.market_id]
    reason = _why_not_armed(memory, account, market, children, task.filled_atoms)
    if reason is not EndReason.NONE:
        for child in children:
            memory.end(child, OrderStatus.CANCELLED, reason, events)
        return True
    for child in children:
        memory.set_hold(account, market, child, hold_of(child))
        child.priority = memory.next_priority()
        if child.order_type in CONDITIONAL_TYPES and child.terms is not None:
            child.status = OrderStatus.UNTRIGGERED
            market.triggers(child.terms.trigger_type).add(child, child.terms)
            events.append(memory.changed(child))
    for child in children:
        if child.order_type not in CONDITIONAL_TYPES:
            _open_limit_child(memory, account, market, child, events)
    _observe_again(memory, market, children)
    return True


def _why_not_armed(
    memory: Memory, account: Account, market: Market, children: list[Order], filled_atoms: int
) -> EndReason:
    """Size the children to what their entry filled; return why they end instead, if they do."""
    if market.config.status is MarketStatus.SETTLED:
        return EndReason.MARKET_SETTLED
    if not filled_atoms:
        return EndReason.ENTRY_NOT_FILLED
    if _size_children(memory, account, market, children, filled_atoms):
        return EndReason.NONE
    margined = children[0].margined
    return EndReason.INSUFFICIENT_MARGIN if margined else EndReason.INSUFFICIENT_BALANCE


def _size_children(
    memory: Memory, account: Account, market: Market, children: list[Order], filled_atoms: int
) -> bool:
    """Size the children and decide who holds for both; tell whether that can be paid for."""
    for child in children:
        child.quantity_atoms = child.remaining_atoms = filled_atoms
        if child.terms is not None:
            child.terms.holds = True
            child.terms.link_kind = LinkKind.OCO
    if children[0].margined:
        return _margin_suffices(memory, account, market, children)
    needs = [hold_of(child) for child in children]
    holder = needs.index(max(needs))
    for index, child in enumerate(children):
        if child.terms is not None:
            child.terms.holds = index == holder
    wallet = account.spot.get(market.paying_asset_id(children[0].side))
    return wallet is not None and max(needs) <= wallet.total_atoms - wallet.held_atoms


def _margin_suffices(
    memory: Memory, account: Account, market: Market, children: list[Order]
) -> bool:
    """Size children that only reduce to what the position has left; check the resting one."""
    for child in children:
        if child.terms is not None and child.terms.reduce_only:
            room = margin_checks.room_to_reduce(account, child, children)
            if not room:
                return False
            child.remaining_atoms = min(child.remaining_atoms, room)
    first = children[0]
    if first.order_type in CONDITIONAL_TYPES:
        return True
    return plan_waiting(memory, account, market, first) is Code.OK


def _open_limit_child(
    memory: Memory, account: Account, market: Market, child: Order, events: list[AnyEvent]
) -> None:
    """Let a limit child rest; if it crosses by now it takes, and the stop ends."""
    match = plan_order(memory, account, market, child)
    if isinstance(match, Code) and child.margined:
        memory.end(child, OrderStatus.CANCELLED, EndReason.INSUFFICIENT_MARGIN, events)
        return
    if isinstance(match, Plan):
        if not memory.evaluates(market):
            # Nobody trades now; the stop, which waits for trading to go on, stays.
            memory.end(child, OrderStatus.CANCELLED, EndReason.MARKET_NOT_TRADING, events)
            for other_id in memory.links.get(child.terms.link_id if child.terms else 0, ()):
                memory.claim_hold(memory.orders[other_id])
            return
        memory.end_other_leg(child, events)
        memory.claim_hold(child)
    child.status = OrderStatus.OPEN
    held = hold_of(child)
    memory.set_hold(account, market, child, 0)
    plan = match if isinstance(match, Plan) else None
    execute(memory, account, market, child, plan, held, events, listed=True)


def _observe_again(memory: Memory, market: Market, children: list[Order]) -> None:
    """Let children whose trigger is reached already fire."""
    for child in children:
        terms = child.terms
        if child.status is OrderStatus.UNTRIGGERED and terms is not None:
            price = market.trigger_price(terms.trigger_type)
            if price:
                observe(memory, child.market_id, terms.trigger_type, price)
