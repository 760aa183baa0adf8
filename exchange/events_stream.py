"""The stream of committed batches that projectors read; written by the runner after commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from exchange import keys
from exchange.core.events import AnyEvent

if TYPE_CHECKING:
    from redis import Redis

EVENTS_VERSION = 1
ENTRIES_PER_READ = 100


class BookImage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All levels of one book, best first, as pairs of price and quantity, after ``command``."""

    market_id: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]
    command: int


class BatchEvents(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    What one committed batch published.

    ``events`` holds those of each command in order, then the coalesced balances and levels.
    ``batch`` rises by one. ``reset`` says that what came before may have been missed: books
    start again from ``book_images``, which describe the moment after this batch.
    ``request_ids`` are those under which its commands came, for logs.
    """

    version: int
    epoch: int
    batch: int
    time_ms: int
    first_command: int
    last_command: int
    events: list[AnyEvent]
    book_images: list[BookImage]
    reset: bool = False
    request_ids: list[str] = []


encode_batch_events = msgspec.msgpack.Encoder().encode
decode_batch_events = msgspec.msgpack.Decoder(BatchEvents).decode


class EventReader:
    """Reads the stream of committed batches from any point that is still kept."""

    def __init__(self, redis: Redis) -> None:
        """Read through a client whose socket time-out exceeds ``block_ms``."""
        self._redis: Any = redis

    def read(self, after: str, block_ms: int) -> list[tuple[str, BatchEvents]]:
        """
        Return entries behind a stream id, waiting up to ``block_ms`` for the first.

        ``"0"`` is the oldest kept, ``"$"`` only what comes after this call.
        """
        reply: Any = self._redis.execute_command(
            "XREAD", "COUNT", ENTRIES_PER_READ, "BLOCK", block_ms, "STREAMS", keys.events(), after
        )
        if not reply:
            return []
        streams = reply.items() if isinstance(reply, dict) else reply
        return [
            (entry_id.decode(), decode_batch_events(_data(fields)))
            for _, entries in streams
            for entry_id, fields in _entries(entries)
        ]


def request_books(redis: Redis) -> None:
    """Ask the runner to publish an image of every book within half a second."""
    redis.set(keys.books_wanted(), b"1", ex=60)


def _entries(entries: Any) -> Any:
    # Newer clients nest the entries of a stream once more.
    if entries and isinstance(entries[0], list) and entries[0] and isinstance(entries[0][0], tuple):
        return entries[0]
    return entries


def _data(fields: Any) -> bytes:
    data = fields[b"d"] if isinstance(fields, dict) else fields[1]
    return bytes(data)
