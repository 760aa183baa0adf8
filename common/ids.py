"""Ids made in Python: 63 bits, 41 of milliseconds and 22 random, rising with time."""

import secrets
import time

RANDOM_BITS = 22
_EPOCH_MS = 1_577_836_800_000  # 2020-01-01, so 41 bits last until 2089


def make_id() -> int:
    """Return a new positive 63-bit id; ids of different milliseconds sort by time."""
    milliseconds = time.time_ns() // 1_000_000 - _EPOCH_MS
    return (milliseconds << RANDOM_BITS) | secrets.randbits(RANDOM_BITS)
