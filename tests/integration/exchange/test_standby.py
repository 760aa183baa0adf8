"""Who leads when a leader is cut off, and what a replaced one can still do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange import keys, lease
from exchange.events_stream import BatchEvents
from exchange.lease import acquire
from exchange.link import Link
from exchange.models import Batch, LogPosition
from exchange.processor import Committed
from exchange.publisher import Publisher
from exchange.standby import LeaderWatch
from exchange.store.base import LeaseLostError, StoreUnusableError
from exchange.wire import StatusMessage
from tests.support.processes import RedisProcess

ELSEWHERE = "elsewhere"
# Instead of 2.5 s; the leader of these tests speaks every tenth.
SILENT_S = 0.7


def status(epoch: int, heartbeat_ms: int = 1) -> StatusMessage:
    return StatusMessage(
        leader=True,
        epoch=epoch,
        stream_epoch=1,
        phase="trading",
        command_number=0,
        batch=0,
        orders_lag=0,
        system_lag=0,
        heartbeat_ms=heartbeat_ms,
    )


def committed(epoch: int) -> Committed:
    events = BatchEvents(1, epoch, 1, 1, 1, 1, [], [])
    return Committed(0, {"gateway": []}, events, 0, 0.0)


class TestPublisher:
    @pytest.fixture(autouse=True)
    def _redis(self, redis_server: RedisProcess) -> None:
        self.redis = redis_server.client

    def test_of_a_replaced_leader_says_nothing(self) -> None:
        old, new = Publisher(Link(), 3), Publisher(Link(), 4)
        old.publish_status(status(3))
        new.publish_status(status(4))
        said = self.redis.get(keys.status())
        channel = self.redis.pubsub()
        channel.subscribe("gateway")
        channel.get_message(timeout=30)

        for words in (
            lambda: old.publish_status(status(3)),
            lambda: old.publish(committed(3), [], reset=False),
            lambda: old.publish_books(committed(3).events, []),
            old.withdraw_status,
        ):
            with pytest.raises(LeaseLostError, match="epoch 3 was replaced"):
                words()

        assert self.redis.get(keys.status()) == said
        assert self.redis.exists(keys.events()) == 0
        assert channel.get_message(timeout=0.05) is None

    def test_of_the_leader_answers_publishes_and_hears_who_wants_books(self) -> None:
        publisher = Publisher(Link(), 4)
        channel = self.redis.pubsub()
        channel.subscribe("gateway")
        channel.get_message(timeout=30)
        self.redis.set(keys.books_wanted(), b"1")

        publisher.publish(committed(4), [], reset=False)

        assert channel.get_message(timeout=30)["data"] == b"\x90"
        assert self.redis.xlen(keys.events()) == 1
        assert publisher.publish_status(status(4)) is True
        assert publisher.publish_status(status(4)) is False
        assert self.redis.pttl(keys.status()) > 0
        publisher.withdraw_status()
        assert self.redis.exists(keys.status()) == 0

    def test_goes_on_when_redis_has_forgotten_all(self) -> None:
        publisher = Publisher(Link(), 4)
        publisher.publish_status(status(4))

        self.redis.flushall()
        publisher.publish_status(status(4))

        assert self.redis.get(keys.leader_epoch()) == b"4"


@pytest.mark.usefixtures("database_file")
class TestLease:
    @pytest.fixture(autouse=True)
    def _led_elsewhere(
        self, redis_server: RedisProcess, database_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[None]:
        monkeypatch.setattr(lease, "SILENT_S", SILENT_S)
        self.redis = redis_server.client
        LogPosition.objects.create(id=1, epoch=7, owner=ELSEWHERE, owner_pid=1, heartbeat=1)
        self.watch = LeaderWatch()
        yield
        self.watch.close()

    def look_on(self, seconds: float, *, speak: bool, renew: bool = True) -> lease.Lease | None:
        """Stand by for some time while the leader elsewhere renews, and speaks or does not."""
        deadline = time.monotonic() + seconds
        spoken = 0

        def stop() -> bool:
            nonlocal spoken
            if renew:
                LogPosition.objects.filter(owner=ELSEWHERE).update(heartbeat=time.time_ns())
            if speak:
                spoken += 1
                Publisher(Link(), 7).publish_status(status(7, spoken))
            return time.monotonic() > deadline

        return acquire(stop, self.watch)

    def test_of_a_leader_that_renews_and_speaks_stays_his(self) -> None:
        assert self.look_on(SILENT_S * 2, speak=True) is None
        assert LogPosition.objects.get().epoch == 7

    def test_of_a_leader_that_renews_and_is_cut_off_from_redis_is_taken(self) -> None:
        started = time.monotonic()

        taken = self.look_on(10, speak=False)

        assert taken is not None
        assert taken.epoch == 8
        assert time.monotonic() - started >= SILENT_S

    def test_stays_while_redis_is_down_for_the_standby_too(
        self, settings: object, tmp_path: Path
    ) -> None:
        settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock"  # type: ignore[attr-defined]
        self.watch = LeaderWatch()

        assert self.look_on(SILENT_S * 2, speak=False) is None

    def test_exceeds_every_epoch_that_redis_has_heard_of(self) -> None:
        Publisher(Link(), 40).publish_status(status(40))
        LogPosition.objects.update(owner="")

        taken = acquire(watch=self.watch)

        assert taken is not None
        assert taken.epoch == 41

    def test_is_refused_when_the_position_is_lost_and_the_log_is_not(self) -> None:
        LogPosition.objects.all().delete()
        Batch.objects.create(
            id=1,
            epoch=1,
            first_command=1,
            last_command=1,
            first_ms=1,
            last_ms=1,
            stream_epoch=1,
            system_offset="0-0",
            orders_offset="0-0",
            payload=b"",
        )

        with pytest.raises(StoreUnusableError, match="restore a backup"):
            acquire(watch=self.watch)


def test_machines_of_one_image_are_told_apart() -> None:
    boot = Path("/proc/sys/kernel/random/boot_id")
    if not boot.exists():
        pytest.skip("no boot id on this system")
    assert boot.read_text().strip() in lease.Owner.this_process().host
