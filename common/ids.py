"""Ids made in Python: 63 bits, 41 of milliseconds and 22 random, rising with time."""

import re
import secrets
import time

RANDOM_BITS = 22
_EPOCH_MS = 1_577_836_800_000  # 2020-01-01, so 41 bits last until 2089


def make_id() -> int:
    """Return a new positive 63-bit id; ids of different milliseconds sort by time."""
    milliseconds = time.time_ns() // 1_000_000 - _EPOCH_MS
    return (milliseconds << RANDOM_BITS) | secrets.randbits(RANDOM_BITS)


def time_of_id(made: int) -> int:
    """Return when an id of ``make_id`` was made, in UTC milliseconds."""
    return (made >> RANDOM_BITS) + _EPOCH_MS


def first_id_of(time_ms: int) -> int:
    """Return the lowest id that ``make_id`` can make at a time in UTC milliseconds."""
    return (time_ms - _EPOCH_MS) << RANDOM_BITS


ID_MAX = 2**63 - 1
_ID_TEXT = re.compile(r"[1-9][0-9]{0,18}")


def parse_id(text: object) -> int | None:
    """Return an id given as decimal text, or None when it cannot be one."""
    if not isinstance(text, str) or not _ID_TEXT.fullmatch(text):
        return None
    value = int(text)
    return value if value <= ID_MAX else None


class IdConverter:
    """Path converter ``<id:order_id>``; what is no id is an unknown address."""

    regex = "[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        """
        Return the id.

        Raises:
            ValueError: if it does not fit 63 bits.
        """
        parsed = parse_id(value)
        if parsed is None:
            raise ValueError(value)
        return parsed

    def to_url(self, value: int) -> str:
        """Return the id as text."""
        return str(value)
