"""Writes of the markets app: preparing an installation, and an operator's decisions."""

from dataclasses import dataclass

from accounts.audit import Actor
from accounts.operators import operator_submit
from common import redis as redis_clients
from exchange.core.commands import SetMarketStatus
from exchange.core.enums import MarketStatus
from markets import selectors
from markets.enums import FeedMode
from markets.feeds import keys
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


def market_set_status(*, market_id: int, status: MarketStatus, actor: Actor, reason: str) -> None:
    """
    Halt, restrict or open a market on an operator's word; must not run in a transaction.

    The feed opens again only what it halted itself, so its note of that is removed: from
    here on the operator's decision holds.

    Raises:
        common.errors.ApiError: if the exchange refuses.
        exchange.gateway.ExchangeError: if the exchange does not answer.
        redis.RedisError: if the feed's note cannot be removed; nothing was changed then.
    """
    redis_clients.client().srem(keys.halted_key(), market_id)
    market = selectors.market_by_id(market_id)
    operator_submit(
        SetMarketStatus(market_id=market_id, status=status, reason=reason, actor=actor.username),
        actor=actor,
        action="market.status_change",
        target=f"market:{market.symbol}",
        before={"status": market.status.name.lower()},
        after={"status": status.name.lower()},
        reason=reason,
    )
    selectors.cache_clear()
