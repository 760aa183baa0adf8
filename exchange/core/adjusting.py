"""What owners change about positions: leverage, margin mode, isolated margin, closing, exits."""

from __future__ import annotations

import msgspec

from exchange.core import margin_checks
from exchange.core.collateral import (
    contract_of,
    profit_atoms,
)
from exchange.core.commands import (
    AdjustMargin,
    ClosePosition,
    PlaceOrder,
    SetLeverage,
    SetMarginMode,
    SetPositionExits,
    SpecialTerms,
)
from exchange.core.enums import (
    EndReason,
    LedgerKind,
    MarginMode,
    MarketStatus,
    OrderStatus,
    OrderType,
    TimeInForce,
    WalletKind,
)
from exchange.core.events import AnyEvent, Outcome
from exchange.core.funding import settle_when_touched
from exchange.core.judging import Draft
from exchange.core.ledger import Account
from exchange.core.margin import exposure_atoms, initial_margin, notional_atoms, value_atoms
from exchange.core.margin_ledger import post_entry, post_isolated
from exchange.core.market import Market
from exchange.core.memory import Memory
from exchange.core.placing import PlacePlan, place, plan_place
from exchange.core.rejects import Code
from exchange.core.state import Order, Position
from exchange.core.takeover import closing_side
from exchange.core.units import AMOUNT_MAX, ceil_div

_ISOLATED = MarginMode.ISOLATED


class SettingPlan(msgspec.Struct, gc=False):
    """New settings of a slot, which is opened if need be."""

    account: Account
    market: Market
    leverage: int = 0
    mode: MarginMode | None = None


class AdjustPlan(msgspec.Struct, gc=False):
    """An amount between the margin wallet and an isolated wallet."""

    account: Account
    market: Market
    position: Position
    amount_atoms: int


class ExitsPlan(msgspec.Struct, gc=False):
    """Exits to end, and the orders that take their place."""

    ending: list[Order]
    placing: list[PlacePlan]


def _find(memory: Memory, account_id: int, market_id: int) -> tuple[Account, Market] | Code:
    account = memory.ledger.accounts.get(account_id)
    if account is None or account.config.open_orders_max == 0:
        return Code.ACCOUNT_NOT_FOUND
    market = memory.markets.get(market_id)
    if market is None:
        return Code.MARKET_NOT_FOUND
    if market.contract is None:
        return Code.NOT_A_PERPETUAL
    if market.config.status is MarketStatus.SETTLED:
        return Code.MARKET_SETTLED
    if margin_checks.is_liquidating(memory, account_id, market_id):
        return Code.ACCOUNT_LIQUIDATING
    return account, market


def _open_position(account: Account, market: Market) -> Position | None:
    position = account.positions.get(market.config.market_id)
    return position if position is not None and position.quantity_atoms else None


def plan_leverage(memory: Memory, command: SetLeverage) -> SettingPlan | Code:
    """
    Return the change; with a position or orders they must fit, and be affordable, with it.

    Leverage of an isolated position is only raised: lowering would need more margin in its
    wallet (Binance's rule).
    """
    found = _find(memory, command.account_id, command.market_id)
    if isinstance(found, Code):
        return found
    account, market = found
    contract = contract_of(market)
    if not 1 <= command.leverage <= contract.leverage_max:
        return Code.INVALID_LEVERAGE
    position = account.positions.get(command.market_id)
    if position is None:
        return SettingPlan(account, market, command.leverage)
    held = value_atoms(position.quantity_atoms, contract.mark_atoms)
    exposure = exposure_atoms(held, position.bid_atoms, position.ask_atoms)
    if command.leverage > contract.brackets.leverage_max(exposure):
        return Code.LEVERAGE_TOO_HIGH
    lowered = command.leverage < position.leverage
    if lowered and position.quantity_atoms and position.mode is _ISOLATED:
        return Code.LEVERAGE_BELOW_POSITION
    if lowered and exposure:
        draft = Draft(memory, account, market)
        draft.position.leverage = command.leverage
        if draft.available() < 0:
            return Code.INSUFFICIENT_MARGIN
    return SettingPlan(account, market, command.leverage)


def plan_margin_mode(memory: Memory, command: SetMarginMode) -> SettingPlan | Code:
    """Return the change; nothing may be open in the market."""
    found = _find(memory, command.account_id, command.market_id)
    if isinstance(found, Code):
        return found
    account, market = found
    position = account.positions.get(command.market_id)
    mode = position.mode if position is not None else MarginMode.CROSS
    if mode is command.mode:
        return Code.MARGIN_MODE_UNCHANGED
    if account.open_counts.get(command.market_id):
        return Code.MARGIN_MODE_HAS_ORDERS
    if position is not None and (position.quantity_atoms or position.funding_due_atoms):
        return Code.MARGIN_MODE_HAS_POSITION
    return SettingPlan(account, market, mode=command.mode)


def set_up(memory: Memory, plan: SettingPlan) -> Outcome:
    """Change leverage or margin mode."""
    position = memory.position(plan.account, plan.market)
    if plan.leverage:
        position.leverage = plan.leverage
    if plan.mode is not None:
        position.mode = plan.mode
    position.updated_ms = memory.time_ms
    memory.changes.positions[position.slot_id] = position
    return Outcome(Code.OK, position.slot_id, ())


def plan_adjust(memory: Memory, command: AdjustMargin) -> AdjustPlan | Code:
    """
    Return the move, within what is available, or above the initial margin.

    Removable: max(0, min(wallet - |cost| / leverage, wallet + profit - notional / leverage)),
    so that unrealised profit never leaves (DOMAIN 2.5).
    """
    found = _find(memory, command.account_id, command.market_id)
    if isinstance(found, Code):
        return found
    account, market = found
    position = _open_position(account, market)
    if position is None:
        return Code.POSITION_NOT_FOUND
    if position.mode is not _ISOLATED:
        return Code.POSITION_NOT_ISOLATED
    amount = command.amount_atoms
    if not amount or abs(amount) > AMOUNT_MAX:
        return Code.INVALID_AMOUNT
    draft = Draft(memory, account, market)
    if amount > 0:
        if amount > min(draft.total_atoms, draft.available()):
            return Code.INSUFFICIENT_MARGIN
    elif -amount > removable_atoms(draft.position, market):
        return Code.MARGIN_NOT_REMOVABLE
    return AdjustPlan(account, market, position, amount)


def removable_atoms(position: Position, market: Market) -> int:
    """Return how much may be taken out of an isolated wallet."""
    contract = contract_of(market)
    by_cost = position.isolated_atoms - ceil_div(abs(position.cost_atoms), position.leverage)
    notional = notional_atoms(position.quantity_atoms, contract.mark_atoms)
    by_mark = (
        position.isolated_atoms
        + profit_atoms(position, contract)
        - initial_margin(notional, position.leverage)
    )
    return max(0, min(by_cost, by_mark))


def adjust(memory: Memory, plan: AdjustPlan) -> Outcome:
    """Move the amount; cannot fail."""
    position, account, market = plan.position, plan.account, plan.market
    events: list[AnyEvent] = []
    settle_when_touched(memory, market, position, events)
    wallet = memory.ledger.wallet(account, WalletKind.MARGIN, market.config.quote_asset_id)
    wallet.total_atoms -= plan.amount_atoms
    position.isolated_atoms += plan.amount_atoms
    position.updated_ms = memory.time_ms
    reference = position.position_id
    post_entry(memory, account, wallet, LedgerKind.MARGIN, reference, -plan.amount_atoms)
    post_isolated(
        memory, account, position, wallet, LedgerKind.MARGIN, reference, plan.amount_atoms
    )
    memory.changes.positions[position.slot_id] = position
    memory.dirty[account.account_id] = None
    return Outcome(Code.OK, position.position_id, events)


def plan_close(memory: Memory, command: ClosePosition) -> PlacePlan | Code:
    """Return the plan of the order that closes, sized by the position as it is now."""
    found = _find(memory, command.account_id, command.market_id)
    if isinstance(found, Code):
        return found
    account, market = found
    position = _open_position(account, market)
    if position is None:
        return Code.POSITION_NOT_FOUND
    size = abs(position.quantity_atoms)
    if command.reverse and (command.quantity_atoms or command.price_atoms):
        return Code.INVALID_ORDER
    quantity = size * 2 if command.reverse else command.quantity_atoms or size
    order = PlaceOrder(
        command.account_id,
        command.market_id,
        closing_side(position),
        OrderType.LIMIT if command.price_atoms else OrderType.MARKET,
        TimeInForce.GTC if command.price_atoms else TimeInForce.IOC,
        command.price_atoms,
        quantity,
        client_order_id=command.client_order_id,
        request_hash=command.request_hash,
        slippage_rate_e8=command.slippage_rate_e8,
        special=None if command.reverse else SpecialTerms(reduce_only=True),
    )
    return plan_place(memory, order)


def plan_exits(memory: Memory, command: SetPositionExits) -> ExitsPlan | Code:
    """Return the exits that end and those that begin; each must lie on its side of the mark."""
    found = _find(memory, command.account_id, command.market_id)
    if isinstance(found, Code):
        return found
    account, market = found
    position = _open_position(account, market)
    if position is None:
        return Code.POSITION_NOT_FOUND
    placing: list[PlacePlan] = []
    for order_type, trigger in (
        (OrderType.TAKE_PROFIT, command.take_profit_atoms),
        (OrderType.STOP_LOSS, command.stop_loss_atoms),
    ):
        if not trigger:
            continue
        planned = plan_place(memory, _exit_order(command, position, order_type, trigger))
        if planned is Code.TRIGGER_WOULD_FIRE:
            return Code.EXIT_PRICES
        if isinstance(planned, Code):
            return planned
        placing.append(planned)
    for index, plan in enumerate(placing[1:], 1):
        plan.order.order_id += index
        plan.order.priority += index
        plan.order.previous_id = placing[index - 1].order.order_id
    ending = [order for order in (position.reducing or {}).values() if _is_exit(order)]
    return ExitsPlan(ending, placing)


def _exit_order(
    command: SetPositionExits, position: Position, order_type: OrderType, trigger_atoms: int
) -> PlaceOrder:
    return PlaceOrder(
        command.account_id,
        command.market_id,
        closing_side(position),
        order_type,
        TimeInForce.IOC,
        0,
        0,
        special=SpecialTerms(
            trigger_type=command.trigger_type,
            trigger_price_atoms=trigger_atoms,
            close_position=True,
        ),
    )


def _is_exit(order: Order) -> bool:
    terms = order.terms
    return (
        terms is not None
        and terms.close_position
        and order.status is OrderStatus.UNTRIGGERED
        and order.order_type in (OrderType.TAKE_PROFIT, OrderType.STOP_LOSS)
    )


def set_exits(memory: Memory, plan: ExitsPlan) -> Outcome:
    """End the old exits and arm the new ones; cannot fail."""
    events: list[AnyEvent] = []
    for order in plan.ending:
        memory.retire(order, OrderStatus.CANCELLED, EndReason.USER_CANCELLED, events)
    reference = 0
    for placing in plan.placing:
        outcome = place(memory, placing)
        reference = reference or outcome.reference_id
        events += outcome.events
    return Outcome(Code.OK, reference, events)
