"""Which commands were answered lately, so that a repeated delivery does nothing."""

from __future__ import annotations

from collections import deque

# Delivery can repeat a command only while it is not void (5 s); six times that is kept.
KEPT_MS = 30_000


class AppliedIds:
    """The command ids of the last ``KEPT_MS`` of the log."""

    def __init__(self) -> None:
        """Start empty."""
        self._ids: set[str] = set()
        self._batches: deque[tuple[int, list[str]]] = deque()

    def __contains__(self, command_id: str) -> bool:
        """Tell whether a command was answered."""
        return command_id in self._ids

    def __len__(self) -> int:
        """Return how many ids are kept."""
        return len(self._ids)

    def add_batch(self, time_ms: int, command_ids: list[str]) -> None:
        """Take the ids of a committed batch and forget those that are too old to matter."""
        self._batches.append((time_ms, command_ids))
        self._ids.update(command_ids)
        while self._batches[0][0] < time_ms - KEPT_MS:
            self._ids.difference_update(self._batches.popleft()[1])
