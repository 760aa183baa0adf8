"""Assets, markets and index prices to rows and back."""

from collections.abc import Iterator, Mapping

from exchange.core.enums import MarketKind, MarketStatus, StatusCause
from exchange.core.events import AssetConfigured, IndexPriceChanged, MarketConfigured
from exchange.core.safety import MarketSafety
from exchange.core.state import Changes, Image, PriceWindow
from exchange.projection import Row, Table
from markets.projection import MarketProjection

ASSET = AssetConfigured(1, "BTC", "Bitcoin", 8)
MARKET = MarketConfigured(
    7, "BTC-USDT", MarketKind.SPOT, 1, 2, 10, 20, 30, 40, 50, 60, 70, 80, 90, MarketStatus.HALTED,
    MarketSafety(11, 12, 13, 14, 15, 16), StatusCause.CIRCUIT_BREAKER, 17,
)  # fmt: skip
PRICE = IndexPriceChanged(7, 123, 456)
WINDOW = PriceWindow(7, True, [(1, 2), (3, 4)])


class Rows:
    """Reads rows that a projection made."""

    def __init__(self, tables: dict[str, list[Row]]) -> None:
        self.tables = tables

    def rows(self, table: Table, *, equals: Mapping[str, int] | None = None) -> Iterator[Row]:
        return iter(self.tables[table.name])

    def last_key(self, table: Table) -> int:
        return max(row[0] for row in self.tables[table.name])


class TestMarketProjection:
    def test_what_is_written_is_what_is_loaded(self) -> None:
        changes = Changes()
        changes.assets[1] = ASSET
        changes.markets[7] = MARKET
        changes.index_prices[7] = PRICE
        changes.price_windows[7] = WINDOW
        image = Image()

        tables = {table.name: rows for table, rows in MarketProjection().rows(changes)}
        MarketProjection().load(Rows(tables), image)

        assert image.assets == [ASSET]
        assert image.markets == [MARKET]
        assert isinstance(image.markets[0].status, MarketStatus)
        assert isinstance(image.markets[0].kind, MarketKind)
        assert image.index_prices == [PRICE]
        assert image.price_windows == [WINDOW]
        assert image.price_windows[0].unanchored is True

    def test_rows_have_the_columns_of_their_table(self) -> None:
        changes = Changes()
        changes.markets[7] = MARKET

        ((table, rows),) = MarketProjection().rows(changes)

        assert len(rows[0]) == len(table.columns)
        assert not any(isinstance(value, MarketStatus) for value in rows[0])

    def test_nothing_touched_writes_nothing(self) -> None:
        assert list(MarketProjection().rows(Changes())) == []
