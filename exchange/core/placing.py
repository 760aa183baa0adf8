"""Placing an order: what is checked, in which order, and what then happens."""

from __future__ import annotations

import msgspec

from exchange.core.commands import PlaceOrder
from exchange.core.enums import (
    AccountStatus,
    EndReason,
    MarketStatus,
    OrderStatus,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
)
from exchange.core.events import (
    AnyEvent,
    MarketConfigured,
    OrderChanged,
    Outcome,
    TradeExecuted,
)
from exchange.core.ledger import Account, charge_fee, hold_needed
from exchange.core.matching import DECREMENT, FILL, Plan, plan_match
from exchange.core.memory import Market, Memory
from exchange.core.rejects import Code
from exchange.core.state import Order
from exchange.core.units import AMOUNT_MAX, ATOMS, RATE_ONE, ceil_div, floor_div

# Index of an order inside its command, for the priority number.
PRIORITY_SHIFT = 12

# Module names of enum members: an attribute of an enum class costs twice as much.
_BUY = Side.BUY
_MARKET = OrderType.MARKET
_GTC, _IOC, _FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK
_TRADING = MarketStatus.TRADING
_ACTIVE = AccountStatus.ACTIVE
_OK = Code.OK
_OPEN, _PARTIALLY_FILLED = OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED
_FILLED = OrderStatus.FILLED
_NO_REASON = EndReason.NONE

_MARKET_REFUSALS = {
    MarketStatus.HALTED: Code.MARKET_HALTED,
    MarketStatus.CANCEL_ONLY: Code.MARKET_CANCEL_ONLY,
    MarketStatus.POST_ONLY: Code.MARKET_POST_ONLY,
}
_ACCOUNT_REFUSALS = {
    AccountStatus.SUSPENDED: Code.ACCOUNT_SUSPENDED,
    AccountStatus.CANCEL_ONLY: Code.ACCOUNT_CANCEL_ONLY,
}


class PlacePlan(msgspec.Struct, gc=False):
    """Everything decided about an order before anything changes."""

    account: Account
    market: Market
    order: Order
    match: Plan | None
    needed_atoms: int


def plan_place(memory: Memory, command: PlaceOrder) -> PlacePlan | Code:
    """Return what placing the order would do, or why it is refused. Changes nothing."""
    account = memory.ledger.accounts.get(command.account_id)
    market = memory.markets.get(command.market_id)
    code = _check_open(memory, command, account, market)
    if code or account is None or market is None:
        return code
    code = _check_shape(command) or _check_size(command, market.config)
    if not code and command.order_type is not _MARKET:
        code = _check_price(command, market)
    code = code or _check_value(command, market)
    if code:
        return code
    # What cannot rest is not counted: an account at its limit can still trade out.
    if (
        command.time_in_force is _GTC
        and account.open_counts.get(command.market_id, 0) >= account.config.open_orders_max
    ):
        return Code.TOO_MANY_OPEN_ORDERS
    return _plan_funds(memory, command, account, market)


def _check_open(
    memory: Memory, command: PlaceOrder, account: Account | None, market: Market | None
) -> Code:
    if memory.time_ms < memory.post_only_until_ms:
        if memory.time_ms < memory.cancel_only_until_ms:
            return Code.EXCHANGE_CANCEL_ONLY
        if not command.post_only:
            return Code.EXCHANGE_POST_ONLY
    if account is None or account.config.open_orders_max == 0:
        return Code.ACCOUNT_NOT_FOUND
    if account.config.status is not _ACTIVE:
        return _ACCOUNT_REFUSALS[account.config.status]
    if market is None:
        return Code.MARKET_NOT_FOUND
    status = market.config.status
    if status is not _TRADING and not (status is MarketStatus.POST_ONLY and command.post_only):
        return _MARKET_REFUSALS[status]
    return _OK


def _check_shape(command: PlaceOrder) -> Code:
    by_quote = command.quote_quantity_atoms != 0
    if command.order_type is _MARKET:
        possible = (
            command.price_atoms == 0
            and command.time_in_force is not _GTC
            and not command.post_only
            and not (by_quote and command.quantity_atoms)
            and not (by_quote and command.time_in_force is _FOK)
            and not (by_quote and command.self_trade_mode is SelfTradeMode.DECREMENT)
            and 0 <= command.slippage_rate_e8 < RATE_ONE
        )
    else:
        possible = (
            not by_quote
            and command.slippage_rate_e8 == 0
            and not (command.post_only and command.time_in_force is not _GTC)
        )
    return _OK if possible else Code.INVALID_ORDER


def _check_size(command: PlaceOrder, config: MarketConfigured) -> Code:
    quantity, quote_quantity = command.quantity_atoms, command.quote_quantity_atoms
    if quote_quantity:
        if quote_quantity < 0:
            return Code.INVALID_QUANTITY
        if quote_quantity < config.notional_min_atoms:
            return Code.MIN_NOTIONAL
        return Code.NOTIONAL_TOO_LARGE if quote_quantity > AMOUNT_MAX else _OK
    if quantity <= 0:
        return Code.INVALID_QUANTITY
    if quantity % config.lot_atoms:
        return Code.LOT_SIZE
    if quantity < config.quantity_min_atoms:
        return Code.QUANTITY_TOO_SMALL
    if quantity > (config.quantity_max_atoms or AMOUNT_MAX):
        return Code.QUANTITY_TOO_LARGE
    return _OK


def _check_price(command: PlaceOrder, market: Market) -> Code:
    config, price = market.config, command.price_atoms
    if price <= 0:
        return Code.INVALID_PRICE
    if price % config.tick_atoms:
        return Code.TICK_SIZE
    if price < config.price_min_atoms:
        return Code.PRICE_TOO_LOW
    if price > (config.price_max_atoms or AMOUNT_MAX):
        return Code.PRICE_TOO_HIGH
    if config.price_band_e8 and market.index_atoms:
        worst = _band_price(market.index_atoms, config.price_band_e8, command.side)
        if price > worst if command.side is _BUY else price < worst:
            return Code.PRICE_BAND
    return _OK


def _check_value(command: PlaceOrder, market: Market) -> Code:
    """Check price x quantity; a market order is valued at the best opposite price."""
    price = command.price_atoms or market.book.opposite(command.side).best_price()
    if not price or not command.quantity_atoms:
        return _OK
    value = price * command.quantity_atoms // ATOMS
    if value < market.config.notional_min_atoms:
        return Code.MIN_NOTIONAL
    return Code.NOTIONAL_TOO_LARGE if value > AMOUNT_MAX else _OK


def _band_price(reference_atoms: int, rate_e8: int, side: Side) -> int:
    """Return the worst price inside a band for a taker of a side, rounded to the inside."""
    if side is _BUY:
        return floor_div(reference_atoms * (RATE_ONE + rate_e8), RATE_ONE)
    return max(1, ceil_div(reference_atoms * (RATE_ONE - rate_e8), RATE_ONE))


def market_cap_atoms(command: PlaceOrder, market: Market) -> int:
    """
    Return the worst price a market order may trade at, 0 for none.

    The nearer of the market's band against the index price and the order's own slippage
    against the best opposite price.
    """
    caps = []
    if market.config.market_band_e8 and market.index_atoms:
        caps.append(_band_price(market.index_atoms, market.config.market_band_e8, command.side))
    if command.slippage_rate_e8:
        best = market.book.opposite(command.side).best_price()
        if best:
            caps.append(_band_price(best, command.slippage_rate_e8, command.side))
    if not caps:
        return 0
    return min(caps) if command.side is _BUY else max(caps)


def _plan_funds(
    memory: Memory, command: PlaceOrder, account: Account, market: Market
) -> PlacePlan | Code:
    tier = memory.fee_tiers[account.config.fee_tier]
    order = _new_order(memory, command, account, tier.maker_rate_e8, tier.taker_rate_e8)
    match = _plan_taker(command, order, market)
    if isinstance(match, Code):
        return match
    wallet = account.spot.get(market.paying_asset_id(command.side))
    available = wallet.total_atoms - wallet.held_atoms if wallet is not None else 0
    if command.order_type is not _MARKET:
        needed = hold_needed(order, command.price_atoms * command.quantity_atoms // ATOMS)
    elif match is None:
        needed = 1
    elif command.side is _BUY:
        fee = ceil_div(match.quote_atoms * order.taker_rate_e8, RATE_ONE)
        needed = max(1, match.quote_atoms + fee)
    else:
        needed = max(1, match.filled_atoms)
    if needed > available:
        return Code.INSUFFICIENT_BALANCE
    return PlacePlan(account, market, order, match, needed)


def _plan_taker(command: PlaceOrder, order: Order, market: Market) -> Plan | Code | None:
    """Return the match plan, None when nothing crosses, or why the order is refused."""
    opposite = market.book.opposite(command.side)
    limit = command.price_atoms
    budget = 0
    if command.order_type is _MARKET:
        limit = market_cap_atoms(command, market)
        budget = command.quote_quantity_atoms
        if budget and command.side is _BUY:
            # The largest notional that leaves room for its own fee.
            budget = floor_div(budget * RATE_ONE, RATE_ONE + order.taker_rate_e8)
    best = opposite.best_price()
    sign = opposite.sign
    if not best or (limit and best * sign < limit * sign):
        return Code.FOK_NOT_FILLABLE if command.time_in_force is _FOK else None
    if command.post_only:
        return Code.POST_ONLY_WOULD_CROSS
    match = plan_match(
        opposite,
        account_id=command.account_id,
        mode=order.self_trade_mode,
        limit_atoms=limit,
        quantity_atoms=command.quantity_atoms,
        quote_atoms_max=budget,
        lot_atoms=market.config.lot_atoms,
    )
    if command.time_in_force is _FOK and match.filled_atoms < command.quantity_atoms:
        return Code.FOK_NOT_FILLABLE
    if command.quote_quantity_atoms and not match.filled_atoms and match.stop is _NO_REASON:
        return Code.QUANTITY_TOO_SMALL
    return match


def _new_order(
    memory: Memory, command: PlaceOrder, account: Account, maker_rate_e8: int, taker_rate_e8: int
) -> Order:
    sequences = memory.sequences
    return Order(
        sequences.order + 1,
        command.account_id,
        command.market_id,
        command.client_order_id,
        command.request_hash,
        command.side,
        command.order_type,
        command.time_in_force,
        command.post_only,
        _self_trade_mode(command, account),
        command.price_atoms,
        command.quantity_atoms,
        command.quote_quantity_atoms,
        command.quantity_atoms,
        0,
        0,
        0,
        0,
        maker_rate_e8,
        taker_rate_e8,
        _OPEN,
        _NO_REASON,
        sequences.command << PRIORITY_SHIFT,
        account.last_order_id,
        memory.time_ms,
        memory.time_ms,
    )


def _self_trade_mode(command: PlaceOrder, account: Account) -> SelfTradeMode:
    """Return the mode that rules; a size in quote cannot be decremented, its taker expires."""
    mode = command.self_trade_mode or account.config.self_trade_mode
    if mode is SelfTradeMode.DECREMENT and command.quote_quantity_atoms:
        return SelfTradeMode.EXPIRE_TAKER
    return mode


def place(memory: Memory, plan: PlacePlan) -> Outcome:
    """Carry out a plan of :func:`plan_place`; cannot fail."""
    account, market, order = plan.account, plan.market, plan.order
    memory.sequences.order += 1
    account.last_order_id = order.order_id
    events: list[AnyEvent] = []
    if plan.match is None:
        crossable = market.book.opposite(order.side).keys
        stop = EndReason.PRICE_CAP if crossable else EndReason.NO_LIQUIDITY
    else:
        for kind, maker, quantity, notional in plan.match.steps:
            if kind == FILL:
                _fill(memory, market, account, order, maker, quantity, notional, events)
            elif kind == DECREMENT:
                events.append(_decrement(memory, market, maker, quantity))
            else:
                events.append(
                    memory.retire(market, maker, OrderStatus.EXPIRED, EndReason.SELF_TRADE)
                )
        order.remaining_atoms = plan.match.unfilled_atoms
        stop = plan.match.stop
    events.append(_settle_remainder(memory, account, market, order, stop, plan.needed_atoms))
    return Outcome(_OK, order.order_id, events)


def _settle_remainder(
    memory: Memory,
    account: Account,
    market: Market,
    order: Order,
    stop: EndReason,
    needed_atoms: int,
) -> OrderChanged:
    """Let what is left of a taker rest or expire; ``needed_atoms`` holds an untouched order."""
    rests = order.time_in_force is _GTC and stop in _RESTING_STOPS
    if order.remaining_atoms and rests:
        if order.filled_atoms:
            order.status = _PARTIALLY_FILLED
        if order.remaining_atoms != order.quantity_atoms:
            value = order.price_atoms * order.remaining_atoms // ATOMS
            needed_atoms = hold_needed(order, value)
        memory.rest(account, market, order, needed_atoms)
        return memory.changed(order)
    if stop is _NO_REASON:
        order.status = _FILLED
    else:
        order.status = OrderStatus.EXPIRED
        immediate = order.order_type is not _MARKET and stop in _RESTING_STOPS
        order.reason = EndReason.IOC_REMAINDER if immediate else stop
        order.remaining_atoms = 0
    wallet = account.spot[market.paying_asset_id(order.side)]
    memory.ledger.touch(account, wallet)
    return memory.changed(order)


# Stops after which a good-till-cancelled limit order's remainder rests.
_RESTING_STOPS = frozenset({EndReason.NO_LIQUIDITY, EndReason.PRICE_CAP})


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
    maker_fee = charge_fee(maker, quote_atoms=notional, rate_e8=maker.maker_rate_e8)
    taker_fee = charge_fee(order, quote_atoms=notional, rate_e8=order.taker_rate_e8)
    order.filled_atoms += quantity
    order.quote_filled_atoms += notional
    maker.filled_atoms += quantity
    maker.quote_filled_atoms += notional
    sequences = memory.sequences
    sequences.trade += 1
    trade = TradeExecuted(
        sequences.trade,
        order.market_id,
        maker.price_atoms,
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
    market.book.side(maker.side).reduce(maker, quantity)
    config = market.config
    rest_notional = maker.price_atoms * maker.remaining_atoms // ATOMS
    held = hold_needed(maker, rest_notional) if maker.remaining_atoms else 0
    wallet = maker_account.spot[market.paying_asset_id(maker.side)]
    wallet.held_atoms += held - maker.held_atoms
    maker.held_atoms = held
    buyer, seller = (account, maker_account) if order.side is _BUY else (maker_account, account)
    memory.ledger.post_trade(buyer, seller, trade, config.base_asset_id, config.quote_asset_id)
    if maker.remaining_atoms:
        maker.status = _PARTIALLY_FILLED
    else:
        maker.status = _FILLED
        memory.delist(maker_account, maker)
    events.append(memory.changed(maker))


def _decrement(memory: Memory, market: Market, maker: Order, quantity: int) -> OrderChanged:
    """Take a self-trade's quantity off the resting order."""
    if quantity == maker.remaining_atoms:
        return memory.retire(market, maker, OrderStatus.EXPIRED, EndReason.SELF_TRADE)
    market.book.side(maker.side).reduce(maker, quantity)
    account = memory.ledger.accounts[maker.account_id]
    rest_notional = maker.price_atoms * maker.remaining_atoms // ATOMS
    memory.set_hold(account, market, maker, hold_needed(maker, rest_notional))
    return memory.changed(maker)
