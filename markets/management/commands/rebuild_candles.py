"""``manage.py rebuild_candles``: makes all candles again from the stored trades."""

from typing import Any

from django.core.management.base import BaseCommand

from markets.candle_store import candles_build, candles_forget
from markets.enums import FeedMode
from markets.feeds.history import history_fill
from markets.feeds.mode import feed_chosen


class Command(BaseCommand):
    """Forget and rebuild; charts fill up while it runs, trading is not touched."""

    help = "Build all candles again from the stored trades."

    def handle(self, *args: Any, **options: Any) -> None:
        """Rebuild and print how many trades were counted."""
        candles_forget()
        chosen = feed_chosen()
        if chosen is not None and chosen.mode is FeedMode.REPLAY:
            history_fill(chosen)
        counted = 0
        while batch := candles_build():
            counted += batch
        self.stdout.write(f"{counted} trades counted")
