"""
The sampler behind ``/ws/admin``: once a second, while somebody listens.

What processes do it reads from Redis; what is wrong and who was liquidated from the board that the
dashboard shows, too, in a thread that may use the database.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import redis as redis_module
from django.db import DatabaseError

from adminpanel.live_samples import (
    Figures,
    Rates,
    engine_data,
    feeds_data,
    system_data,
    users_data,
)
from adminpanel.readings import REDIS_SECTIONS, figure_keys, figures_from
from adminpanel.stats.channels import alerts_channel, liquidations_channel
from common import metrics
from common import redis as redis_clients
from common.ws.clock import now_ms
from common.ws.frames import SNAPSHOT, UPDATE, body, prefix, to_json
from common.ws.hub import Hub
from common.ws.outbox import Outbox, Slot

log = logging.getLogger(__name__)

SAMPLE_EVERY_S = 1.0
# Who joins between two samples gets the last one, unless the next is overdue.
FRESH_MS = 1_500
# Samples are whole states numbered by time, so they never start anew.
EPOCH = 1

_feeds: WeakKeyDictionary[Hub, AdminFeed] = WeakKeyDictionary()

MAKERS: dict[str, Callable[[Figures, Rates], dict[str, Any]]] = {
    "system": system_data,
    "engine": lambda figures, _rates: engine_data(figures),
    "feeds": lambda figures, _rates: feeds_data(figures),
    "users": users_data,
}
# Channels made of the dashboard's board, which asks the database.
BOARD_MAKERS: dict[str, Callable[[], dict[str, Any]]] = {
    "alerts": alerts_channel,
    "liquidations": liquidations_channel,
}


class Listener(Slot):
    """One operator on one channel; the first thing it gets is a snapshot."""

    __slots__ = ("channel", "is_live", "outbox", "prefix")

    def __init__(self, channel: str, outbox: Outbox) -> None:
        """Have heard nothing yet."""
        super().__init__()
        self.channel = channel
        self.outbox = outbox
        self.prefix = prefix(channel)
        self.is_live = False

    def offer(self, seq: int, data: str) -> None:
        """Take a sample."""
        kind = UPDATE if self.is_live else SNAPSHOT
        text = body(epoch=EPOCH, seq=seq, kind=kind, time_ms=seq, data=data)
        if self.is_live:
            self.outbox.put_state(self, self.prefix + text)
        else:
            self.is_live = True
            self.outbox.put(self.prefix + text)


class AdminFeed:
    """Samples for all operators connected to this process."""

    def __init__(self, hub: Hub, *, redis: Any = None) -> None:
        """Read nothing before somebody listens."""
        self._hub = hub
        self._redis = redis or redis_clients.async_client()
        self._listeners: set[Listener] = set()
        self._rates: dict[str, Rates] = {name: Rates() for name in MAKERS}
        self._running: asyncio.Task[None] | None = None
        # The last sample: when it was taken, and each channel's data.
        self._seq = 0
        self._texts: dict[str, str] = {}

    def subscribe(self, channel: str, outbox: Outbox) -> Listener:
        """Let an operator hear a channel from a snapshot on, which follows at once."""
        listener = Listener(channel, outbox)
        self._listeners.add(listener)
        if now_ms() - self._seq <= FRESH_MS and channel in self._texts:
            listener.offer(self._seq, self._texts[channel])
        if self._running is None or self._running.done():
            self._running = self._hub.spawn(self._run())
        return listener

    def unsubscribe(self, listener: Listener) -> None:
        """Let it hear no more; may be called twice."""
        listener.discard()
        self._listeners.discard(listener)

    async def _run(self) -> None:
        while self._listeners:
            try:
                self._publish(await self._read(), await self._read_board())
            except (redis_module.RedisError, DatabaseError, OSError) as error:
                log.warning("admin_figures_not_read", extra={"error": str(error)})
            await asyncio.sleep(SAMPLE_EVERY_S)

    def _publish(self, figures: Figures, board: dict[str, str]) -> None:
        self._seq = figures.time_ms
        self._texts = board
        for channel, make in MAKERS.items():
            rates = self._rates[channel]
            self._texts[channel] = to_json(make(figures, rates))
            rates.keep_only(figures.time_ms)
        for listener in tuple(self._listeners):
            # Who joined while the board was being made waits for the next one.
            if listener.channel in self._texts:
                listener.offer(self._seq, self._texts[listener.channel])

    async def _read_board(self) -> dict[str, str]:
        """Return the texts of the board's channels that somebody listens to."""
        wanted = {listener.channel for listener in self._listeners} & BOARD_MAKERS.keys()
        return {
            channel: to_json(await self._hub.database(BOARD_MAKERS[channel]))
            for channel in sorted(wanted)
        }

    async def _read(self) -> Figures:
        names = metrics.members_of(await self._redis.smembers(metrics.index_key()))
        values: Any = await self._redis.mget(figure_keys(names))
        report: dict[str, Any] = {}
        for section in REDIS_SECTIONS:
            report |= await self._redis.info(section)
        return figures_from(names, values, report)


def admin_feed(hub: Hub) -> AdminFeed:
    """Return the feed that goes with a hub."""
    feed = _feeds.get(hub)
    if feed is None:
        feed = _feeds[hub] = AdminFeed(hub)
    return feed
