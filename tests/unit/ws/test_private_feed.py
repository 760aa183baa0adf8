"""The order of steps by which a session gets onto its account's stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from common.ws import topics
from common.ws.frames import UPDATE, AccountPosition, Packet, PrivateFrame, body, encode_private
from common.ws.hub import Hub
from common.ws.outbox import Outbox
from common.ws.private_feed import PrivateSession, Resume

EPOCH = 50
ACCOUNT = 7


class FakeRedis:
    """Records requests to watch, and holds a ring."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.ring: list[bytes] = []

    async def rpush(self, key: str, *names: str) -> int:
        assert key == topics.watch_requests_key()
        self.requests += names
        return len(self.requests)

    async def lrange(self, key: str, first: int, last: int) -> list[bytes]:
        assert key == topics.ring_key(EPOCH, ACCOUNT)
        return self.ring


class Projector:
    """Numbers frames of one account and packets, as the real one does."""

    def __init__(self, hub: Hub, redis: FakeRedis) -> None:
        self.hub, self.redis = hub, redis
        self.seq = self.number = 0
        self.channels = dict.fromkeys((topics.ORDERS, topics.FILLS, topics.BALANCES), 0)

    def frame(self, channel: str = topics.ORDERS) -> PrivateFrame:
        self.seq += 1
        prev, self.channels[channel] = self.channels[channel], self.seq
        text = body(
            epoch=EPOCH, seq=self.seq, prev=prev, kind=UPDATE, time_ms=0, data=f"{self.seq}"
        )
        frame = PrivateFrame(ACCOUNT, channel, self.seq, prev, text)
        self.redis.ring.append(encode_private(frame))
        return frame

    def send(self, *frames: PrivateFrame, position: bool = False, lost: int = 0) -> None:
        self.number += 1 + lost
        place = [AccountPosition(ACCOUNT, self.seq, dict(self.channels))] if position else []
        self.hub.take(Packet(EPOCH, self.number, 0, False, [], list(frames), place))


class Client:
    """One session and what its client received."""

    def __init__(self, hub: Hub) -> None:
        self.frames: list[dict[str, Any]] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.loads = 0
        outbox = Outbox(self._send)
        self.task = asyncio.ensure_future(outbox.run())
        self.session = PrivateSession(
            account_id=ACCOUNT, outbox=outbox, feed=hub.private, load=self._load
        )
        hub.private.attach(self.session)

    async def _send(self, event: dict[str, Any]) -> None:
        self.frames.append(json.loads(event["text"]))

    async def _load(self, account_id: int, kinds: frozenset[str]) -> dict[str, str]:
        self.loads += 1
        await self.reads.wait()
        return {kind: '"all"' for kind in sorted(kinds)}

    def story(self) -> list[tuple[str, str, int]]:
        return [(frame["channel"], frame["type"], frame["seq"]) for frame in self.frames]


@pytest.fixture
def redis(hub: Hub) -> FakeRedis:
    fake = FakeRedis()
    hub.private._redis = fake  # type: ignore[assignment]
    hub.public.epoch = hub.private.epoch = EPOCH
    return fake


@pytest.fixture
def projector(hub: Hub, redis: FakeRedis) -> Projector:
    return Projector(hub, redis)


@pytest.fixture
async def client(hub: Hub) -> Client:
    return Client(hub)


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.005)


async def test_snapshot_is_read_only_after_the_position_is_known(
    client: Client, projector: Projector, redis: FakeRedis
) -> None:
    client.session.open({"orders": "orders"}, None)
    await _settle()
    before = (list(redis.requests), client.loads)

    projector.send(projector.frame())
    projector.send(position=True)
    await _settle()

    assert before == (["7"], 0)
    assert client.story() == [("orders", "snapshot", 1)]


async def test_what_happens_while_the_snapshot_is_read_follows_it(
    client: Client, projector: Projector
) -> None:
    client.session.open({"orders": "orders", "balances": "wallet"}, None)
    client.reads.clear()
    await _settle()
    projector.send(position=True)
    await _settle()

    projector.send(projector.frame(), projector.frame(topics.BALANCES))
    projector.send(projector.frame(topics.FILLS))
    client.reads.set()
    await _settle()
    projector.send(projector.frame())
    await _settle()

    assert client.story() == [
        ("wallet", "snapshot", 0),
        ("orders", "snapshot", 0),
        ("orders", "update", 1),
        ("wallet", "update", 2),
        ("orders", "update", 4),
    ]
    assert client.frames[-1]["prev"] == 1


async def test_resumes_from_the_ring(client: Client, projector: Projector) -> None:
    frames = [projector.frame() for _ in range(3)]
    client.session.open({"orders": "orders"}, Resume(EPOCH, 1))
    await _settle()
    projector.send(*frames, position=True)
    await _settle()

    assert client.story() == [
        ("orders", "update", 2),
        ("orders", "update", 3),
        ("orders", "heartbeat", 3),
    ]
    assert client.loads == 0


async def test_who_missed_nothing_is_told_so_for_each_channel(
    client: Client, projector: Projector
) -> None:
    projector.frame()
    client.session.open({"orders": "orders", "balances": "wallet"}, Resume(EPOCH, 1))
    await _settle()
    before = client.story()
    projector.send(position=True)
    await _settle()
    projector.send(projector.frame())
    await _settle()

    assert before == []
    assert client.story() == [
        ("orders", "heartbeat", 1),
        ("wallet", "heartbeat", 0),
        ("orders", "update", 2),
    ]


@pytest.mark.parametrize(
    ("_case", "resume", "kept"),
    [
        ("the ring lost its beginning", Resume(EPOCH, 1), 1),
        ("another epoch", Resume(EPOCH - 1, 1), 3),
        ("a sequence from the future", Resume(EPOCH, 9), 3),
    ],
)
async def test_says_so_when_it_cannot_resume(
    _case: str,
    resume: Resume,
    kept: int,
    client: Client,
    projector: Projector,
    redis: FakeRedis,
) -> None:
    for _ in range(3):
        projector.frame()
    redis.ring = redis.ring[-kept:]
    client.session.open({"orders": "orders"}, resume)
    await _settle()
    projector.send(position=True)
    await _settle()

    assert client.story() == [("orders", "reset", 0), ("orders", "snapshot", 3)]


async def test_a_lost_packet_is_made_up_from_the_ring_unnoticed(
    client: Client, projector: Projector
) -> None:
    client.session.open({"orders": "orders"}, None)
    await _settle()
    projector.send(position=True)
    await _settle()

    projector.frame()
    projector.send(projector.frame(), lost=1)
    await _settle()
    projector.send(position=True)
    await _settle()

    assert client.story() == [
        ("orders", "snapshot", 0),
        ("orders", "update", 1),
        ("orders", "update", 2),
        ("orders", "heartbeat", 2),
    ]


async def test_a_projector_that_stopped_to_watch_is_noticed(
    client: Client, projector: Projector
) -> None:
    client.session.open({"orders": "orders"}, None)
    await _settle()
    projector.send(position=True)
    await _settle()

    projector.seq += 1
    projector.send(position=True)
    await _settle()

    assert client.story() == [
        ("orders", "snapshot", 0),
        ("orders", "reset", 0),
        ("orders", "snapshot", 1),
    ]


async def test_a_database_that_fails_is_asked_again(
    client: Client, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.ws.private_feed.RETRY_S", 0.01)
    real, client.session.load = client.session.load, _failing
    client.session.open({"orders": "orders"}, None)
    await _settle()
    projector.send(position=True)
    await _settle()

    client.session.load = real
    await _until(lambda: bool(client.story()))

    assert client.story() == [("orders", "snapshot", 0)]


async def _failing(account_id: int, kinds: frozenset[str]) -> dict[str, str]:
    raise RuntimeError("database is away")


async def test_who_left_hears_nothing(hub: Hub, client: Client, projector: Projector) -> None:
    client.session.open({"orders": "orders"}, None)
    await _settle()
    projector.send(position=True)
    await _settle()

    for _ in range(2):
        hub.private.detach(client.session)
    projector.send(projector.frame())
    await _settle()

    assert client.story() == [("orders", "snapshot", 0)]
    assert hub.private.accounts == {}
