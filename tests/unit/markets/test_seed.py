"""The markets of a fresh installation."""

import pytest

from exchange.core.units import ATOMS, INT64_MAX
from markets.enums import FeedMode
from markets.feeds.catalogue import LIVE_INSTRUMENTS
from markets.feeds.recorded import CROSSES, RECORDED_SYMBOLS
from markets.seed import ASSETS, MARKETS, MarketSeed, markets_of
from markets.selectors import spellings
from markets.types import decimals_of_step, round_to_step


class TestMarkets:
    @pytest.mark.parametrize("market", MARKETS, ids=lambda market: market.symbol)
    def test_a_trade_never_rounds_and_never_overflows(self, market: MarketSeed) -> None:
        assert market.tick_atoms * market.lot_atoms % ATOMS == 0
        assert market.quantity_max_atoms % market.lot_atoms == 0
        assert market.price_max_atoms % market.tick_atoms == 0
        assert max(market.quantity_max_atoms, market.price_max_atoms) < INT64_MAX

    def test_every_market_has_live_prices(self) -> None:
        live = {instrument.symbol for instrument in LIVE_INSTRUMENTS}

        assert {market.symbol for market in markets_of(FeedMode.LIVE)} == live
        assert len(live) >= 6

    def test_only_recorded_markets_trade_in_replay(self) -> None:
        symbols = {market.symbol for market in markets_of(FeedMode.REPLAY)}

        assert symbols == {*RECORDED_SYMBOLS, *CROSSES}

    def test_numbers_and_codes_are_unique(self) -> None:
        assert len({asset.asset_id for asset in ASSETS}) == len(ASSETS)
        assert len({market.market_id for market in MARKETS}) == len(MARKETS)
        names = [name for market in MARKETS for name in spellings(market.symbol)]
        assert len(set(names)) == len(names)


class TestSpellings:
    @pytest.mark.parametrize(
        ("symbol", "expected"),
        [
            ("BTC-USDT", ("BTC-USDT", "BTC/USDT", "BTCUSDT")),
            ("BTC-USDT-PERP", ("BTC-USDT-PERP", "BTC/USDT:USDT", "BTCUSDTPERP")),
        ],
    )
    def test_are_those_of_other_venues(self, symbol: str, expected: tuple[str, ...]) -> None:
        assert spellings(symbol) == expected


class TestSteps:
    @pytest.mark.parametrize(
        ("step", "decimals"), [(ATOMS, 0), (10**6, 2), (25 * 10**5, 3), (1, 8), (10**9, 0)]
    )
    def test_decimals_of_a_step(self, step: int, decimals: int) -> None:
        assert decimals_of_step(step) == decimals

    def test_refuses_no_step(self) -> None:
        with pytest.raises(ValueError, match="positive step"):
            decimals_of_step(0)

    @pytest.mark.parametrize(("atoms", "expected"), [(14, 10), (15, 20), (3, 10), (0, 10)])
    def test_rounds_to_the_nearest_step_but_never_to_zero(self, atoms: int, expected: int) -> None:
        assert round_to_step(atoms=atoms, step_atoms=10) == expected
