"""Which markets have which prices: the fixed tables of the feed, no code."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Leg:
    """
    A pair of one source; ``in_usd`` quotes are divided by the USDT-USD index.

    ``units`` says that the market counts its asset by so many, as 1000SHIB does.
    """

    pair: str
    in_usd: bool = False
    units: int = 1


@dataclass(frozen=True, slots=True)
class Instrument:
    """A market's index: one leg per source. Sources without a weight count 1."""

    symbol: str
    legs: dict[str, Leg]
    weights: dict[str, int] = field(default_factory=dict)


TETHER_USD = Instrument(
    symbol="USDT-USD",
    legs={"coinbase": Leg("USDT/USD"), "kraken": Leg("USDT/USD")},
)


def _tether_market(base: str) -> Instrument:
    # Coinbase's dollar markets are far deeper than its USDT ones; the other two quote USDT.
    return Instrument(
        symbol=f"{base}-USDT",
        legs={
            "binance": Leg(f"{base}/USDT"),
            "coinbase": Leg(f"{base}/USD", in_usd=True),
            "kraken": Leg(f"{base}/USDT"),
        },
    )


LIVE_INSTRUMENTS: tuple[Instrument, ...] = (
    _tether_market("BTC"),
    _tether_market("ETH"),
    Instrument(
        symbol="ETH-BTC",
        legs={name: Leg("ETH/BTC") for name in ("binance", "coinbase", "kraken")},
    ),
    _tether_market("SOL"),
    _tether_market("XRP"),
    _tether_market("DOGE"),
    _tether_market("LTC"),
    _tether_market("ADA"),
    _tether_market("LINK"),
    _tether_market("AVAX"),
    Instrument(
        symbol="1000SHIB-USDT",
        legs={
            "binance": Leg("SHIB/USDT", units=1_000),
            "coinbase": Leg("SHIB/USD", in_usd=True, units=1_000),
            "kraken": Leg("SHIB/USD", in_usd=True, units=1_000),
        },
    ),
)

# What the venues call our pairs. Given to ccxt instead of letting it load thousands of
# markets; Kraken's are the keys of its answers, which it also accepts in the request.
VENUE_PAIR_IDS: dict[str, dict[str, str]] = {
    "binance": {
        "BTC/USDT": "BTCUSDT",
        "ETH/USDT": "ETHUSDT",
        "ETH/BTC": "ETHBTC",
        "SOL/USDT": "SOLUSDT",
        "XRP/USDT": "XRPUSDT",
        "DOGE/USDT": "DOGEUSDT",
        "LTC/USDT": "LTCUSDT",
        "ADA/USDT": "ADAUSDT",
        "LINK/USDT": "LINKUSDT",
        "AVAX/USDT": "AVAXUSDT",
        "SHIB/USDT": "SHIBUSDT",
    },
    "coinbase": {
        "BTC/USD": "BTC-USD",
        "ETH/USD": "ETH-USD",
        "ETH/BTC": "ETH-BTC",
        "SOL/USD": "SOL-USD",
        "XRP/USD": "XRP-USD",
        "DOGE/USD": "DOGE-USD",
        "LTC/USD": "LTC-USD",
        "ADA/USD": "ADA-USD",
        "LINK/USD": "LINK-USD",
        "AVAX/USD": "AVAX-USD",
        "SHIB/USD": "SHIB-USD",
        "USDT/USD": "USDT-USD",
    },
    "kraken": {
        "BTC/USDT": "XBTUSDT",
        "ETH/USDT": "ETHUSDT",
        "ETH/BTC": "XETHXXBT",
        "SOL/USDT": "SOLUSDT",
        "XRP/USDT": "XRPUSDT",
        "DOGE/USDT": "XDGUSDT",
        "LTC/USDT": "LTCUSDT",
        "ADA/USDT": "ADAUSDT",
        "LINK/USDT": "LINKUSDT",
        "AVAX/USDT": "AVAXUSDT",
        "SHIB/USD": "SHIBUSD",
        "USDT/USD": "USDTZUSD",
    },
}
