"""Assets, markets, fees, accounts, index prices and leadership, all as commands."""

from __future__ import annotations

import msgspec

from exchange.core.breaking import take_market
from exchange.core.commands import (
    ConfigureAccount,
    ConfigureAsset,
    ConfigureFeeTier,
    ConfigureMarket,
    SetMarketStatus,
    StartLeadership,
    UpdateIndexPrices,
)
from exchange.core.enums import (
    SYSTEM_RANGE,
    SYSTEM_RANGE_SIZE,
    MarketKind,
    MarketStatus,
    PriceQuality,
    StatusCause,
    TriggerType,
    WalletKind,
)
from exchange.core.events import (
    AccountConfigured,
    AnyEvent,
    AssetConfigured,
    FeeTierConfigured,
    IndexPriceChanged,
    MarketConfigured,
    Outcome,
)
from exchange.core.ledger import Account
from exchange.core.marking import mark_markets
from exchange.core.memory import Memory
from exchange.core.observing import observe
from exchange.core.rejects import Code
from exchange.core.units import AMOUNT_MAX, ATOMS, DECIMALS_MAX, RATE_ONE

# A pause of the leader shorter than this is not noticed by users; after a longer one the
# exchange takes only cancels, then only post-only orders, so that nobody trades against
# quotes that are older than the pause.
PAUSE_NOTICED_MS = 10_000
CANCEL_ONLY_MS = 5_000
POST_ONLY_MS = 10_000

# Ids below this belong to the exchange itself.
USER_ACCOUNT_MIN = 1_000


def plan_asset(memory: Memory, command: ConfigureAsset) -> AssetConfigured | Code:
    """Return the asset as it will be; its code never changes and its decimals never fall."""
    if command.asset_id < 1 or not command.code or not 0 <= command.decimals <= DECIMALS_MAX:
        return Code.INVALID_CONFIGURATION
    if any(
        asset.code == command.code and asset.asset_id != command.asset_id
        for asset in memory.assets.values()
    ):
        return Code.INVALID_CONFIGURATION
    known = memory.assets.get(command.asset_id)
    if known is not None and (known.code != command.code or command.decimals < known.decimals):
        return Code.CONFIGURATION_IN_USE
    return AssetConfigured(command.asset_id, command.code, command.name, command.decimals)


def configure_asset(memory: Memory, plan: AssetConfigured) -> Outcome:
    """Create or change an asset."""
    memory.assets[plan.asset_id] = plan
    memory.changes.assets[plan.asset_id] = plan
    # Contra and fee wallets exist from the start, in an order that replay repeats.
    for account in (memory.ledger.external, memory.ledger.fees):
        wallet = memory.ledger.wallet(account, WalletKind.SPOT, plan.asset_id)
        memory.ledger.touch(account, wallet)
    return Outcome(Code.OK, plan.asset_id, [plan])


def plan_market(memory: Memory, command: ConfigureMarket) -> MarketConfigured | Code:
    """Return the market as it will be."""
    for asset_id in (command.base_asset_id, command.quote_asset_id):
        if asset_id not in memory.assets:
            return Code.ASSET_NOT_FOUND
    if not _market_is_valid(memory, command):
        return Code.INVALID_CONFIGURATION
    known = memory.markets.get(command.market_id)
    if known is not None:
        config = known.config
        fixed = (config.symbol, config.kind, config.base_asset_id, config.quote_asset_id)
        grid = (config.tick_atoms, config.lot_atoms)
        if fixed != (
            command.symbol,
            command.kind,
            command.base_asset_id,
            command.quote_asset_id,
        ) or (
            grid != (command.tick_atoms, command.lot_atoms)
            and any(order.market_id == command.market_id for order in memory.orders.values())
        ):
            return Code.CONFIGURATION_IN_USE
    plan = MarketConfigured(
        command.market_id,
        command.symbol,
        command.kind,
        command.base_asset_id,
        command.quote_asset_id,
        command.tick_atoms,
        command.lot_atoms,
        command.quantity_min_atoms,
        command.quantity_max_atoms,
        command.price_min_atoms,
        command.price_max_atoms,
        command.notional_min_atoms,
        command.price_band_e8,
        command.market_band_e8,
        command.status,
        command.safety,
        _cause(command.status, StatusCause.OPERATOR),
    )
    if known is None or not command.keeps_status:
        return plan
    return msgspec.structs.replace(
        plan,
        status=known.config.status,
        status_cause=known.config.status_cause,
        status_until_ms=known.config.status_until_ms,
    )


def _cause(status: MarketStatus, cause: StatusCause) -> StatusCause:
    return StatusCause.NONE if status is MarketStatus.TRADING else cause


def _market_is_valid(memory: Memory, command: ConfigureMarket) -> bool:
    holder = memory.symbols.get(command.symbol)
    bounds = (
        command.quantity_min_atoms,
        command.quantity_max_atoms,
        command.price_min_atoms,
        command.price_max_atoms,
        command.notional_min_atoms,
    )
    return (
        command.market_id >= 1
        and bool(command.symbol)
        and holder in (None, command.market_id)
        and _kind_is_valid(memory, command)
        and command.base_asset_id != command.quote_asset_id
        and 0 < command.tick_atoms <= AMOUNT_MAX
        and 0 < command.lot_atoms <= AMOUNT_MAX
        and command.tick_atoms * command.lot_atoms % ATOMS == 0
        and command.safety.is_valid()
        and all(0 <= bound <= AMOUNT_MAX for bound in bounds)
        and all(0 <= band < RATE_ONE for band in (command.price_band_e8, command.market_band_e8))
    )


def _kind_is_valid(memory: Memory, command: ConfigureMarket) -> bool:
    """A perpetual market stays halted until its contract is configured."""
    if command.kind is MarketKind.SPOT:
        return True
    known = memory.markets.get(command.market_id)
    ready = known is not None and known.contract is not None
    return command.market_id < SYSTEM_RANGE_SIZE and (
        ready or command.status is MarketStatus.HALTED
    )


def configure_market(memory: Memory, plan: MarketConfigured) -> Outcome:
    """Create or change a market."""
    take_market(memory, plan)
    return Outcome(Code.OK, plan.market_id, [plan])


def plan_market_status(memory: Memory, command: SetMarketStatus) -> MarketConfigured | Code:
    """Return the market with its new status, which no clock will change."""
    market = memory.markets.get(command.market_id)
    if market is None:
        return Code.MARKET_NOT_FOUND
    settled = MarketStatus.SETTLED
    if market.config.status is settled or command.status is settled:
        return Code.MARKET_SETTLED
    unready = market.config.kind is MarketKind.PERPETUAL and market.contract is None
    if unready and command.status is not MarketStatus.HALTED:
        return Code.INVALID_CONFIGURATION
    return msgspec.structs.replace(
        market.config,
        status=command.status,
        status_cause=_cause(command.status, command.cause),
        status_until_ms=0,
    )


def plan_fee_tier(memory: Memory, command: ConfigureFeeTier) -> FeeTierConfigured | Code:
    """
    Return the tier; no rate is one or more, and maker + taker is never below zero.

    Any maker may meet any taker, so the sum must hold across all tiers, and for the rates
    that open orders froze.
    """
    maker, taker = command.maker_rate_e8, command.taker_rate_e8
    if command.tier < 0 or not 0 <= taker < RATE_ONE or maker >= RATE_ONE:
        return Code.INVALID_CONFIGURATION
    others = [tier for tier in memory.fee_tiers.values() if tier.tier != command.tier]
    taker_lowest = min([taker, *(tier.taker_rate_e8 for tier in others)])
    if min([maker, *(tier.maker_rate_e8 for tier in others)]) < -taker_lowest:
        return Code.INVALID_CONFIGURATION
    if any(order.maker_rate_e8 < -taker_lowest for order in memory.orders.values()):
        return Code.CONFIGURATION_IN_USE
    return FeeTierConfigured(command.tier, maker, taker)


def configure_fee_tier(memory: Memory, plan: FeeTierConfigured) -> Outcome:
    """Create or change a fee tier."""
    memory.fee_tiers[plan.tier] = plan
    memory.changes.fee_tiers[plan.tier] = plan
    return Outcome(Code.OK, plan.tier, [plan])


def plan_account(memory: Memory, command: ConfigureAccount) -> AccountConfigured | Code:
    """Return the account as it will be."""
    if (
        command.account_id < USER_ACCOUNT_MIN
        or command.account_id in SYSTEM_RANGE
        or command.open_orders_max < 1
        or command.fee_tier not in memory.fee_tiers
    ):
        return Code.INVALID_CONFIGURATION
    return AccountConfigured(
        command.account_id,
        command.status,
        command.fee_tier,
        command.open_orders_max,
        command.self_trade_mode,
    )


def configure_account(memory: Memory, plan: AccountConfigured) -> Outcome:
    """Create or change an account."""
    accounts = memory.ledger.accounts
    account = accounts.get(plan.account_id)
    if account is None:
        accounts[plan.account_id] = Account(plan)
    else:
        account.configure(plan)
    memory.changes.accounts[plan.account_id] = plan
    return Outcome(Code.OK, plan.account_id, [plan])


def plan_index_prices(memory: Memory, command: UpdateIndexPrices) -> UpdateIndexPrices | Code:
    """Return the command if its markets are known and its prices possible values."""
    for market_id, price in command.prices:
        if market_id not in memory.markets:
            return Code.MARKET_NOT_FOUND
        if not 0 < price <= AMOUNT_MAX:
            return Code.INVALID_PRICE
    if any(key not in memory.markets for key in (*command.degraded, *command.missing)):
        return Code.MARKET_NOT_FOUND
    return command


def update_index_prices(memory: Memory, plan: UpdateIndexPrices) -> Outcome:
    """
    Take over index prices, and judge positions by the marks that follow.

    All prices first, then liquidations, then the triggers: a stop never fires ahead of the
    liquidation that the same price calls for.
    """
    events: list[AnyEvent] = []
    qualities = dict.fromkeys((key for key, _ in plan.prices), PriceQuality.LIVE)
    qualities.update(dict.fromkeys(plan.degraded, PriceQuality.DEGRADED))
    qualities.update(dict.fromkeys(plan.missing, PriceQuality.MISSING))
    for market_id, price in plan.prices:
        event = IndexPriceChanged(market_id, price, memory.time_ms)
        memory.markets[market_id].set_index(event)
        memory.changes.index_prices[market_id] = event
        events.append(event)
    marked = mark_markets(memory, qualities, events)
    for market_id, price in plan.prices:
        # A doubtful price fires nothing where it could cost a position.
        contract = memory.markets[market_id].contract
        if contract is None or contract.quality is PriceQuality.LIVE:
            observe(memory, market_id, TriggerType.INDEX, price)
    for market_id in marked:
        observe(memory, market_id, TriggerType.MARK, memory.markets[market_id].mark_atoms)
    return Outcome(Code.OK, 0, events)


def plan_leadership(memory: Memory, command: StartLeadership) -> StartLeadership | Code:
    """Return the command unless its epoch is not newer."""
    return command if command.epoch > memory.epoch else Code.STALE_EPOCH


def start_leadership(memory: Memory, plan: StartLeadership) -> Outcome:
    """Take the epoch over; after a noticed pause reopen in phases."""
    memory.epoch = plan.epoch
    if plan.down_ms >= PAUSE_NOTICED_MS:
        memory.cancel_only_until_ms = memory.time_ms + CANCEL_ONLY_MS
        memory.post_only_until_ms = memory.cancel_only_until_ms + POST_ONLY_MS
    return Outcome(Code.OK, 0, ())
