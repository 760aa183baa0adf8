"""
Insurance funds: what they may take over, and the account that inherits bankrupt positions.

A group of markets shares a fund. It inherits positions only while it can carry the worst case:
inherited notional within its cap, an adverse shock survived, and no deep fall from its high of
the last eight hours. Source: Binance, "Introduction to insurance funds"; Bybit, ADL trigger;
DOMAIN 4.1.
"""

from __future__ import annotations

from exchange.core.collateral import contract_of, cross_positions, profit_atoms
from exchange.core.enums import LedgerKind, WalletKind, liquidation_account
from exchange.core.events import AnyEvent, InsuranceChanged
from exchange.core.ledger import Account
from exchange.core.margin import notional_atoms, value_atoms
from exchange.core.margin_ledger import insurance_of, move_between, post_entry
from exchange.core.market import Market
from exchange.core.memory import Memory
from exchange.core.state import Position, Wallet
from exchange.core.units import RATE_ONE, ceil_div

# A fall is measured from the high of this long.
DRAWDOWN_WINDOW_MS = 8 * 3_600_000


def liquidator(memory: Memory, market: Market) -> Account:
    """Return the account that inherits positions of a market."""
    return memory.ledger.system_account(liquidation_account(market.config.market_id))


def liquidator_wallet(memory: Memory, market: Market) -> Wallet:
    """Return the margin wallet of the inheriting account; at rest it is empty."""
    account = liquidator(memory, market)
    return memory.ledger.wallet(account, WalletKind.MARGIN, market.config.quote_asset_id)


def inherited(memory: Memory, market: Market) -> Position | None:
    """Return what a market's liquidation account holds, None if it never held anything."""
    account = memory.ledger.accounts.get(liquidation_account(market.config.market_id))
    return account.positions.get(market.config.market_id) if account is not None else None


def can_carry(
    memory: Memory,
    market: Market,
    *,
    quantity_atoms: int,
    cost_atoms: int,
    events: list[AnyEvent],
) -> bool:
    """
    Tell whether a market's fund could carry a position of this quantity and cost, both signed.

    Its running high and whether drawdown has stopped it are brought up to date on the way.
    """
    group = memory.insurances[contract_of(market).config.insurance_group]
    _, wallet = insurance_of(memory, market)
    profit, notional = _inherited_by_group(memory, group.market_ids)
    config = _follow_high(memory, group.config, wallet.total_atoms + profit, events)
    group.config = config
    if config.stopped:
        return False
    contract = contract_of(market)
    own = inherited(memory, market)
    held = own.quantity_atoms if own is not None else 0
    mark = contract.mark_atoms
    notional += notional_atoms(held + quantity_atoms, mark) - notional_atoms(held, mark)
    value = wallet.total_atoms + profit + value_atoms(quantity_atoms, mark) - cost_atoms
    if value - ceil_div(notional * config.shock_e8, RATE_ONE) < 0:
        return False
    return notional * RATE_ONE <= wallet.total_atoms * config.notional_cap_e8


def _inherited_by_group(memory: Memory, market_ids: list[int]) -> tuple[int, int]:
    """Return unrealised profit and notional of all that the group's markets inherited."""
    profit = notional = 0
    for market_id in market_ids:
        market = memory.markets[market_id]
        position = inherited(memory, market)
        if position is not None and position.quantity_atoms:
            contract = contract_of(market)
            profit += profit_atoms(position, contract)
            notional += notional_atoms(position.quantity_atoms, contract.mark_atoms)
    return profit, notional


def _follow_high(
    memory: Memory, config: InsuranceChanged, value_atoms: int, events: list[AnyEvent]
) -> InsuranceChanged:
    high, high_ms, stopped = config.high_atoms, config.high_ms, config.stopped
    if value_atoms >= high or memory.time_ms - high_ms > DRAWDOWN_WINDOW_MS:
        high, high_ms = max(0, value_atoms), memory.time_ms
    fall = (high - value_atoms) * RATE_ONE // high if high else 0
    if not stopped:
        stopped = bool(config.drawdown_e8) and fall > config.drawdown_e8
    else:
        stopped = fall >= config.recovery_e8
    if (high, high_ms, stopped) == (config.high_atoms, config.high_ms, config.stopped):
        return config
    changed = InsuranceChanged(
        config.group_id,
        config.notional_cap_e8,
        config.shock_e8,
        config.drawdown_e8,
        config.recovery_e8,
        high,
        high_ms,
        stopped,
    )
    memory.changes.insurances[config.group_id] = changed
    events.append(changed)
    return changed


def cover_shortfall(
    memory: Memory, market: Market, account: Account, kind: LedgerKind, amount_atoms: int = 0
) -> None:
    """
    Pay what an account owes beyond its collateral; the liquidation account's wallet carries it.

    That is ``amount_atoms``, and what its margin wallet is below zero with no open cross position
    behind it. The fund takes it over with ``settle_liquidator``.
    """
    quote_id = market.config.quote_asset_id
    wallet = memory.ledger.wallet(account, WalletKind.MARGIN, quote_id)
    if next(cross_positions(memory, account, quote_id), None) is None:
        amount_atoms = max(amount_atoms, -wallet.total_atoms)
    if amount_atoms:
        move_between(memory, liquidator_wallet(memory, market), -amount_atoms)
        wallet.total_atoms += amount_atoms
        post_entry(memory, account, wallet, kind, market.config.market_id, amount_atoms)


def settle_liquidator(memory: Memory, market: Market) -> int:
    """
    Move what the inheriting account gained or lost to the fund, as far as it reaches.

    Returns what the fund got (negative: paid). The account's entries stay with the fund alone.
    """
    wallet = liquidator_wallet(memory, market)
    account, fund = insurance_of(memory, market)
    amount = max(wallet.total_atoms, -fund.total_atoms)
    if amount:
        move_between(memory, wallet, -amount)
        fund.total_atoms += amount
        post_entry(memory, account, fund, LedgerKind.INSURANCE, market.config.market_id, amount)
    return amount
