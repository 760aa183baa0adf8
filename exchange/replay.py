"""The state that the command log describes, built from nothing."""

from __future__ import annotations

from collections.abc import Iterable

from exchange.core.engine import Exchange
from exchange.core.units import check
from exchange.projection import Table
from exchange.store.base import Store
from exchange.store.tables import BATCHES
from exchange.wire import BatchPayload, decode_payload

_PAYLOADS = Table(name=BATCHES.name, columns=("id", "payload"))


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
    """Return the state after the whole log of a database whose log was never trimmed."""
    with store.snapshot() as reader:
        return replay(decode_payload(row[1]) for row in reader.rows_from(_PAYLOADS, 1))
