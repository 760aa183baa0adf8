"""
Mark prices: what positions are judged by, from the index and a little of the own book.

The mark is the median of three: the index carried forward by the funding rate, the index plus
the average basis of the own mid price, and the last trade. It may leave the index by a quarter
of what the highest leverage allows. Own prices count only from a two-sided book and a recent
trade, so nobody moves it far alone. Source: Binance, "What are mark price and price index"; DOMAIN
3.2 and "Adopted here" 13.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from exchange.core.breaking import take_market
from exchange.core.collateral import contract_of
from exchange.core.contract import MARK_CLAMP_SHARE_E8, Contract
from exchange.core.enums import EndReason, MarketStatus, PriceQuality, Side, StatusCause
from exchange.core.events import AnyEvent
from exchange.core.funding import predicted_rate, start_when_due
from exchange.core.guards import find_unhealthy
from exchange.core.liquidation import start_liquidations, start_unwinding
from exchange.core.market import Market
from exchange.core.memory import Memory
from exchange.core.tasks import CancelOpeningTask
from exchange.core.units import ATOMS, RATE_ONE, ceil_div

# One basis sample a second over 30 seconds.
BASIS_SAMPLE_MS = 1_000
BASIS_WINDOW_MS = 30_000
# A wider spread says nothing about the middle.
SPREAD_MAX_E8 = 1_000_000
# A last trade older than this is no price of today.
LAST_AGE_MAX_MS = 10_000

# DEGRADED for longer: one source and the own mid must agree within this, or the market halts.
DEGRADED_MAX_MS = 60_000
AGREEMENT_E8 = 1_000_000


def mark_markets(
    memory: Memory, qualities: Mapping[int, PriceQuality], events: list[AnyEvent]
) -> list[int]:
    """
    Compute the marks of the perpetual markets named, start due funding, then liquidate.

    Returns the markets whose mark is new: those with a healthy price. Due funding fixes its
    rate and mark first, and who is liquidated has paid it before; DOMAIN 3.3.
    """
    marked: list[int] = []
    for market_id, quality in qualities.items():
        market = memory.markets[market_id]
        if market.contract is None or market.config.status is MarketStatus.SETTLED:
            continue
        memory.price_changes[market_id] = None
        _take_quality(memory, market, quality, events)
        if market.contract.quality is PriceQuality.LIVE:
            _mark(memory, market)
            marked.append(market_id)
    for market_id in marked:
        start_when_due(memory, memory.markets[market_id], events)
    contracts = [contract_of(memory.markets[market_id]) for market_id in marked]
    start_liquidations(memory, find_unhealthy(memory, contracts))
    start_unwinding(memory, marked)
    return marked


def _judged(memory: Memory, market: Market, quality: PriceQuality) -> PriceQuality:
    """
    Return the quality that counts.

    One source that has been alone for long is good enough while the own book agrees with it.
    """
    if quality is not PriceQuality.DEGRADED or not _is_long(memory, contract_of(market)):
        return quality
    mid = mid_price(market)
    index = market.index_atoms
    fresh = market.index is not None and market.index.time_ms == memory.time_ms
    if fresh and mid and abs(mid - index) * RATE_ONE <= index * AGREEMENT_E8:
        return PriceQuality.LIVE
    return quality


def _is_long(memory: Memory, contract: Contract) -> bool:
    """Tell whether the price has not been healthy for longer than is borne."""
    since = contract.unhealthy_since_ms
    return since > 0 and memory.time_ms - since > DEGRADED_MAX_MS


def _take_quality(
    memory: Memory, market: Market, quality: PriceQuality, events: list[AnyEvent]
) -> None:
    """Take over the quality; halt a market whose price stays doubtful, and open it again."""
    contract = contract_of(market)
    if quality is PriceQuality.LIVE:
        contract.unhealthy_since_ms = 0
    elif not contract.unhealthy_since_ms:
        contract.unhealthy_since_ms = memory.time_ms
    contract.quality = _judged(memory, market, quality)
    if contract.quality is PriceQuality.LIVE:
        _resume(memory, market, contract, events)
    elif _is_long(memory, contract) and _stops_by_itself(market):
        contract.halted_for_price = True
        _set_status(memory, market, MarketStatus.HALTED, events)
        memory.tasks.append(
            CancelOpeningTask(
                market.config.market_id,
                memory.sequences.order,
                EndReason.PRICE_DEGRADED,
                keep_reducing=True,
            )
        )


def _resume(memory: Memory, market: Market, contract: Contract, events: list[AnyEvent]) -> None:
    """Open a market that was halted for its price, unless an operator decided otherwise since."""
    if not contract.halted_for_price:
        return
    contract.halted_for_price = False
    if market.config.status_cause is StatusCause.NO_PRICE:
        _set_status(memory, market, MarketStatus.TRADING, events)


def _stops_by_itself(market: Market) -> bool:
    """Tell whether a doubtful price halts the market; what an operator restricted stays so."""
    config = market.config
    return config.status_cause in (StatusCause.NONE, StatusCause.CIRCUIT_BREAKER) and (
        config.status is not MarketStatus.HALTED
    )


def _set_status(
    memory: Memory, market: Market, status: MarketStatus, events: list[AnyEvent]
) -> None:
    trades = status is MarketStatus.TRADING
    config = msgspec.structs.replace(
        market.config,
        status=status,
        status_cause=StatusCause.NONE if trades else StatusCause.NO_PRICE,
        status_until_ms=0,
    )
    take_market(memory, config)
    events.append(config)


def _mark(memory: Memory, market: Market) -> None:
    """Sample basis and premium, and set the new mark."""
    contract = contract_of(market)
    _sample(memory, market, contract)
    index = market.index_atoms
    basis = sum(value for _, value in contract.basis) // max(1, len(contract.basis))
    interval = contract.config.funding_interval_ms
    until_funding = max(0, contract.next_funding_ms - memory.time_ms)
    carried = index + index * contract.funding_rate_e8 * until_funding // (interval * RATE_ONE)
    own = index + basis
    recent = memory.time_ms - contract.last_trade_ms <= LAST_AGE_MAX_MS
    last = market.last_atoms if recent and market.last_atoms else own
    reach = index * MARK_CLAMP_SHARE_E8 // (contract.leverage_max * RATE_ONE)
    mark = sorted((carried, own, last))[1]
    market.set_mark(max(index - reach, min(index + reach, mark)) or 1, memory.time_ms)
    contract.predicted_rate_e8 = predicted_rate(market)


def _sample(memory: Memory, market: Market, contract: Contract) -> None:
    """Take one basis and one premium sample, at most one a second; a thin book gives no basis."""
    oldest = memory.time_ms - BASIS_WINDOW_MS
    contract.basis = [sample for sample in contract.basis if sample[0] > oldest]
    if memory.time_ms < contract.sampled_ms + BASIS_SAMPLE_MS:
        return
    contract.sampled_ms = memory.time_ms
    mid = mid_price(market)
    if mid:
        contract.basis.append((memory.time_ms, mid - market.index_atoms))
    contract.premium_sum_e8 += premium_index(market, contract.config.impact_notional_atoms)
    contract.premium_count += 1


def mid_price(market: Market) -> int:
    """
    Return the middle of the book, rounded down; 0 from one that is thin, wide or one-sided.

    Both sides must hold the impact notional: a lot on either side of nothing moves no mark.
    """
    bid, ask = market.book.bids.best_price(), market.book.asks.best_price()
    if not bid or not ask or (ask - bid) * RATE_ONE > bid * SPREAD_MAX_E8:
        return 0
    notional = contract_of(market).config.impact_notional_atoms
    if not all(impact_price(market, side, notional) for side in (Side.BUY, Side.SELL)):
        return 0
    return (bid + ask) // 2


def premium_index(market: Market, notional_atoms: int) -> int:
    """
    Return (max(0, impact bid - index) - max(0, index - impact ask)) / index, in 10^-8.

    Rounded toward zero; a side without the depth contributes nothing. Source: Binance and dYdX.
    """
    index = market.index_atoms
    bid = impact_price(market, Side.SELL, notional_atoms)
    ask = impact_price(market, Side.BUY, notional_atoms)
    above = max(0, bid - index)
    below = max(0, index - ask) if ask else 0
    premium = above - below
    rate = abs(premium) * RATE_ONE // index
    return rate if premium >= 0 else -rate


def impact_price(market: Market, taker_side: Side, notional_atoms: int) -> int:
    """
    Return the average price at which a notional fills, 0 without the depth.

    Rounded against the premium: down for who sells into bids, up for who buys from asks.
    """
    levels = market.book.opposite(taker_side)
    left, quantity = notional_atoms, 0
    for key in reversed(levels.keys):
        price = key * levels.sign
        size = levels.levels[price].quantity_atoms
        value = price * size // ATOMS
        if value >= left:
            # notional / (quantity + left / price), as one fraction
            total = notional_atoms * ATOMS * price
            bought = quantity * price + left * ATOMS
            return ceil_div(total, bought) if taker_side is Side.BUY else total // bought
        quantity += size
        left -= value
    return 0
