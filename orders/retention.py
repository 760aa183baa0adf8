"""
Removing never-filled orders that ended long ago.

Market makers cancel almost everything they place, so without this the orders table grows
with what nobody asks for again. Filled orders, open orders and all trades stay for ever; so
do client ids, which are kept elsewhere.

Orders are linked newest to oldest per account. A removed order's successor is linked to its
predecessor, so no history breaks. That is safe beside the running exchange, which writes an
order only while it is open: only finished orders are removed or re-linked, and an account's
last order of each range is kept, because something newer (or the account's head) may point
to it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import connections

from common.db import atomic
from exchange.core.enums import FINAL_STATUSES, OrderStatus
from orders.models import Order, OrderTerms, RetentionProgress
from orders.projection import ORDERS, TERMS

# Orders that one step reads; it changes at most as many, in one short transaction.
STEP_ROWS = 500

# The exchange waits for the same lock on SQLite, so the steps leave it free in between.
PAUSE_S = 0.05

_PROGRESS_ID = 1
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class RetentionStep:
    """What one step did; ``finished`` when nothing old enough is left to read."""

    scanned: int
    removed: int
    finished: bool


@dataclass(frozen=True, slots=True)
class _Row:
    """What retention needs to know of an order."""

    order_id: int
    account_id: int
    previous_id: int
    status: int
    filled_atoms: int
    updated_ms: int
    created_ms: int


_COLUMNS = (
    "id",
    "account_id",
    "previous_id",
    "status",
    "filled_atoms",
    "updated_ms",
    "created_ms",
)
_REMOVABLE = (OrderStatus.CANCELLED, OrderStatus.EXPIRED)


def retention_run(*, now_ms: int | None = None, steps_max: int = 1_000) -> RetentionStep:
    """
    Clean up in bounded steps until nothing old enough is left, at most ``steps_max``.

    Returns the sum over all steps. Does nothing while ``ORDER_RETENTION_DAYS`` is 0.
    """
    days = settings.ORDER_RETENTION_DAYS
    if days == 0:
        return RetentionStep(scanned=0, removed=0, finished=True)
    now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    scanned = removed = 0
    for step_number in range(steps_max):
        if step_number:
            time.sleep(PAUSE_S)
        step = retention_step(before_ms=now_ms - days * _DAY_MS)
        scanned += step.scanned
        removed += step.removed
        if step.finished:
            return RetentionStep(scanned=scanned, removed=removed, finished=True)
    return RetentionStep(scanned=scanned, removed=removed, finished=False)


def pruned_through() -> dict[str, int]:
    """Return, by table, the order up to which rows may be gone or linked anew."""
    progress = RetentionProgress.objects.filter(id=_PROGRESS_ID).first()
    through_id = progress.through_order_id if progress else 0
    return {ORDERS.name: through_id, TERMS.name: through_id}


def retention_step(*, before_ms: int, rows_max: int = STEP_ROWS) -> RetentionStep:
    """
    Read the next range of orders and remove those that ended unfilled before ``before_ms``.

    The range ends before the first order placed later than that. Reading happens outside the
    transaction: an order that was finished stays as it is.
    """
    progress = RetentionProgress.objects.filter(id=_PROGRESS_ID).first()
    through_id = progress.through_order_id if progress else 0
    rows = _read(through_id, before_ms=before_ms, rows_max=rows_max)
    if not rows:
        return RetentionStep(scanned=0, removed=0, finished=True)
    removed, relinked = _plan(rows, before_ms=before_ms)
    with atomic():
        if not _advance(from_id=through_id, to_id=rows[-1].order_id):
            # Another run is at work and got here first.
            return RetentionStep(scanned=0, removed=0, finished=True)
        _relink(relinked)
        Order.objects.filter(id__in=removed, is_open=0).delete()
        OrderTerms.objects.filter(id__in=removed, is_open=0).delete()
    return RetentionStep(scanned=len(rows), removed=len(removed), finished=len(rows) < rows_max)


def _read(through_id: int, *, before_ms: int, rows_max: int) -> list[_Row]:
    values = Order.objects.filter(id__gt=through_id).order_by("id").values_list(*_COLUMNS)
    rows = []
    for value in values[:rows_max]:
        row = _Row(*value)
        if row.created_ms >= before_ms:
            break
        rows.append(row)
    return rows


def _plan(rows: Iterable[_Row], *, before_ms: int) -> tuple[list[int], dict[int, int]]:
    """
    Return the orders to remove and the new predecessors of those that stay.

    Rows are in the order of ids, so an account's successor comes after what it points to.
    """
    removed: list[int] = []
    relinked: dict[int, int] = {}
    # Per account: what may go, oldest first, and what the oldest of it pointed to.
    pending: dict[int, tuple[list[int], int]] = {}
    for row in rows:
        ids, predecessor_id = pending.pop(row.account_id, ([], row.previous_id))
        linked = not ids or row.previous_id == ids[-1]
        if not (row.status in FINAL_STATUSES and linked):
            # An open order's link is the exchange's to write: what it points to stays, and
            # what came before that is linked past.
            if ids and linked:
                _settle(ids, predecessor_id, removed, relinked)
            ids, predecessor_id = [], row.previous_id
        removable = (
            row.status in _REMOVABLE and row.filled_atoms == 0 and row.updated_ms < before_ms
        )
        if removable:
            pending[row.account_id] = ([*ids, row.order_id], predecessor_id)
        elif ids:
            removed.extend(ids)
            relinked[row.order_id] = predecessor_id
    for ids, predecessor_id in pending.values():
        _settle(ids, predecessor_id, removed, relinked)
    return removed, relinked


def _settle(
    ids: list[int], predecessor_id: int, removed: list[int], relinked: dict[int, int]
) -> None:
    """Keep the last of a run, which something newer points to, and link it past the others."""
    if len(ids) > 1:
        removed.extend(ids[:-1])
        relinked[ids[-1]] = predecessor_id


def _relink(relinked: dict[int, int]) -> None:
    """Point finished orders to their new predecessors."""
    connection = connections[Order.objects.db]
    if connection.vendor == "mongodb":
        for order_id, previous_id in relinked.items():
            Order.objects.filter(id=order_id, is_open=0).update(previous_id=previous_id)
        return
    # One prepared statement: a query built per row would hold the lock ten times as long.
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE orders_order SET previous_id = %s WHERE id = %s AND is_open = 0",
            [(previous_id, order_id) for order_id, previous_id in relinked.items()],
        )


def _advance(*, from_id: int, to_id: int) -> bool:
    """Move the position unless somebody else has; tells whether it was moved."""
    if from_id:
        position = RetentionProgress.objects.filter(id=_PROGRESS_ID, through_order_id=from_id)
        return position.update(through_order_id=to_id) == 1
    if RetentionProgress.objects.filter(id=_PROGRESS_ID).exists():
        return False
    RetentionProgress.objects.create(id=_PROGRESS_ID, through_order_id=to_id)
    return True
