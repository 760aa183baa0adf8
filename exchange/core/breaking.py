"""
The circuit breaker: a market stops before it trades too far from where it was.

The reference is the price at the start of the last window. It is kept in slots of a tenth of
the window, each with the price before its first trade, so it changes once a slot and what is
kept is bounded; the window is up to a slot longer than set. Without a trade in the window
the index price is the reference, without that the last price; after a halt that one is too
old to go by, and with no other the first trade is free.
"""

from __future__ import annotations

import msgspec

from exchange.core.enums import MarketStatus, Side, StatusCause
from exchange.core.events import AnyEvent, MarketConfigured
from exchange.core.market import Market, band_price
from exchange.core.memory import Memory
from exchange.core.units import AMOUNT_MAX

SLOTS = 10

# What a market that broke goes through.
_NEXT = {
    MarketStatus.HALTED: MarketStatus.CANCEL_ONLY,
    MarketStatus.CANCEL_ONLY: MarketStatus.POST_ONLY,
    MarketStatus.POST_ONLY: MarketStatus.TRADING,
}
_TRADING = MarketStatus.TRADING


def price_range(market: Market, time_ms: int) -> tuple[int, int]:
    """Return the lowest and the highest price at which the market may trade now."""
    reference = reference_price(market, time_ms)
    if not reference:
        return 0, AMOUNT_MAX
    rate = market.config.safety.breaker_band_e8
    return band_price(reference, rate, Side.SELL), band_price(reference, rate, Side.BUY)


def reference_price(market: Market, time_ms: int) -> int:
    """Return the price that the breaker's band lies around, 0 when there is none."""
    oldest = time_ms // _slot_ms(market) - SLOTS
    for slot, price_atoms in market.window.slots:
        if slot >= oldest:
            return price_atoms
    return market.index_atoms or (0 if market.window.unanchored else market.last_atoms)


def note_trade(memory: Memory, market: Market, price_atoms: int) -> None:
    """Remember where the price was before a trade that is about to happen."""
    window = market.window
    slot = memory.time_ms // _slot_ms(market)
    if window.slots and window.slots[-1][0] == slot:
        return
    kept = [entry for entry in window.slots if entry[0] >= slot - SLOTS]
    before = market.last_atoms if kept else reference_price(market, memory.time_ms)
    window.slots = [*kept, (slot, before or price_atoms)]
    window.unanchored = False
    memory.changes.price_windows[window.market_id] = window


def _slot_ms(market: Market) -> int:
    return max(1, market.config.safety.breaker_window_ms // SLOTS)


def take_market(memory: Memory, config: MarketConfigured) -> None:
    """Take over a market's settings and status; new rules of the breaker start afresh."""
    market_id = config.market_id
    market = memory.markets.get(market_id)
    if market is None:
        memory.markets[market_id] = Market(config)
        memory.symbols[config.symbol] = market_id
    else:
        if market.config.safety != config.safety and market.window.slots:
            market.window.slots = []
            memory.changes.price_windows[market_id] = market.window
        market.configure(config)
    if config.status_until_ms:
        memory.breakers[market_id] = None
    else:
        memory.breakers.pop(market_id, None)
    memory.changes.markets[market_id] = config


def trip(memory: Memory, market: Market, events: list[AnyEvent]) -> None:
    """Stop a market whose next trade would leave the band."""
    market.window.slots = []
    market.window.unanchored = True
    memory.changes.price_windows[market.window.market_id] = market.window
    _enter(memory, market, MarketStatus.HALTED, events)


def is_due(memory: Memory, time_ms: int) -> bool:
    """Tell whether a market that broke enters its next phase."""
    markets = memory.markets
    return any(markets[key].config.status_until_ms <= time_ms for key in memory.breakers)


def advance(memory: Memory, events: list[AnyEvent]) -> None:
    """Let the market whose phase ended first (then the lowest number) enter its next."""
    markets = [memory.markets[key] for key in memory.breakers]
    market = min(markets, key=lambda m: (m.config.status_until_ms, m.config.market_id))
    _enter(memory, market, _NEXT[market.config.status], events)


def _enter(memory: Memory, market: Market, status: MarketStatus, events: list[AnyEvent]) -> None:
    """Begin a phase now, however late; phases of no length are left out."""
    safety = market.config.safety
    lengths = {
        MarketStatus.HALTED: safety.halt_ms,
        MarketStatus.CANCEL_ONLY: safety.cancel_only_ms,
        MarketStatus.POST_ONLY: safety.post_only_ms,
    }
    while status is not _TRADING and not lengths[status]:
        status = _NEXT[status]
    trades = status is _TRADING
    config = msgspec.structs.replace(
        market.config,
        status=status,
        status_cause=StatusCause.NONE if trades else StatusCause.CIRCUIT_BREAKER,
        status_until_ms=0 if trades else memory.time_ms + lengths[status],
    )
    take_market(memory, config)
    events.append(config)
