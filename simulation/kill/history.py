"""
What a client knows: one line of JSON per event, on disk before the next thing happens.

Each request writes ``sent`` before it leaves and ``answered`` when it is over. A history
survives its process, so what a client was told can be held against the database.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What an answer proves about an order.
ACCEPTED = "accepted"
REFUSED = "refused"
NOT_SENT = "not_sent"
UNKNOWN = "unknown"


class History:
    """An append-only file of events, safe for the threads of one process."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")

    def write(self, event: str, **facts: Any) -> None:
        """Append one event and wait until the disk has it."""
        line = json.dumps({"event": event, "ms": int(time.time() * 1000), **facts})
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a history; a torn last line of a killed client is left out."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


@dataclass
class Claim:
    """All that one client was told about one client id."""

    account_id: int
    client_id: str
    results: list[str] = field(default_factory=list)
    order_ids: set[int] = field(default_factory=set)
    open_requests: int = 0
    cancelled: bool = False

    @property
    def accepted(self) -> bool:
        """Whether any answer said that the order exists."""
        return ACCEPTED in self.results

    @property
    def unknown(self) -> bool:
        """Whether it may or may not exist, as far as the client knows."""
        return not self.accepted and (UNKNOWN in self.results or self.open_requests > 0)

    @property
    def kind(self) -> str:
        """Return what the client knows in the end: accepted, unknown, refused or not sent."""
        if self.accepted:
            return ACCEPTED
        if self.unknown:
            return UNKNOWN
        return REFUSED if REFUSED in self.results else NOT_SENT


def read_claims(paths: list[Path]) -> dict[tuple[int, str], Claim]:
    """Return what clients were told, by account and client id."""
    claims: dict[tuple[int, str], Claim] = {}
    for path in paths:
        for event in read_events(path):
            if event["event"] not in ("sent", "answered", "cancelled"):
                continue
            key = (event["account_id"], event["client_id"])
            claim = claims.setdefault(key, Claim(*key))
            if event["event"] == "sent":
                claim.open_requests += 1
            elif event["event"] == "answered":
                claim.open_requests -= 1
                claim.results.append(event["result"])
                if event.get("order_id"):
                    claim.order_ids.add(int(event["order_id"]))
            else:
                claim.cancelled = True
    return claims


def count_codes(paths: list[Path]) -> Counter[str]:
    """Return how often clients were given which code."""
    return Counter(
        event["code"]
        for path in paths
        for event in read_events(path)
        if event["event"] == "answered"
    )


class Tail:
    """Counts definite answers in growing histories without reading anything twice."""

    def __init__(self, *paths: Path) -> None:
        self._offsets = dict.fromkeys(paths, 0)
        self.answers = 0

    def look(self) -> int:
        """Read what was added and return how many orders were accepted or refused so far."""
        for path, offset in self._offsets.items():
            if not path.exists():
                continue
            with path.open("rb") as file:
                file.seek(offset)
                added = file.read()
            whole = added.rfind(b"\n") + 1
            for result in (ACCEPTED, REFUSED):
                self.answers += added[:whole].count(f'"result": "{result}"'.encode())
            self._offsets[path] = offset + whole
        return self.answers
