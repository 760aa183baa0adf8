"""Placing an order: what it would do, planned, and then done."""

from __future__ import annotations

import msgspec

from exchange.core import checks, margin_checks, protecting
from exchange.core.commands import PlaceOrder
from exchange.core.enums import EndReason, OrderStatus, OrderType, SelfTradeMode, Side
from exchange.core.events import AnyEvent, Outcome
from exchange.core.executing import execute
from exchange.core.ledger import Account, hold_needed, hold_of
from exchange.core.market import Market
from exchange.core.matching import Plan
from exchange.core.memory import PRIORITY_SHIFT, Memory
from exchange.core.rejects import Code
from exchange.core.state import Order, Terms
from exchange.core.taking import plan_order, plan_taker
from exchange.core.triggers import CONDITIONAL_TYPES, MARKET_TYPES
from exchange.core.units import ATOMS, RATE_ONE, ceil_div

# A conditional market buy holds at its trigger price plus this, where neither its own
# slippage nor the market's band says otherwise.
CONDITIONAL_CAP_E8 = 5_000_000

_BUY = Side.BUY
_LIMIT, _MARKET = OrderType.LIMIT, OrderType.MARKET
_NO_REASON = EndReason.NONE
_DECREMENT = SelfTradeMode.DECREMENT
_OK = Code.OK
_OPEN, _UNTRIGGERED = OrderStatus.OPEN, OrderStatus.UNTRIGGERED


class PlacePlan(msgspec.Struct, gc=False):
    """Everything decided about an order before anything changes."""

    account: Account
    market: Market
    order: Order
    match: Plan | None
    needed_atoms: int


def plan_place(memory: Memory, command: PlaceOrder) -> PlacePlan | Code:
    """Return what placing the order would do, or why it is refused. Changes nothing."""
    account = memory.ledger.accounts.get(command.account_id)
    market = memory.markets.get(command.market_id)
    code = checks.check_open(memory, command, account, market)
    if code or account is None or market is None:
        return code
    value = checks.plain_value(command, market)
    if not value:
        code = check_order(memory, command, market)
        if code:
            return code
    if (
        account.protections
        and protecting.may_rest(command)
        and protecting.is_frozen(account, command.market_id, memory.time_ms)
    ):
        return Code.QUOTES_FROZEN
    # What cannot rest is not counted: an account at its limit can still trade out.
    if (
        account.open_counts.get(command.market_id, 0) >= account.config.open_orders_max
        and (command.time_in_force in checks.RESTING or command.order_type in CONDITIONAL_TYPES)
    ):  # fmt: skip
        return Code.TOO_MANY_OPEN_ORDERS
    if market.contract is not None:
        code = margin_checks.check_placing(memory, account, market, command)
        if code:
            return code
    order = new_order(memory, command, account, market)
    return plan_funds(memory, account, market, order, value)


def check_order(
    memory: Memory, command: PlaceOrder, market: Market, *, waits: bool = False
) -> Code:
    """
    Return the first of an order's own faults.

    ``waits`` is for the children of a bracket, which meet the market later.
    """
    code = checks.check_shape(command)
    if not code and margin_checks.closes_position(command) and market.contract is not None:
        code = margin_checks.check_closing_shape(command)
    code = code or checks.check_size(command, market.config)
    if not code and command.order_type not in MARKET_TYPES:
        code = checks.check_price(command, market)
    return (
        code
        or checks.check_value(command, market)
        or checks.check_special(command, market, memory.time_ms, waits=waits)
    )


def plan_funds(
    memory: Memory, account: Account, market: Market, order: Order, value_atoms: int = 0
) -> PlacePlan | Code:
    """
    Return the plan of an order that passed its checks, unless it cannot be paid for.

    ``value_atoms`` is price x quantity where the caller knows it.
    """
    if order.margined:
        return _plan_margin(memory, account, market, order)
    match: Plan | None = None
    buys = order.side is _BUY
    if order.status is _UNTRIGGERED:
        needed = hold_of(order)
    else:
        planned = plan_taker(market, order, memory.time_ms)
        if isinstance(planned, Code):
            return planned
        match = planned
        if order.order_type is _LIMIT:
            needed = order.quantity_atoms
            if buys:
                needed = hold_needed(order, value_atoms or order.price_atoms * needed // ATOMS)
        else:
            needed = _cost(order, match)
    config = market.config
    wallet = account.spot.get(config.quote_asset_id if buys else config.base_asset_id)
    if wallet is None or needed > wallet.total_atoms - wallet.held_atoms:
        return Code.INSUFFICIENT_BALANCE
    return PlacePlan(account, market, order, match, needed)


def _plan_margin(
    memory: Memory, account: Account, market: Market, order: Order
) -> PlacePlan | Code:
    """Return the plan of an order of a perpetual market; one that waits takes no margin yet."""
    if order.status is _UNTRIGGERED:
        return PlacePlan(account, market, order, None, hold_of(order))
    planned = plan_order(memory, account, market, order)
    if isinstance(planned, Code):
        return planned
    return PlacePlan(account, market, order, planned, hold_of(order))


def _cost(order: Order, match: Plan | None) -> int:
    """Return what a market order pays by its plan; at least one atom must be there."""
    if match is None:
        return 1
    if order.side is Side.SELL:
        return max(1, match.filled_atoms)
    return max(1, match.quote_atoms + ceil_div(match.quote_atoms * order.taker_rate_e8, RATE_ONE))


def new_order(memory: Memory, command: PlaceOrder, account: Account, market: Market) -> Order:
    """Return the order a command describes, with the next number; nothing is changed."""
    sequences = memory.sequences
    tier = memory.fee_tiers[account.config.fee_tier]
    mode = command.self_trade_mode or account.config.self_trade_mode
    if mode is _DECREMENT and command.quote_quantity_atoms:
        # A size in quote cannot be decremented, so its taker expires.
        mode = SelfTradeMode.EXPIRE_TAKER
    order = Order(
        sequences.order + 1,
        command.account_id,
        command.market_id,
        command.client_order_id,
        command.request_hash,
        command.side,
        command.order_type,
        command.time_in_force,
        command.post_only,
        mode,
        command.price_atoms,
        command.quantity_atoms,
        command.quote_quantity_atoms,
        command.quantity_atoms,
        0,
        0,
        0,
        0,
        tier.maker_rate_e8,
        tier.taker_rate_e8,
        _OPEN,
        _NO_REASON,
        sequences.command << PRIORITY_SHIFT,
        account.last_order_id,
        memory.time_ms,
        memory.time_ms,
    )
    order.margined = market.contract is not None
    if command.special is not None or command.slippage_rate_e8:
        _add_terms(order, command, market)
    return order


def _add_terms(order: Order, command: PlaceOrder, market: Market) -> None:
    special = command.special
    terms = order.terms = Terms(slippage_rate_e8=command.slippage_rate_e8)
    if special is None:
        return
    terms.trigger_type = special.trigger_type
    terms.trigger_price_atoms = special.trigger_price_atoms
    terms.activation_price_atoms = special.activation_price_atoms
    terms.callback_rate_e8 = special.callback_rate_e8
    terms.display_atoms = special.display_atoms
    terms.expires_ms = special.expires_ms
    terms.reprice = special.reprice
    terms.price_protect = special.price_protect
    terms.reduce_only = special.reduce_only
    terms.close_position = special.close_position
    if order.order_type in CONDITIONAL_TYPES:
        order.status = OrderStatus.UNTRIGGERED
        if order.order_type is OrderType.TRAILING_STOP and not terms.activation_price_atoms:
            terms.extreme_atoms = market.trigger_price(terms.trigger_type)
        if order.order_type in MARKET_TYPES and order.side is _BUY:
            terms.cap_atoms = conditional_cap(terms, market)
    elif special.reprice and order.post_only:
        step_back(order, market)


def step_back(order: Order, market: Market) -> None:
    """Move a post-only order that would cross one tick behind the best opposite price."""
    best = market.book.opposite(order.side).best_price()
    tick = market.config.tick_atoms
    if not best:
        return
    if order.side is _BUY and order.price_atoms >= best > tick:
        order.price_atoms = best - tick
    elif order.side is Side.SELL and order.price_atoms <= best:
        order.price_atoms = best + tick


def conditional_cap(terms: Terms, market: Market) -> int:
    """Return the worst price a conditional market buy may pay, rounded up to the tick."""
    rate = terms.slippage_rate_e8 or market.config.market_band_e8 or CONDITIONAL_CAP_E8
    trigger = terms.trigger_price_atoms
    if terms.callback_rate_e8:
        start = terms.activation_price_atoms or terms.extreme_atoms
        trigger = ceil_div(start * (RATE_ONE + terms.callback_rate_e8), RATE_ONE)
    tick = market.config.tick_atoms
    return ceil_div(trigger * (RATE_ONE + rate), RATE_ONE * tick) * tick


def place(memory: Memory, plan: PlacePlan) -> Outcome:
    """Carry out a plan of :func:`plan_place`; cannot fail."""
    account, market, order = plan.account, plan.market, plan.order
    events: list[AnyEvent] = []
    register(memory, account, market, order)
    if order.status is _UNTRIGGERED:
        arm(memory, account, market, order, plan.needed_atoms, events)
    else:
        execute(memory, account, market, order, plan.match, plan.needed_atoms, events)
    return Outcome(_OK, order.order_id, events)


def register(memory: Memory, account: Account, market: Market, order: Order) -> None:
    """Give an order its number for good; in a perpetual market it has a slot from now on."""
    memory.sequences.order = order.order_id
    account.last_order_id = order.order_id
    if order.margined:
        memory.position(account, market)
        memory.touch_margin(account, market)


def arm(
    memory: Memory,
    account: Account,
    market: Market,
    order: Order,
    held_atoms: int,
    events: list[AnyEvent],
) -> None:
    """Let a conditional order wait for its price, with its hold."""
    terms = order.terms
    if terms is None:
        raise TypeError("a conditional order has terms")
    memory.set_hold(account, market, order, held_atoms)
    if terms.extreme_atoms:
        terms.activation_number = memory.next_priority()
    market.triggers(terms.trigger_type).add(order, terms)
    memory.list_order(account, order)
    events.append(memory.changed(order))
