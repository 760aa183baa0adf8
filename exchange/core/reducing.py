"""Orders of the liquidation ladder into the book: their size, their share of the depth."""

from __future__ import annotations

from exchange.core.collateral import contract_of
from exchange.core.contract import Contract
from exchange.core.enums import (
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
)
from exchange.core.events import AnyEvent
from exchange.core.executing import execute
from exchange.core.judging import Judge
from exchange.core.ledger import Account
from exchange.core.margin import notional_atoms
from exchange.core.market import Market
from exchange.core.memory import PRIORITY_SHIFT, Memory
from exchange.core.placing import register
from exchange.core.rejects import Code
from exchange.core.state import Order, Position
from exchange.core.takeover import (
    health,
)
from exchange.core.taking import plan_taker
from exchange.core.units import ATOMS, RATE_ONE, ceil_div

_BUY = Side.BUY


# A partial step restores this much above maintenance, assuming so much worse than the mark.
RESTORED_E8 = 105_000_000


SLIPPAGE_E8 = 100_000


# The fee of a bracket is at most this share of its maintenance rate.
FEE_SHARE = 4


# Liquidations take at most this share of the depth within this distance, per second.
FLOW_SHARE_E8 = 20_000_000


FLOW_DEPTH_E8 = 2_000_000


def fee_rate(contract: Contract, bracket: int) -> int:
    """Return the liquidation fee of a bracket: the contract's, within its maintenance rate / 4."""
    return min(contract.config.liquidation_fee_e8, contract.brackets.rates_e8[bracket] // FEE_SHARE)


def reducing_quantity(memory: Memory, account: Account, position: Position) -> int:
    """
    Return the smallest quantity, in lots, whose close restores the margin, or the whole position.

    In the lowest bracket always the whole; else at least down into the next lower bracket.
    """
    market = memory.markets[position.market_id]
    contract = contract_of(market)
    lot, mark, size = market.config.lot_atoms, contract.mark_atoms, abs(position.quantity_atoms)
    notional = notional_atoms(size, mark)
    index = contract.brackets.index(notional)
    if index == 0 or mark <= 0:
        return size
    balance, maintenance = health(memory, account, position)
    own = contract.brackets.maintenance_atoms(notional)
    cost_rate = SLIPPAGE_E8 + fee_rate(contract, index)

    def restores(lots: int) -> bool:
        closed = lots * lot
        lost = ceil_div(notional_atoms(closed, mark) * cost_rate, RATE_ONE)
        left = contract.brackets.maintenance_atoms(notional_atoms(size - closed, mark))
        needed = maintenance - own + left
        return (balance - lost) * RATE_ONE >= needed * RESTORED_E8

    # Down into the next lower bracket: below the floor of this one.
    above = notional - contract.brackets.floors_atoms[index]
    low = above * ATOMS // (mark * lot) + 1
    high = size // lot
    if low >= high or not restores(high - 1):
        return size
    while low < high:
        middle = (low + high) // 2
        if restores(middle):
            high = middle
        else:
            low = middle + 1
    return min(size, low * lot)


def flow_left(memory: Memory, market: Market, side: Side) -> int:
    """Return the base quantity that liquidations may still trade in this second."""
    contract = contract_of(market)
    second = memory.time_ms // 1000
    used = contract.flow_atoms if contract.flow_second == second else 0
    mark = contract.mark_atoms
    distance = mark * FLOW_DEPTH_E8 // RATE_ONE
    worst = mark + distance if side is _BUY else mark - distance
    levels = market.book.opposite(side)
    depth = 0
    for key in reversed(levels.keys):
        price = key * levels.sign
        if (price > worst) if side is _BUY else (price < worst):
            break
        depth += levels.levels[price].quantity_atoms
    # What was used is gone from the depth, and counts as if it still were there.
    return max(0, (depth + used) * FLOW_SHARE_E8 // RATE_ONE - used)


def use_flow(memory: Memory, market: Market, quantity_atoms: int) -> None:
    """Note what liquidations traded in the book in this second."""
    contract = contract_of(market)
    second = memory.time_ms // 1000
    if contract.flow_second != second:
        contract.flow_second, contract.flow_atoms = second, 0
    contract.flow_atoms += quantity_atoms
    memory.price_changes[market.config.market_id] = None


def liquidation_order(
    memory: Memory, account: Account, market: Market, side: Side, quantity: int, price: int
) -> Order:
    """Return an immediate-or-cancel order of the exchange's own; it pays no trading fee."""
    order = Order(
        memory.sequences.order + 1,
        account.account_id,
        market.config.market_id,
        side=side,
        order_type=OrderType.LIQUIDATION,
        time_in_force=TimeInForce.IOC,
        self_trade_mode=SelfTradeMode.EXPIRE_MAKER,
        price_atoms=price,
        quantity_atoms=quantity,
        remaining_atoms=quantity,
        priority=(memory.sequences.command << PRIORITY_SHIFT) + memory.priority_index,
        previous_id=account.last_order_id,
        created_ms=memory.time_ms,
        updated_ms=memory.time_ms,
        margined=True,
    )
    memory.next_priority()
    register(memory, account, market, order)
    return order


def carry_out(
    memory: Memory, account: Account, market: Market, order: Order, events: list[AnyEvent]
) -> None:
    """Let an order of the ladder trade with makers that afford it, whatever its own margin."""
    match = plan_taker(market, order, memory.time_ms, Judge(memory, market))
    execute(memory, account, market, order, None if isinstance(match, Code) else match, 0, events)
    use_flow(memory, market, order.filled_atoms)
