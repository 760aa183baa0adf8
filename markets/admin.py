"""Assets, markets, prices and candles in the back-office."""

from datetime import datetime

import redis
from django.contrib import admin
from unfold.decorators import display

from accounts.back_office import OperationsMixin
from common.back_office import ReadOnlyAdmin, shown_time
from exchange.core.enums import MarketStatus
from exchange.core.units import format_atoms
from markets import selectors
from markets.enums import CandleSource, Interval
from markets.feeds.health import IndexHealth, feed_health
from markets.models import Asset, Candle, FeedState, IndexPrice, Market

_STATUS_LABELS = {
    "trading": "success",
    "post_only": "info",
    "cancel_only": "warning",
    "halted": "danger",
}
_STATE_LABELS = {"live": "success", "replay": "info", "degraded": "warning", "halted": "danger"}


def symbol_of(market_id: int) -> str:
    """Return a market's symbol, its number if it is not known."""
    try:
        return selectors.market_by_id(market_id).symbol
    except selectors.MarketNotFound:
        return f"market {market_id}"


@admin.register(Asset)
class AssetAdmin(OperationsMixin, ReadOnlyAdmin):
    """Assets; the exchange alone configures them."""

    target_kind = "asset"
    list_display = ["code", "name", "decimals", "id"]
    keyset_ascending = True

    def target_key(self, row: Asset) -> str:
        """Return the code."""
        return row.code


@admin.register(Market)
class MarketAdmin(OperationsMixin, ReadOnlyAdmin):
    """Markets and their rules; the status changes by command."""

    list_display = ["symbol", "shown_status", "tick", "lot", "least_value", "price_band"]
    list_filter = ["status"]
    keyset_ascending = True
    target_kind = "market"

    @display(description="status", label=_STATUS_LABELS)
    def shown_status(self, market: Market) -> str:
        """Return what the market accepts."""
        return MarketStatus(market.status).name.lower()

    @display(description="tick")
    def tick(self, market: Market) -> str:
        """Return the step of prices."""
        return format_atoms(market.tick_atoms, 0)

    @display(description="lot")
    def lot(self, market: Market) -> str:
        """Return the step of quantities."""
        return format_atoms(market.lot_atoms, 0)

    @display(description="least value")
    def least_value(self, market: Market) -> str:
        """Return the least value of an order, in the quote asset."""
        return format_atoms(market.notional_min_atoms, 0)

    @display(description="price band")
    def price_band(self, market: Market) -> str:
        """Return the largest distance of a limit price from the index."""
        return f"{format_atoms(market.price_band_e8 * 100, 0)} %" if market.price_band_e8 else ""

    def target_key(self, row: Market) -> str:
        """Return the symbol."""
        return row.symbol


@admin.register(IndexPrice)
class IndexPriceAdmin(ReadOnlyAdmin):
    """Index prices as the exchange has them, with what the feed says of their sources."""

    list_display = ["market", "price", "time", "state", "sources"]
    keyset_ascending = True

    @display(description="market")
    def market(self, price: IndexPrice) -> str:
        """Return the market's symbol."""
        return symbol_of(price.id)

    @display(description="price")
    def price(self, price: IndexPrice) -> str:
        """Return the price."""
        return format_atoms(price.price_atoms, 0)

    @display(description="set at")
    def time(self, price: IndexPrice) -> datetime:
        """Return when the exchange took it."""
        return shown_time(price.time_ms)

    @display(description="state", label=_STATE_LABELS)
    def state(self, price: IndexPrice) -> str:
        """Return the state of the index now."""
        health = _index_health(symbol_of(price.id))
        return "halted" if health is None else health.state

    @display(description="sources")
    def sources(self, price: IndexPrice) -> str:
        """Return each source with its status and distance from the median."""
        health = _index_health(symbol_of(price.id))
        if health is None:
            return "nobody feeds prices"
        return ", ".join(
            f"{source.source} {source.reason.lower() or source.status}"
            + (
                ""
                if source.divergence_e8 is None
                else f" {format_atoms(source.divergence_e8 * 100, 2)} %"
            )
            for source in health.sources
        )


@admin.register(Candle)
class CandleAdmin(ReadOnlyAdmin):
    """Stored candles; derived, so nothing here is money."""

    list_display = ["market", "source_name", "length", "opened", "close", "trade_count", "recorded"]

    @display(description="market")
    def market(self, candle: Candle) -> str:
        """Return the market's symbol."""
        return symbol_of(candle.market_id)

    @display(description="source")
    def source_name(self, candle: Candle) -> str:
        """Return what it was made of."""
        return CandleSource(candle.source).name.lower()

    @display(description="length")
    def length(self, candle: Candle) -> str:
        """Return its interval."""
        return Interval(candle.interval).name.lower().replace("_", " ")

    @display(description="opened")
    def opened(self, candle: Candle) -> datetime:
        """Return its opening time."""
        return shown_time(candle.open_ms)

    @display(description="close")
    def close(self, candle: Candle) -> str:
        """Return its last price."""
        return format_atoms(candle.close_atoms, 0)


@admin.register(FeedState)
class FeedStateAdmin(ReadOnlyAdmin):
    """Which kind of prices this database was started with."""

    list_display = ["mode", "chosen"]

    @display(description="chosen at")
    def chosen(self, state: FeedState) -> datetime:
        """Return when it was decided."""
        return shown_time(state.chosen_ms)


def _index_health(symbol: str) -> IndexHealth | None:
    try:
        health = feed_health()
    except redis.RedisError:
        return None
    if health is None:
        return None
    return next((index for index in health.indexes if index.symbol == symbol), None)
