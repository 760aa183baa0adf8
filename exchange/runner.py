"""
The process that leads the exchange: read a batch, apply, commit, answer, publish.

Nothing leaves before its commit. When the commit fails memory is dropped; when Redis fails
the offsets in the database say where to read again; when another process leads this one
stops without a word.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable

import structlog
from django.conf import settings

from exchange import lease as leases
from exchange.batch import Item
from exchange.core.commands import StartLeadership
from exchange.core.enums import Lane
from exchange.crash_points import reach
from exchange.events_stream import BatchEvents
from exchange.figures import FIGURES
from exchange.lanes import Lanes
from exchange.lease import LEASE_S, RENEW_S, Lease, LeaseKeeper
from exchange.link import Link, RedisError
from exchange.partitions import PartitionKeeper
from exchange.processor import BATCH_COMMANDS_MAX, Committed, Processor, written_tables
from exchange.publisher import Publisher
from exchange.retention import Retention
from exchange.standby import LeaderWatch
from exchange.store.base import Store, StoreBusyError, StoreError
from exchange.throughput import Throughput
from exchange.wire import StatusMessage, Submission, now_ms

logger = structlog.get_logger(__name__)
DEBUG_LOGGER = logging.getLogger(__name__)

IDLE_BLOCK_MS = 100
# With fewer commands waiting than this the store's pause is spent before they are read, and not
# between applying and committing them; with more, applying takes about as long as the pause.
SMALL_BATCH = 50
# A shorter pause is not worth reading again.
PAUSE_MIN_S = 0.0002
RETRY_MIN_S = 0.05
RETRY_MAX_S = 1.0
# So many failed commits or renewals in a row are not a passing fault: gateways are told.
FAILURES_TOLD = 3


class Runner:
    """One leadership, from the lease to its end."""

    def __init__(
        self,
        store: Store,
        lease: Lease,
        stop: Callable[[], bool],
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        """Lead under a lease until ``stop`` says so; ``settle`` is called once all is loaded."""
        self._store = store
        self._lease = lease
        self._led_since = time.monotonic()
        self._stop = stop
        self._settle = settle
        self._link = Link()
        self._lanes = Lanes(self._link)
        self._publisher = Publisher(self._link, lease.epoch)
        self._retention = Retention(settings.COMMAND_LOG_RETENTION_HOURS)
        self._partitions = PartitionKeeper(written_tables())
        self._processor: Processor
        self._last_events: BatchEvents | None = None
        self._reset_due = True
        self._failures = 0
        self._failed_renewals = 0
        self._beat_due = 0.0
        self._renewed_at = time.monotonic()
        self._throughput = Throughput()
        self._commands_per_second = 0
        self._last_commit: Committed | None = None

    def run(self) -> None:
        """
        Load, announce the leadership, and work until told to stop.

        Raises:
            LeaseLostError: if another process took over.
            StoreError: if the state cannot be loaded.
        """
        self._processor = Processor(
            self._store,
            epoch=self._lease.epoch,
            guard=lambda: LeaseKeeper(self._lease.epoch, self._announce_loading),
        )
        logger.info("state_loaded", command=self._processor.position.last_command)
        self._lanes.reset(self._processor.position)
        self._with_redis(self._open_streams)
        self._start_leadership()
        self._settle()
        while not self._stop():
            self._step()
        logger.info("stopping")
        leases.release(self._lease.epoch)
        self._try(self._publisher.withdraw_status)
        # Whoever loads these rows or replays this log must arrive at the same hash.
        logger.info(
            "stopped",
            command=self._processor.position.last_command,
            state_hash=self._processor.exchange.state_hash(),
        )

    def _step(self) -> None:
        reach("idle")
        if not self._try(self._read):
            self._with_redis(self._open_streams)
            return
        items = self._lanes.take(BATCH_COMMANDS_MAX)
        if items or self._processor.has_work:
            self._process(items)
        now = time.monotonic()
        if now >= self._beat_due:
            self._beat_due = now + RENEW_S
            self._beat()
        self._try(lambda: self._processor.merge_client_ids(idle=not items))

    def _read(self) -> None:
        busy = self._lanes.has_items or self._processor.has_work
        self._lanes.read(0 if busy else IDLE_BLOCK_MS)
        if 0 < self._lanes.lag(Lane.SYSTEM) + self._lanes.lag(Lane.ORDERS) < SMALL_BATCH:
            pause_s = self._store.pause_s()
            if pause_s > PAUSE_MIN_S:
                # What comes meanwhile goes along instead of waiting for the next commit.
                time.sleep(pause_s)
                self._lanes.read(0)

    def _process(self, items: list[Item]) -> None:
        try:
            committed = self._processor.process(items, self._lanes.offsets_after)
        except StoreError as error:
            logger.error("store_unusable", error=str(error))
            self._recover()
            return
        if committed is None:
            self._lanes.reset(self._processor.position)
            self._reset_due = True
            self._failed()
            return
        self._note_commit()
        self._lanes.advance(committed.consumed)
        self._last_commit = committed
        if DEBUG_LOGGER.isEnabledFor(logging.DEBUG):
            _log_commands(committed)
        FIGURES.committed(committed.batch, rows=committed.rows, commit_s=committed.commit_s)
        if not self._publish(committed):
            self._with_redis(self._open_streams)
        FIGURES.answered(committed.batch.command_ids())

    def _publish(self, committed: Committed) -> bool:
        """Answer and publish; what did not get through makes the next message a reset."""
        reach("in_publish")
        self._last_events = committed.events
        reset = self._reset_due
        images = self._processor.book_images() if reset else []
        published = self._try(lambda: self._publisher.publish(committed, images, reset=reset))
        self._reset_due = not published
        return published

    def _recover(self) -> None:
        """Load again until the database allows it; the lease may be lost meanwhile."""
        while not self._stop():
            self._failed()
            try:
                self._processor.reload()
                break
            except StoreError as error:
                logger.error("store_unusable", error=str(error))
        self._lanes.reset(self._processor.position)
        self._reset_due = True

    def _note_commit(self) -> None:
        self._failures = 0
        self._renewed_at = time.monotonic()

    def _failed(self) -> None:
        self._failures += 1
        FIGURES.failed_commits += 1
        if self._is_stalled:
            self._try(lambda: self._publish_status("stalled", leader=False))
        time.sleep(min(RETRY_MAX_S, RETRY_MIN_S * 2 ** min(self._failures, 10)))

    def _start_leadership(self) -> None:
        pause_ms = self._lease.down_ms + int((time.monotonic() - self._led_since) * 1_000)
        first = StartLeadership(self._lease.epoch, pause_ms if self._lease.down_ms else 0)
        offsets = self._lanes.offsets()
        while self._processor.exchange.epoch != self._lease.epoch and not self._stop():
            item = Item(Submission("", first), Lane.INTERNAL)
            try:
                committed = self._processor.process([item], lambda _: offsets)
            except StoreError as error:
                # It has loaded before: the database is away, and nothing is wrong with it.
                logger.error("store_unusable", error=str(error))
                self._recover()
                continue
            if committed is None:
                self._failed()
                continue
            self._publish(committed)
        self._note_commit()
        logger.info("leading", epoch=self._lease.epoch, down_ms=first.down_ms)

    def _open_streams(self) -> None:
        """Make sure that Redis has what the offsets speak of, or begin a new stream epoch."""
        if self._lanes.stream_epoch and self._lanes.are_intact():
            return
        if self._lanes.stream_epoch:
            logger.critical("redis_lost_data", stream_epoch=self._lanes.stream_epoch)
        self._processor.begin_stream_epoch(self._lanes.stream_epoch + 1)
        self._lanes.reset(self._processor.position)
        self._lanes.create()
        self._reset_due = True

    def _beat(self) -> None:
        """Renew the lease, say so, and tidy up; twice a second."""
        self._renew_when_due()
        self._retention.step(self._processor.position)
        self._partitions.step()
        if not self._try(self._beat_redis):
            self._with_redis(self._open_streams)

    def _beat_redis(self) -> None:
        self._commands_per_second = self._throughput.per_second(
            self._processor.position.last_command, now_s=time.monotonic()
        )
        books_wanted = self._publish_status(self._phase(), leader=not self._is_stalled)
        if books_wanted and self._last_events is not None:
            self._publisher.publish_books(self._last_events, self._processor.book_images())
        if not self._lanes.are_intact():
            self._open_streams()
        self._lanes.trim()

    @property
    def _is_stalled(self) -> bool:
        """Whether the database takes nothing, so that nothing may be sent either."""
        # Apart: on a disk that is nearly full a renewal may fit where no batch does.
        failures = max(self._failures, self._failed_renewals)
        # Where each attempt takes long to fail there may not be as many in this time.
        is_lease_over = time.monotonic() - self._renewed_at >= LEASE_S
        return failures >= FAILURES_TOLD or (failures > 0 and is_lease_over)

    def _phase(self) -> str:
        if self._is_stalled:
            return "stalled"
        exchange = self._processor.exchange
        now = now_ms()
        if now < exchange.cancel_only_until_ms:
            return "cancel_only"
        return "post_only" if now < exchange.post_only_until_ms else "trading"

    def _publish_status(self, phase: str, *, leader: bool) -> bool:
        position = self._processor.position
        commit = self._last_commit
        status = StatusMessage(
            leader=leader,
            epoch=self._lease.epoch,
            stream_epoch=self._lanes.stream_epoch,
            phase=phase,
            command_number=position.last_command,
            batch=position.batch,
            orders_lag=self._lanes.lag(Lane.ORDERS),
            system_lag=self._lanes.lag(Lane.SYSTEM),
            heartbeat_ms=now_ms(),
            commands_per_second=self._commands_per_second,
            commit_ms=round(commit.commit_s * 1_000, 3) if commit else 0.0,
            rows_per_batch=commit.rows if commit else 0,
            client_ids_waiting=self._processor.client_ids_waiting,
            orders_age_ms=self._lanes.age_ms(Lane.ORDERS),
        )
        FIGURES.beat(status, self._processor.exchange.summary())
        return self._publisher.publish_status(status)

    def _announce_loading(self) -> None:
        """Say from the lease keeper's thread that the state is being loaded."""
        link = Link()
        try:
            Publisher(link, self._lease.epoch).publish_status(
                StatusMessage(
                    leader=False,
                    epoch=self._lease.epoch,
                    stream_epoch=0,
                    phase="loading",
                    command_number=0,
                    batch=0,
                    orders_lag=0,
                    system_lag=0,
                    heartbeat_ms=now_ms(),
                )
            )
        except (RedisError, OSError):
            logger.debug("loading_not_announced")
        finally:
            link.close()

    def _try(self, action: Callable[[], object]) -> bool:
        """Tell whether an action succeeded; a fault of Redis or a busy database may pass."""
        try:
            action()
        except (RedisError, OSError) as error:
            logger.warning("redis_failed", error=str(error))
            return False
        except StoreBusyError as error:
            logger.warning("store_busy", error=str(error))
            return False
        return True

    def _with_redis(self, action: Callable[[], object]) -> None:
        """Try until Redis is there, renewing the lease meanwhile."""
        pause_s = RETRY_MIN_S
        while not self._try(action) and not self._stop():
            time.sleep(pause_s)
            pause_s = min(RETRY_MAX_S / 2, pause_s * 2)
            self._renew_when_due()

    def _renew_when_due(self) -> None:
        if time.monotonic() - self._renewed_at < RENEW_S:
            return
        if self._try(self._processor.renew):
            self._renewed_at = time.monotonic()
            self._failed_renewals = 0
        else:
            self._failed_renewals += 1


def _log_commands(committed: Committed) -> None:
    """Say under which request each command came; far too much for more than looking closely."""
    batch = committed.batch
    for envelope, result in zip(batch.envelopes, batch.results, strict=True):
        if envelope.request_id:
            logger.debug(
                "command_committed",
                request_id=envelope.request_id,
                command=type(envelope.command).__name__,
                number=envelope.number,
                result=result.code.name,
            )


def settle_memory() -> None:
    """
    Stop collecting garbage: what was loaded stays, and hot objects form no cycles.

    A full collection over a million orders takes 0.2 s.
    """
    gc.collect()
    gc.freeze()
    gc.disable()


def lead(
    make_store: Callable[[], Store],
    stop: Callable[[], bool],
    settle: Callable[[], None] = lambda: None,
) -> None:
    """
    Wait for the lease, then lead until told to stop.

    The database is tried before the wait, and connected anew after it: a standby waits for
    weeks, and a connection that nobody used may be gone without a word.

    Raises:
        LeaseLostError: if another process took over.
        StoreError: if the database cannot be used.
    """
    make_store().close()
    watch = LeaderWatch()
    lease = leases.acquire(stop, watch)
    watch.close()
    if lease is None:
        return
    logger.info("lease_taken", epoch=lease.epoch, down_ms=lease.down_ms)
    Runner(make_store(), lease, stop, settle).run()
