"""
The single writer without its transport: apply a batch, commit it, recover when that fails.

The runner feeds it from Redis, the inline transport directly.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import structlog
from django.conf import settings
from django.utils.module_loading import import_string

from exchange.batch import Item, Offsets, OpenBatch
from exchange.client_ids import client_key, hash_key, request_hash
from exchange.core.commands import (
    VERSION,
    AmendOrder,
    AnyCommand,
    CancelOrder,
    ClientIdFinding,
    ContinueTask,
    Envelope,
    PlaceLinkedOrders,
    SetMarketStatus,
)
from exchange.core.engine import Exchange
from exchange.core.enums import Lane, MarketStatus, StatusCause
from exchange.core.rejects import Code
from exchange.crash_points import reach
from exchange.events_stream import EVENTS_VERSION, BatchEvents, BookImage
from exchange.position import Position, encode_prices, encode_tasks
from exchange.projection import Projection, Row, Table
from exchange.store.base import DataError, Fence, Group, Store, StoreBusyError
from exchange.store.loader import LoadedState, load_state
from exchange.store.sums import row_checksum
from exchange.store.tables import BATCH_SUMS, BATCHES, OPERATOR_COMMANDS, QUARANTINE
from exchange.wire import Answer, Submission, encode, now_ms

logger = structlog.get_logger(__name__)

# A batch closes at the first of these; the last two bound what one commit makes others wait.
BATCH_COMMANDS_MAX = 500
BATCH_EVENTS_MAX = 5_000  # each event is at most one row
BATCH_APPLY_S = 0.020

QUARANTINE_ERROR_LENGTH_MAX = 2_000


class CoreFaultError(Exception):
    """The core raised while applying; memory must be thrown away."""

    def __init__(self, item: Item, market_id: int) -> None:
        """Name the command that did it and the market it concerned (0: none)."""
        super().__init__(f"core failed at {type(item.submission.command).__name__}")
        self.item = item
        self.market_id = market_id


@dataclass(frozen=True, slots=True)
class Committed:
    """A batch that is durable and may be answered and published."""

    consumed: int
    answers: dict[str, list[Answer]]
    events: BatchEvents
    rows: int
    commit_s: float
    batch: OpenBatch = field(default_factory=OpenBatch)


def make_projections() -> list[Projection]:
    """Return the projections that ``settings.EXCHANGE_PROJECTIONS`` names."""
    return [import_string(path)() for path in settings.EXCHANGE_PROJECTIONS]


def written_tables() -> list[Table]:
    """Return the command log and the tables of all projections."""
    return [BATCHES, *(table for part in make_projections() for table in part.tables)]


class Processor:
    """Owns the live state of a leader; all its methods belong to one thread."""

    def __init__(
        self,
        store: Store,
        *,
        epoch: int,
        projections: Sequence[Projection] | None = None,
        clock_ms: Callable[[], int] = now_ms,
        guard: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """
        Load the state from the database.

        ``guard`` surrounds every load: a leader keeps its lease meanwhile.

        Raises:
            StoreError: if the rows cannot be loaded.
        """
        self.store = store
        self.epoch = epoch
        self.projections = make_projections() if projections is None else projections
        self._clock_ms = clock_ms
        self._guard = guard
        self._refusals: dict[str, Code] = {}
        self._first: list[Item] = []
        self._extra_groups: list[Group] = []
        self._singles = 0
        self._state: LoadedState
        self.reload()

    @property
    def position(self) -> Position:
        """The last committed position."""
        return self._state.position

    @property
    def exchange(self) -> Exchange:
        """The live state."""
        return self._state.exchange

    @property
    def client_ids_waiting(self) -> int:
        """How many client ids wait for their merge into the table."""
        return len(self._state.client_ids)

    @property
    def has_work(self) -> bool:
        """Whether a batch is needed although nothing was submitted."""
        return bool(self._first) or self._has_internal_work

    @property
    def _has_internal_work(self) -> bool:
        """Whether a task is unfinished or an order's time is over."""
        return self.exchange.has_task or self.exchange.is_due(self._clock_ms())

    def reload(self) -> None:
        """Drop memory and load it from the database, by the path of a normal start."""
        with self._guard():
            self._state = load_state(self.store, self.projections)

    def process(
        self, items: Sequence[Item], offsets_after: Callable[[int], Offsets]
    ) -> Committed | None:
        """
        Apply a batch from the front of the items and commit it.

        Returns None when it failed: memory has been loaded again, nothing is known to be
        consumed, and the items must be read again from ``position``.

        Raises:
            LeaseLostError: if another process leads.
            StoreError: if the database can be neither written nor loaded.
        """
        if self._singles:
            items = items[:1]
        try:
            batch, consumed = self._apply(items)
            return self._commit(batch, consumed, offsets_after(consumed))
        except CoreFaultError as fault:
            self._set_aside(fault)
        except DataError as error:
            self._blame(items, error)
        except StoreBusyError as error:
            logger.error("commit_failed", error=str(error))
        self.reload()
        return None

    def renew(self) -> None:
        """
        Move the heartbeat without a batch.

        Raises:
            LeaseLostError: if another process leads.
            StoreBusyError: if the database could not commit.
        """
        renewed = replace(
            self.position, heartbeat=self.position.heartbeat + 1, renewed_ms=self._clock_ms()
        )
        self._write_position(renewed)

    def begin_stream_epoch(self, stream_epoch: int) -> None:
        """
        Move both offsets to the start of new streams, durably.

        Raises:
            LeaseLostError: if another process leads.
            StoreBusyError: if the database could not commit.
        """
        self._write_position(
            replace(
                self.position,
                stream_epoch=stream_epoch,
                system_offset="0-0",
                system_taken=0,
                orders_offset="0-0",
                orders_taken=0,
            )
        )

    def merge_client_ids(self, *, idle: bool) -> None:
        """Make one step of merging client ids into their table, if one is due."""
        client_ids = self._state.client_ids
        behind = self.position.merged_batch < self.position.batch
        if not behind or not client_ids.merge_due(idle=idle):
            return
        merged = client_ids.merge_step(epoch=self.epoch, position=self.position)
        if merged is not None:
            self._state.position = merged

    def book_images(self) -> list[BookImage]:
        """Return every book, whole."""
        command = self.exchange.sequences.command
        return [
            BookImage(market_id, *self.exchange.book_levels(market_id), command)
            for market_id in self.exchange.market_ids
        ]

    def _apply(self, items: Sequence[Item]) -> tuple[OpenBatch, int]:
        started = time.perf_counter()
        batch = OpenBatch()
        taken: set[str] = set()
        self._state.client_ids.prefetch(item.submission.command for item in items)
        for item in self._first:
            self._apply_command(batch, item)
        consumed = 0
        for item in items[:BATCH_COMMANDS_MAX]:
            command_id = item.submission.command_id
            repeated = command_id in taken or command_id in self._state.applied_ids
            if not repeated or not command_id:
                taken.add(command_id)
                self._take(batch, item)
            consumed += 1
            if consumed == 1:
                reach("in_batch")
            spent_s = time.perf_counter() - started
            if len(batch.events) >= BATCH_EVENTS_MAX or spent_s >= BATCH_APPLY_S:
                break
        if self._has_internal_work and not (self._singles and items):
            self._apply_command(batch, Item(Submission("", ContinueTask()), Lane.INTERNAL))
        return batch, consumed

    def _take(self, batch: OpenBatch, item: Item) -> None:
        command_id = item.submission.command_id
        code = self._refusals.get(command_id) or self._state.set_aside.get(command_id)
        if code is None:
            code = item.verdict
        if code is None:
            self._apply_command(batch, item)
        else:
            batch.refused(item, code)

    def _apply_command(self, batch: OpenBatch, item: Item) -> None:
        exchange = self.exchange
        submission = item.submission
        command = submission.command
        key = client_key(command)
        envelope = Envelope(
            VERSION,
            exchange.sequences.command + 1,
            max(self._clock_ms(), exchange.time_ms),
            submission.command_id,
            item.lane,
            command,
            None if key is None else self._state.client_ids.find(key),
            submission.request_id,
        )
        try:
            outcome = exchange.apply(envelope)
        except Exception as error:
            raise CoreFaultError(item, self._market_of(command)) from error
        if key is not None and outcome.code is Code.OK:
            self._state.client_ids.remember(
                key, ClientIdFinding(outcome.reference_id, request_hash(command))
            )
        if outcome.code is Code.PLANNING_FAILED:
            logger.error("planning_failed", command=envelope.number, detail=outcome.detail)
        batch.applied(item, envelope, outcome)

    def _commit(self, batch: OpenBatch, consumed: int, offsets: Offsets) -> Committed:
        changes, coalesced = self.exchange.drain()
        groups: list[Group] = [(OPERATOR_COMMANDS, batch.operator_rows)]
        for projection in self.projections:
            groups += projection.rows(changes)
        groups += self._extra_groups
        row_sums = self._state.sums.add(groups)
        position = self._position_after(offsets)
        log_row = batch.log_row(
            number=position.batch,
            epoch=self.epoch,
            last_command=position.last_command,
            time_ms=position.time_ms,
            offsets=offsets,
        )
        groups.insert(0, (BATCHES, [log_row]))
        sums_row = (position.batch, row_sums)
        groups.append((BATCH_SUMS, [(*sums_row, row_checksum(sums_row))]))
        reach("before_commit")
        started = time.perf_counter()
        self.store.write(Fence(self.epoch, position.fence_values()), groups)
        commit_s = time.perf_counter() - started
        reach("after_commit")
        self._state.position = position
        self._state.applied_ids.add_batch(position.time_ms, batch.command_ids())
        self._first = []
        self._extra_groups = []
        self._singles = max(0, self._singles - consumed)
        events = BatchEvents(
            EVENTS_VERSION,
            self.epoch,
            position.batch,
            position.time_ms,
            position.last_command - len(batch.envelopes) + 1,
            position.last_command,
            batch.events + coalesced,
            [],
            request_ids=batch.request_ids(),
        )
        rows = sum(len(rows) for _, rows in groups)
        return Committed(consumed, batch.answers, events, rows, commit_s, batch)

    def _write_position(self, position: Position) -> None:
        position = position.sealed()
        self.store.write(Fence(self.epoch, position.fence_values()), [])
        self._state.position = position

    def _position_after(self, offsets: Offsets) -> Position:
        exchange = self.exchange
        sequences = exchange.sequences
        last = self.position
        return replace(
            last,
            heartbeat=last.heartbeat + 1,
            renewed_ms=self._clock_ms(),
            stream_epoch=offsets.stream_epoch,
            system_offset=offsets.system_offset,
            system_taken=offsets.system_taken,
            orders_offset=offsets.orders_offset,
            orders_taken=offsets.orders_taken,
            batch=last.batch + 1,
            last_command=sequences.command,
            last_order=sequences.order,
            last_trade=sequences.trade,
            last_entry=sequences.entry,
            last_wallet=sequences.wallet,
            last_transfer=sequences.transfer,
            last_slot=sequences.slot,
            last_liquidation=sequences.liquidation,
            time_ms=exchange.time_ms,
            core_epoch=exchange.epoch,
            cancel_only_until_ms=exchange.cancel_only_until_ms,
            post_only_until_ms=exchange.post_only_until_ms,
            tasks=encode_tasks(exchange.tasks),
            last_prices=encode_prices(exchange.last_prices),
            live_sums=self._state.sums.encoded(),
        ).sealed()

    def _blame(self, items: Sequence[Item], error: DataError) -> None:
        """After a refused value: run the batch one by one, then refuse only the culprit."""
        logger.error("data_refused", error=str(error), commands=len(items))
        if not items:
            raise StoreBusyError(f"the exchange's own work was refused: {error}") from error
        if len(items) > 1:
            self._singles = min(len(items), BATCH_COMMANDS_MAX)
        else:
            self._refusals[items[0].submission.command_id] = Code.DATA_REFUSED

    def _set_aside(self, fault: CoreFaultError) -> None:
        """
        Quarantine the command at which the core raised, and halt its market.

        One fault is enough: the core is deterministic, so the command would raise again.
        Both take effect in the next commit, together.
        """
        item = fault.item
        submission = item.submission
        command_id = submission.command_id
        cause = fault.__cause__
        logger.critical(
            "command_quarantined", command_id=command_id, error=repr(cause), exc_info=cause
        )
        if not command_id or command_id in self._refusals:
            raise fault
        self._refusals[command_id] = Code.QUARANTINED
        row: Row = (
            hash_key((0, command_id)),
            command_id,
            type(submission.command).__name__,
            fault.market_id,
            1,
            repr(cause)[:QUARANTINE_ERROR_LENGTH_MAX],
            encode(submission),
            self._clock_ms(),
        )
        self._extra_groups.append((QUARANTINE, [row]))
        if fault.market_id:
            halt = SetMarketStatus(
                fault.market_id,
                MarketStatus.HALTED,
                reason=f"command {command_id} set aside",
                actor="exchange",
                cause=StatusCause.FAULT,
            )
            self._first.append(Item(Submission("", halt), Lane.INTERNAL))

    def _market_of(self, command: AnyCommand) -> int:
        if isinstance(command, CancelOrder | AmendOrder):
            return self.exchange.market_of_order(command.order_id)
        if isinstance(command, PlaceLinkedOrders):
            return command.orders[0].market_id if command.orders else 0
        return int(getattr(command, "market_id", 0))
