"""
Settling a market: every order cancelled, every position closed at one price, for good.

Delisting, and the named last resort of the liquidation ladder. Positions close against the
liquidation account, losers first. What losers cannot pay the insurance fund pays as far as it
reaches; what is missing then is taken from the winners in proportion to their profit. Source:
DOMAIN "Adopted here" 16 and DESIGN 6.
"""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from exchange.core.breaking import take_market
from exchange.core.collateral import contract_of
from exchange.core.commands import SettleMarket
from exchange.core.enums import (
    EndReason,
    LedgerKind,
    MarginMode,
    MarketStatus,
    StatusCause,
    TradeKind,
    WalletKind,
    is_system_account,
)
from exchange.core.events import AnyEvent, Outcome
from exchange.core.funding import settle_when_touched
from exchange.core.insurance import (
    cover_shortfall,
    inherited,
    liquidator,
    liquidator_wallet,
    settle_liquidator,
)
from exchange.core.ledger import Account
from exchange.core.margin import value_atoms
from exchange.core.margin_ledger import insurance_of, move_between, post_entry
from exchange.core.market import Market
from exchange.core.memory import Memory
from exchange.core.perpetual import check_wallet
from exchange.core.rejects import Code
from exchange.core.state import Position
from exchange.core.takeover import hand_over
from exchange.core.tasks import CancelOpeningTask, LiquidateTask, SettleTask
from exchange.core.units import AMOUNT_MAX, ceil_div

POSITIONS_PER_STEP = 100


def plan_settle(memory: Memory, command: SettleMarket) -> SettleTask | Code:
    """Return the task, or why the market is not settled."""
    market = memory.markets.get(command.market_id)
    if market is None:
        return Code.MARKET_NOT_FOUND
    if market.contract is None:
        return Code.NOT_A_PERPETUAL
    if market.config.status is MarketStatus.SETTLED:
        return Code.MARKET_SETTLED
    price = command.price_atoms or market.mark_atoms
    if not 0 < price <= AMOUNT_MAX:
        return Code.INVALID_PRICE
    return SettleTask(command.market_id, price)


def settle(memory: Memory, plan: SettleTask) -> Outcome:
    """Close the market to everything, and queue cancelling and closing."""
    market = memory.markets[plan.market_id]
    contract = contract_of(market)
    market.set_mark(plan.price_atoms, memory.time_ms)
    memory.price_changes[plan.market_id] = None
    config = msgspec.structs.replace(
        market.config,
        status=MarketStatus.SETTLED,
        status_cause=StatusCause.OPERATOR,
        status_until_ms=0,
    )
    take_market(memory, config)
    contract.configure(
        msgspec.structs.replace(contract.config, settled_price_atoms=plan.price_atoms)
    )
    memory.changes.contracts[plan.market_id] = contract.config
    memory.waiting = [task for task in memory.waiting if task.market_id != plan.market_id]
    _forget_liquidations(memory)
    memory.tasks.append(
        CancelOpeningTask(
            plan.market_id, memory.sequences.order, EndReason.MARKET_SETTLED, keep_reducing=False
        )
    )
    memory.tasks.append(plan)
    return Outcome(Code.OK, plan.market_id, [config, contract.config])


def _forget_liquidations(memory: Memory) -> None:
    """Let only those scopes still be in liquidation that wait for their turn somewhere."""
    scopes = {
        scope for task in memory.tasks if isinstance(task, LiquidateTask) for scope in task.scopes
    }
    scopes |= {(t.account_id, t.market_id if t.isolated else 0) for t in memory.waiting}
    for account_id, _ in memory.liquidating - scopes:
        memory.dirty[account_id] = None
    memory.liquidating &= scopes


def settle_step(memory: Memory, task: SettleTask, events: list[AnyEvent]) -> bool:
    """Close the next positions; tell whether all are closed."""
    market = memory.markets[task.market_id]
    positions = contract_of(market).positions
    start = bisect_right(positions, task.after_slot_id, key=_slot_id)
    for position in positions[start : start + POSITIONS_PER_STEP]:
        task.after_slot_id = position.slot_id
        settle_when_touched(memory, market, position, events)
        if not position.quantity_atoms or is_system_account(position.account_id):
            continue
        loses = _profit(position, task.price_atoms) <= 0
        if loses is task.losers:
            _close(memory, market, task, position, events)
    if start + POSITIONS_PER_STEP < len(positions):
        return False
    if task.losers:
        _fix_claims(memory, market, task)
        return False
    settle_liquidator(memory, market)
    return True


def _slot_id(position: Position) -> int:
    return position.slot_id


def _profit(position: Position, price_atoms: int) -> int:
    return value_atoms(position.quantity_atoms, price_atoms) - position.cost_atoms


def _fix_claims(memory: Memory, market: Market, task: SettleTask) -> None:
    """After the losers: sum up what the winners claim and what is there to pay them."""
    contract = contract_of(market)
    own = inherited(memory, market)
    quantity = own.quantity_atoms if own is not None else 0
    cost = own.cost_atoms if own is not None else 0
    # All positions sum to zero, so the winners' are what the liquidation account's is not.
    claims = value_atoms(-quantity, task.price_atoms) - (contract.cost_atoms - cost)
    _, fund = insurance_of(memory, market)
    there = liquidator_wallet(memory, market).total_atoms + fund.total_atoms
    there += value_atoms(quantity, task.price_atoms) - cost
    task.losers = False
    task.after_slot_id = 0
    task.claims_atoms = max(0, claims)
    task.pool_atoms = max(0, claims + min(0, there))


def _close(
    memory: Memory,
    market: Market,
    task: SettleTask,
    position: Position,
    events: list[AnyEvent],
) -> None:
    """Close one position at the settlement price, and cut a winner's profit if need be."""
    account = memory.ledger.accounts[position.account_id]
    profit = _profit(position, task.price_atoms)
    isolated = position.mode is MarginMode.ISOLATED
    # An isolated position loses no more than its own wallet has.
    lacking = max(0, -profit - position.isolated_atoms) if isolated else 0
    size = abs(position.quantity_atoms)
    # A position closes at what its value rounds to, against it.
    sign = 1 if position.quantity_atoms > 0 else -1
    quote = sign * value_atoms(position.quantity_atoms, task.price_atoms)
    hand_over(
        memory,
        market,
        account,
        position,
        liquidator(memory, market),
        quantity_atoms=size,
        quote_atoms=quote,
        kind=TradeKind.SETTLEMENT,
        events=events,
    )
    if not task.losers and task.pool_atoms < task.claims_atoms:
        cut = ceil_div(profit * (task.claims_atoms - task.pool_atoms), task.claims_atoms)
        _move(memory, market, account, -cut)
    # What an account owes beyond its wallet the fund and then the winners carry.
    cover_shortfall(memory, market, account, LedgerKind.SETTLEMENT, lacking)
    check_wallet(memory, account, market.config.quote_asset_id)


def _move(memory: Memory, market: Market, account: Account, amount_atoms: int) -> None:
    """Move an amount from the liquidation account's wallet to an account, or back."""
    wallet = memory.ledger.wallet(account, WalletKind.MARGIN, market.config.quote_asset_id)
    move_between(memory, liquidator_wallet(memory, market), -amount_atoms)
    wallet.total_atoms += amount_atoms
    post_entry(
        memory, account, wallet, LedgerKind.SETTLEMENT, market.config.market_id, amount_atoms
    )
