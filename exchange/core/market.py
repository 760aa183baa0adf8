"""One market in memory: settings, book, waiting orders, prices."""

from __future__ import annotations

from collections.abc import Iterator

from exchange.core.book import OrderBook
from exchange.core.contract import Contract
from exchange.core.enums import (
    MarketKind,
    Side,
    TriggerType,
)
from exchange.core.events import (
    IndexPriceChanged,
    MarketConfigured,
)
from exchange.core.state import (
    Order,
    PriceWindow,
)
from exchange.core.triggers import Triggers
from exchange.core.units import AMOUNT_MAX, RATE_ONE, ceil_div, floor_div

_BUY = Side.BUY


def band_price(reference_atoms: int, rate_e8: int, side: Side) -> int:
    """Return the worst price inside a band for a taker of a side, rounded to the inside."""
    if side is _BUY:
        return floor_div(reference_atoms * (RATE_ONE + rate_e8), RATE_ONE)
    return max(1, ceil_div(reference_atoms * (RATE_ONE - rate_e8), RATE_ONE))


class Market:
    """
    A market's settings, book, waiting conditional orders and prices (0: unknown).

    ``contract`` is the perpetual side of a market that has positions. On spot the mark price is
    the index price. ``buy_price_max_atoms`` and ``sell_price_min_atoms`` are the price band
    around the mark price; the ranges join it with the settings' bounds, each as (lowest,
    highest) that is allowed. ``breaks`` says that it has a circuit breaker, ``window`` is what
    that knows.
    """

    __slots__ = (
        "book",
        "breaks",
        "buy_price_max_atoms",
        "buy_range_atoms",
        "by_index",
        "by_last",
        "by_mark",
        "config",
        "contract",
        "index",
        "index_atoms",
        "last_atoms",
        "quantity_range_atoms",
        "sell_price_min_atoms",
        "sell_range_atoms",
        "window",
    )

    def __init__(self, config: MarketConfigured) -> None:
        """Open a market with an empty book."""
        self.book = OrderBook()
        self.by_last = Triggers()
        self.by_index = Triggers()
        # Spot has no mark of its own, so both kinds of orders wait for one price.
        perpetual = config.kind is MarketKind.PERPETUAL
        self.by_mark = Triggers() if perpetual else self.by_index
        self.contract: Contract | None = None
        self.index: IndexPriceChanged | None = None
        self.index_atoms = 0
        self.last_atoms = 0
        self.window = PriceWindow(config.market_id)
        self.configure(config)

    def configure(self, config: MarketConfigured) -> None:
        """Take over new settings."""
        self.config = config
        self.breaks = config.safety.breaker_band_e8 > 0
        most = config.quantity_max_atoms or AMOUNT_MAX
        self.quantity_range_atoms = (max(1, config.quantity_min_atoms), most)
        self._set_band()

    @property
    def mark_atoms(self) -> int:
        """The mark price, 0 when it is not known."""
        return self.contract.mark_atoms if self.contract is not None else self.index_atoms

    def _set_band(self) -> None:
        self.buy_price_max_atoms, self.sell_price_min_atoms = AMOUNT_MAX, 0
        band_e8, reference = self.config.price_band_e8, self.mark_atoms
        if band_e8 and reference:
            self.buy_price_max_atoms = band_price(reference, band_e8, Side.BUY)
            self.sell_price_min_atoms = band_price(reference, band_e8, Side.SELL)
        config = self.config
        low, high = max(1, config.price_min_atoms), config.price_max_atoms or AMOUNT_MAX
        self.buy_range_atoms = (low, min(high, self.buy_price_max_atoms))
        self.sell_range_atoms = (max(low, self.sell_price_min_atoms), high)

    def paying_asset_id(self, side: Side) -> int:
        """Return the asset an order of a side pays with."""
        return self.config.quote_asset_id if side is _BUY else self.config.base_asset_id

    def triggers(self, trigger_type: TriggerType) -> Triggers:
        """Return the orders that wait for a kind of price."""
        if trigger_type is TriggerType.LAST:
            return self.by_last
        return self.by_mark if trigger_type is TriggerType.MARK else self.by_index

    def trigger_price(self, trigger_type: TriggerType) -> int:
        """Return the price of a kind, 0 when it is not known."""
        if trigger_type is TriggerType.LAST:
            return self.last_atoms
        return self.mark_atoms if trigger_type is TriggerType.MARK else self.index_atoms

    def open_orders(self) -> Iterator[Order]:
        """Yield the orders that rest or wait here, in an order that loading repeats."""
        for side in (self.book.bids, self.book.asks):
            for key in reversed(side.keys):
                yield from side.levels[key * side.sign].orders()
        yield from self.by_last.orders()
        yield from self.by_index.orders()
        if self.by_mark is not self.by_index:
            yield from self.by_mark.orders()

    def set_index(self, index: IndexPriceChanged) -> None:
        """Take over a new index price."""
        self.index = index
        self.index_atoms = index.price_atoms
        self._set_band()

    def set_mark(self, mark_atoms: int, time_ms: int) -> None:
        """Take over a new mark price of a perpetual market."""
        if self.contract is not None:
            self.contract.mark_atoms = mark_atoms
            self.contract.mark_ms = time_ms
            self._set_band()
