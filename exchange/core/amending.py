"""Changing an open order in place."""

from __future__ import annotations

import msgspec

from exchange.core import checks, margin_checks, protecting
from exchange.core.commands import AmendOrder, PlaceOrder, SpecialTerms
from exchange.core.enums import EndReason, LinkKind, OrderStatus, OrderType
from exchange.core.events import AnyEvent, Outcome
from exchange.core.executing import execute
from exchange.core.ledger import Account, hold_of
from exchange.core.market import Market
from exchange.core.matching import Plan
from exchange.core.memory import Memory
from exchange.core.placing import conditional_cap, step_back
from exchange.core.rejects import Code
from exchange.core.state import Order
from exchange.core.taking import plan_order
from exchange.core.triggers import CONDITIONAL_TYPES, MARKET_TYPES


class AmendPlan(msgspec.Struct, gc=False):
    """
    What an amendment does to an order.

    ``order`` is the live one, ``amended`` a copy with the new values, its whole open
    quantity in ``remaining_atoms``; nothing open ends the order. ``in_place`` keeps the
    priority.
    """

    account: Account
    market: Market
    order: Order
    amended: Order
    in_place: bool
    match: Plan | None


def plan_amend(memory: Memory, command: AmendOrder) -> AmendPlan | Code:
    """Return what the amendment would do, or why it is refused."""
    account = memory.ledger.accounts.get(command.account_id)
    if account is None:
        return Code.ACCOUNT_NOT_FOUND
    if command.order_id:
        order = account.open_orders.get(command.order_id)
    else:
        order = account.open_by_client_id.get(command.client_order_id)
    if order is None:
        return Code.ORDER_NOT_FOUND
    market = memory.markets[order.market_id]
    code = _check_possible(command, market, order)
    if code:
        return code
    quantity = command.quantity_atoms or order.quantity_atoms
    open_atoms = order.open_atoms - (order.quantity_atoms - quantity)
    amended = _amended(command, order, quantity, max(open_atoms, 0))
    if _is_used_up(amended):
        return AmendPlan(account, market, order, amended, True, None)
    in_place = quantity < order.quantity_atoms and (
        amended.price_atoms == order.price_atoms and not _moves_trigger(order, amended)
    )
    code = _check_values(memory, account, market, amended, in_place=in_place)
    if code:
        return code
    return _plan_move(memory, account, market, order, amended, in_place=in_place)


def _is_used_up(amended: Order) -> bool:
    """Tell whether nothing is left; what closes a position has no size before it fires."""
    closes = amended.terms is not None and amended.terms.close_position
    return not amended.remaining_atoms and not closes


def _moves_trigger(order: Order, amended: Order) -> bool:
    if order.terms is None or amended.terms is None:
        return False
    return amended.terms.trigger_price_atoms != order.terms.trigger_price_atoms


def _check_possible(command: AmendOrder, market: Market, order: Order) -> Code:
    terms = order.terms
    if terms is not None and terms.link_kind is not LinkKind.NONE:
        return Code.AMEND_LINKED
    waiting = order.status is OrderStatus.UNTRIGGERED
    if command.price_atoms and order.order_type in MARKET_TYPES:
        return Code.AMEND_NOT_POSSIBLE
    if command.quantity_atoms and terms is not None and terms.close_position:
        return Code.AMEND_NOT_POSSIBLE
    if command.trigger_price_atoms and not (
        waiting and terms is not None and terms.trigger_price_atoms
    ):
        return Code.AMEND_NOT_POSSIBLE
    if waiting and terms is not None and not market.triggers(terms.trigger_type).has(order, terms):
        return Code.ORDER_NOT_FOUND  # a price has fired it; its turn comes in a moment
    same = (
        command.quantity_atoms in (0, order.quantity_atoms)
        and command.price_atoms in (0, order.price_atoms)
        and (
            not command.trigger_price_atoms
            or (terms is not None and command.trigger_price_atoms == terms.trigger_price_atoms)
        )
    )
    if min(command.quantity_atoms, command.price_atoms, command.trigger_price_atoms) < 0:
        return Code.INVALID_QUANTITY if command.quantity_atoms < 0 else Code.INVALID_PRICE
    return Code.AMEND_NO_CHANGE if same else Code.OK


def _amended(command: AmendOrder, order: Order, quantity: int, open_atoms: int) -> Order:
    amended = msgspec.structs.replace(order)
    amended.quantity_atoms = quantity
    amended.remaining_atoms = open_atoms
    amended.price_atoms = command.price_atoms or order.price_atoms
    if order.terms is not None:
        terms = amended.terms = msgspec.structs.replace(order.terms)
        terms.hidden_atoms = 0
        terms.trigger_price_atoms = command.trigger_price_atoms or terms.trigger_price_atoms
    return amended


def _check_values(
    memory: Memory, account: Account, market: Market, amended: Order, *, in_place: bool
) -> Code:
    """Check the amended order as if it were placed; less quantity alone needs no market."""
    placed = _as_placed(amended)
    if in_place:
        return checks.check_size(placed, market.config) or checks.check_value(placed, market)
    code = checks.check_open(memory, placed, account, market)
    code = code or checks.check_size(placed, market.config)
    if not code and placed.price_atoms:
        code = checks.check_price(placed, market)
    code = (
        code
        or checks.check_value(placed, market)
        or checks.check_special(placed, market, memory.time_ms, waits=False)
        or _check_frozen(memory, account, amended)
    )
    if not code and amended.margined:
        code = margin_checks.check_amending(memory, account, market, amended, placed)
    return code


def _check_frozen(memory: Memory, account: Account, amended: Order) -> Code:
    """Check that an order that comes in again may rest; one that waits stays where it is."""
    waits = amended.status is OrderStatus.UNTRIGGERED
    if not waits and protecting.is_frozen(account, amended.market_id, memory.time_ms):
        return Code.QUOTES_FROZEN
    return Code.OK


def _as_placed(amended: Order) -> PlaceOrder:
    """Return the command that would place the order as amended, for the same checks."""
    terms = amended.terms
    special = None
    order_type = amended.order_type
    if amended.status is not OrderStatus.UNTRIGGERED and order_type in CONDITIONAL_TYPES:
        order_type = OrderType.LIMIT
    if terms is not None:
        shows_part = terms.display_atoms < amended.quantity_atoms
        special = SpecialTerms(
            display_atoms=terms.display_atoms if shows_part else 0,
            expires_ms=terms.expires_ms,
            reduce_only=terms.reduce_only,
            close_position=terms.close_position,
        )
        if amended.status is OrderStatus.UNTRIGGERED:
            special = msgspec.structs.replace(
                special,
                trigger_type=terms.trigger_type,
                trigger_price_atoms=terms.trigger_price_atoms,
                activation_price_atoms=0
                if terms.activation_number
                else terms.activation_price_atoms,
                callback_rate_e8=terms.callback_rate_e8,
            )
    return PlaceOrder(
        amended.account_id,
        amended.market_id,
        amended.side,
        order_type,
        amended.time_in_force,
        amended.price_atoms,
        amended.quantity_atoms,
        0,
        amended.post_only,
        special=special,
    )


def _plan_move(
    memory: Memory,
    account: Account,
    market: Market,
    order: Order,
    amended: Order,
    *,
    in_place: bool,
) -> AmendPlan | Code:
    match: Plan | None = None
    if order.status is OrderStatus.UNTRIGGERED:
        # The cap goes with the trigger: an order that keeps one keeps the other.
        if amended.terms is not None and amended.terms.cap_atoms and _moves_trigger(order, amended):
            amended.terms.cap_atoms = conditional_cap(amended.terms, market)
    elif not in_place:
        if amended.post_only and amended.terms is not None and amended.terms.reprice:
            step_back(amended, market)
        planned = plan_order(memory, account, market, amended)
        if isinstance(planned, Code):
            return planned
        match = planned
    if order.margined:
        return AmendPlan(account, market, order, amended, in_place, match)
    wallet = account.spot[market.paying_asset_id(order.side)]
    available = wallet.total_atoms - wallet.held_atoms + order.held_atoms
    if hold_of(amended) > available:
        return Code.INSUFFICIENT_BALANCE
    return AmendPlan(account, market, order, amended, in_place, match)


def amend(memory: Memory, plan: AmendPlan) -> Outcome:
    """Carry out a plan of :func:`plan_amend`; cannot fail."""
    order, amended, market = plan.order, plan.amended, plan.market
    events: list[AnyEvent] = []
    if _is_used_up(amended):
        memory.retire(order, OrderStatus.CANCELLED, EndReason.AMENDED_TO_NOTHING, events)
        return Outcome(Code.OK, order.order_id, events)
    if order.status is OrderStatus.UNTRIGGERED:
        _change_waiting(memory, plan)
    elif plan.in_place:
        _shrink(market, order, order.open_atoms - amended.remaining_atoms)
        order.quantity_atoms = amended.quantity_atoms
    else:
        _move_resting(memory, plan, events)
        return Outcome(Code.OK, order.order_id, events)
    memory.set_hold(plan.account, market, order, hold_of(order))
    events.append(memory.changed(order))
    return Outcome(Code.OK, order.order_id, events)


def _shrink(market: Market, order: Order, less_atoms: int) -> None:
    """Take a quantity off a resting order, an iceberg's reserve first."""
    terms = order.terms
    if terms is not None:
        hidden = min(less_atoms, terms.hidden_atoms)
        terms.hidden_atoms -= hidden
        less_atoms -= hidden
    if less_atoms:
        market.book.side(order.side).reduce(order, less_atoms)


def _change_waiting(memory: Memory, plan: AmendPlan) -> None:
    """
    Let a conditional order wait with its new values, behind others at its trigger price.

    With less quantity alone, or while it follows the price, it keeps its place.
    """
    order, amended = plan.order, plan.amended
    terms = order.terms
    if terms is None or amended.terms is None:
        return
    triggers = plan.market.triggers(terms.trigger_type)
    moved = not plan.in_place and not terms.activation_number
    if moved:
        triggers.remove(order, terms)
        terms.trigger_price_atoms = amended.terms.trigger_price_atoms
        terms.cap_atoms = amended.terms.cap_atoms
        order.priority = memory.next_priority()
    order.price_atoms = amended.price_atoms
    order.quantity_atoms = amended.quantity_atoms
    order.remaining_atoms = amended.remaining_atoms
    if moved:
        triggers.add(order, terms)


def _move_resting(memory: Memory, plan: AmendPlan, events: list[AnyEvent]) -> None:
    """Take an order out of the book and let it come in again with its new values."""
    order, amended, market = plan.order, plan.amended, plan.market
    market.book.side(order.side).remove(order)
    memory.set_hold(plan.account, market, order, 0)
    order.price_atoms = amended.price_atoms
    order.quantity_atoms = amended.quantity_atoms
    order.remaining_atoms = amended.remaining_atoms
    order.priority = memory.next_priority()
    if order.terms is not None:
        order.terms.hidden_atoms = 0
    needed = hold_of(order)
    execute(memory, plan.account, market, order, plan.match, needed, events, listed=True)
