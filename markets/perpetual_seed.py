"""
The perpetual markets of a fresh installation: rules, terms, brackets and insurance groups.

Ticks and lots follow Binance's USDS-M futures where `tick x lot` allows exact trades. The
brackets are Binance's own (``data/leverage-brackets.json``, with its source). Coins under
0.0001 are listed per thousand: 1000SHIB-USDT-PERP.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
from django.conf import settings

from common.decimals import parse_atoms
from exchange.core.commands import ConfigureContract, ConfigureMarket
from exchange.core.enums import MarketKind, MarketStatus
from exchange.core.units import ATOMS
from markets.enums import FeedMode
from markets.seed import ASSETS, MARKET_BAND_E8, PRICE_BAND_E8, SAFETY

# A perpetual's number follows from that of its pair's spot market.
NUMBER_OFFSET = 1_000

# Binance: 0.01 % per 8 hours, and impact prices over what 200 USDT of margin may carry.
INTEREST_RATE_E8 = 10_000
IMPACT_MARGIN_ATOMS = 200 * ATOMS

# All long positions of a market together: what its smaller books can bear to lose.
OPEN_INTEREST_MAX_ATOMS = 500_000_000 * ATOMS

# Each fund stands for its own markets alone: a coin that is cornered costs no other its fund.
INSURANCE_FUNDS = {1: 2_000_000 * ATOMS, 2: 500_000 * ATOMS, 3: 250_000 * ATOMS}
_MAJORS, _LARGE, _SMALL = INSURANCE_FUNDS


@dataclass(frozen=True, slots=True)
class PerpetualSeed:
    """One perpetual; everything in atoms, ``spot_id`` is the number of its pair's spot market."""

    spot_id: int
    base: str
    tick_atoms: int
    lot_atoms: int
    quantity_max_atoms: int
    price_max_atoms: int
    insurance_group: int
    recorded: bool = False

    @property
    def market_id(self) -> int:
        """The market's number."""
        return NUMBER_OFFSET + self.spot_id

    @property
    def symbol(self) -> str:
        """The market's symbol."""
        return f"{self.base}-USDT-PERP"


def _seed(
    spot_id: int, base: str, *, decimals: tuple[int, int], most: int, highest: int, group: int
) -> PerpetualSeed:
    """Return a market from the decimals of price and quantity and the largest of each."""
    price_decimals, quantity_decimals = decimals
    return PerpetualSeed(
        spot_id=spot_id,
        base=base,
        tick_atoms=ATOMS // 10**price_decimals,
        lot_atoms=ATOMS // 10**quantity_decimals,
        quantity_max_atoms=most * ATOMS,
        price_max_atoms=highest * ATOMS,
        insurance_group=group,
        recorded=base in {"BTC", "ETH"},
    )


PERPETUALS: tuple[PerpetualSeed, ...] = (
    _seed(1, "BTC", decimals=(1, 3), most=1_000, highest=10_000_000, group=_MAJORS),
    _seed(2, "ETH", decimals=(2, 3), most=10_000, highest=1_000_000, group=_MAJORS),
    _seed(4, "SOL", decimals=(2, 2), most=100_000, highest=1_000_000, group=_LARGE),
    _seed(5, "XRP", decimals=(4, 1), most=10_000_000, highest=100_000, group=_LARGE),
    _seed(6, "DOGE", decimals=(5, 0), most=50_000_000, highest=10_000, group=_LARGE),
    _seed(7, "LTC", decimals=(2, 3), most=50_000, highest=1_000_000, group=_SMALL),
    _seed(8, "ADA", decimals=(4, 0), most=5_000_000, highest=100_000, group=_SMALL),
    _seed(9, "LINK", decimals=(3, 2), most=100_000, highest=1_000_000, group=_SMALL),
    _seed(10, "AVAX", decimals=(3, 0), most=100_000, highest=1_000_000, group=_SMALL),
    _seed(11, "1000SHIB", decimals=(6, 0), most=50_000_000, highest=10_000, group=_SMALL),
)


class _Brackets(msgspec.Struct):
    # (floor, cap, maintenance rate, highest leverage) by base asset.
    brackets: dict[str, list[tuple[str, str, str, int]]]


@cache
def _published() -> dict[str, list[tuple[str, str, str, int]]]:
    path = Path(settings.BASE_DIR) / "data" / "leverage-brackets.json"
    return msgspec.json.decode(path.read_bytes(), type=_Brackets).brackets


def perpetuals_of(mode: FeedMode) -> tuple[PerpetualSeed, ...]:
    """Return the perpetuals that have prices in a mode."""
    if mode is FeedMode.LIVE:
        return PERPETUALS
    return tuple(market for market in PERPETUALS if market.recorded)


def brackets_of(base: str, leverage_max: int) -> tuple[tuple[int, int, int], ...]:
    """
    Return (floor, maintenance rate, highest leverage) by floor, leverage within a bound.

    Raises:
        KeyError: if nothing is published for the asset.
    """
    return tuple(
        (
            parse_atoms(floor, field="floor"),
            parse_atoms(rate, field="rate"),
            min(leverage, leverage_max),
        )
        for floor, _, rate, leverage in _published()[base]
    )


def notional_max_atoms(base: str) -> int:
    """Return the cap of the last bracket: no position may be larger."""
    return parse_atoms(_published()[base][-1][1], field="cap")


def market_command(market: PerpetualSeed) -> ConfigureMarket:
    """Return the command that makes the market, halted until it has terms."""
    ids = {asset.code: asset.asset_id for asset in ASSETS}
    return ConfigureMarket(
        market_id=market.market_id,
        symbol=market.symbol,
        kind=MarketKind.PERPETUAL,
        base_asset_id=ids[market.base],
        quote_asset_id=ids["USDT"],
        tick_atoms=market.tick_atoms,
        lot_atoms=market.lot_atoms,
        quantity_min_atoms=market.lot_atoms,
        quantity_max_atoms=market.quantity_max_atoms,
        price_min_atoms=market.tick_atoms,
        price_max_atoms=market.price_max_atoms,
        notional_min_atoms=5 * ATOMS,
        price_band_e8=PRICE_BAND_E8,
        market_band_e8=MARKET_BAND_E8,
        status=MarketStatus.HALTED,
        # It stops the market's trades alone: marks and liquidations go on.
        safety=SAFETY,
    )


def contract_command(market: PerpetualSeed) -> ConfigureContract:
    """Return the terms, with leverage, fee and funding interval of the environment."""
    brackets = brackets_of(market.base, settings.MAX_LEVERAGE)
    leverage_max = brackets[0][2]
    return ConfigureContract(
        market_id=market.market_id,
        insurance_group=market.insurance_group,
        funding_interval_ms=settings.FUNDING_INTERVAL_MS,
        interest_rate_e8=INTEREST_RATE_E8,
        funding_cap_e8=0,
        impact_notional_atoms=IMPACT_MARGIN_ATOMS * leverage_max,
        liquidation_fee_e8=settings.LIQUIDATION_FEE_E8,
        position_notional_max_atoms=notional_max_atoms(market.base),
        open_interest_max_atoms=OPEN_INTEREST_MAX_ATOMS,
        brackets=brackets,
        leverage_default=min(settings.DEFAULT_LEVERAGE, leverage_max),
        reason="seed",
        actor="seed",
    )
