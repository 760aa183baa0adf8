"""
Funding: what longs and shorts of a perpetual market pay each other, in bounded steps.

A time's funding has its rate and mark fixed in its first step. Payers pay first; receivers
share what was collected, in full unless an isolated payer had too little. A position is settled
at its turn, or before it is touched. Source: Binance, "Introduction to funding rates"; DOMAIN
3.3 and "Adopted here" 14.
"""

from __future__ import annotations

from bisect import bisect_right

from exchange.core.collateral import contract_of
from exchange.core.enums import (
    LedgerKind,
    MarginMode,
    PriceQuality,
    WalletKind,
    is_system_account,
)
from exchange.core.events import AnyEvent, FundingPaid, FundingSettled
from exchange.core.margin_ledger import (
    funding_wallet,
    insurance_of,
    move_between,
    post_entry,
    post_isolated,
)
from exchange.core.market import Market
from exchange.core.memory import Memory
from exchange.core.state import Position
from exchange.core.tasks import FundingTask
from exchange.core.units import ATOMS, RATE_ONE, ceil_div

SLOTS_PER_STEP = 250

# Funding that is later than this is skipped.
LATE_MAX_MS = 3_600_000

# The interest part may differ from the average premium by this, per 8 hours.
INTEREST_CLAMP_E8 = 50_000
INTEREST_INTERVAL_MS = 8 * 3_600_000

_KIND = LedgerKind.FUNDING
_MARGIN = WalletKind.MARGIN


def funding_rate(*, premium_e8: int, interest_rate_e8: int, interval_ms: int, cap_e8: int) -> int:
    """
    Return the funding rate of an interval, in 10^-8; positive: longs pay.

    (P + clamp(I - P, +-0.05 %)) / (8 hours / interval), within the cap; rounded toward zero.
    """
    clamped = max(-INTEREST_CLAMP_E8, min(INTEREST_CLAMP_E8, interest_rate_e8 - premium_e8))
    scaled = (premium_e8 + clamped) * interval_ms
    rate = abs(scaled) // INTEREST_INTERVAL_MS
    rate = rate if scaled >= 0 else -rate
    return max(-cap_e8, min(cap_e8, rate))


def predicted_rate(market: Market) -> int:
    """Return what the rate of the running interval would be now."""
    contract = contract_of(market)
    premium = 0
    if contract.premium_count:
        total = contract.premium_sum_e8
        premium = abs(total) // contract.premium_count
        premium = premium if total >= 0 else -premium
    return funding_rate(
        premium_e8=premium,
        interest_rate_e8=contract.config.interest_rate_e8,
        interval_ms=contract.config.funding_interval_ms,
        cap_e8=contract.funding_cap_e8,
    )


def next_time_ms(time_ms: int, interval_ms: int) -> int:
    """Return the first funding time after a time; they lie on multiples since the epoch."""
    return (time_ms // interval_ms + 1) * interval_ms


def start_when_due(memory: Memory, market: Market, events: list[AnyEvent]) -> None:
    """
    Begin the funding that is due, with a healthy mark; one that is too late is skipped.

    Called at each mark. Of times missed while the exchange was down, or while the price was
    not live, the latest is charged, once, with the first healthy mark.
    """
    contract = contract_of(market)
    interval = contract.config.funding_interval_ms
    if not contract.next_funding_ms:
        contract.next_funding_ms = next_time_ms(memory.time_ms, interval)
    if memory.time_ms < contract.next_funding_ms or contract.quality is not PriceQuality.LIVE:
        return
    market_id = market.config.market_id
    if market_id in memory.funding:
        return
    missed_ms, next_ms = contract.next_funding_ms, next_time_ms(memory.time_ms, interval)
    due_ms = max(missed_ms, next_ms - interval)
    rate = predicted_rate(market)
    if due_ms > missed_ms:
        _note(memory, market_id, missed_ms, rate, skipped=True, events=events)
    skipped = memory.time_ms - due_ms > LATE_MAX_MS
    _note(memory, market_id, due_ms, rate, skipped=skipped, events=events)
    contract.next_funding_ms = next_ms
    contract.premium_sum_e8 = contract.premium_count = 0
    memory.price_changes[market_id] = None
    if skipped:
        return
    contract.funding_rate_e8 = rate
    if rate and contract.long_atoms:
        task = FundingTask(market_id, due_ms, rate, contract.mark_atoms)
        memory.tasks.append(task)
        memory.funding[market_id] = task


def _note(
    memory: Memory,
    market_id: int,
    funding_ms: int,
    rate_e8: int,
    *,
    skipped: bool,
    events: list[AnyEvent],
) -> None:
    """Write one time's funding into history."""
    mark_atoms = contract_of(memory.markets[market_id]).mark_atoms
    settled = FundingSettled(market_id, funding_ms, rate_e8, mark_atoms, skipped, memory.time_ms)
    memory.changes.fundings.append(settled)
    events.append(settled)


def funding_step(memory: Memory, task: FundingTask, events: list[AnyEvent]) -> bool:
    """Settle the next positions; tell whether all have been."""
    market = memory.markets[task.market_id]
    positions = contract_of(market).positions
    start = bisect_right(positions, task.after_slot_id, key=_slot_id)
    for position in positions[start : start + SLOTS_PER_STEP]:
        if task.paying:
            _settle(memory, market, task, position, events)
        elif position.funding_due_atoms:
            _pay_out(memory, market, task, position, events)
        task.after_slot_id = position.slot_id
    if start + SLOTS_PER_STEP < len(positions):
        return False
    if task.paying:
        task.paying = False
        task.after_slot_id = 0
        task.left_atoms = task.pool_atoms
        return False
    _give_rest(memory, market, task)
    del memory.funding[task.market_id]
    return True


def settle_when_touched(
    memory: Memory, market: Market, position: Position, events: list[AnyEvent]
) -> None:
    """Settle a position that is about to change while its market's funding is under way."""
    task = memory.funding.get(market.config.market_id)
    if task is not None and task.paying:
        _settle(memory, market, task, position, events)


def _slot_id(position: Position) -> int:
    return position.slot_id


def _settle(
    memory: Memory,
    market: Market,
    task: FundingTask,
    position: Position,
    events: list[AnyEvent],
) -> None:
    """Let a payer pay; note what a receiver is due."""
    if not position.quantity_atoms or position.funded_ms >= task.funding_ms:
        return
    position.funded_ms = task.funding_ms
    memory.changes.positions[position.slot_id] = position
    product = position.quantity_atoms * task.mark_atoms * task.rate_e8
    if product > 0:
        amount = ceil_div(product, ATOMS * RATE_ONE)
        task.pool_atoms += _collect(memory, market, task, position, amount, events)
        memory.dirty[position.account_id] = None
        return
    position.funding_due_atoms = -product // (ATOMS * RATE_ONE)
    position.funding_quantity_atoms = position.quantity_atoms
    position.funding_position_id = position.position_id
    task.due_atoms += position.funding_due_atoms


def _collect(
    memory: Memory,
    market: Market,
    task: FundingTask,
    position: Position,
    amount_atoms: int,
    events: list[AnyEvent],
) -> int:
    """
    Take a payer's funding and return what was paid.

    A cross wallet may go below zero behind its open position, which liquidation then looks at.
    An isolated wallet pays what it has, then the margin wallet what it has; the insurance fund
    pays for what the exchange itself inherited, as far as it reaches.
    """
    account = memory.ledger.accounts[position.account_id]
    wallet = memory.ledger.wallet(account, _MARGIN, market.config.quote_asset_id)
    from_isolated = 0
    if is_system_account(position.account_id):
        account, wallet = insurance_of(memory, market)
        from_wallet = min(amount_atoms, max(0, wallet.total_atoms))
    else:
        from_isolated, from_wallet = _split(position, wallet.total_atoms, amount_atoms)
    position.isolated_atoms -= from_isolated
    wallet.total_atoms -= from_wallet
    paid = from_isolated + from_wallet
    position.funding_atoms -= paid
    move_between(memory, funding_wallet(memory, market), paid)
    entry_id = 0
    if from_isolated:
        entry_id = post_isolated(
            memory, account, position, wallet, _KIND, position.position_id, -from_isolated
        )
    if from_wallet:
        entry_id = post_entry(memory, account, wallet, _KIND, position.position_id, -from_wallet)
    if paid:
        _tell(memory, task, position, entry_id, -paid, events)
    return paid


def _split(position: Position, total_atoms: int, amount_atoms: int) -> tuple[int, int]:
    """Return what of an amount the isolated wallet and the margin wallet pay."""
    if position.mode is not MarginMode.ISOLATED:
        return 0, amount_atoms
    from_isolated = min(amount_atoms, position.isolated_atoms)
    return from_isolated, min(amount_atoms - from_isolated, max(0, total_atoms))


def pending(
    memory: Memory, market_id: int, position: Position, total_atoms: int
) -> tuple[int, int]:
    """
    Return what a position will pay from isolated and margin wallet once it is touched.

    Plans count it: a wallet that covers a fill must cover the funding that comes before it.
    """
    task = memory.funding.get(market_id)
    if task is None or not task.paying or position.funded_ms >= task.funding_ms:
        return 0, 0
    product = position.quantity_atoms * task.mark_atoms * task.rate_e8
    if product <= 0:
        return 0, 0
    return _split(position, total_atoms, ceil_div(product, ATOMS * RATE_ONE))


def _pay_out(
    memory: Memory,
    market: Market,
    task: FundingTask,
    position: Position,
    events: list[AnyEvent],
) -> None:
    """Give a receiver its share of what was collected, rounded down."""
    amount = position.funding_due_atoms
    if task.pool_atoms < task.due_atoms:
        amount = amount * task.pool_atoms // task.due_atoms
    account = memory.ledger.accounts[position.account_id]
    wallet = memory.ledger.wallet(account, _MARGIN, market.config.quote_asset_id)
    same = position.position_id == position.funding_position_id
    if is_system_account(position.account_id):
        account, wallet = insurance_of(memory, market)
    if amount:
        task.left_atoms -= amount
        move_between(memory, funding_wallet(memory, market), -amount)
        if same and position.mode is MarginMode.ISOLATED:
            position.isolated_atoms += amount
            entry_id = post_isolated(
                memory, account, position, wallet, _KIND, position.funding_position_id, amount
            )
        else:
            wallet.total_atoms += amount
            entry_id = post_entry(
                memory, account, wallet, _KIND, position.funding_position_id, amount
            )
        if same:
            position.funding_atoms += amount
        _tell(memory, task, position, entry_id, amount, events)
    position.funding_due_atoms = 0
    position.funding_quantity_atoms = 0
    position.funding_position_id = 0
    memory.changes.positions[position.slot_id] = position
    memory.dirty[position.account_id] = None


def _give_rest(memory: Memory, market: Market, task: FundingTask) -> None:
    """Leave to the insurance fund what rounding kept back."""
    if task.left_atoms:
        account, wallet = insurance_of(memory, market)
        move_between(memory, funding_wallet(memory, market), -task.left_atoms)
        wallet.total_atoms += task.left_atoms
        post_entry(memory, account, wallet, _KIND, 0, task.left_atoms)


def _tell(
    memory: Memory,
    task: FundingTask,
    position: Position,
    entry_id: int,
    amount_atoms: int,
    events: list[AnyEvent],
) -> None:
    received = amount_atoms > 0
    paid = FundingPaid(
        entry_id,
        position.account_id,
        task.market_id,
        position.funding_position_id if received else position.position_id,
        task.funding_ms,
        task.rate_e8,
        task.mark_atoms,
        position.funding_quantity_atoms if received else position.quantity_atoms,
        amount_atoms,
        memory.time_ms,
    )
    memory.changes.funding_payments.append(paid)
    events.append(paid)
