"""Small closed vocabularies of the markets app; stored numbers are never reused."""

from enum import IntEnum, StrEnum


class CandleSource(IntEnum):
    """What a candle was built from."""

    TRADES = 0
    INDEX = 1
    MARK = 2


class Interval(IntEnum):
    """Length of a candle; every one divides a UTC day, so candles start on round times."""

    ONE_MINUTE = 0
    FIVE_MINUTES = 1
    FIFTEEN_MINUTES = 2
    ONE_HOUR = 3
    FOUR_HOURS = 4
    ONE_DAY = 5


INTERVAL_NAMES: dict[str, Interval] = {
    "1m": Interval.ONE_MINUTE,
    "5m": Interval.FIVE_MINUTES,
    "15m": Interval.FIFTEEN_MINUTES,
    "1h": Interval.ONE_HOUR,
    "4h": Interval.FOUR_HOURS,
    "1d": Interval.ONE_DAY,
}

INTERVAL_MS: dict[Interval, int] = {
    Interval.ONE_MINUTE: 60_000,
    Interval.FIVE_MINUTES: 300_000,
    Interval.FIFTEEN_MINUTES: 900_000,
    Interval.ONE_HOUR: 3_600_000,
    Interval.FOUR_HOURS: 14_400_000,
    Interval.ONE_DAY: 86_400_000,
}


class FeedMode(StrEnum):
    """Where index prices come from on this installation."""

    LIVE = "live"
    REPLAY = "replay"


class PriceState(StrEnum):
    """How far an index price can be trusted, as the ticker and readiness show it."""

    LIVE = "live"
    REPLAY = "replay"
    DEGRADED = "degraded"
    HALTED = "halted"


class SourceStatus(StrEnum):
    """What the last look at one price source found."""

    OK = "ok"
    UNCONFIRMED = "unconfirmed"
    STALE = "stale"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"
