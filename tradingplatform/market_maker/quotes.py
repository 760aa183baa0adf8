"""Which quotes a market should show, and what to change to get there. Pure, decimal, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from tradingclient.calls import OrderFields
from tradingclient.models import Market, Order

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class MarketRules:
    """What a market accepts."""

    symbol: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    quantity_min: Decimal
    notional_min: Decimal
    kind: str = "spot"

    @classmethod
    def of(cls, market: Market) -> "MarketRules":
        """Read the rules from the API's form."""
        return cls(
            symbol=market.symbol,
            base=market.base,
            quote=market.quote,
            tick=market.tick_size,
            lot=market.lot_size,
            quantity_min=market.min_quantity,
            notional_min=market.min_notional or ZERO,
            kind=market.kind,
        )


@dataclass(frozen=True, slots=True)
class Style:
    """
    How a market is quoted; rates are fractions of the price.

    ``half_spread`` is the distance of the best quotes from the middle, ``step`` that of each
    further level, ``growth`` what each level adds to the size. ``skew`` moves all quotes
    against an inventory that is wholly on one side.
    """

    levels: int = 10
    half_spread: Decimal = Decimal("0.0004")
    step: Decimal = Decimal("0.0003")
    notional: Decimal = Decimal(2_000)
    growth: Decimal = Decimal("0.35")
    skew: Decimal = Decimal("0.0005")


@dataclass(frozen=True, slots=True)
class Quote:
    """One order as it should rest."""

    side: str
    price: Decimal
    quantity: Decimal


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of a step that is not above a value."""
    return (value / step).to_integral_value(ROUND_FLOOR) * step


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of a step that is not below a value."""
    return (value / step).to_integral_value(ROUND_CEILING) * step


def imbalance(*, held: Decimal, target: Decimal) -> Decimal:
    """Return how far an inventory is from its target: -1 (none) over 0 to 1 (twice it)."""
    if target <= ZERO:
        return ZERO
    return max(Decimal(-1), min(Decimal(1), (held - target) / target))


def around(rules: MarketRules, style: Style, *, price: Decimal, leaning: Decimal) -> list[Quote]:
    """Return quotes around a price; ``leaning`` (-1 to 1) is the inventory's imbalance."""
    middle = price * (1 - style.skew * leaning)
    unit = style.notional
    quotes = []
    for level in range(style.levels):
        distance = style.half_spread + style.step * level
        notional = unit * (1 + style.growth * level)
        bid = floor_to(middle * (1 - distance), rules.tick)
        ask = ceil_to(middle * (1 + distance), rules.tick)
        for side, at in (("buy", bid), ("sell", ask)):
            if at > ZERO:
                quotes.append(Quote(side, at, floor_to(notional / at, rules.lot)))
    return acceptable(rules, quotes)


def mirrored(
    rules: MarketRules, *, bids: Sequence[Sequence[str]], asks: Sequence[Sequence[str]], levels: int
) -> list[Quote]:
    """Return recorded depth as quotes; levels that fall on one tick are added up."""
    quotes = []
    for side, rounding, recorded in (("buy", floor_to, bids), ("sell", ceil_to, asks)):
        sums: dict[Decimal, Decimal] = {}
        for price, quantity in recorded:
            at = rounding(Decimal(price), rules.tick)
            sums[at] = sums.get(at, ZERO) + Decimal(quantity)
        best_first = sorted(sums, reverse=side == "buy")[:levels]
        quotes += [Quote(side, at, floor_to(sums[at], rules.lot)) for at in best_first]
    return acceptable(rules, quotes)


def acceptable(rules: MarketRules, quotes: list[Quote]) -> list[Quote]:
    """Return the quotes that the market's minimums allow."""
    return [
        quote
        for quote in quotes
        if quote.quantity >= rules.quantity_min
        and quote.quantity * quote.price >= rules.notional_min
    ]


@dataclass(frozen=True, slots=True)
class Changes:
    """What leads from the present orders to the wanted quotes."""

    cancel: list[str]
    place: list[Quote]


def changes(open_orders: Sequence[Order], wanted: Sequence[Quote]) -> Changes:
    """
    Compare open orders with wanted quotes.

    An order stays while its price is wanted and at least half and at most twice of the wanted
    quantity is left of it: moving it for less would only lose its place in the queue.
    """
    missing = {(quote.side, quote.price): quote for quote in wanted}
    cancel = []
    for order in open_orders:
        quote = missing.get((order.side, order.price or ZERO))
        left = order.remaining_quantity
        if quote is not None and quote.quantity <= left * 2 and left <= quote.quantity * 2:
            del missing[quote.side, quote.price]
        else:
            cancel.append(order.id)
    return Changes(cancel, list(missing.values()))


def order_of(rules: MarketRules, quote: Quote) -> OrderFields:
    """
    Return a quote as an order.

    Not post-only: an order of somebody else that stands in the way shall be filled.
    """
    return {
        "symbol": rules.symbol,
        "side": quote.side,
        "type": "limit",
        "time_in_force": "gtc",
        "self_trade_prevention": "expire_maker",
        "price": quote.price,
        "quantity": quote.quantity,
    }


def taker_order(
    rules: MarketRules, *, side: str, quantity: Decimal, reference: Decimal, slippage: Decimal
) -> OrderFields | None:
    """Return an order that takes from the book up to a price, or None if it is too small."""
    limit = reference * (1 + slippage if side == "buy" else 1 - slippage)
    price = (limit / rules.tick).to_integral_value(ROUND_HALF_UP) * rules.tick
    sized = floor_to(quantity, rules.lot)
    if not acceptable(rules, [Quote(side, price, sized)]):
        return None
    return {
        "symbol": rules.symbol,
        "side": side,
        "type": "limit",
        "time_in_force": "ioc",
        "price": price,
        "quantity": sized,
    }
