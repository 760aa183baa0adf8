"""
Live or replay: decided once for a database and kept.

``auto`` looks once, on a database without a decision, whether live prices can be had.
Losing them later degrades markets; it never turns real trading into a recording.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.conf import settings

from markets.enums import FeedMode
from markets.feeds.sources import wall_clock_ms
from markets.models import FeedState

log = structlog.get_logger(__name__)

AUTO = "auto"
_ROW_ID = 1

# A venue that answers at all answers within a second or two.
PROBES = 3
PROBE_WAIT_S = 3.0


class FeedModeError(Exception):
    """The configured feed cannot be used; the message names the remedy in one line."""


@dataclass(frozen=True, slots=True)
class ChosenFeed:
    """The mode of this database and when it was chosen (a replay starts there)."""

    mode: FeedMode
    chosen_ms: int


def feed_chosen() -> ChosenFeed | None:
    """Return the stored decision, None on a database that has none yet."""
    row = FeedState.objects.filter(id=_ROW_ID).first()
    return None if row is None else ChosenFeed(FeedMode(row.mode), row.chosen_ms)


def feed_choose(
    *,
    configured: str | None = None,
    production: bool | None = None,
    live_available: Callable[[], bool] | None = None,
) -> ChosenFeed:
    """
    Return the mode of this database, deciding and storing it if that has not happened.

    ``configured`` defaults to ``FEED_MODE``; ``live_available`` is asked only for ``auto`` on
    a database without a decision.

    Raises:
        FeedModeError: if the setting is unknown, not allowed in production, or contradicts
            what this database was started with.
    """
    wanted = settings.FEED_MODE if configured is None else configured
    strict = settings.PRODUCTION if production is None else production
    check_setting(wanted, production=strict)
    known = feed_chosen()
    if known is None:
        mode = _decide(wanted, live_available or sources_answer)
        FeedState.objects.bulk_create(
            [FeedState(id=_ROW_ID, mode=mode, chosen_ms=wall_clock_ms())], ignore_conflicts=True
        )
        known = feed_chosen()
        if known is None:
            raise FeedModeError("the database kept no feed mode: check that it is writable")
        log.info("feed_mode_chosen", mode=known.mode.value)
    if wanted not in (AUTO, known.mode):
        raise FeedModeError(
            f"FEED_MODE={wanted}, but this database was started with {known.mode.value} prices:"
            f" set FEED_MODE={known.mode.value} or start with an empty database (make reset)"
        )
    return known


def check_setting(wanted: str, *, production: bool) -> None:
    """
    Refuse a value that is unknown or, in production, not ``live``.

    Raises:
        FeedModeError: naming the value and the remedy.
    """
    allowed = (AUTO, *FeedMode)
    if wanted not in allowed:
        raise FeedModeError(f"FEED_MODE must be one of {', '.join(allowed)}, was {wanted[:64]!r}")
    if production and wanted != FeedMode.LIVE:
        raise FeedModeError(f"FEED_MODE={wanted} is not allowed in production: set FEED_MODE=live")


def sources_answer() -> bool:
    """Return whether two sources give a usable Bitcoin price within a few seconds."""
    from markets.feeds.live import LiveFeed, configured_sources

    sources = configured_sources()
    for source in sources:
        source.connect()
    feed = LiveFeed(sources)
    try:
        for _ in range(PROBES):
            feed.poll(wait_s=PROBE_WAIT_S)
            if feed.is_live("BTC-USDT"):
                return True
        return False
    finally:
        feed.close()


def _decide(wanted: str, live_available: Callable[[], bool]) -> FeedMode:
    if wanted != AUTO:
        return FeedMode(wanted)
    return FeedMode.LIVE if live_available() else FeedMode.REPLAY


def replay_directory() -> Path:
    """Return where the shipped recordings lie."""
    return Path(settings.BASE_DIR) / "data" / "replay"


def history_directory() -> Path:
    """Return where the shipped minute bars lie."""
    return Path(settings.BASE_DIR) / "data" / "history"
