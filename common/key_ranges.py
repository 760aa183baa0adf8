"""
Times as ranges of keys, for tables whose rows are appended in the order of their times.

Such a table needs no index of its times: the first row of a time is found by halving.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

# Halving 63 bits takes no more.
STEPS_MAX = 64


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Keys from ``low`` up to but without ``high``."""

    low: int
    high: int

    def parts(self, width: int) -> list[KeyRange]:
        """Return the range in parts of so many keys, in their order; none when it is empty."""
        starts = range(self.low, self.high, width)
        return [KeyRange(start, min(start + width, self.high)) for start in starts]


def keys_of_time(rows: QuerySet[Any], *, time_field: str, since_ms: int, until_ms: int) -> KeyRange:
    """Return the keys of the rows from a time up to but without another; empty without rows."""
    first = rows.order_by("id").values_list("id", flat=True).first()
    last = rows.order_by("-id").values_list("id", flat=True).first()
    if first is None or last is None:
        return KeyRange(0, 0)
    low = _first_at(rows, time_field, since_ms, first, last + 1)
    return KeyRange(low, _first_at(rows, time_field, until_ms, low, last + 1))


def _first_at(rows: QuerySet[Any], time_field: str, time_ms: int, low: int, high: int) -> int:
    """Return the lowest key at or after a time, ``high`` if there is none."""
    for _ in range(STEPS_MAX):
        if low >= high:
            break
        middle = (low + high) // 2
        found = rows.filter(id__gte=middle, id__lt=high).order_by("id")
        row = found.values_list("id", time_field).first()
        if row is None or row[1] >= time_ms:
            high = middle
        else:
            low = row[0] + 1
    return low
