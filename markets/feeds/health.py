"""What the feed says about itself in Redis: for readiness, admin and metrics."""

import msgspec

from common import redis as redis_clients
from markets.enums import PriceState
from markets.feeds import keys
from markets.feeds.engine import IndexView

# Whoever feeds writes at least once a second; after this nobody does.
HEALTH_TTL_MS = 10_000


class SourceHealth(msgspec.Struct, frozen=True):
    """One source's part in one index: its price, and how far that is from the median, 10^-8."""

    source: str
    status: str
    reason: str = ""
    age_ms: int | None = None
    divergence_e8: int | None = None
    price_atoms: int | None = None


class IndexHealth(msgspec.Struct, frozen=True):
    """One index: its state, its sources and its price."""

    symbol: str
    state: str
    sources: list[SourceHealth]
    price_atoms: int | None = None


class FeedHealth(msgspec.Struct, frozen=True):
    """
    The feed as it was at ``time_ms``; ``holder`` is the process that feeds.

    ``mode`` is the mode of the database, ``note`` says in words what the prices are.
    """

    mode: str
    holder: str
    time_ms: int
    note: str
    indexes: list[IndexHealth]

    def worst_state(self) -> PriceState:
        """Return the worst state of all indexes, HALTED without any."""
        order = [PriceState.HALTED, PriceState.DEGRADED, PriceState.REPLAY, PriceState.LIVE]
        states = {index.state for index in self.indexes}
        return next((state for state in order if state in states), PriceState.HALTED)


def feed_health() -> FeedHealth | None:
    """
    Return what the feed last said, None when nobody feeds prices.

    Raises:
        redis.RedisError: if Redis cannot be asked.
    """
    raw = redis_clients.client().get(keys.health_key())
    return None if raw is None else msgspec.json.decode(raw, type=FeedHealth)


def encode_health(
    *, mode: str, holder: str, time_ms: int, note: str, views: list[IndexView]
) -> bytes:
    """Return the bytes of the health key."""
    return msgspec.json.encode(
        FeedHealth(
            mode=mode,
            holder=holder,
            time_ms=time_ms,
            note=note,
            indexes=[
                IndexHealth(
                    symbol=view.symbol,
                    state=view.state.value,
                    sources=[
                        SourceHealth(
                            source=source.source,
                            status=source.status.value,
                            reason=source.reason,
                            age_ms=source.age_ms,
                            divergence_e8=source.divergence_e8,
                            price_atoms=source.price_atoms,
                        )
                        for source in view.sources
                    ],
                    price_atoms=view.price_atoms,
                )
                for view in views
            ],
        )
    )
