"""Writes of the markets app: preparing an installation."""

from dataclasses import dataclass

from markets.enums import FeedMode
from markets.feeds.history import history_fill
from markets.feeds.mode import feed_choose
from markets.seed import market_seed


@dataclass(frozen=True, slots=True)
class PreparedMarkets:
    """The mode of this database, what was configured now, and which charts got a past."""

    mode: FeedMode
    configured: list[str]
    charts: list[str]


def markets_prepare() -> PreparedMarkets:
    """
    Choose the feed of this database, configure its markets and give their charts a past.

    Each part is done once; a second run changes nothing. Submits commands, so it must not
    run inside a transaction.

    Raises:
        markets.feeds.mode.FeedModeError: if the configured feed cannot be used.
        markets.seed.SeedError: if the exchange refuses a market.
        exchange.gateway.ExchangeError: if the exchange does not answer.
    """
    chosen = feed_choose()
    configured = market_seed(chosen.mode)
    charts: list[str] = []
    if chosen.mode is FeedMode.REPLAY:
        charts = history_fill(chosen)
    return PreparedMarkets(mode=chosen.mode, configured=configured, charts=charts)
