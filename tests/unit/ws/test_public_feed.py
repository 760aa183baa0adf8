"""How a listener gets onto a stream and stays on it, frame by frame."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from common.ws import topics
from common.ws.frames import DELTA, Packet, PublicFrame, body
from common.ws.hub import Hub
from common.ws.outbox import DELTAS_MAX, Outbox
from common.ws.public_feed import Subscription
from common.ws.topics import Channel

EPOCH = 50


class FakeRedis:
    """Snapshots by key; ``gate`` holds answers back."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.reads = 0

    async def get(self, key: str) -> bytes | None:
        self.reads += 1
        await self.gate.wait()
        return self.values.get(key)

    def snapshot(self, seq: int, *, topic: str = "book:1", epoch: int = EPOCH) -> None:
        data = {"symbol": "BTC-USDT", "epoch": epoch, "seq": seq, "bids": []}
        self.values[topics.snapshot_key(topic)] = json.dumps(data).encode()


class Listener:
    """A client whose reading the test controls."""

    def __init__(self, hub: Hub, *texts: str) -> None:
        self.frames: list[dict[str, Any]] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.outbox = Outbox(self._send)
        self.task = asyncio.ensure_future(self.outbox.run())
        self.subscriptions: list[Subscription] = []
        for text in texts:
            channel = topics.parse_channel(text, lambda _symbol: 1)
            self.subscriptions.append(hub.public.subscribe(channel, self.outbox))

    async def _send(self, event: dict[str, Any]) -> None:
        await self.reads.wait()
        if event["type"] == "websocket.send":
            self.frames.append(json.loads(event["text"]))

    def story(self) -> list[tuple[str, int]]:
        return [(frame["type"], frame["seq"]) for frame in self.frames]


@pytest.fixture
def redis(hub: Hub) -> FakeRedis:
    fake = FakeRedis()
    hub.public._redis = fake  # type: ignore[assignment]
    hub.is_connected = True
    hub.public.epoch = hub.private.epoch = EPOCH
    return fake


class Stream:
    """Packets of one topic, as a projector numbers them."""

    def __init__(self, hub: Hub, topic: str = "book:1") -> None:
        self.hub, self.topic = hub, topic
        self.number = 0
        self.prev = 10

    def send(self, seq: int, *, epoch: int = EPOCH, number: int | None = None) -> None:
        self.number = number or self.number + 1
        text = body(epoch=epoch, seq=seq, prev=self.prev, kind=DELTA, time_ms=0, data="{}")
        frame = PublicFrame(self.topic, seq, self.prev, text)
        self.prev = seq
        self.hub.take(Packet(epoch, self.number, 0, False, [frame], [], []))


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.005)


async def test_changes_that_the_snapshot_contains_are_not_sent_again(
    hub: Hub, redis: FakeRedis
) -> None:
    stream = Stream(hub)
    redis.gate.clear()
    listener = Listener(hub, "book:X")
    await _settle()

    for seq in (11, 12, 13):
        stream.send(seq)
    redis.snapshot(12)
    redis.gate.set()
    await _settle()
    stream.send(14)
    await _settle()

    assert listener.story() == [("snapshot", 12), ("delta", 13), ("delta", 14)]


async def test_a_snapshot_too_old_for_what_followed_is_fetched_again(
    hub: Hub, redis: FakeRedis
) -> None:
    stream = Stream(hub)
    stream.prev = 20
    redis.gate.clear()
    redis.snapshot(10)
    listener = Listener(hub, "book:X")
    await _settle()
    stream.send(21)
    redis.gate.set()
    await _settle()

    redis.snapshot(21)
    await _until(lambda: bool(listener.story()))

    assert listener.story() == [("snapshot", 21)]


async def test_who_joins_during_a_fetch_gets_a_later_one(hub: Hub, redis: FakeRedis) -> None:
    redis.gate.clear()
    redis.snapshot(10)
    first = Listener(hub, "book:X")
    await _settle()
    second = Listener(hub, "book:X")
    redis.gate.set()
    await _until(lambda: bool(second.story()))

    assert (first.story(), second.story()) == ([("snapshot", 10)], [("snapshot", 10)])
    assert redis.reads == 2


async def test_a_snapshot_of_an_older_epoch_is_waited_out(hub: Hub, redis: FakeRedis) -> None:
    redis.snapshot(99, epoch=EPOCH - 1)
    listener = Listener(hub, "book:X")
    await asyncio.sleep(0.06)
    redis.snapshot(3)
    await _until(lambda: bool(listener.story()))

    assert listener.story() == [("snapshot", 3)]


async def test_each_spelling_is_echoed(hub: Hub, redis: FakeRedis) -> None:
    redis.snapshot(10)
    listener = Listener(hub, "book:BTC-USDT", "orderbook:BTC/USDT")
    await _settle()

    Stream(hub).send(11)
    await _settle()

    assert {frame["channel"] for frame in listener.frames} == {
        "book:BTC-USDT",
        "orderbook:BTC/USDT",
    }
    assert len(listener.frames) == 4


async def test_a_client_behind_on_changes_gets_a_snapshot_and_no_gap(
    hub: Hub, redis: FakeRedis
) -> None:
    stream = Stream(hub)
    redis.snapshot(10)
    slow, quick = Listener(hub, "book:X"), Listener(hub, "book:X")
    await _settle()
    slow.reads.clear()

    last = 10 + DELTAS_MAX + 20
    for seq in range(11, last + 1):
        stream.send(seq)
        await _settle()
    redis.snapshot(last)
    slow.reads.set()
    await _settle()
    stream.send(last + 1)
    await _settle()

    assert quick.story()[-1] == ("delta", last + 1)
    assert len(quick.frames) == last + 2 - 10
    # One change was on its way when the client stopped; then everything is new.
    assert slow.story() == [
        ("snapshot", 10),
        ("delta", 11),
        ("snapshot", last),
        ("delta", last + 1),
    ]


async def test_a_missed_packet_resets_and_snapshots_follow(hub: Hub, redis: FakeRedis) -> None:
    stream = Stream(hub)
    redis.snapshot(10)
    listener = Listener(hub, "book:X")
    await _settle()
    stream.send(11)
    await _settle()

    redis.snapshot(13)
    stream.send(13, number=3)
    await _settle()

    assert listener.story() == [
        ("snapshot", 10),
        ("delta", 11),
        ("reset", 0),
        ("snapshot", 13),
    ]


async def test_a_new_epoch_resets_and_an_old_one_is_not_heard(hub: Hub, redis: FakeRedis) -> None:
    stream = Stream(hub)
    redis.snapshot(10)
    listener = Listener(hub, "book:X")
    await _settle()

    redis.snapshot(5, epoch=EPOCH + 1)
    stream.send(5, epoch=EPOCH + 1, number=1)
    stream.send(12, epoch=EPOCH, number=7)
    await _settle()

    assert listener.story() == [("snapshot", 10), ("reset", 0), ("snapshot", 5)]
    assert listener.frames[1]["epoch"] == EPOCH + 1


async def test_heartbeats_only_while_frames_arrive(
    hub: Hub, redis: FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis.snapshot(10)
    listener = Listener(hub, "book:X")
    await _settle()
    Stream(hub).send(11)

    monkeypatch.setattr(hub, "_heard_at", hub.time() - 10)
    hub._heartbeat(hub.time() + 2)
    await _settle()
    silent = listener.story()
    hub._heard_at = hub.time()
    hub._heartbeat(hub.time() + 2)
    await _settle()

    assert silent == [("snapshot", 10), ("delta", 11)]
    assert listener.story()[-1] == ("heartbeat", 11)


async def test_after_unsubscribing_nothing_comes(hub: Hub, redis: FakeRedis) -> None:
    redis.snapshot(10)
    listener = Listener(hub, "book:X")
    await _settle()

    for _ in range(2):
        hub.public.unsubscribe(listener.subscriptions[0])
    Stream(hub).send(11)
    await _settle()

    assert listener.story() == [("snapshot", 10)]
    assert hub.public.topics == {}


async def test_states_begin_with_the_newer_of_snapshot_and_frame(
    hub: Hub, redis: FakeRedis
) -> None:
    redis.gate.clear()
    redis.snapshot(10, topic="price:1")
    outbox_client = Listener(hub)
    hub.public.subscribe(Channel("price:X", "price", 1), outbox_client.outbox)
    await _settle()

    stream = Stream(hub, "price:1")
    stream.send(11)
    stream.send(12)
    redis.gate.set()
    await _settle()

    assert outbox_client.story() == [("snapshot", 10), ("delta", 12)]


async def test_who_came_first_is_served_first(hub: Hub, redis: FakeRedis) -> None:
    served: list[int] = []

    def listen(number: int) -> Listener:
        listener = Listener(hub)

        def write_text(_text: str) -> bool:
            served.append(number)
            return True

        listener.outbox._write_text = write_text
        channel = topics.parse_channel("book:X", lambda _symbol: 1)
        listener.subscriptions.append(hub.public.subscribe(channel, listener.outbox))
        return listener

    redis.snapshot(10)
    listeners = [listen(number) for number in range(20)]
    await _settle()
    served.clear()
    hub.public.unsubscribe(listeners[7].subscriptions[0])

    Stream(hub).send(11)

    assert served == [number for number in range(20) if number != 7]
    for listener in listeners:
        listener.task.cancel()
