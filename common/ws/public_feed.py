"""Public topics of one process: who listens, and how a listener gets onto the stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import redis as redis_module
import redis.asyncio as redis_asyncio

from common.ws import topics
from common.ws.clock import now_ms
from common.ws.frames import (
    HEARTBEAT,
    RESET,
    SNAPSHOT,
    PublicFrame,
    body,
    decode_head,
    prefix,
)
from common.ws.outbox import Outbox, Slot
from common.ws.topics import Channel

log = logging.getLogger(__name__)

# A snapshot that is not there yet is looked for again after this long, doubling.
RETRY_MIN_S = 0.05
RETRY_MAX_S = 1.0
# Frames that wait for a snapshot; with more the snapshot is fetched again.
BUFFER_MAX = 256


class Subscription(Slot):
    """
    One client on one channel.

    It begins *waiting*: frames are buffered until a snapshot came, those that the snapshot
    contains are dropped, and the rest follows it. A client that cannot keep up with changes
    becomes *stale*: what waits is dropped, and once it caught up it waits for a snapshot
    again. So a client never sees a gap that it is not told about.
    """

    __slots__ = ("buffer", "channel", "is_live", "is_stale", "outbox", "prefix", "topic")

    def __init__(self, channel: Channel, topic: Topic, outbox: Outbox) -> None:
        """Join nothing yet."""
        super().__init__()
        self.channel = channel
        self.topic = topic
        self.outbox = outbox
        self.prefix = prefix(channel.text)
        self.is_live = False
        self.is_stale = False
        self.buffer: list[PublicFrame] = []

    def offer(self, frame: PublicFrame, text: str) -> None:
        """Take a frame of the topic, already written for this channel's spelling."""
        if self.is_live:
            if not self.topic.is_delta:
                self.outbox.put_state(self, text)
            elif not self.outbox.put_delta(self, text):
                self.discard()
                self.is_live = False
                self.is_stale = True
                self.outbox.put_mark(self)
        elif not self.is_stale:
            if len(self.buffer) >= BUFFER_MAX:
                self.buffer.clear()
            self.buffer.append(frame)

    def wait(self) -> None:
        """Be about to get a snapshot; whatever was queued before is dropped."""
        self.discard()
        self.is_live = self.is_stale = False
        self.buffer.clear()
        self.topic.want_snapshot(self)

    def reached(self) -> None:
        """Start over: the client has read everything before the point where it fell behind."""
        self.wait()

    def begin(self, epoch: int, seq: int, snapshot: str) -> bool:
        """
        Send a snapshot and what followed it; False when frames in between are missing.

        ``snapshot`` is the frame's body, ``seq`` the sequence it stands at.
        """
        after = [frame for frame in self.buffer if frame.seq > seq]
        if self.topic.is_delta and after and after[0].prev > seq:
            return False
        self.buffer.clear()
        self.is_live = True
        self.outbox.put(self.prefix + snapshot)
        for frame in after if self.topic.is_delta else after[-1:]:
            self.offer(frame, self.prefix + frame.body)
        return True


class Topic:
    """One topic somebody listens to; its subscriptions grouped by how they are spelled."""

    def __init__(self, name: str, feed: PublicFeed) -> None:
        """Take a topic's name; ``feed`` fetches its snapshots."""
        self.name = name
        self.is_delta = name.partition(":")[0] in topics.DELTA_KINDS
        self.seq = 0
        self.sent_at = 0.0
        # Who came first is served first; dictionaries, since a set has no order.
        self.groups: dict[str, dict[Subscription, None]] = {}
        self._feed = feed
        self._waiting: set[Subscription] = set()
        self._loader: asyncio.Task[None] | None = None

    def subscriptions(self) -> list[Subscription]:
        """Return all subscriptions."""
        return [subscription for group in self.groups.values() for subscription in group]

    def add(self, subscription: Subscription) -> None:
        """Let a subscription hear the topic's frames, from a snapshot on."""
        self.groups.setdefault(subscription.prefix, {})[subscription] = None
        subscription.wait()

    def remove(self, subscription: Subscription) -> None:
        """Let it hear no more; nothing that waits is sent."""
        subscription.discard()
        self._waiting.discard(subscription)
        group = self.groups.get(subscription.prefix, {})
        group.pop(subscription, None)
        if not group:
            self.groups.pop(subscription.prefix, None)

    def route(self, frame: PublicFrame, now: float) -> None:
        """Hand a frame to every subscription; its text is made once per spelling."""
        self.seq = frame.seq
        self.sent_at = now
        for spelled, group in self.groups.items():
            text = spelled + frame.body
            for subscription in group:
                subscription.offer(frame, text)

    def broadcast(self, kind: str, epoch: int, time_ms: int) -> None:
        """Send a frame without data: RESET to all, HEARTBEAT to those who are up to date."""
        seq = 0 if kind == RESET else self.seq
        text = body(epoch=epoch, seq=seq, kind=kind, time_ms=time_ms, data=None)
        for spelled, group in self.groups.items():
            for subscription in group:
                if kind == RESET:
                    subscription.discard()
                    subscription.outbox.put(spelled + text)
                elif subscription.is_live and subscription.outbox.has_room:
                    subscription.outbox.put(spelled + text)

    def want_snapshot(self, subscription: Subscription) -> None:
        """Fetch a snapshot for a subscription; one fetch serves all that wait."""
        self._waiting.add(subscription)
        if self._loader is None or self._loader.done():
            self._loader = self._feed.spawn(self._load())

    async def _load(self) -> None:
        delay_s = RETRY_MIN_S
        while self._waiting:
            # Only who joined before the fetch may use it: the others buffer from later on.
            served = list(self._waiting)
            snapshot = await self._feed.fetch(self.name)
            if snapshot is None:
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, RETRY_MAX_S)
                continue
            epoch, seq, text = snapshot
            self.seq = max(self.seq, seq)
            for subscription in served:
                if subscription in self._waiting and subscription.begin(epoch, seq, text):
                    self._waiting.discard(subscription)
            if self._waiting:
                await asyncio.sleep(RETRY_MIN_S)


class PublicFeed:
    """All public topics somebody listens to in this process."""

    def __init__(
        self,
        *,
        redis: redis_asyncio.Redis,
        spawn: Callable[..., asyncio.Task[None]],
        is_connected: Callable[[], bool],
    ) -> None:
        """Fetch snapshots through ``redis``, and only while frames arrive too."""
        self._redis = redis
        self.spawn = spawn
        self._is_connected = is_connected
        self.topics: dict[str, Topic] = {}
        self.epoch = 0

    def subscribe(self, channel: Channel, outbox: Outbox) -> Subscription:
        """Subscribe a client to a channel; it gets a snapshot and then every frame."""
        topic = self.topics.get(channel.topic)
        if topic is None:
            topic = self.topics[channel.topic] = Topic(channel.topic, self)
        subscription = Subscription(channel, topic, outbox)
        topic.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; may be called twice."""
        topic = subscription.topic
        topic.remove(subscription)
        if not topic.groups:
            self.topics.pop(topic.name, None)

    def route(self, frames: list[PublicFrame], now: float) -> None:
        """Hand the frames of one packet to who listens."""
        for frame in frames:
            topic = self.topics.get(frame.topic)
            if topic is not None:
                topic.route(frame, now)

    def reset(self, epoch: int, time_ms: int) -> None:
        """Tell everybody that frames may be missing, and start over from snapshots."""
        self.epoch = epoch
        for topic in self.topics.values():
            topic.seq = 0
            topic.broadcast(RESET, epoch, time_ms)
            for subscription in topic.subscriptions():
                subscription.wait()

    def heartbeat(self, now: float, time_ms: int) -> None:
        """Say the last sequence of every channel that was quiet for a second."""
        for topic in self.topics.values():
            if now - topic.sent_at >= 1.0:
                topic.broadcast(HEARTBEAT, self.epoch, time_ms)

    async def fetch(self, name: str) -> tuple[int, int, str] | None:
        """Return (epoch, sequence, frame body) of a snapshot of this epoch, None without one."""
        if not self._is_connected():
            return None
        try:
            data: Any = await self._redis.get(topics.snapshot_key(name))
        except (redis_module.RedisError, OSError):
            return None
        if data is None:
            return None
        head = decode_head(data)
        if head.epoch < self.epoch:
            return None
        text = body(
            epoch=head.epoch,
            seq=head.seq,
            kind=SNAPSHOT,
            time_ms=now_ms(),
            data=data.decode(),
        )
        return head.epoch, head.seq, text
