"""
The assets and markets of a fresh installation.

Ticks, lots and minimums follow the large venues where `tick x lot` allows exact trades
(`tick_atoms * lot_atoms % 10^8 == 0`). Bands: a limit order may be at most 50 % from the
index, which refuses a slipped digit and still takes deep bids; a market order stops 5 % from
it, which is more than a healthy book ever needs and less than a swept one costs.
"""

from dataclasses import dataclass

from exchange import gateway
from exchange.core.commands import AnyCommand, ConfigureAsset, ConfigureMarket
from exchange.core.enums import Lane, MarketKind
from exchange.core.events import Outcome
from exchange.core.rejects import Code
from exchange.core.safety import MarketSafety
from exchange.core.units import ATOMS
from markets import selectors
from markets.enums import FeedMode

PRICE_BAND_E8 = 50_000_000
MARKET_BAND_E8 = 5_000_000
# A tenth within five minutes stops a market; last and mark price may part by 5 %.
SAFETY = MarketSafety(breaker_band_e8=10_000_000, trigger_protect_e8=5_000_000)


class SeedError(Exception):
    """The exchange refused a part of the seed; the message says which and why."""


@dataclass(frozen=True, slots=True)
class AssetSeed:
    """One asset; all carry 8 decimals, since fees and prices x quantities may."""

    asset_id: int
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class MarketSeed:
    """One spot market; everything in atoms, ``notional_min_atoms`` in quote atoms."""

    market_id: int
    base: str
    quote: str
    tick_atoms: int
    lot_atoms: int
    quantity_max_atoms: int
    price_max_atoms: int
    notional_min_atoms: int
    recorded: bool = False

    @property
    def symbol(self) -> str:
        """The market's symbol."""
        return f"{self.base}-{self.quote}"


ASSETS: tuple[AssetSeed, ...] = (
    AssetSeed(1, "USDT", "Tether"),
    AssetSeed(2, "BTC", "Bitcoin"),
    AssetSeed(3, "ETH", "Ether"),
    AssetSeed(4, "SOL", "Solana"),
    AssetSeed(5, "XRP", "XRP"),
    AssetSeed(6, "DOGE", "Dogecoin"),
    AssetSeed(7, "LTC", "Litecoin"),
    AssetSeed(8, "ADA", "Cardano"),
    AssetSeed(9, "LINK", "Chainlink"),
    AssetSeed(10, "AVAX", "Avalanche"),
    AssetSeed(11, "1000SHIB", "1000 Shiba Inu"),
)

_CENT = ATOMS // 100
_FIVE_USDT = 5 * ATOMS

MARKETS: tuple[MarketSeed, ...] = (
    MarketSeed(
        market_id=1,
        base="BTC",
        quote="USDT",
        tick_atoms=_CENT,
        lot_atoms=ATOMS // 10**5,
        quantity_max_atoms=500 * ATOMS,
        price_max_atoms=10_000_000 * ATOMS,
        notional_min_atoms=_FIVE_USDT,
        recorded=True,
    ),
    MarketSeed(
        market_id=2,
        base="ETH",
        quote="USDT",
        tick_atoms=_CENT,
        lot_atoms=ATOMS // 10**4,
        quantity_max_atoms=9_000 * ATOMS,
        price_max_atoms=1_000_000 * ATOMS,
        notional_min_atoms=_FIVE_USDT,
        recorded=True,
    ),
    MarketSeed(
        market_id=3,
        base="ETH",
        quote="BTC",
        tick_atoms=ATOMS // 10**5,
        lot_atoms=ATOMS // 10**3,
        quantity_max_atoms=9_000 * ATOMS,
        price_max_atoms=1_000 * ATOMS,
        notional_min_atoms=ATOMS // 10**4,
        recorded=True,
    ),
    MarketSeed(
        market_id=4,
        base="SOL",
        quote="USDT",
        tick_atoms=_CENT,
        lot_atoms=ATOMS // 10**3,
        quantity_max_atoms=100_000 * ATOMS,
        price_max_atoms=1_000_000 * ATOMS,
        notional_min_atoms=_FIVE_USDT,
    ),
    MarketSeed(
        market_id=5,
        base="XRP",
        quote="USDT",
        tick_atoms=ATOMS // 10**4,
        lot_atoms=ATOMS // 10,
        quantity_max_atoms=10_000_000 * ATOMS,
        price_max_atoms=100_000 * ATOMS,
        notional_min_atoms=_FIVE_USDT,
    ),
    MarketSeed(
        market_id=6,
        base="DOGE",
        quote="USDT",
        tick_atoms=ATOMS // 10**5,
        lot_atoms=ATOMS,
        quantity_max_atoms=90_000_000 * ATOMS,
        price_max_atoms=10_000 * ATOMS,
        notional_min_atoms=_FIVE_USDT,
    ),
    MarketSeed(
        market_id=7,
        base="LTC",
        quote="USDT",
        tick_atoms=_CENT,
        lot_atoms=ATOMS // 10**3,
        quantity_max_atoms=100_000 * ATOMS,
        price_max_atoms=1_000_000 * ATOMS,
        notional_min_atoms=_FIVE_USDT,
    ),
    MarketSeed(
        market_id=8,
        base="ADA",
        quote="USDT",
        tick_atoms=ATOMS // 10**4,
        lot_atoms=ATOMS // 10,
        quantity_max_atoms=10_000_000 * ATOMS,
        price_max_atoms=100_000 * ATOMS,
        notional_min_atoms=_FIVE_USDT,
    ),
    MarketSeed(
        market_id=9,
        base="LINK",
        quote="USDT",
        tick_atoms=_CENT,
        lot_atoms=ATOMS // 10**2,
        quantity_max_atoms=1_000_000 * ATOMS,
        price_max_atoms=1_000_000 * ATOMS,
        notional_min_atoms=_FIVE_USDT,
    ),
    MarketSeed(
        market_id=10,
        base="AVAX",
        quote="USDT",
        tick_atoms=_CENT,
        lot_atoms=ATOMS // 10**2,
        quantity_max_atoms=1_000_000 * ATOMS,
        price_max_atoms=1_000_000 * ATOMS,
        notional_min_atoms=_FIVE_USDT,
    ),
    MarketSeed(
        market_id=11,
        base="1000SHIB",
        quote="USDT",
        tick_atoms=ATOMS // 10**6,
        lot_atoms=ATOMS,
        quantity_max_atoms=90_000_000 * ATOMS,
        price_max_atoms=10_000 * ATOMS,
        notional_min_atoms=_FIVE_USDT,
    ),
)


def markets_of(mode: FeedMode) -> tuple[MarketSeed, ...]:
    """Return the markets that have prices in a mode."""
    if mode is FeedMode.LIVE:
        return MARKETS
    return tuple(market for market in MARKETS if market.recorded)


def market_seed(mode: FeedMode) -> list[str]:
    """
    Configure the assets and markets of a mode that do not exist yet; return what was made.

    What exists is left alone, so an operator's changes survive. Submits commands; never call
    it inside a transaction.

    Raises:
        SeedError: if the exchange refuses one.
        exchange.gateway.ExchangeError: if the exchange does not answer.
    """
    selectors.cache_clear()
    known_assets = {asset.asset_id for asset in selectors.assets_all()}
    known_markets = {market.market_id for market in selectors.markets_all()}
    made: list[str] = []
    markets = [market for market in markets_of(mode) if market.market_id not in known_markets]
    codes = {code for market in markets_of(mode) for code in (market.base, market.quote)}
    for asset in ASSETS:
        if asset.code in codes and asset.asset_id not in known_assets:
            configure(
                ConfigureAsset(
                    asset_id=asset.asset_id, code=asset.code, name=asset.name, decimals=8
                ),
                asset.code,
            )
            made.append(asset.code)
    for market in markets:
        configure(_command(market), market.symbol)
        made.append(market.symbol)
    selectors.cache_clear()
    return made


def _command(market: MarketSeed) -> ConfigureMarket:
    ids = {asset.code: asset.asset_id for asset in ASSETS}
    return ConfigureMarket(
        market_id=market.market_id,
        symbol=market.symbol,
        kind=MarketKind.SPOT,
        base_asset_id=ids[market.base],
        quote_asset_id=ids[market.quote],
        tick_atoms=market.tick_atoms,
        lot_atoms=market.lot_atoms,
        quantity_min_atoms=market.lot_atoms,
        quantity_max_atoms=market.quantity_max_atoms,
        price_min_atoms=market.tick_atoms,
        price_max_atoms=market.price_max_atoms,
        notional_min_atoms=market.notional_min_atoms,
        price_band_e8=PRICE_BAND_E8,
        market_band_e8=MARKET_BAND_E8,
        safety=SAFETY,
    )


def configure(command: AnyCommand, name: str) -> None:
    """
    Carry one part of the seed out.

    Raises:
        SeedError: if the exchange refuses it.
        exchange.gateway.ExchangeError: if the exchange does not answer.
    """
    outcome: Outcome = gateway.submit(command, lane=Lane.SYSTEM)
    if outcome.code != Code.OK:
        raise SeedError(f"{name} was refused: {Code(outcome.code).name} {outcome.detail}".strip())
