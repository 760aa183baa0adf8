"""
Client ids: unique per account for ever, found without slowing the commit.

A new id is first only in memory and in the command log. Sorted bulk steps merge it into the
``ClientKey`` table between batches, and the position row says through which batch that is
done; at start the rest is rebuilt from the log.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from dataclasses import replace

import structlog

from exchange.core.commands import (
    AnyCommand,
    ClientIdFinding,
    ClosePosition,
    Credit,
    Debit,
    MoveInsurance,
    MoveWithdrawal,
    PlaceLinkedOrders,
    PlaceOrder,
    Transfer,
)
from exchange.core.enums import insurance_account
from exchange.position import Position
from exchange.store.base import Fence, Store
from exchange.store.damage import is_whole
from exchange.store.sums import row_checksum
from exchange.store.tables import CLIENT_KEYS

logger = structlog.get_logger(__name__)

Key = tuple[int, str]
# Columns of ``CLIENT_KEYS``.
KeyRow = tuple[int, int, str, int, int, int | None]

_ORDERS = frozenset({PlaceOrder, PlaceLinkedOrders, ClosePosition})
_TRANSFERS = frozenset({Transfer, Credit, Debit, MoveWithdrawal})

KEY_MASK = 2**63 - 1
# The hash of no request, so that each one that asks for a damaged row is a conflict.
DAMAGED = -1

# Random keys touch one page each unless many are merged at once: 100,000 sorted keys share
# the pages of a table of a million.
MERGE_AT_KEYS = 100_000
# One step holds the write lock for about 10 ms.
MERGE_STEP_KEYS = 2_000
# The log may be trimmed up to what is merged, so the merge goes on without new ids too.
MERGE_AFTER_S = 60.0
MERGE_AFTER_BUSY_S = 600.0


def client_key(command: AnyCommand) -> Key | None:
    """Return the account and the kind of client id a command carries, None without one."""
    kind = type(command)
    if kind in _ORDERS:
        client_id = command.client_order_id  # type: ignore[union-attr]
        return (command.account_id, f"o:{client_id}") if client_id else None  # type: ignore[union-attr]
    if kind in _TRANSFERS:
        client_id = command.client_transfer_id  # type: ignore[union-attr]
        return (command.account_id, f"t:{client_id}") if client_id else None  # type: ignore[union-attr]
    if isinstance(command, MoveInsurance) and command.client_transfer_id:
        return insurance_account(command.group_id), f"t:{command.client_transfer_id}"
    return None


def request_hash(command: AnyCommand) -> int:
    """Return the hash by which a repeated request is told from another one."""
    return int(getattr(command, "request_hash", 0))


def hash_key(key: Key) -> int:
    """Return 63 bits of a hash of an account and its client id."""
    digest = hashlib.blake2b(f"{key[0]}:{key[1]}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") & KEY_MASK


class ClientIds:
    """All client ids ever used, the recent ones in memory."""

    def __init__(self, store: Store) -> None:
        """Start with the merged ids of a store alone."""
        self._store = store
        self._recent: dict[Key, ClientIdFinding] = {}
        self._merging: dict[Key, ClientIdFinding] = {}
        self._merge_rows: list[tuple[int, Key, ClientIdFinding]] = []
        self._merge_through = 0
        self._merged_at = time.monotonic()
        self._found: dict[Key, ClientIdFinding] = {}

    def __len__(self) -> int:
        """Return how many ids wait for their merge."""
        return len(self._recent) + len(self._merging)

    def remember(self, key: Key, finding: ClientIdFinding) -> None:
        """Take a used id into memory."""
        self._recent[key] = finding

    def prefetch(self, commands: Iterable[AnyCommand]) -> None:
        """Look up the ids of a batch that memory does not know, in one SELECT."""
        wanted = {
            key
            for command in commands
            if (key := client_key(command)) is not None
            and key not in self._recent
            and key not in self._merging
        }
        self._found = self._look_up(wanted) if wanted else {}

    def find(self, key: Key) -> ClientIdFinding | None:
        """Return who used an id; its command must have been prefetched."""
        return self._recent.get(key) or self._merging.get(key) or self._found.get(key)

    def merge_due(self, *, idle: bool) -> bool:
        """Tell whether a step of the merge should be made now."""
        if self._merge_rows or len(self._recent) >= MERGE_AT_KEYS:
            return True
        waited_s = time.monotonic() - self._merged_at
        return waited_s >= (MERGE_AFTER_S if idle else MERGE_AFTER_BUSY_S)

    def merge_step(self, *, epoch: int, position: Position) -> Position | None:
        """
        Merge the next step; return the position once all ids up to a batch are merged.

        ``position`` is the last committed one: what memory holds now was used up to it.
        """
        if not self._merge_rows:
            self._merging, self._recent = self._recent, {}
            self._merge_through = position.batch
            self._merge_rows = sorted(
                ((hash_key(key), key, finding) for key, finding in self._merging.items()),
                reverse=True,
            )
        step = [self._merge_rows.pop() for _ in range(min(MERGE_STEP_KEYS, len(self._merge_rows)))]
        done = not self._merge_rows
        values: dict[str, object] = {"epoch": epoch}
        merged = replace(position, merged_batch=self._merge_through).sealed()
        if done:
            values = {"merged_batch": merged.merged_batch, "checksum": merged.checksum}
        self._store.write(Fence(epoch, values), [(CLIENT_KEYS, self._numbered(step))])
        if not done:
            return None
        self._merging = {}
        self._merged_at = time.monotonic()
        return merged

    def _numbered(self, step: list[tuple[int, Key, ClientIdFinding]]) -> list[KeyRow]:
        """Return rows for a step, each under its hash or, if another id sits there, the next."""
        owners = {row[0]: (row[1], row[2]) for row in self._rows(number for number, _, _ in step)}
        rows: list[KeyRow] = []
        for number, key, finding in step:
            while owners.get(number, key) != key:
                number = (number + 1) & KEY_MASK
                owners |= {row[0]: (row[1], row[2]) for row in self._rows([number])}
            owners[number] = key
            row = (number, *key, finding.reference_id, finding.request_hash)
            rows.append((*row, row_checksum(row)))
        return rows

    def _look_up(self, keys: Iterable[Key]) -> dict[Key, ClientIdFinding]:
        found: dict[Key, ClientIdFinding] = {}
        wanted = [(hash_key(key), key) for key in keys]
        while wanted:
            rows = {row[0]: row for row in self._rows(number for number, _ in wanted)}
            collided = []
            for number, key in wanted:
                row = rows.get(number)
                if row is None:
                    continue
                if not is_whole(row):
                    # Whose it is cannot be told: better a conflict than a second order.
                    logger.error("client_key_damaged", key=row[0])
                    found[key] = ClientIdFinding(row[3], DAMAGED)
                elif (row[1], row[2]) == key:
                    found[key] = ClientIdFinding(row[3], row[4])
                else:
                    collided.append(((number + 1) & KEY_MASK, key))
            wanted = collided
        return found

    def _rows(self, numbers: Iterable[int]) -> list[KeyRow]:
        return self._store.find(CLIENT_KEYS, numbers)
