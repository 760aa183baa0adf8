"""
Retention of the command log: on by default, never past what it is still needed for.

Where the log has partitions a whole one goes once all of it is old, in one statement, so up to
one more partition is kept. Elsewhere batches are deleted in small steps.
"""

from __future__ import annotations

import time

import structlog
from django.db import DatabaseError, connection

from exchange.connections import give_back_connections
from exchange.models import Batch
from exchange.partitions import drop_partition, partitions_of
from exchange.position import Position
from exchange.store.tables import BATCHES
from exchange.wire import now_ms

logger = structlog.get_logger(__name__)

HOUR_MS = 3_600_000
# One step holds the write lock for a few milliseconds.
BATCHES_PER_STEP = 100
LOOK_EVERY_S = 10.0


class Retention:
    """Deletes old batches in small steps; 0 hours keeps everything."""

    def __init__(self, hours: int) -> None:
        """Keep so many hours of the log."""
        self._kept_ms = hours * HOUR_MS
        self._due = time.monotonic() + LOOK_EVERY_S

    def step(self, position: Position) -> int:
        """
        Delete one step of old batches when it is time, and return how many went one by one.

        Batches whose client ids are not merged stay: a start rebuilds those from the log.
        """
        if not self._kept_ms or time.monotonic() < self._due:
            return 0
        try:
            deleted = self._delete(position)
        except DatabaseError as error:
            logger.warning("retention_postponed", error=str(error))
            give_back_connections()
            deleted = 0
        if deleted < BATCHES_PER_STEP:
            self._due = time.monotonic() + LOOK_EVERY_S
        return deleted

    def _delete(self, position: Position) -> int:
        cutoff_ms = now_ms() - self._kept_ms
        last_id = min(position.merged_batch, position.batch - 1)
        if connection.vendor == "postgresql" and not _drop(last_id, cutoff_ms):
            return 0
        oldest = Batch.objects.order_by("id").values_list("id", "last_ms")[:BATCHES_PER_STEP]
        old = [key for key, last_ms in oldest if last_ms < cutoff_ms and key <= last_id]
        if not old:
            return 0
        # One statement; delete() would make a transaction of it, which may have to wait.
        deleted: int = Batch.objects.filter(id__lte=old[-1])._raw_delete("default")
        return deleted


def _drop(last_id: int, cutoff_ms: int) -> bool:
    """
    Drop the partitions whose batches are all old; return whether the oldest row is in none.

    Such a row is in the default partition and goes by itself.
    """
    oldest = Batch.objects.order_by("id").values_list("id", flat=True)
    for partition in partitions_of(BATCHES):
        first_id = oldest.first()
        if first_id is None or first_id < partition.first:
            return first_id is not None
        if partition.end > last_id + 1:
            return False
        newest = Batch.objects.filter(id__lt=partition.end).order_by("-id")
        newest_ms = newest.values_list("last_ms", flat=True).first()
        if newest_ms is not None and newest_ms >= cutoff_ms:
            return False
        drop_partition(BATCHES, partition)
    return True
