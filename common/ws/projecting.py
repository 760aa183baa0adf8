"""
The process that turns committed events into what people see live.

One ``ProjectorHost`` leads at a time. It reads the events stream, hands each batch to the
projectors and publishes what they made as one packet, together with the snapshots it
belongs to, in one Redis transaction. Nothing here is worth keeping: whenever it starts,
loses Redis or sees a gap it opens a new *epoch*, in which every view is built again from
the database and the exchange, and every receiver starts over. So no gap goes unnoticed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import redis as redis_module
from django.db import DatabaseError

from common.ws import topics
from common.ws.clock import now_ms
from common.ws.frames import AccountPosition, Packet, PrivateFrame, PublicFrame, encode_packet
from common.ws.leadership import Leadership
from exchange import keys
from exchange.connections import give_back_connections

if TYPE_CHECKING:
    from exchange.events_stream import BatchEvents

log = logging.getLogger(__name__)

# How long a read waits for events: also how late a listener's first request is seen.
BLOCK_MS = 25
# A packet leaves at least this often, so that receivers tell silence from death.
HEARTBEAT_MS = 1_000
RETRY_S = 0.25


@dataclass(slots=True)
class Output:
    """What one flush writes: snapshots, frames, and commands of the projectors' own."""

    epoch: int
    time_ms: int
    snapshots: dict[str, str] = field(default_factory=dict)
    public: list[PublicFrame] = field(default_factory=list)
    private: list[PrivateFrame] = field(default_factory=list)
    positions: list[AccountPosition] = field(default_factory=list)
    commands: list[tuple[Any, ...]] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Return whether there is anything to write."""
        return bool(
            self.public or self.private or self.positions or self.snapshots or self.commands
        )


class EventProjector(Protocol):
    """What ``settings.EVENT_PROJECTORS`` names; built with the projector's Redis client."""

    def start(self, epoch: int, time_ms: int) -> None:
        """Forget everything and build this view again, from the database where it can."""
        ...

    def apply(self, batch: BatchEvents) -> None:
        """Take in one committed batch; no I/O."""
        ...

    def flush(self, out: Output) -> None:
        """Add what is due to be published; called after each read, a few times per 100 ms."""
        ...

    def close(self) -> None:
        """Stop what runs beside the loop."""
        ...


class Reader(Protocol):
    """The events stream as ``exchange.events_stream.EventReader`` reads it."""

    def read(self, after: str, block_ms: int) -> list[tuple[str, BatchEvents]]:
        """Return the batches after an id, waiting up to ``block_ms`` for the first."""
        ...


class LostLeadershipError(Exception):
    """Another projector publishes now."""


class ProjectorHost:
    """Reads batches, lets the projectors work and publishes what they made."""

    def __init__(
        self,
        *,
        redis: redis_module.Redis,
        reader: Reader,
        projectors: Iterable[EventProjector],
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        """Take a client without automatic retries: a repeated PUBLISH would look like a gap."""
        self._redis = redis
        self._reader = reader
        self._projectors = list(projectors)
        self._clock_ms = clock_ms
        self._leadership = Leadership(redis, topics.leader_key())
        self.epoch = 0
        self._number = 0
        self._after = "0-0"
        self._exchange_epoch = 0
        self._batch: int | None = None
        self._published_ms = 0
        self._renewed_ms = 0

    def run(self, stopped: Callable[[], bool]) -> None:
        """
        Project until told to stop; outlives a Redis or a database that goes away.

        Raises:
            LostLeadershipError: if another projector took over.
        """
        started = False
        while not stopped():
            try:
                if not started:
                    if not self._leadership.acquire():
                        time.sleep(RETRY_S)
                        continue
                    self.begin()
                    started = True
                self.step(BLOCK_MS)
            except redis_module.RedisError as error:
                log.warning("projector_redis_lost", extra={"error": str(error)})
                started = False
                time.sleep(RETRY_S)
            except DatabaseError as error:
                log.warning("projector_database_lost", extra={"error": str(error)})
                give_back_connections()
                started = False
                time.sleep(RETRY_S)
        for projector in self._projectors:
            projector.close()
        if started:
            self._leadership.release()

    def begin(self) -> None:
        """Open an epoch at the newest entry; what lies before it is in the database."""
        self._after = self._newest_id()
        self._exchange_epoch = 0
        self._batch = None
        self._open_epoch()

    def step(self, block_ms: int) -> None:
        """Read what is there (or wait for it), apply it, publish what is due."""
        for stream_id, batch in self._reader.read(self._after, block_ms):
            self._after = stream_id
            self._take(batch)
        time_ms = self._clock_ms()
        if time_ms - self._renewed_ms >= HEARTBEAT_MS:
            self._renew(time_ms)
        out = Output(epoch=self.epoch, time_ms=time_ms)
        for projector in self._projectors:
            projector.flush(out)
        if out or self._number == 0 or time_ms - self._published_ms >= HEARTBEAT_MS:
            self._publish(out)

    def _take(self, batch: BatchEvents) -> None:
        if batch.epoch < self._exchange_epoch:
            # The late words of a leader that has been replaced.
            return
        # Images that were asked for come alone, under the number of the last batch.
        repeats = batch.batch == self._batch and not batch.events
        expected = self._batch is None or repeats or batch.batch == self._batch + 1
        renewed = batch.epoch > self._exchange_epoch and self._exchange_epoch > 0
        self._exchange_epoch = batch.epoch
        self._batch = batch.batch
        if batch.reset or renewed or not expected:
            log.info("projector_reset", extra={"exchange_epoch": batch.epoch})
            self._open_epoch()
        for projector in self._projectors:
            projector.apply(batch)
        if batch.request_ids:
            log.debug(
                "batch_projected", extra={"batch": batch.batch, "request_ids": batch.request_ids}
            )

    def _newest_id(self) -> str:
        entries: Any = self._redis.xrevrange(keys.events(), count=1)
        return str(entries[0][0].decode()) if entries else "0-0"

    def _open_epoch(self) -> None:
        stored = int(self._redis.get(topics.epoch_key()) or 0)
        # Milliseconds keep epochs rising even when Redis forgot the last one.
        self.epoch = max(stored + 1, self.epoch + 1, self._clock_ms())
        self._redis.set(topics.epoch_key(), self.epoch)
        self._number = 0
        for projector in self._projectors:
            projector.start(self.epoch, self._clock_ms())

    def _publish(self, out: Output) -> None:
        packet = Packet(
            epoch=self.epoch,
            number=self._number + 1,
            time_ms=out.time_ms,
            reset=self._number == 0,
            public=out.public,
            private=out.private,
            positions=out.positions,
        )
        pipeline = self._redis.pipeline(transaction=True)
        for key, data in out.snapshots.items():
            pipeline.set(key, data)
        for command in out.commands:
            pipeline.execute_command(*command)
        pipeline.publish(topics.frames_channel(), encode_packet(packet))
        pipeline.execute()
        self._number += 1
        self._published_ms = out.time_ms

    def _renew(self, time_ms: int) -> None:
        held = self._leadership.renew()
        self._renewed_ms = time_ms
        if held is None:
            # The key is gone, and with it everything else Redis held.
            log.warning("projector_redis_emptied")
            if not self._leadership.acquire():
                raise LostLeadershipError
            self.begin()
        elif not held:
            raise LostLeadershipError
