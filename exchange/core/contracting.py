"""Terms of perpetual markets, insurance groups and their funds, as operators' commands."""

from __future__ import annotations

from exchange.core.commands import ConfigureContract, ConfigureInsurance, MoveInsurance
from exchange.core.contract import Contract, Insurance
from exchange.core.enums import (
    SYSTEM_RANGE_SIZE,
    LedgerKind,
    MarketKind,
    WalletKind,
    insurance_account,
)
from exchange.core.events import AnyEvent, ContractConfigured, InsuranceChanged, Outcome
from exchange.core.margin import LEVERAGE_LIMIT, bracket_rows
from exchange.core.memory import Memory
from exchange.core.rejects import Code
from exchange.core.units import AMOUNT_MAX, RATE_ONE

INTERVAL_MIN_MS = 60_000
INTERVAL_MAX_MS = 24 * 3_600_000

# A group that a contract names first: it may inherit as much as its fund, survives a move of
# 10 %, and stops after a fall of 30 % until it is back within 25 % (Bybit's figures).
INSURANCE_DEFAULTS = (RATE_ONE, 10_000_000, 30_000_000, 25_000_000)


def plan_contract(memory: Memory, command: ConfigureContract) -> ContractConfigured | Code:
    """Return the terms as they will be, or why not."""
    market = memory.markets.get(command.market_id)
    if market is None:
        return Code.MARKET_NOT_FOUND
    if market.config.kind is not MarketKind.PERPETUAL:
        return Code.NOT_A_PERPETUAL
    if not _terms_are_valid(command):
        return Code.INVALID_CONFIGURATION
    rows = bracket_rows(command.brackets)
    if rows is None:
        return Code.INVALID_BRACKETS
    contract = market.contract
    if contract is not None:
        if contract.config.settled_price_atoms:
            return Code.MARKET_SETTLED
        if contract.config.insurance_group != command.insurance_group:
            return Code.CONFIGURATION_IN_USE
    return ContractConfigured(
        command.market_id,
        command.insurance_group,
        command.funding_interval_ms,
        command.interest_rate_e8,
        command.funding_cap_e8,
        command.impact_notional_atoms,
        command.liquidation_fee_e8,
        command.position_notional_max_atoms,
        command.open_interest_max_atoms,
        rows,
        command.leverage_default,
        command.liquidations_paused,
    )


def _terms_are_valid(command: ConfigureContract) -> bool:
    bounds = (
        command.impact_notional_atoms,
        command.position_notional_max_atoms,
        command.open_interest_max_atoms,
    )
    return (
        1 <= command.insurance_group < SYSTEM_RANGE_SIZE
        and INTERVAL_MIN_MS <= command.funding_interval_ms <= INTERVAL_MAX_MS
        and abs(command.interest_rate_e8) < RATE_ONE
        and 0 <= command.funding_cap_e8 < RATE_ONE
        and 0 <= command.liquidation_fee_e8 < RATE_ONE
        and all(0 <= bound <= AMOUNT_MAX for bound in bounds)
        and command.impact_notional_atoms > 0
        and 1 <= command.leverage_default <= LEVERAGE_LIMIT
    )


def configure_contract(memory: Memory, plan: ContractConfigured) -> Outcome:
    """
    Set the terms; all positions of the market are judged by them at the next mark.

    Who has a leverage above what the new brackets allow keeps it for what is open, and opens
    nothing more with it.
    """
    market = memory.markets[plan.market_id]
    events: list[AnyEvent] = [plan]
    if plan.insurance_group not in memory.insurances:
        group = InsuranceChanged(plan.insurance_group, *INSURANCE_DEFAULTS)
        events.append(_take_insurance(memory, group))
    if market.contract is None:
        market.contract = Contract(plan)
        memory.insurances[plan.insurance_group].market_ids.append(plan.market_id)
    else:
        market.contract.configure(plan)
        for position in market.contract.positions:
            if position.quantity_atoms:
                memory.dirty[position.account_id] = None
    memory.changes.contracts[plan.market_id] = plan
    memory.price_changes[plan.market_id] = None
    return Outcome(Code.OK, plan.market_id, events)


def plan_insurance(memory: Memory, command: ConfigureInsurance) -> InsuranceChanged | Code:
    """Return the group as it will be."""
    rates = (command.shock_e8, command.drawdown_e8, command.recovery_e8)
    valid = (
        1 <= command.group_id < SYSTEM_RANGE_SIZE
        and 0 <= command.notional_cap_e8 <= 1_000 * RATE_ONE
        and all(0 <= rate <= RATE_ONE for rate in rates)
        and command.recovery_e8 <= command.drawdown_e8
    )
    if not valid:
        return Code.INVALID_CONFIGURATION
    known = memory.insurances.get(command.group_id)
    high, high_ms, stopped = 0, 0, False
    if known is not None:
        config = known.config
        high, high_ms, stopped = config.high_atoms, config.high_ms, config.stopped
    return InsuranceChanged(
        command.group_id,
        command.notional_cap_e8,
        command.shock_e8,
        command.drawdown_e8,
        command.recovery_e8,
        high,
        high_ms,
        stopped,
    )


def configure_insurance(memory: Memory, plan: InsuranceChanged) -> Outcome:
    """Create or change a group."""
    return Outcome(Code.OK, plan.group_id, [_take_insurance(memory, plan)])


def _take_insurance(memory: Memory, config: InsuranceChanged) -> InsuranceChanged:
    known = memory.insurances.get(config.group_id)
    if known is None:
        memory.insurances[config.group_id] = Insurance(config)
    else:
        known.config = config
    memory.changes.insurances[config.group_id] = config
    return config


def plan_move_insurance(memory: Memory, command: MoveInsurance) -> MoveInsurance | Code:
    """Return the command unless the group, the asset or the amount is not there."""
    if command.group_id not in memory.insurances:
        return Code.INSURANCE_GROUP_NOT_FOUND
    if command.asset_id not in memory.assets:
        return Code.ASSET_NOT_FOUND
    amount = command.amount_atoms
    if not amount or abs(amount) > AMOUNT_MAX:
        return Code.INVALID_AMOUNT
    issued = memory.ledger.external.spot.get(command.asset_id)
    if amount - (issued.total_atoms if issued is not None else 0) > AMOUNT_MAX:
        return Code.BALANCE_LIMIT
    account = memory.ledger.accounts.get(insurance_account(command.group_id))
    wallet = account.margin.get(command.asset_id) if account is not None else None
    if amount < 0 and (wallet.total_atoms if wallet is not None else 0) < -amount:
        return Code.INSUFFICIENT_INSURANCE
    return command


def move_insurance(memory: Memory, plan: MoveInsurance) -> Outcome:
    """Move an amount between ``external`` and a fund."""
    ledger = memory.ledger
    memory.sequences.transfer += 1
    number = memory.sequences.transfer
    fund = ledger.system_account(insurance_account(plan.group_id))
    for account, kind, amount in (
        (ledger.external, WalletKind.SPOT, -plan.amount_atoms),
        (fund, WalletKind.MARGIN, plan.amount_atoms),
    ):
        ledger.post_amount(
            account,
            ledger.wallet(account, kind, plan.asset_id),
            amount_atoms=amount,
            kind=LedgerKind.INSURANCE,
            reference_id=number,
            time_ms=memory.time_ms,
            note=plan.reason,
        )
    return Outcome(Code.OK, number, ())
