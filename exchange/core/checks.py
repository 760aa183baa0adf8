"""What is checked of an order before anything is planned, in the order of the codes."""

from __future__ import annotations

from exchange.core.commands import PlaceOrder, SpecialTerms
from exchange.core.enums import (
    AccountStatus,
    MarketStatus,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
)
from exchange.core.events import MarketConfigured
from exchange.core.ledger import Account
from exchange.core.market import Market
from exchange.core.memory import Memory
from exchange.core.rejects import Code
from exchange.core.triggers import CONDITIONAL_TYPES, MARKET_TYPES, is_reached, is_rising
from exchange.core.units import AMOUNT_MAX, ATOMS, RATE_ONE, ceil_div

# Good-till-date: later than a second from now, within a year.
EXPIRY_MIN_MS = 1_000
EXPIRY_MAX_MS = 366 * 24 * 3_600_000

# Callback rates of trailing stops: 0.1 % to 10 % in steps of 0.1 %, so that few buckets exist.
CALLBACK_STEP_E8 = 100_000
CALLBACK_MAX_E8 = 10_000_000

ICEBERG_PARTS_MAX = 100

_BUY = Side.BUY
_LIMIT = OrderType.LIMIT
_GTD = TimeInForce.GTD
_OK = Code.OK
_TRADING = MarketStatus.TRADING
_ACTIVE = AccountStatus.ACTIVE
RESTING = (TimeInForce.GTC, TimeInForce.GTD)

_MARKET_REFUSALS = {
    MarketStatus.HALTED: Code.MARKET_HALTED,
    MarketStatus.SETTLED: Code.MARKET_SETTLED,
    MarketStatus.CANCEL_ONLY: Code.MARKET_CANCEL_ONLY,
    MarketStatus.POST_ONLY: Code.MARKET_POST_ONLY,
}
_ACCOUNT_REFUSALS = {
    AccountStatus.SUSPENDED: Code.ACCOUNT_SUSPENDED,
    AccountStatus.CANCEL_ONLY: Code.ACCOUNT_CANCEL_ONLY,
}


def plain_value(command: PlaceOrder, market: Market) -> int:
    """
    Return price x quantity of a plain limit order that passes every check of its own, else 0.

    Nearly every order does, and one condition costs a third of asking one check after the
    other; an order it does not pass is looked into by those, in the order of the codes.
    """
    if (
        command.special is not None
        or command.order_type is not _LIMIT
        or command.time_in_force is _GTD
        or command.post_only
        or command.quote_quantity_atoms
        or command.slippage_rate_e8
    ):
        return 0
    config, price, quantity = market.config, command.price_atoms, command.quantity_atoms
    lowest, highest = market.buy_range_atoms if command.side is _BUY else market.sell_range_atoms
    least, most = market.quantity_range_atoms
    if (
        not lowest <= price <= highest
        or not least <= quantity <= most
        or price % config.tick_atoms
        or quantity % config.lot_atoms
    ):
        return 0
    value = price * quantity // ATOMS
    return value if config.notional_min_atoms <= value <= AMOUNT_MAX else 0


def check_open(
    memory: Memory, command: PlaceOrder, account: Account | None, market: Market | None
) -> Code:
    """Check that the exchange, the account and the market take such an order now."""
    if (
        account is not None
        and market is not None
        and account.may_trade
        and market.config.status is _TRADING
        and memory.time_ms >= memory.post_only_until_ms
    ):
        return _OK
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


def check_shape(command: PlaceOrder) -> Code:
    """Check that the plain options can go together."""
    code = _check_execution(command)
    if code:
        return code
    possible = command.order_type is not OrderType.LIQUIDATION
    if possible and command.special is not None:
        possible = _special_fits(command.order_type, command.special)
    return _OK if possible else Code.INVALID_ORDER


def _check_execution(command: PlaceOrder) -> Code:
    """Check price, size and time in force against whether it trades at the market."""
    at_market, rests = command.order_type in MARKET_TYPES, command.time_in_force in RESTING
    if command.post_only and (at_market or not rests):
        return Code.POST_ONLY_NOT_RESTING
    if at_market and command.price_atoms:
        return Code.PRICE_NOT_POSSIBLE
    if at_market and rests:
        return Code.TIME_IN_FORCE_NOT_POSSIBLE
    if command.quote_quantity_atoms and (
        command.order_type is not OrderType.MARKET
        or command.quantity_atoms
        or command.time_in_force is TimeInForce.FOK
        or command.self_trade_mode is SelfTradeMode.DECREMENT
    ):
        return Code.QUOTE_QUANTITY_NOT_POSSIBLE
    slippage = command.slippage_rate_e8
    if slippage and not (at_market and 0 < slippage < RATE_ONE):
        return Code.SLIPPAGE_NOT_POSSIBLE
    return _OK


def _special_fits(order_type: OrderType, special: SpecialTerms) -> bool:
    """Tell whether the terms are of a kind that the type has."""
    trigger, activation = special.trigger_price_atoms, special.activation_price_atoms
    if special.reduce_only and special.display_atoms:
        return False
    if order_type not in CONDITIONAL_TYPES:
        return not (
            trigger
            or activation
            or special.callback_rate_e8
            or special.trigger_type
            or special.price_protect
        )
    if special.reprice:
        return False
    if order_type is OrderType.TRAILING_STOP:
        return not trigger
    return not (activation or special.callback_rate_e8)


def check_size(command: PlaceOrder, config: MarketConfigured) -> Code:
    """Check the quantity, in base or in quote, against the market's bounds."""
    quantity, quote_quantity = command.quantity_atoms, command.quote_quantity_atoms
    special = command.special
    if special is not None and special.close_position:
        return _OK  # its size is that of the position when it fires
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


def check_price(command: PlaceOrder, market: Market) -> Code:
    """Check a limit price against the tick, the bounds and the band around the index price."""
    config, price = market.config, command.price_atoms
    if price <= 0:
        return Code.INVALID_PRICE
    if price % config.tick_atoms:
        return Code.TICK_SIZE
    if price < config.price_min_atoms:
        return Code.PRICE_TOO_LOW
    if price > (config.price_max_atoms or AMOUNT_MAX):
        return Code.PRICE_TOO_HIGH
    if command.side is _BUY:
        in_band = price <= market.buy_price_max_atoms
    else:
        in_band = price >= market.sell_price_min_atoms
    return _OK if in_band else Code.PRICE_BAND


def check_value(command: PlaceOrder, market: Market) -> Code:
    """
    Check price x quantity; without a price, at the trigger or the best opposite price.

    The smallest value does not bind what only reduces a position.
    """
    price = command.price_atoms or _valuation_price(command, market)
    if price <= 0 or not command.quantity_atoms:
        return _OK
    value = price * command.quantity_atoms // ATOMS
    reduces = command.special is not None and command.special.reduce_only
    if value < market.config.notional_min_atoms and not reduces:
        return Code.MIN_NOTIONAL
    return Code.NOTIONAL_TOO_LARGE if value > AMOUNT_MAX else _OK


def _valuation_price(command: PlaceOrder, market: Market) -> int:
    special = command.special
    if special is None or not special.trigger_type:
        return market.book.opposite(command.side).best_price()
    return (
        special.trigger_price_atoms
        or special.activation_price_atoms
        or market.trigger_price(special.trigger_type)
    )


def check_special(command: PlaceOrder, market: Market, time_ms: int, *, waits: bool) -> Code:
    """Check what plain orders do not have, and that what belongs together is there."""
    special = command.special
    if special is None:
        conditional = command.order_type in CONDITIONAL_TYPES
        if conditional:
            return Code.TRIGGER_PRICE_REQUIRED
        return Code.EXPIRY_REQUIRED if command.time_in_force is TimeInForce.GTD else _OK
    if (special.reduce_only or special.close_position) and market.contract is None:
        return Code.REDUCE_ONLY_NOT_POSSIBLE
    return (
        _check_trigger(command, special, market, waits=waits)
        or _check_expiry(command, special, time_ms)
        or _check_iceberg(command, special, market.config)
    )


def _check_trigger(
    command: PlaceOrder, special: SpecialTerms, market: Market, *, waits: bool
) -> Code:
    trigger, activation = special.trigger_price_atoms, special.activation_price_atoms
    if command.order_type not in CONDITIONAL_TYPES:
        return _OK
    trailing = command.order_type is OrderType.TRAILING_STOP
    if not special.trigger_type or (not trailing and not trigger):
        return Code.TRIGGER_PRICE_REQUIRED
    tick = market.config.tick_atoms
    for price in (trigger, activation):
        if not 0 <= price <= AMOUNT_MAX or price % tick:
            return Code.INVALID_TRIGGER_PRICE
    reference = market.trigger_price(special.trigger_type)
    rising = is_rising(command.order_type, command.side)
    if trailing:
        return _check_trailing(special, reference, rising=rising)
    if reference and not waits and is_reached(reference, trigger, rising=rising):
        return Code.TRIGGER_WOULD_FIRE
    return _OK


def _check_trailing(special: SpecialTerms, reference: int, *, rising: bool) -> Code:
    rate = special.callback_rate_e8
    if not 0 < rate <= CALLBACK_MAX_E8 or rate % CALLBACK_STEP_E8:
        return Code.CALLBACK_RATE
    if not reference:
        return Code.REFERENCE_PRICE_MISSING
    activation = special.activation_price_atoms
    if activation and is_reached(reference, activation, rising=rising):
        return Code.ACTIVATION_PRICE_REACHED
    return _OK


def _check_expiry(command: PlaceOrder, special: SpecialTerms, time_ms: int) -> Code:
    if (command.time_in_force is TimeInForce.GTD) != bool(special.expires_ms):
        return Code.EXPIRY_REQUIRED
    if not special.expires_ms:
        return _OK
    if special.expires_ms < time_ms + EXPIRY_MIN_MS:
        return Code.EXPIRY_IN_THE_PAST
    return Code.EXPIRY_TOO_FAR if special.expires_ms > time_ms + EXPIRY_MAX_MS else _OK


def _check_iceberg(command: PlaceOrder, special: SpecialTerms, config: MarketConfigured) -> Code:
    display = special.display_atoms
    if not display:
        return _OK
    if not command.price_atoms or command.time_in_force not in RESTING:
        return Code.ICEBERG_NOT_RESTING
    if (
        display < max(config.lot_atoms, config.quantity_min_atoms)
        or display % config.lot_atoms
        or display >= command.quantity_atoms
    ):
        return Code.ICEBERG_DISPLAY
    parts = ceil_div(command.quantity_atoms, display)
    return Code.ICEBERG_PARTS if parts > ICEBERG_PARTS_MAX else _OK
