"""Assets, markets and index prices: touched objects -> rows, and rows -> state at start."""

from collections.abc import Iterable

from exchange.core.enums import MarketKind, MarketStatus
from exchange.core.events import AssetConfigured, IndexPriceChanged, MarketConfigured
from exchange.core.state import Changes, Image
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
    ),
)
_MARKET_FIELDS = ("market_id", *MARKETS.columns[1:])
INDEX_PRICES = Table(name="markets_indexprice", columns=("id", "price_atoms", "time_ms"))


class MarketProjection:
    """The markets app's part of the exchange's transaction."""

    tables = (ASSETS, MARKETS, INDEX_PRICES)

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
        if changes.index_prices:
            yield (
                INDEX_PRICES,
                [
                    (price.market_id, price.price_atoms, price.time_ms)
                    for price in changes.index_prices.values()
                ],
            )

    def load(self, reader: Reader, image: Image) -> None:
        """Fill assets, markets and index prices of the image, in the order of their ids."""
        image.assets.extend(AssetConfigured(*row) for row in reader.rows(ASSETS))
        image.markets.extend(_market_event(row) for row in reader.rows(MARKETS))
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
    )


def _market_event(row: Row) -> MarketConfigured:
    values = dict(zip(_MARKET_FIELDS, row, strict=True))
    values["kind"] = MarketKind(values["kind"])
    values["status"] = MarketStatus(values["status"])
    return MarketConfigured(**values)
