"""
Rows of the markets app.

``Asset``, ``Market``, ``PriceWindow`` and ``IndexPrice`` are canonical: the exchange's store
alone writes them, in its own transaction. ``Candle`` and ``CandleProgress`` are derived and
can be built again from trades at any time. ``FeedState`` belongs to the price feed.
"""

from django.db import models
from django.db.models import Q

from common.fields import AtomsField, KeyField
from exchange.core.enums import MarketKind, MarketStatus, StatusCause
from exchange.core.safety import NO_SAFETY
from markets.enums import CandleSource, FeedMode, Interval


class Asset(models.Model):
    """Something that is owned and traded; amounts may carry ``decimals`` places."""

    id = KeyField()
    code = models.CharField(max_length=16, unique=True)
    name = models.CharField(max_length=64)
    decimals = models.SmallIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(decimals__gte=0, decimals__lte=8), name="asset_decimals_range"
            ),
        ]

    def __str__(self) -> str:
        """Return the asset's code."""
        return self.code


class Market(models.Model):
    """A market as the exchange last configured it; bounds of 0 are not enforced."""

    id = KeyField()
    symbol = models.CharField(max_length=40, unique=True)
    kind = models.SmallIntegerField(choices=[(kind.value, kind.name) for kind in MarketKind])
    base_asset_id = models.IntegerField()
    quote_asset_id = models.IntegerField()
    tick_atoms = AtomsField()
    lot_atoms = AtomsField()
    quantity_min_atoms = AtomsField()
    quantity_max_atoms = AtomsField()
    price_min_atoms = AtomsField()
    price_max_atoms = AtomsField()
    notional_min_atoms = AtomsField()
    price_band_e8 = models.BigIntegerField()
    market_band_e8 = models.BigIntegerField()
    status = models.SmallIntegerField(
        choices=[(status.value, status.name) for status in MarketStatus]
    )
    breaker_band_e8 = models.BigIntegerField(default=0)
    breaker_window_ms = models.BigIntegerField(default=NO_SAFETY.breaker_window_ms)
    halt_ms = models.BigIntegerField(default=NO_SAFETY.halt_ms)
    cancel_only_ms = models.BigIntegerField(default=NO_SAFETY.cancel_only_ms)
    post_only_ms = models.BigIntegerField(default=NO_SAFETY.post_only_ms)
    trigger_protect_e8 = models.BigIntegerField(default=0)
    status_cause = models.SmallIntegerField(
        choices=[(cause.value, cause.name) for cause in StatusCause],
        default=StatusCause.NONE.value,
    )
    status_until_ms = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(tick_atoms__gt=0, lot_atoms__gt=0), name="market_grid_positive"
            ),
        ]

    def __str__(self) -> str:
        """Return the market's symbol."""
        return self.symbol


class PriceWindow(models.Model):
    """What a market's circuit breaker knows of the last prices; the key is the market's id."""

    id = KeyField()
    unanchored = models.BooleanField()
    slots = models.BinaryField()

    def __str__(self) -> str:
        """Return which market's prices these are."""
        return f"price window of market {self.id}"


class IndexPrice(models.Model):
    """The index price the exchange now uses for a market; the key is the market's id."""

    id = KeyField()
    price_atoms = AtomsField()
    time_ms = models.BigIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(price_atoms__gt=0), name="index_price_positive"),
        ]

    def __str__(self) -> str:
        """Return which market's price this is."""
        return f"index price of market {self.id}"


class Candle(models.Model):
    """
    Open, high, low, close and volume of one interval.

    The key packs market, source, interval and open minute (``markets.candles.candle_key``),
    so a chart is one range of the primary key and the table needs no other index. Volumes
    are split into whole units and the remaining atoms: a day's sum of quote atoms need not
    fit 64 bits. ``recorded`` bars are shipped history that nobody traded here.
    """

    id = KeyField()
    market_id = models.IntegerField()
    source = models.SmallIntegerField(choices=[(item.value, item.name) for item in CandleSource])
    interval = models.SmallIntegerField(choices=[(item.value, item.name) for item in Interval])
    open_ms = models.BigIntegerField()
    open_atoms = AtomsField()
    high_atoms = AtomsField()
    low_atoms = AtomsField()
    close_atoms = AtomsField()
    volume_units = models.BigIntegerField()
    volume_atoms = models.IntegerField()
    quote_volume_units = models.BigIntegerField()
    quote_volume_atoms = models.IntegerField()
    trade_count = models.BigIntegerField()
    recorded = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(low_atoms__gt=0, high_atoms__gte=models.F("low_atoms")),
                name="candle_range_positive",
            ),
        ]

    def __str__(self) -> str:
        """Return the candle's key."""
        return f"candle {self.id}"


class CandleProgress(models.Model):
    """How far candles were built from trades; one row. Trades up to here are counted."""

    id = KeyField()
    last_trade_id = models.BigIntegerField()

    def __str__(self) -> str:
        """Return the number of the last counted trade."""
        return f"candles up to trade {self.last_trade_id}"


class FeedState(models.Model):
    """
    Which kind of feed this database was started with, and when; one row.

    ``chosen_ms`` is also where a replay starts: what it plays follows from the clock, so
    every process sees the same recorded moment and nothing needs to be saved.
    """

    id = KeyField()
    mode = models.CharField(max_length=8, choices=[(mode.value, mode.value) for mode in FeedMode])
    chosen_ms = models.BigIntegerField()

    def __str__(self) -> str:
        """Return the stored mode."""
        return f"feed mode {self.mode}"
