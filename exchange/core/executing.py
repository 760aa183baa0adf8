"""Carrying an order out: matching plan, fills, and what becomes of the rest."""

from __future__ import annotations

from exchange.core.breaking import note_trade, trip
from exchange.core.checks import RESTING
from exchange.core.enums import (
    CloseReason,
    EndReason,
    LinkKind,
    OrderStatus,
    OrderType,
    Side,
    TriggerType,
)
from exchange.core.events import AnyEvent, TradeExecuted
from exchange.core.ledger import Account, charge_fee, hold_needed, hold_of
from exchange.core.market import Market
from exchange.core.matching import DECREMENT, EXPIRE_DUE, EXPIRE_MARGIN, FILL, Plan
from exchange.core.memory import Memory
from exchange.core.observing import observe
from exchange.core.perpetual import after_fill, post_fill
from exchange.core.protecting import count_fill, pull_quotes
from exchange.core.state import Order
from exchange.core.taking import RESTING_STOPS
from exchange.core.triggers import MARKET_TYPES
from exchange.core.units import ATOMS

# Module names of enum members: an attribute of an enum class costs twice as much.
_BUY = Side.BUY
_PARTIALLY_FILLED, _FILLED = OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED
_NO_REASON, _NO_LIQUIDITY = EndReason.NONE, EndReason.NO_LIQUIDITY
_CIRCUIT_BREAKER = EndReason.CIRCUIT_BREAKER
_LAST = TriggerType.LAST

# Why a plan lets a maker expire.
_EXPIRY_REASONS = {
    EXPIRE_DUE: EndReason.TIME_EXPIRED,
    EXPIRE_MARGIN: EndReason.INSUFFICIENT_MARGIN,
}


def execute(
    memory: Memory,
    account: Account,
    market: Market,
    order: Order,
    match: Plan | None,
    needed_atoms: int,
    events: list[AnyEvent],
    *,
    listed: bool = False,
) -> None:
    """
    Carry out the plan of an order that holds nothing now; cannot fail.

    ``needed_atoms`` is what the order holds if it rests untouched; ``listed`` says that it
    is among the open orders already (it was triggered or moved).
    """
    if match is None:
        stop = _NO_LIQUIDITY
    else:
        stop = match.stop
        for kind, maker, quantity, notional in match.steps:
            if kind == FILL:
                _fill(memory, market, account, order, maker, quantity, notional, events)
            elif kind == DECREMENT:
                _decrement(memory, market, maker, quantity, events)
            else:
                reason = _EXPIRY_REASONS.get(kind, EndReason.SELF_TRADE)
                memory.retire(maker, OrderStatus.EXPIRED, reason, events)
        if match.unfilled_atoms != order.remaining_atoms:
            order.remaining_atoms = match.unfilled_atoms
            needed_atoms = hold_of(order) if order.remaining_atoms and order.price_atoms else 0
    if order.remaining_atoms and order.time_in_force in RESTING and stop in RESTING_STOPS:
        if order.filled_atoms:
            order.status = _PARTIALLY_FILLED
        memory.rest(account, market, order, needed_atoms, listed=listed)
    else:
        if match is None and market.book.opposite(order.side).keys:
            stop = EndReason.PRICE_CAP
        _end_taker(memory, account, market, order, stop, listed=listed)
    events.append(memory.changed(order))
    if memory.tripped or stop is _CIRCUIT_BREAKER:
        _after_taker(memory, market, stop, events)


def _after_taker(memory: Memory, market: Market, stop: EndReason, events: list[AnyEvent]) -> None:
    """Pull the quotes that a taker ran over, and stop the market at which it stopped."""
    if memory.tripped:
        pull_quotes(memory, events)
    if stop is _CIRCUIT_BREAKER:
        trip(memory, market, events)


def _end_taker(
    memory: Memory,
    account: Account,
    market: Market,
    order: Order,
    stop: EndReason,
    *,
    listed: bool,
) -> None:
    """Give a taker that does not rest its final status."""
    if stop is _NO_REASON:
        order.status = _FILLED
    else:
        order.status = OrderStatus.EXPIRED
        immediate = order.order_type not in MARKET_TYPES and stop in RESTING_STOPS
        order.reason = EndReason.IOC_REMAINDER if immediate else stop
        order.remaining_atoms = 0
    if not order.margined:  # there ``register`` has touched the wallet already
        memory.ledger.touch(account, account.spot[market.paying_asset_id(order.side)])
    if listed:
        memory.delist(account, order)


def _fill(
    memory: Memory,
    market: Market,
    account: Account,
    order: Order,
    maker: Order,
    quantity: int,
    notional: int,
    events: list[AnyEvent],
) -> None:
    terms = maker.terms
    if terms is not None and terms.link_kind is LinkKind.OCO:
        memory.end_other_leg(maker, events)
        memory.claim_hold(maker)
    maker_fee = charge_fee(maker, quote_atoms=notional, rate_e8=maker.maker_rate_e8)
    taker_fee = charge_fee(order, quote_atoms=notional, rate_e8=order.taker_rate_e8)
    order.filled_atoms += quantity
    order.quote_filled_atoms += notional
    maker.filled_atoms += quantity
    maker.quote_filled_atoms += notional
    sequences = memory.sequences
    sequences.trade += 1
    price = maker.price_atoms
    trade = TradeExecuted(
        sequences.trade,
        order.market_id,
        price,
        quantity,
        notional,
        order.side,
        order.order_id,
        maker.order_id,
        order.account_id,
        maker.account_id,
        taker_fee,
        maker_fee,
        memory.time_ms,
    )
    memory.changes.trades.append(trade)
    events.append(trade)

    maker_account = memory.ledger.accounts[maker.account_id]
    buys = order.side is _BUY
    (market.book.asks if buys else market.book.bids).reduce(maker, quantity)
    buyer, seller = (account, maker_account) if buys else (maker_account, account)
    if market.contract is not None:
        counted = price * maker.remaining_atoms // ATOMS if terms is None else hold_of(maker)
        memory.set_exposure(maker_account, maker, counted)
        liquidation = order.order_type is OrderType.LIQUIDATION
        reason = CloseReason.LIQUIDATION if liquidation else CloseReason.TRADE
        post_fill(memory, market, trade, buyer, seller, events, reason)
    else:
        _settle_spot(memory, market, maker, trade, buyer, seller)
    if terms is not None and terms.hidden_atoms and not maker.remaining_atoms:
        memory.refresh(market, maker, terms)
    if maker.remaining_atoms:
        maker.status = _PARTIALLY_FILLED
    else:
        maker.status = _FILLED
        memory.delist(maker_account, maker)
    events.append(memory.changed(maker))
    if maker_account.protections:
        protection = maker_account.protections.get(order.market_id)
        if protection is not None:
            count_fill(memory, protection, quantity)
    if market.breaks:
        note_trade(memory, market, price)
    if market.contract is not None:
        after_fill(memory, market, (buyer, seller), order.order_id, events)
    market.last_atoms = price
    # Also at the price of the last trade: a halt may have kept orders from seeing that one.
    if market.by_last.is_any_waiting:
        observe(memory, order.market_id, _LAST, price)


def _settle_spot(
    memory: Memory,
    market: Market,
    maker: Order,
    trade: TradeExecuted,
    buyer: Account,
    seller: Account,
) -> None:
    """Take the fill off what the maker holds, and exchange base for quote."""
    config = market.config
    if maker.terms is not None:
        held = hold_of(maker)
    elif maker.remaining_atoms:
        held = hold_needed(maker, maker.price_atoms * maker.remaining_atoms // ATOMS)
    else:
        held = 0
    if maker.side is _BUY:
        wallet = buyer.spot[config.quote_asset_id]
    else:
        wallet = seller.spot[config.base_asset_id]
    wallet.held_atoms += held - maker.held_atoms
    maker.held_atoms = held
    memory.ledger.post_trade(buyer, seller, trade, config.base_asset_id, config.quote_asset_id)


def _decrement(
    memory: Memory, market: Market, maker: Order, quantity: int, events: list[AnyEvent]
) -> None:
    """Take a self-trade's quantity off the resting order."""
    terms = maker.terms
    if quantity == maker.open_atoms:
        memory.retire(maker, OrderStatus.EXPIRED, EndReason.SELF_TRADE, events)
        return
    if terms is not None and terms.link_kind is LinkKind.OCO:
        memory.end_other_leg(maker, events)
    market.book.side(maker.side).reduce(maker, quantity)
    if terms is not None and terms.hidden_atoms and not maker.remaining_atoms:
        memory.refresh(market, maker, terms)
    memory.claim_hold(maker)
    events.append(memory.changed(maker))
