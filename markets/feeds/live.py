"""Asks the venues, each in a thread of its own, and keeps the index engine up to date."""

import time
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor, wait

import structlog
from django.conf import settings

from markets.enums import PriceState
from markets.feeds.catalogue import LIVE_INSTRUMENTS, Instrument
from markets.feeds.engine import IndexEngine, IndexView
from markets.feeds.sources import (
    CcxtSource,
    PriceSource,
    SourceError,
    SourceOptions,
    wall_clock_ms,
)
from markets.feeds.validate import RawQuote

log = structlog.get_logger(__name__)

# After failures a source is left alone for 1, 2, 4, 8 seconds: long enough not to hammer a
# venue that is down, short enough to notice its return within one freshness period.
REST_S_MAX = 8.0
# Why a source says nothing, in the feed's health.
SWITCHED_OFF = "SWITCHED_OFF"


def configured_sources() -> list[PriceSource]:
    """Return the venues as the settings describe them (URLs of mirrors, API keys)."""
    return [
        CcxtSource(name, SourceOptions(url=options["url"], api_key=options["api_key"]))
        for name, options in settings.PRICE_SOURCES.items()
    ]


class LiveFeed:
    """
    All sources and the engine that combines them; used by one thread.

    A source that has not answered yet is not asked again, so a hanging venue holds one
    thread and nothing else.
    """

    def __init__(
        self,
        sources: list[PriceSource],
        instruments: tuple[Instrument, ...] = LIVE_INSTRUMENTS,
        switched_off: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        """Prepare; nothing is asked before ``poll``. ``switched_off`` names sources to ignore."""
        self._switched_off = switched_off
        self.engine = IndexEngine(instruments)
        self._sources = {source.name: source for source in sources}
        self._pool = ThreadPoolExecutor(
            max_workers=max(1, len(sources)), thread_name_prefix="price-source"
        )
        self._running: dict[str, Future[list[RawQuote]]] = {}
        self._failures: dict[str, int] = dict.fromkeys(self._sources, 0)
        self._rest_until: dict[str, float] = dict.fromkeys(self._sources, 0.0)

    def poll(self, *, wait_s: float) -> list[IndexView]:
        """
        Ask every source that is free and return all indexes after at most ``wait_s``.

        Answers that come later count in the next poll.
        """
        off = self._switched_off()
        for name in off:
            if name in self._sources:
                self.engine.forget(name, SWITCHED_OFF)
        for name, source in self._sources.items():
            if name in off:
                continue
            if name not in self._running and time.monotonic() >= self._rest_until[name]:
                self._running[name] = self._pool.submit(source.fetch, self.engine.pairs_of(name))
        finished, _ = wait(self._running.values(), timeout=wait_s)
        for name in [name for name, task in self._running.items() if task in finished]:
            task = self._running.pop(name)
            # An answer that was under way when the source was switched off.
            if name not in off:
                self._take(name, task)
        return self.engine.prices(wall_clock_ms())

    def is_live(self, symbol: str) -> bool:
        """Return whether a market's index has its quorum."""
        return any(
            view.symbol == symbol and view.state is PriceState.LIVE
            for view in self.engine.prices(wall_clock_ms())
        )

    def close(self) -> None:
        """Stop asking; requests under way end by their own time-outs."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _take(self, name: str, task: Future[list[RawQuote]]) -> None:
        try:
            quotes = task.result()
        except SourceError as error:
            self._failures[name] += 1
            rest_s = max(error.rest_s, min(2.0 ** (self._failures[name] - 1), REST_S_MAX))
            self._rest_until[name] = time.monotonic() + rest_s
            self.engine.fail(name, error.reason)
            if self._failures[name] == 1:
                log.warning("price_source_failed", source=name, reason=error.reason)
            return
        if self._failures[name]:
            log.info("price_source_back", source=name, failures=self._failures[name])
        self._failures[name] = 0
        self.engine.offer(name, quotes, now_ms=wall_clock_ms())
