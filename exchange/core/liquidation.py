"""
The liquidation ladder: cancel, reduce in the book, take over, and only then deleverage.

Every step is bounded and looks again before it acts: who has recovered is left alone. Orders
into the book are limited at the bankruptcy price and at a share of the visible depth a second,
never naked market orders; what they cannot close is taken over whole. Source: Binance and Bybit,
liquidation protocols; DOMAIN 4.1-4.3 with the settings of DESIGN 6.
"""

from __future__ import annotations

from exchange.core.collateral import contract_of, maintenance_atoms
from exchange.core.enums import (
    EndReason,
    LedgerKind,
    MarginMode,
    MarketStatus,
    OrderStatus,
    PriceQuality,
    Side,
    TradeKind,
    WalletKind,
)
from exchange.core.events import AnyEvent, DeleveragingNeeded, TradeExecuted
from exchange.core.funding import settle_when_touched
from exchange.core.guards import Scope
from exchange.core.insurance import inherited, liquidator, settle_liquidator
from exchange.core.ledger import Account
from exchange.core.margin import notional_atoms
from exchange.core.margin_ledger import insurance_of, post_entry, post_isolated
from exchange.core.market import Market
from exchange.core.memory import Memory
from exchange.core.perpetual import charge_closed
from exchange.core.reducing import (
    carry_out,
    fee_rate,
    flow_left,
    liquidation_order,
    reducing_quantity,
)
from exchange.core.state import Order, Position
from exchange.core.takeover import (
    bankruptcy_price,
    bankruptcy_quote,
    closing_side,
    health,
    take_over,
    tell_step,
)
from exchange.core.tasks import DeleverageTask, LiquidateTask, UnwindTask
from exchange.core.units import ATOMS, RATE_ONE, ceil_div

SCOPES_PER_STEP = 50
EVENTS_PER_STEP = 400
CANCELS_PER_SCOPE = 200


# What was inherited is offered within this distance of the mark.
UNWIND_BAND_E8 = 1_000_000

_BUY = Side.BUY
_ISOLATED = MarginMode.ISOLATED


def start_liquidations(memory: Memory, scopes: list[Scope]) -> None:
    """Queue scopes ahead of all other internal work, behind those found before."""
    if not scopes:
        return
    ahead = sum(isinstance(task, LiquidateTask) for task in memory.tasks)
    memory.tasks.insert(ahead, LiquidateTask(memory.sequences.command, scopes))
    memory.liquidating.update(scopes)


def start_unwinding(memory: Memory, market_ids: list[int]) -> None:
    """Queue an offer of what the liquidation accounts of markets hold."""
    for market_id in market_ids:
        position = inherited(memory, memory.markets[market_id])
        task = UnwindTask(market_id)
        if position is not None and position.quantity_atoms and task not in memory.tasks:
            memory.tasks.append(task)


def liquidate_step(memory: Memory, task: LiquidateTask, events: list[AnyEvent]) -> bool:
    """Liquidate the next scopes of a task; tell whether all have had their turn."""
    for _ in range(SCOPES_PER_STEP):
        if not task.scopes or len(events) >= EVENTS_PER_STEP:
            break
        scope = task.scopes[0]
        if not _liquidate(memory, scope, events):
            break
        task.scopes.pop(0)
    return not task.scopes


def positions_of(memory: Memory, scope: Scope) -> list[Position]:
    """Return the open positions of a scope, the largest maintenance margin first."""
    account_id, market_id = scope
    positions = [
        position
        for position in memory.ledger.accounts[account_id].positions.values()
        if position.quantity_atoms
        and (position.market_id == market_id if market_id else position.mode is not _ISOLATED)
    ]

    def largest_first(position: Position) -> tuple[int, int]:
        contract = contract_of(memory.markets[position.market_id])
        return -maintenance_atoms(position, contract), position.slot_id

    return sorted(positions, key=largest_first)


def _may_liquidate(memory: Memory, position: Position) -> bool:
    """Tell whether positions of a market are liquidated now: not on a doubtful price."""
    market = memory.markets[position.market_id]
    contract = contract_of(market)
    return (
        contract.quality is PriceQuality.LIVE
        and contract.is_mark_fresh(memory.time_ms)
        and not contract.config.liquidations_paused
        and market.config.status is not MarketStatus.SETTLED
    )


def _is_unhealthy(memory: Memory, account: Account, position: Position) -> bool:
    if not position.quantity_atoms:
        return False
    balance, maintenance = health(memory, account, position)
    return balance <= maintenance


def _liquidate(memory: Memory, scope: Scope, events: list[AnyEvent]) -> bool:
    """Go through the ladder with one scope; False if it goes on in the next step."""
    account = memory.ledger.accounts[scope[0]]
    if not _unhealthy_positions(memory, account, scope):
        return _release(memory, scope)
    for position in positions_of(memory, scope):
        # Funding that is under way comes first, so that it is not left to the fund.
        settle_when_touched(memory, memory.markets[position.market_id], position, events)
    if not _unhealthy_positions(memory, account, scope):
        return _release(memory, scope)
    if not _cancel_orders(memory, account, scope, events):
        return False
    for position in _unhealthy_positions(memory, account, scope):
        if _is_unhealthy(memory, account, position):
            _reduce(memory, account, position, events)
    waits = False
    for position in _unhealthy_positions(memory, account, scope):
        if not _is_unhealthy(memory, account, position):
            continue
        market = memory.markets[position.market_id]
        if not take_over(memory, market, account, position, events):
            _wait_for_counterparties(memory, account, position, events)
            waits = True
    return True if waits else _release(memory, scope)


def _unhealthy_positions(memory: Memory, account: Account, scope: Scope) -> list[Position]:
    """Return the positions of an unhealthy scope that may be liquidated now."""
    return [
        position
        for position in positions_of(memory, scope)
        if _may_liquidate(memory, position) and _is_unhealthy(memory, account, position)
    ]


def _release(memory: Memory, scope: Scope) -> bool:
    """Let a scope trade again; its guards are set anew before the next mark is judged."""
    memory.liquidating.discard(scope)
    memory.dirty[scope[0]] = None
    return True


def _cancel_orders(memory: Memory, account: Account, scope: Scope, events: list[AnyEvent]) -> bool:
    """Cancel the open orders of a scope; tell whether none is left."""
    market_id = scope[1]
    orders = [
        order
        for order in account.open_orders.values()
        if order.margined and market_id in (0, order.market_id)
    ]
    for order in orders[:CANCELS_PER_SCOPE]:
        # The other leg of an OCO has ended with the first.
        if order.order_id in memory.orders:
            memory.retire(order, OrderStatus.CANCELLED, EndReason.LIQUIDATION, events)
    return len(orders) <= CANCELS_PER_SCOPE


def _reduce(memory: Memory, account: Account, position: Position, events: list[AnyEvent]) -> None:
    """Offer in the book what restores the margin, limited at the bankruptcy price."""
    market = memory.markets[position.market_id]
    if market.config.status is not MarketStatus.TRADING:
        return  # nobody trades in this book now; it is taken over
    contract = contract_of(market)
    side = closing_side(position)
    lot = market.config.lot_atoms
    wanted = reducing_quantity(memory, account, position)
    quantity = min(wanted, flow_left(memory, market, side) // lot * lot)
    quote = bankruptcy_quote(memory, account, position)
    price = bankruptcy_price(quote, position, market.config.tick_atoms)
    if not quantity or not price:
        return
    balance, maintenance = health(memory, account, position)
    index = contract.brackets.index(notional_atoms(position.quantity_atoms, contract.mark_atoms))
    position_id = position.position_id
    wallet = memory.ledger.wallet(account, WalletKind.MARGIN, market.config.quote_asset_id)
    had = wallet.total_atoms
    order = liquidation_order(memory, account, market, side, quantity, price)
    carry_out(memory, account, market, order, events)
    if not order.filled_atoms:
        return
    rate = fee_rate(contract, index)
    fee = ceil_div(order.quote_filled_atoms * rate, RATE_ONE)
    paid = _charge_fee(memory, market, account, position, fee, wallet.total_atoms - had)
    if paid and not position.quantity_atoms:
        charge_closed(memory, position_id, paid, events)
    trade = _summary(memory, order)
    tell_step(
        memory,
        market,
        trade,
        position_id=position_id,
        balance_atoms=balance,
        maintenance=maintenance,
        fee_atoms=paid,
        insurance_atoms=paid,
        events=events,
    )


def _charge_fee(
    memory: Memory,
    market: Market,
    account: Account,
    position: Position,
    fee_atoms: int,
    gained_atoms: int,
) -> int:
    """
    Charge the liquidation fee to what is left of the collateral; return what was paid.

    An isolated position that is closed leaves what the margin wallet gained by it.
    """
    wallet = memory.ledger.wallet(account, WalletKind.MARGIN, market.config.quote_asset_id)
    isolated = position.mode is _ISOLATED
    if isolated and not position.quantity_atoms:
        left = gained_atoms
    else:
        left, _ = health(memory, account, position)
        left = min(left, position.isolated_atoms) if isolated else left
    fee = min(fee_atoms, max(0, left))
    if not fee:
        return 0
    position.fee_atoms += fee if position.quantity_atoms else 0
    memory.changes.positions[position.slot_id] = position
    kind, reference = LedgerKind.LIQUIDATION_FEE, market.config.market_id
    if isolated and position.quantity_atoms:
        position.isolated_atoms -= fee
        post_isolated(memory, account, position, wallet, kind, reference, -fee)
    else:
        wallet.total_atoms -= fee
        post_entry(memory, account, wallet, kind, reference, -fee)
    fund_account, fund = insurance_of(memory, market)
    fund.total_atoms += fee
    post_entry(memory, fund_account, fund, kind, reference, fee)
    return fee


def _summary(memory: Memory, order: Order) -> TradeExecuted:
    """Return an order's fills as one trade, for the record of the step."""
    return TradeExecuted(
        0,
        order.market_id,
        order.quote_filled_atoms * ATOMS // order.filled_atoms,
        order.filled_atoms,
        order.quote_filled_atoms,
        order.side,
        order.order_id,
        0,
        order.account_id,
        0,
        0,
        0,
        memory.time_ms,
        TradeKind.MATCH,
    )


def _wait_for_counterparties(
    memory: Memory, account: Account, position: Position, events: list[AnyEvent]
) -> None:
    """Let a position that no fund can carry wait for a ``Deleverage`` command."""
    isolated = position.mode is _ISOLATED
    waiting = DeleverageTask(position.market_id, account.account_id, isolated, memory.time_ms)
    memory.waiting.append(waiting)
    events.append(
        DeleveragingNeeded(
            position.market_id,
            account.account_id,
            closing_side(position),
            abs(position.quantity_atoms),
            memory.time_ms,
        )
    )


def unwind_step(memory: Memory, task: UnwindTask, events: list[AnyEvent]) -> bool:
    """Offer what a market's liquidation account holds, within a band around the mark."""
    market = memory.markets[task.market_id]
    position = inherited(memory, market)
    if position is None or not position.quantity_atoms or not _may_liquidate(memory, position):
        return True
    if market.config.status is not MarketStatus.TRADING:
        return True
    side = closing_side(position)
    tick, lot = market.config.tick_atoms, market.config.lot_atoms
    mark = contract_of(market).mark_atoms
    if side is _BUY:
        price = mark * (RATE_ONE + UNWIND_BAND_E8) // (RATE_ONE * tick) * tick
    else:
        price = ceil_div(mark * (RATE_ONE - UNWIND_BAND_E8), RATE_ONE * tick) * tick
    quantity = min(abs(position.quantity_atoms), flow_left(memory, market, side) // lot * lot)
    if quantity:
        account = liquidator(memory, market)
        order = liquidation_order(memory, account, market, side, quantity, price)
        carry_out(memory, account, market, order, events)
        settle_liquidator(memory, market)
    return True
