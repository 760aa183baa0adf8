"""``manage.py run_feed``: holds the price source and feeds the exchange."""

import signal
import threading
from typing import Any

import redis
import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, close_old_connections

from exchange import alive
from markets.enums import FeedMode
from markets.feeds.mode import FeedModeError, feed_choose
from markets.feeds.service import FeedService, feed_for
from markets.feeds.sources import wall_clock_ms

log = structlog.get_logger(__name__)

# Recorded depth is published this often and prices with it every second time; live venues
# are asked once a second, which their public limits allow.
REPLAY_EVERY_S = 0.25
REPLAY_TURN_EVERY = 2
LIVE_EVERY_S = 1.0

CONFIGURATION_EXIT = 2


class Command(BaseCommand):
    """Feed prices until told to stop; a second instance stands by."""

    help = "Feed index prices: live from the venues, or the shipped recordings."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or SIGINT; exit 2 if it cannot begin."""
        try:
            chosen = feed_choose()
            feed = feed_for(chosen)
        except FeedModeError as error:
            raise CommandError(str(error), returncode=CONFIGURATION_EXIT) from error
        except DatabaseError as error:
            line = " ".join(f"the database cannot be used: {error}".split())
            raise CommandError(line, returncode=CONFIGURATION_EXIT) from error
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        service = FeedService(feed, chosen.mode, streaming=True)
        log.info("feed_started", mode=chosen.mode.value)
        run(service, stop)


def run(service: FeedService, stop: threading.Event) -> None:
    """Feed until ``stop`` is set; a turn that fails is logged and the next one tried."""
    every_s = LIVE_EVERY_S if service.mode is FeedMode.LIVE else REPLAY_EVERY_S
    turn = 0
    turning = alive.this_process(settings.VAR_DIR, "feed")
    while not stop.is_set():
        turning.turn()
        started_ms = wall_clock_ms()
        try:
            if service.hold():
                service.publish_depth(started_ms)
                if service.mode is FeedMode.LIVE or turn % REPLAY_TURN_EVERY == 0:
                    service.turn()
        except (redis.RedisError, DatabaseError):
            # Both come back without us; what was known stays known until it is stale.
            log.exception("feed_turn_failed")
            close_old_connections()
        turn += 1
        stop.wait(max(0.01, every_s - (wall_clock_ms() - started_ms) / 1_000))
    try:
        service.release()
    except redis.RedisError:
        log.warning("feed_hold_left_to_expire")
