"""
Auto-deleveraging: closing bankrupt positions against winners, at the bankruptcy price.

Only for what no insurance fund can carry. Candidates come ranked with the command, since
ranking everybody is no work for the single writer; each is checked again here: it must hold the
other side, not be in liquidation itself, and stay above maintenance when it is closed at that
price. Source: BitMEX and Binance, auto-deleveraging; dYdX for the guards; DOMAIN 4.2.
"""

from __future__ import annotations

import msgspec

from exchange.core.collateral import contract_of
from exchange.core.commands import CheckLiquidation, Deleverage
from exchange.core.enums import (
    EndReason,
    MarketStatus,
    OrderStatus,
    PriceQuality,
    TradeKind,
    is_system_account,
)
from exchange.core.events import AnyEvent, Outcome
from exchange.core.funding import settle_when_touched
from exchange.core.guards import Scope, look
from exchange.core.judging import Draft
from exchange.core.ledger import Account
from exchange.core.liquidation import start_liquidations
from exchange.core.margin_checks import is_liquidating
from exchange.core.market import Market
from exchange.core.memory import Memory
from exchange.core.positions import fill
from exchange.core.rejects import Code
from exchange.core.state import Position
from exchange.core.takeover import bankruptcy_quote, closing_side, hand_over, health, take_over
from exchange.core.tasks import DeleverageTask

CANDIDATES_MAX = 100
CHECKED_MAX = 1_000
# Closed against this many counterparties by one command; the next goes on.
COUNTERPARTIES_PER_STEP = 50


class DeleveragePlan(msgspec.Struct, gc=False):
    """What waits in a market, and who may be on the other side."""

    market: Market
    waiting: list[DeleverageTask]
    candidates: tuple[int, ...]


def plan_check(memory: Memory, command: CheckLiquidation) -> list[Scope] | Code:
    """Return the scopes of these accounts that are below maintenance, worst first."""
    found: list[tuple[int, Scope]] = []
    for account_id in dict.fromkeys(command.account_ids[:CHECKED_MAX]):
        account = memory.ledger.accounts.get(account_id)
        if account is None:
            return Code.ACCOUNT_NOT_FOUND
        if not is_system_account(account_id):
            found += [
                entry for entry in look(memory, account) if entry[1] not in memory.liquidating
            ]
    return [scope for _, scope in sorted(found)] or Code.NOTHING_TO_LIQUIDATE


def check(memory: Memory, plan: list[Scope]) -> Outcome:
    """Queue what was found."""
    start_liquidations(memory, plan)
    return Outcome(Code.OK, 0, ())


def plan_deleverage(memory: Memory, command: Deleverage) -> DeleveragePlan | Code:
    """Return what waits in the market, or why nothing is done."""
    market = memory.markets.get(command.market_id)
    if market is None:
        return Code.MARKET_NOT_FOUND
    contract = market.contract
    if contract is None:
        return Code.NOT_A_PERPETUAL
    if market.config.status is MarketStatus.SETTLED:
        return Code.MARKET_SETTLED
    if contract.quality is not PriceQuality.LIVE or not contract.is_mark_fresh(memory.time_ms):
        return Code.MARK_PRICE_STALE
    waiting = [task for task in memory.waiting if task.market_id == command.market_id]
    if not waiting:
        return Code.NOTHING_TO_DELEVERAGE
    return DeleveragePlan(market, waiting, command.candidates[:CANDIDATES_MAX])


def deleverage(memory: Memory, plan: DeleveragePlan) -> Outcome:
    """Close what waits, the oldest first, as far as the candidates go."""
    events: list[AnyEvent] = []
    candidates = list(dict.fromkeys(plan.candidates))
    left = COUNTERPARTIES_PER_STEP
    for task in plan.waiting:
        account = memory.ledger.accounts[task.account_id]
        position = account.positions[task.market_id]
        settle_when_touched(memory, plan.market, position, events)
        if _is_over(memory, plan.market, account, position, events):
            _end_waiting(memory, task)
            continue
        left -= _close_against(memory, plan.market, account, position, candidates, left, events)
        if not position.quantity_atoms:
            _end_waiting(memory, task)
        if left <= 0:
            break
    return Outcome(Code.OK, 0, events)


def _is_over(
    memory: Memory,
    market: Market,
    account: Account,
    position: Position,
    events: list[AnyEvent],
) -> bool:
    """Tell whether a position need not wait: it recovered, or the fund can carry it by now."""
    if not position.quantity_atoms:
        return True
    balance, maintenance = health(memory, account, position)
    return balance > maintenance or take_over(memory, market, account, position, events)


def _close_against(
    memory: Memory,
    market: Market,
    account: Account,
    position: Position,
    candidates: list[int],
    most: int,
    events: list[AnyEvent],
) -> int:
    """Close a position against candidates in their order; return against how many."""
    used = 0
    for candidate_id in list(candidates):
        if used == most or not position.quantity_atoms:
            break
        other = memory.ledger.accounts.get(candidate_id)
        if other is None or not _is_counterparty(memory, market, other, position):
            candidates.remove(candidate_id)
            continue
        opposite = other.positions[market.config.market_id]
        settle_when_touched(memory, market, opposite, events)
        quote = bankruptcy_quote(memory, account, position)
        size = abs(position.quantity_atoms)
        quantity = min(size, abs(opposite.quantity_atoms))
        part = quote * quantity // size
        if not _stays_sound(memory, market, other, opposite, quantity, part):
            candidates.remove(candidate_id)
            continue
        _cancel_orders(memory, market, other, events)
        hand_over(
            memory,
            market,
            account,
            position,
            other,
            quantity_atoms=quantity,
            quote_atoms=part,
            kind=TradeKind.DELEVERAGING,
            events=events,
        )
        used += 1
        if not opposite.quantity_atoms:
            candidates.remove(candidate_id)
    return used


def _is_counterparty(memory: Memory, market: Market, other: Account, position: Position) -> bool:
    opposite = other.positions.get(market.config.market_id)
    return (
        opposite is not None
        and not is_system_account(other.account_id)
        and opposite.quantity_atoms * position.quantity_atoms < 0
        and not is_liquidating(memory, other.account_id, market.config.market_id)
    )


def _stays_sound(
    memory: Memory,
    market: Market,
    other: Account,
    opposite: Position,
    quantity_atoms: int,
    quote_atoms: int,
) -> bool:
    draft = Draft(memory, other, market)
    draft.total_atoms += fill(
        draft.position,
        side=closing_side(opposite),
        quantity_atoms=quantity_atoms,
        quote_atoms=quote_atoms,
        mark_atoms=contract_of(market).mark_atoms,
    )
    return draft.is_sound()


def _cancel_orders(memory: Memory, market: Market, other: Account, events: list[AnyEvent]) -> None:
    """Cancel a counterparty's orders in the market: it may enter again, knowing what it has."""
    market_id = market.config.market_id
    for order in [o for o in other.open_orders.values() if o.market_id == market_id]:
        if order.order_id in memory.orders:
            memory.retire(order, OrderStatus.CANCELLED, EndReason.DELEVERAGING, events)


def _end_waiting(memory: Memory, task: DeleverageTask) -> None:
    """Forget that a position waits; what else its scope holds is looked at again."""
    memory.waiting.remove(task)
    scope = (task.account_id, task.market_id if task.isolated else 0)
    waits = any(
        other.account_id == task.account_id
        and (other.market_id if other.isolated else 0) == scope[1]
        for other in memory.waiting
    )
    if not waits:
        memory.liquidating.discard(scope)
        memory.dirty[task.account_id] = None
