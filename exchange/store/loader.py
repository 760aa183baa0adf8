"""From rows to the live state, by one path for every start and every recovery."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec
import structlog

from exchange.applied_ids import KEPT_MS, AppliedIds
from exchange.client_ids import ClientIds, client_key, request_hash
from exchange.core.commands import ClientIdFinding
from exchange.core.engine import Exchange
from exchange.core.rejects import Code
from exchange.core.state import Image
from exchange.core.units import InvariantError
from exchange.position import Position
from exchange.projection import Projection, Table
from exchange.store.base import Store, StoreReader, StoreUnusableError
from exchange.store.damage import LAST_MS, PAYLOAD, check_batch, check_live_rows
from exchange.store.sums import CountingReader, LiveSums
from exchange.store.tables import BATCHES, POSITION, QUARANTINE
from exchange.wire import BatchPayload, decode_payload

logger = structlog.get_logger(__name__)

_BATCH_TIMES = Table(name=BATCHES.name, columns=("id", "last_ms"))

# What reading damaged rows may raise: their values are of no type, range or name that is known.
_DAMAGE = (
    InvariantError,
    msgspec.MsgspecError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
)

# More batches than any database commits in the time that applied ids are kept.
_RECENT_BATCHES_MAX = 20_000


@dataclass(slots=True)
class LoadedState:
    """Everything a leader holds in memory, as of one consistent moment of the database."""

    position: Position
    exchange: Exchange
    client_ids: ClientIds
    applied_ids: AppliedIds
    set_aside: dict[str, Code]
    sums: LiveSums


def read_position(reader: StoreReader) -> Position:
    """
    Return the position row.

    Raises:
        StoreUnusableError: if there is none.
    """
    for row in reader.rows(POSITION):
        return Position(*row)
    raise StoreUnusableError("database has no position row: nobody has led yet")


def load_image(reader: StoreReader, projections: Sequence[Projection]) -> tuple[Position, Image]:
    """
    Return the position and the whole state as plain objects.

    Raises:
        StoreUnusableError: if rows are not what was written.
    """
    sums = LiveSums()
    position, image, _ = _checked_image(reader, projections, sums)
    return position, image


def _checked_image(
    reader: StoreReader, projections: Sequence[Projection], sums: LiveSums
) -> tuple[Position, Image, dict[str, Code]]:
    """Return what the rows describe, their sums being those that were stored."""
    position = read_position(reader)
    if not position.is_whole:
        raise StoreUnusableError("the position row is not what was written: restore a backup")
    counting = CountingReader(reader, sums)
    image = Image()
    for projection in projections:
        projection.load(counting, image)
    set_aside = {row[1]: Code.QUARANTINED for row in counting.rows(QUARANTINE)}
    position.fill(image)
    if position.is_sealed:
        tables = (QUARANTINE, *(table for each in projections for table in each.tables))
        check_live_rows(reader, tables, sums, position.live_sums)
    return position, image, set_aside


def load_state(store: Store, projections: Sequence[Projection]) -> LoadedState:
    """
    Return the live state that the database describes.

    Raises:
        StoreUnusableError: if the rows cannot be read or contradict each other.
    """
    # Before the snapshot, which may then only be newer.
    newest_batch = store.newest_batch()
    try:
        return _load(store, projections, newest_batch)
    except _DAMAGE as error:
        raise StoreUnusableError(
            f"database rows contradict each other ({error!r}): restore a backup"
        ) from error


def _load(store: Store, projections: Sequence[Projection], newest_batch: int) -> LoadedState:
    with store.snapshot() as reader:
        sums = LiveSums()
        position, image, set_aside = _checked_image(reader, projections, sums)
        if position.batch < newest_batch:
            raise StoreUnusableError(
                f"database ends at batch {position.batch}, but batch {newest_batch} was committed:"
                " its log is damaged, restore a backup, or remove the file that ends in -newest"
                " to go on without what is lost"
            )
        if position.batch and not position.is_sealed:
            logger.warning("row_sums_made", batch=position.batch)
        exchange = Exchange.load(image)
        state = LoadedState(
            position=replace(position, live_sums=sums.encoded()).sealed(),
            exchange=exchange,
            client_ids=ClientIds(store),
            applied_ids=AppliedIds(),
            set_aside=set_aside,
            sums=sums,
        )
        for batch_ms, payload in _recent_batches(reader, position):
            _remember(state, batch_ms, payload)
    return state


def _recent_batches(reader: StoreReader, position: Position) -> Iterator[tuple[int, BatchPayload]]:
    """Yield the batches whose ids are not merged or are recent enough to be delivered again."""
    times = list(reader.rows_from(_BATCH_TIMES, max(1, position.batch - _RECENT_BATCHES_MAX)))
    newest_ms = times[-1][1] if times else 0
    recent = next((key for key, last_ms in times if last_ms >= newest_ms - KEPT_MS), 1)
    for row in reader.rows_from(BATCHES, min(position.merged_batch + 1, recent)):
        check_batch(row)
        yield row[LAST_MS], decode_payload(row[PAYLOAD])


def _remember(state: LoadedState, batch_ms: int, payload: BatchPayload) -> None:
    command_ids = [unapplied.command_id for unapplied in payload.unapplied]
    for envelope, result in zip(payload.envelopes, payload.results, strict=True):
        command_ids.append(envelope.command_id)
        key = client_key(envelope.command)
        if key is not None and result.code is Code.OK:
            state.client_ids.remember(
                key, ClientIdFinding(result.reference_id, request_hash(envelope.command))
            )
    # Internal commands have no id.
    state.applied_ids.add_batch(batch_ms, [command_id for command_id in command_ids if command_id])


def rows_hash(store: Store, projections: Sequence[Projection]) -> str:
    """Return the state hash of what the rows describe."""
    with store.snapshot() as reader:
        _, image = load_image(reader, projections)
    return Exchange.load(image).state_hash()
