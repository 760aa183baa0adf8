"""What a perpetual market asks of an order beyond the checks that every market makes."""

from __future__ import annotations

from collections.abc import Iterable

from exchange.core.collateral import contract_of
from exchange.core.commands import PlaceOrder
from exchange.core.enums import OrderStatus, OrderType, PriceQuality
from exchange.core.ledger import Account
from exchange.core.market import Market
from exchange.core.memory import Memory
from exchange.core.positions import reduces
from exchange.core.rejects import Code
from exchange.core.state import Order
from exchange.core.triggers import CONDITIONAL_TYPES

_RESTING = (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)


def is_liquidating(memory: Memory, account_id: int, market_id: int) -> bool:
    """Tell whether what backs an account's position in a market is being liquidated."""
    liquidating = memory.liquidating
    if not liquidating:
        return False
    return (account_id, 0) in liquidating or (account_id, market_id) in liquidating


def check_placing(memory: Memory, account: Account, market: Market, command: PlaceOrder) -> Code:
    """Check prices, liquidation and what only reduces, in the order of the codes."""
    special = command.special
    reducing = special is not None and (special.reduce_only or special.close_position)
    if not reducing:
        code = check_prices(memory, market)
        if code:
            return code
    if is_liquidating(memory, account.account_id, command.market_id):
        return Code.ACCOUNT_LIQUIDATING
    if not reducing or special is None:
        return Code.OK
    position = account.positions.get(command.market_id)
    if not reduces(position, command.side):
        return Code.REDUCE_ONLY_NO_POSITION
    if position is None or command.order_type in CONDITIONAL_TYPES:
        return Code.OK
    resting = _resting_atoms((position.reducing or {}).values())
    if command.quantity_atoms + resting > abs(position.quantity_atoms):
        return Code.REDUCE_ONLY_EXCEEDS
    return Code.OK


def check_prices(memory: Memory, market: Market) -> Code:
    """Check that positions may be opened: with a fresh mark and a healthy index."""
    contract = contract_of(market)
    if not contract.is_mark_fresh(memory.time_ms):
        return Code.MARK_PRICE_STALE
    return Code.OK if contract.quality is PriceQuality.LIVE else Code.MARKET_REDUCE_ONLY


def check_amending(
    memory: Memory, account: Account, market: Market, amended: Order, placed: PlaceOrder
) -> Code:
    """Check an amended order as if it were placed; it makes room for itself."""
    terms = amended.terms
    if terms is None or not terms.reduce_only or amended.status not in _RESTING:
        return check_placing(memory, account, market, placed)
    if is_liquidating(memory, account.account_id, amended.market_id):
        return Code.ACCOUNT_LIQUIDATING
    room = room_to_reduce(account, amended, (amended,))
    return Code.OK if amended.remaining_atoms <= room else Code.REDUCE_ONLY_EXCEEDS


def check_firing(memory: Memory, account: Account, market: Market, order: Order) -> Code:
    """
    Size a fired order that only reduces; refuse what may not open now.

    One that closes takes the whole position; one that only reduces what the orders that rest
    leave of it.
    """
    terms = order.terms
    if terms is None:
        return Code.OK
    if not (terms.reduce_only or terms.close_position):
        return check_prices(memory, market)
    room = room_to_reduce(account, order, (order,))
    if terms.close_position:
        position = account.positions[order.market_id]
        room = abs(position.quantity_atoms) if reduces(position, order.side) else 0
        order.remaining_atoms = room
    if not room:
        return Code.REDUCE_ONLY_NO_POSITION
    order.quantity_atoms = order.remaining_atoms = min(order.remaining_atoms, room)
    return Code.OK


def room_to_reduce(account: Account, order: Order, besides: Iterable[Order]) -> int:
    """Return how much of its position an order may still take, beside the resting ones."""
    position = account.positions[order.market_id]
    if not reduces(position, order.side):
        return 0
    known = {own.order_id for own in besides}
    others = (own for own in (position.reducing or {}).values() if own.order_id not in known)
    return max(0, abs(position.quantity_atoms) - _resting_atoms(others))


def _resting_atoms(orders: Iterable[Order]) -> int:
    return sum(order.remaining_atoms for order in orders if order.status in _RESTING)


def closes_position(command: PlaceOrder) -> bool:
    """Tell whether an order closes whatever is open when it fires."""
    return command.special is not None and command.special.close_position


def check_closing_shape(command: PlaceOrder) -> Code:
    """Check that a close-position order is a stop or take-profit without a quantity."""
    special = command.special
    fits = (
        special is not None
        and command.order_type in (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)
        and not command.quantity_atoms
        and not command.quote_quantity_atoms
        and not special.reduce_only
        and not special.display_atoms
    )
    return Code.OK if fits else Code.CLOSE_POSITION_SHAPE
