"""Assets, markets and index prices: touched objects -> rows, and rows -> state at start."""

from collections.abc import Iterable

import msgspec

from exchange.core.enums import MarketKind, MarketStatus, StatusCause
from exchange.core.events import AssetConfigured, IndexPriceChanged, MarketConfigured
from exchange.core.safety import MarketSafety
from exchange.core.state import Changes, Image, PriceWindow
from exchange.projection import Reader, Row, Table

ASSETS = Table(name="markets_asset", columns=("id", "code", "name", "decimals"))
MARKETS = Table(
    name="markets_market",
    columns=(
        "id",
        "symbol",
        "kind",
        "base_asset_id",
        "quote_asset_id",
        "tick_atoms",
        "lot_atoms",
        "quantity_min_atoms",
        "quantity_max_atoms",
        "price_min_atoms",
        "price_max_atoms",
        "notional_min_atoms",
        "price_band_e8",
        "market_band_e8",
        "status",
        *MarketSafety.__struct_fields__,
        "status_cause",
        "status_until_ms",
    ),
)
_MARKET_FIELDS = ("market_id", *MARKETS.columns[1:])
PRICE_WINDOWS = Table(
    name="markets_pricewindow", columns=("id", "unanchored", "slots"), booleans=("unanchored",)
)
INDEX_PRICES = Table(name="markets_indexprice", columns=("id", "price_atoms", "time_ms"))

_encode_slots = msgspec.msgpack.Encoder().encode
_decode_slots = msgspec.msgpack.Decoder(list[tuple[int, int]]).decode


class MarketProjection:
    """The markets app's part of the exchange's transaction."""

    tables = (ASSETS, MARKETS, PRICE_WINDOWS, INDEX_PRICES)

    def rows(self, changes: Changes) -> Iterable[tuple[Table, list[Row]]]:
        """Return the rows to write for what a batch touched; pure, no I/O."""
        if changes.assets:
            yield (
                ASSETS,
                [
                    (asset.asset_id, asset.code, asset.name, asset.decimals)
                    for asset in changes.assets.values()
                ],
            )
        if changes.markets:
            yield MARKETS, [_market_row(market) for market in changes.markets.values()]
        if changes.price_windows:
            yield (
                PRICE_WINDOWS,
                [
                    (window.market_id, window.unanchored, _encode_slots(window.slots))
                    for window in changes.price_windows.values()
                ],
            )
        if changes.index_prices:
            yield (
                INDEX_PRICES,
                [
                    (price.market_id, price.price_atoms, price.time_ms)
                    for price in changes.index_prices.values()
                ],
            )

    def load(self, reader: Reader, image: Image) -> None:
        """Fill assets, markets and prices of the image, in the order of their ids."""
        image.assets.extend(AssetConfigured(*row) for row in reader.rows(ASSETS))
        image.markets.extend(_market_event(row) for row in reader.rows(MARKETS))
        image.price_windows.extend(
            PriceWindow(market_id, bool(unanchored), _decode_slots(slots))
            for market_id, unanchored, slots in reader.rows(PRICE_WINDOWS)
        )
        image.index_prices.extend(IndexPriceChanged(*row) for row in reader.rows(INDEX_PRICES))


def _market_row(market: MarketConfigured) -> Row:
    return (
        market.market_id,
        market.symbol,
        int(market.kind),
        market.base_asset_id,
        market.quote_asset_id,
        market.tick_atoms,
        market.lot_atoms,
        market.quantity_min_atoms,
        market.quantity_max_atoms,
        market.price_min_atoms,
        market.price_max_atoms,
        market.notional_min_atoms,
        market.price_band_e8,
        market.market_band_e8,
        int(market.status),
        *msgspec.structs.astuple(market.safety),
        int(market.status_cause),
        market.status_until_ms,
    )


def _market_event(row: Row) -> MarketConfigured:
    values = dict(zip(_MARKET_FIELDS, row, strict=True))
    values["kind"] = MarketKind(values["kind"])
    values["status"] = MarketStatus(values["status"])
    values["safety"] = MarketSafety(*(values.pop(name) for name in MarketSafety.__struct_fields__))
    values["status_cause"] = StatusCause(values["status_cause"])
    return MarketConfigured(**values)
