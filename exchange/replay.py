"""The state that the command log describes, built from nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from exchange.core.engine import Exchange
from exchange.core.units import check
from exchange.store.base import Store, StoreReader
from exchange.store.damage import PAYLOAD, check_batch
from exchange.store.tables import BATCHES
from exchange.wire import BatchPayload, decode_payload


def replay(batches: Iterable[BatchPayload]) -> Exchange:
    """
    Return the state after all batches of a log that begins at genesis.

    Raises:
        InvariantError: if a command's outcome differs from the one in the log.
    """
    exchange = Exchange()
    for batch in batches:
        for envelope, result in zip(batch.envelopes, batch.results, strict=True):
            outcome = exchange.apply(envelope)
            check(
                (outcome.code, outcome.reference_id) == (result.code, result.reference_id),
                f"command {envelope.number}: log says {result}, replay {outcome.code.name}",
            )
        exchange.drain()
    return exchange


def replay_log(store: Store) -> Exchange:
    """
    Return the state after the whole log of a database whose log was never trimmed.

    Raises:
        StoreUnusableError: if a row of the log is not what was written.
        InvariantError: if a command's outcome differs from the one in the log.
    """
    with store.snapshot() as reader:
        return replay(_payloads(reader))


def _payloads(reader: StoreReader) -> Iterator[BatchPayload]:
    for row in reader.rows_from(BATCHES, 1):
        check_batch(row)
        yield decode_payload(row[PAYLOAD])
