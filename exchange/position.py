"""The position row in memory: who leads, and what the last committed batch was."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import msgspec

from exchange.core.state import Image, Sequences
from exchange.core.tasks import (
    ActivateTask,
    ArmTask,
    CancelAllTask,
    CancelOpeningTask,
    DeleverageTask,
    FireTask,
    FundingTask,
    LiquidateTask,
    SettleTask,
    Task,
    UnwindTask,
)
from exchange.store.sums import row_checksum
from exchange.store.tables import POSITION

TASK_TYPES: dict[str, type[Task]] = {
    task.__name__: task
    for task in (
        CancelAllTask,
        FireTask,
        ActivateTask,
        ArmTask,
        LiquidateTask,
        DeleverageTask,
        FundingTask,
        UnwindTask,
        CancelOpeningTask,
        SettleTask,
    )
}


@dataclass(frozen=True, slots=True)
class Position:
    """The columns of ``exchange.models.LogPosition``, in the order of ``POSITION.columns``."""

    id: int = 1
    epoch: int = 0
    owner: str = ""
    owner_pid: int = 0
    owner_started: str = ""
    heartbeat: int = 0
    renewed_ms: int = 0
    stream_epoch: int = 0
    system_offset: str = "0-0"
    system_taken: int = 0
    orders_offset: str = "0-0"
    orders_taken: int = 0
    batch: int = 0
    merged_batch: int = 0
    last_command: int = 0
    last_order: int = 0
    last_trade: int = 0
    last_entry: int = 0
    last_wallet: int = 0
    last_transfer: int = 0
    time_ms: int = 0
    core_epoch: int = 0
    cancel_only_until_ms: int = 0
    post_only_until_ms: int = 0
    tasks: bytes = b""
    last_prices: bytes = b""
    last_slot: int = 0
    last_liquidation: int = 0
    live_sums: bytes = b""
    checksum: int = 0

    def sealed(self) -> Position:
        """Return this position with the checksum over its columns."""
        return replace(self, checksum=self._sum())

    @property
    def is_sealed(self) -> bool:
        """Whether a version that keeps checksums has written the row."""
        return bool(self.checksum or self.live_sums)

    @property
    def is_whole(self) -> bool:
        """Whether the row is what was written; true of one that has no checksum yet."""
        return not self.is_sealed or self.checksum == self._sum()

    def _sum(self) -> int:
        # Never 0, which says that there is none.
        return row_checksum([getattr(self, name) for name in _SEALED_COLUMNS]) + 1

    def fence_values(self) -> dict[str, Any]:
        """Return the columns that a batch writes; the lease's and the merge's stay as they are."""
        return {name: getattr(self, name) for name in _BATCH_COLUMNS}

    def sequences(self) -> Sequences:
        """Return the numbers given out so far."""
        return Sequences(
            command=self.last_command,
            order=self.last_order,
            trade=self.last_trade,
            entry=self.last_entry,
            wallet=self.last_wallet,
            transfer=self.last_transfer,
            slot=self.last_slot,
            liquidation=self.last_liquidation,
        )

    def fill(self, image: Image) -> None:
        """Put this row's part of the state into an image."""
        image.sequences = self.sequences()
        image.tasks = decode_tasks(self.tasks)
        image.last_prices = decode_prices(self.last_prices)
        image.time_ms = self.time_ms
        image.epoch = self.core_epoch
        image.cancel_only_until_ms = self.cancel_only_until_ms
        image.post_only_until_ms = self.post_only_until_ms


_KEPT = {"id", "epoch", "owner", "owner_pid", "owner_started", "merged_batch"}
_BATCH_COLUMNS = tuple(name for name in POSITION.columns if name not in _KEPT)
# The lease is also renewed and taken by one UPDATE that knows nothing of the others.
_UNSEALED = {*_KEPT, "heartbeat", "renewed_ms", "checksum"} - {"merged_batch"}
_SEALED_COLUMNS = tuple(name for name in POSITION.columns if name not in _UNSEALED)

if tuple(field.name for field in fields(Position)) != POSITION.columns:
    raise TypeError("Position must name the columns of the position row in their order")


def encode_tasks(tasks: list[Task]) -> bytes:
    """Return unfinished tasks as bytes, each under the name of its type."""
    return msgspec.msgpack.encode([(type(task).__name__, task) for task in tasks])


def decode_tasks(data: bytes) -> list[Task]:
    """
    Return the tasks that ``encode_tasks`` packed.

    Raises:
        KeyError: if a task has a type that this code does not know.
    """
    if not data:
        return []
    named = msgspec.msgpack.decode(data, type=list[tuple[str, msgspec.Raw]])
    return [msgspec.msgpack.decode(raw, type=TASK_TYPES[name]) for name, raw in named]


def encode_prices(prices: dict[int, int]) -> bytes:
    """Return the last trade price of each market as bytes."""
    return msgspec.msgpack.encode(prices)


def decode_prices(data: bytes) -> dict[int, int]:
    """Return the prices that ``encode_prices`` packed."""
    return msgspec.msgpack.decode(data, type=dict[int, int]) if data else {}
