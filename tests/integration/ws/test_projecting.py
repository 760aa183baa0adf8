"""When the projector opens an epoch, what it drops, and who may project."""

from __future__ import annotations

import pytest
import redis as redis_module
from django.db import OperationalError

from common.ws import topics
from common.ws.frames import Packet, decode_packet
from common.ws.leadership import Leadership
from common.ws.projecting import LostLeadershipError, Output, ProjectorHost
from exchange import keys
from exchange.events_stream import BatchEvents, BookImage, EventReader, encode_batch_events
from tests.support.exchange import FakeClock

pytestmark = pytest.mark.integration


class RecordingProjector:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.batches: list[int] = []

    def start(self, epoch: int, time_ms: int) -> None:
        self.epochs.append(epoch)

    def apply(self, batch: BatchEvents) -> None:
        self.batches.append(batch.batch)

    def flush(self, out: Output) -> None:
        pass

    def close(self) -> None:
        pass


class Bench:
    """A host over a real Redis whose stream the test writes."""

    def __init__(self, redis: redis_module.Redis) -> None:
        self.redis = redis
        self.clock = FakeClock()
        self.projector = RecordingProjector()
        self.host = ProjectorHost(
            redis=redis,
            reader=EventReader(redis),
            projectors=[self.projector],
            clock_ms=self.clock,
        )
        self._heard = redis.pubsub()
        self._heard.subscribe(topics.frames_channel())
        self._heard.get_message(timeout=30)
        assert self.host._leadership.acquire()
        self.host.begin()

    def batch(
        self, number: int, *, epoch: int = 1, reset: bool = False, images: bool = False
    ) -> None:
        book_images = [BookImage(1, [], [], number)] if images else []
        events = BatchEvents(1, epoch, number, 0, number, number, [], book_images, reset)
        self.redis.xadd(keys.events(), {"d": encode_batch_events(events)})

    def step(self) -> list[Packet]:
        self.host.step(1)
        packets = []
        while (message := self._heard.get_message(timeout=0.1)) is not None:
            packets.append(decode_packet(message["data"]))
        return packets


@pytest.fixture
def bench(redis_client: redis_module.Redis) -> Bench:
    return Bench(redis_client)


def test_first_packet_opens_the_epoch_and_numbers_follow(bench: Bench) -> None:
    (first,) = bench.step()
    bench.clock.advance(1_000)
    (second,) = bench.step()

    assert (first.epoch, first.number, first.reset) == (bench.host.epoch, 1, True)
    assert (second.epoch, second.number, second.reset) == (bench.host.epoch, 2, False)


def test_says_nothing_while_there_is_nothing_to_say(bench: Bench) -> None:
    bench.step()

    assert bench.step() == []


@pytest.mark.parametrize(
    ("_case", "second", "is_reset"),
    [
        ("next batch", {"number": 8}, False),
        ("images alone, under the last number", {"number": 7, "images": True}, False),
        ("a batch is missing", {"number": 9}, True),
        ("a new leader", {"number": 8, "epoch": 2}, True),
        ("said by the exchange", {"number": 8, "reset": True}, True),
    ],
)
def test_opens_an_epoch_when_something_may_be_missing(
    _case: str, second: dict[str, int], is_reset: bool, bench: Bench
) -> None:
    bench.batch(7)
    bench.step()
    before = bench.host.epoch

    bench.batch(**second)  # type: ignore[arg-type]
    bench.step()

    assert (bench.host.epoch > before) is is_reset
    assert len(bench.projector.epochs) == 1 + is_reset
    assert bench.projector.batches == [7, second["number"]]


def test_drops_what_a_replaced_leader_still_says(bench: Bench) -> None:
    bench.batch(7, epoch=2)
    bench.batch(8, epoch=1)
    bench.batch(8, epoch=2)
    bench.step()

    assert bench.projector.batches == [7, 8]
    assert len(bench.projector.epochs) == 1


def test_begins_anew_when_the_database_was_away(bench: Bench) -> None:
    bench.host._leadership.release()
    faults = [OperationalError("the connection is lost")]
    apply = bench.projector.apply

    def fail_once(batch: BatchEvents) -> None:
        if faults:
            bench.batch(8)
            raise faults.pop()
        apply(batch)

    bench.projector.apply = fail_once  # type: ignore[method-assign]
    starts = bench.projector.epochs
    bench.projector.start = lambda epoch, _: (  # type: ignore[method-assign]
        starts.append(epoch),
        bench.batch(7 if len(starts) == 2 else 9),
    )

    bench.host.run(lambda: bool(bench.projector.batches))

    assert bench.projector.batches == [9]
    assert starts == sorted(set(starts))
    assert len(starts) == 3


def test_what_happened_before_the_start_is_not_replayed(redis_client: redis_module.Redis) -> None:
    events = BatchEvents(1, 1, 5, 0, 5, 5, [], [], False)
    redis_client.xadd(keys.events(), {"d": encode_batch_events(events)})

    bench = Bench(redis_client)
    bench.batch(6)
    bench.step()

    assert bench.projector.batches == [6]


def test_epochs_rise_even_when_the_clock_stood_still(bench: Bench) -> None:
    bench.batch(1)
    bench.batch(2, reset=True)
    bench.batch(3, reset=True)
    bench.step()

    assert bench.projector.epochs == sorted(set(bench.projector.epochs))
    assert len(bench.projector.epochs) == 3


def test_an_emptied_redis_opens_a_higher_epoch(bench: Bench) -> None:
    bench.step()
    before = bench.host.epoch
    bench.redis.flushall()

    bench.clock.advance(1_000)
    bench.step()

    assert bench.host.epoch > before


def test_who_was_replaced_stops(bench: Bench) -> None:
    bench.step()
    bench.redis.set(topics.leader_key(), "elsewhere:1:x")

    bench.clock.advance(1_000)
    with pytest.raises(LostLeadershipError):
        bench.step()


@pytest.mark.parametrize(
    ("_case", "holder", "is_taken"),
    [
        ("nobody", None, True),
        ("another host", "elsewhere:1:x", False),
        ("a dead process of this host", "{host}:4194305:x", True),
        ("a living process of this host", "{host}:1:x", False),
    ],
)
def test_leadership(
    _case: str, holder: str | None, is_taken: bool, redis_client: redis_module.Redis
) -> None:
    import socket

    if holder is not None:
        redis_client.set("role", holder.format(host=socket.gethostname()))

    assert Leadership(redis_client, "role").acquire() is is_taken


def test_released_leadership_is_free_at_once(redis_client: redis_module.Redis) -> None:
    first, second = Leadership(redis_client, "role"), Leadership(redis_client, "role")
    first.acquire()

    refused = second.acquire()
    first.release()

    assert refused is False
    assert second.acquire() is True
