"""
Client ids of an account's newest orders, which no table has yet.

They are found by following the account's orders back. An id that nobody used is sought
through all of them, up to a hundred thousand in a busy account; a request may name forty
such. What was read once is therefore kept, and the next search reads what is new.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from orders.models import Order
from wallets.chains import walk_chain
from wallets.selectors import chain_heads

# Orders that may be looked through; the exchange puts ids into the table before so many wait.
ROWS_MAX = 200_000
# Kept in a process for all accounts together, about 150 bytes each.
IDS_MAX = 200_000


@dataclass(slots=True)
class _Kept:
    """All ids of orders made since a time up to the newest order that was read."""

    since_ms: int
    head_id: int = 0
    ids: dict[str, int] = field(default_factory=dict)


class RecentIds:
    """
    What was read of some accounts; for many threads.

    An order's client id never changes, so nothing kept becomes wrong while the database is
    the same one; who finds an order checks that it has the id.
    """

    def __init__(self, ids_max: int = IDS_MAX) -> None:
        """Keep up to so many ids; the accounts asked for longest ago go first."""
        self._ids_max = ids_max
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._size = 0

    def find(self, account_id: int, client_order_id: str, *, since_ms: int) -> int:
        """Return the order placed under an id at ``since_ms`` or later, 0 if there is none."""
        head_id = chain_heads(account_id).order_id
        with self._lock:
            kept = self._kept.get(account_id)
            if kept is None or kept.since_ms != since_ms or kept.head_id > head_id:
                kept = _Kept(since_ms)
            elif client_order_id in kept.ids:
                return kept.ids[client_order_id]
            known_id = kept.head_id
        found: dict[str, int] = {}
        rows = walk_chain(
            Order,
            start_id=head_id,
            account_id=account_id,
            columns=("id", "previous_id", "client_order_id", "created_ms"),
            rows_max=ROWS_MAX,
        )
        for order_id, _previous_id, row_client_order_id, created_ms in rows:
            if order_id <= known_id or created_ms < since_ms:
                break
            if row_client_order_id == client_order_id:
                # Most that are sought were placed just now; the rest need not be read.
                return int(order_id)
            if row_client_order_id:
                found[row_client_order_id] = order_id
        self._keep(account_id, kept, head_id, found)
        return 0

    def forget(self, account_id: int) -> None:
        """Read an account's orders anew the next time."""
        with self._lock:
            self._drop(account_id)

    def _keep(self, account_id: int, kept: _Kept, head_id: int, found: dict[str, int]) -> None:
        with self._lock:
            # Another thread may have read further meanwhile; both read without a hole.
            if self._kept.get(account_id) is not kept:
                self._drop(account_id)
                self._kept[account_id] = kept
            else:
                self._size -= len(kept.ids)
            kept.ids |= found
            kept.head_id = max(kept.head_id, head_id)
            self._size += len(kept.ids)
            self._kept.move_to_end(account_id)
            while self._size > self._ids_max:
                self._drop(next(iter(self._kept)))

    def _drop(self, account_id: int) -> None:
        kept = self._kept.pop(account_id, None)
        if kept is not None:
            self._size -= len(kept.ids)


RECENT_IDS = RecentIds()
