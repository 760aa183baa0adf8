"""Every metric that is kept over time, declared once: how it is summed up and who may see it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from accounts.permissions import Permission

MINUTE_MS = 60_000


class Rollup(StrEnum):
    """What several values of one bucket become."""

    SUM = "sum"
    LAST = "last"
    HIGHEST = "highest"
    MEAN = "mean"


class Resolution(Enum):
    """
    The widths of buckets: number (two bits of a key), minutes, and days for which they are kept.

    Each range that a chart can show has one, so that a line has 30 to 168 points.
    """

    MINUTE = (0, 1, 2)
    TEN_MINUTES = (1, 10, 4)
    HOUR = (2, 60, 35)
    DAY = (3, 1_440, 1_830)

    def __init__(self, number: int, minutes: int, kept_days: int) -> None:
        """Take the numbers apart."""
        self.number = number
        self.minutes = minutes
        self.kept_minutes = kept_days * 1_440


# What a chart can show: minutes back from now, and in which buckets.
RANGES: dict[str, tuple[int, Resolution]] = {
    "1h": (60, Resolution.MINUTE),
    "24h": (1_440, Resolution.TEN_MINUTES),
    "7d": (10_080, Resolution.HOUR),
    "30d": (43_200, Resolution.DAY),
}


@dataclass(frozen=True, slots=True)
class Metric:
    """One kind of figure; ``permission`` is what its charts need."""

    name: str
    rollup: Rollup
    permission: Permission


_P = Permission

# Labels: markets by symbol, the fund by group and currency, sources by name.
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        # Quote atoms traded, in the book alone.
        Metric("volume", Rollup.SUM, _P.MARKETS_VIEW),
        Metric("trades", Rollup.SUM, _P.MARKETS_VIEW),
        # Quote atoms, net of rebates.
        Metric("fees", Rollup.SUM, _P.EXPOSURE_VIEW),
        # Quote atoms at the mark.
        Metric("open_interest", Rollup.LAST, _P.MARKETS_VIEW),
        # Steps of the ladder, by kind.
        Metric("liquidations", Rollup.SUM, _P.MARKETS_VIEW),
        # Atoms of the fund's asset.
        Metric("insurance", Rollup.LAST, _P.MARKETS_VIEW),
        Metric("new_users", Rollup.SUM, _P.USERS_VIEW),
        Metric("commands", Rollup.SUM, _P.SYSTEM_VIEW),
        Metric("batches", Rollup.SUM, _P.SYSTEM_VIEW),
        # Microseconds.
        Metric("ack_mean_us", Rollup.MEAN, _P.SYSTEM_VIEW),
        Metric("ack_p99_us", Rollup.HIGHEST, _P.SYSTEM_VIEW),
        Metric("feed_age_ms", Rollup.HIGHEST, _P.MARKETS_VIEW),
        # 10^-8, without its sign.
        Metric("feed_divergence_e8", Rollup.HIGHEST, _P.MARKETS_VIEW),
    )
}
