"""Pages by cursor: no offsets, no counting, stable while rows are added."""

import base64
import binascii
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rest_framework import serializers

from common.errors import ApiError
from common.query import QuerySerializer

PAGE_DEFAULT = 50
PAGE_MAX = 500


class PageQuery(QuerySerializer):
    """The two parameters of every list."""

    limit = serializers.IntegerField(
        required=False,
        default=PAGE_DEFAULT,
        min_value=1,
        max_value=PAGE_MAX,
        help_text=f"Rows of a page, at most {PAGE_MAX}.",
    )
    cursor = serializers.CharField(
        required=False,
        default="",
        max_length=64,
        help_text="next_cursor of the page before.",
    )


def encode_cursor(*keys: int) -> str:
    """Return an opaque cursor of one or more 64-bit keys."""
    return base64.urlsafe_b64encode(struct.pack(f">{len(keys)}q", *keys)).decode().rstrip("=")


def decode_cursor(cursor: str, *, parts: int = 1) -> tuple[int, ...] | None:
    """
    Return the keys in a cursor, None for "".

    Raises:
        ApiError: 400 ``INVALID_PARAMETER`` if we cannot have made it.
    """
    if not cursor:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        keys: tuple[int, ...] = struct.unpack(f">{parts}q", raw)
    except (binascii.Error, struct.error, ValueError) as error:
        raise _invalid_cursor() from error
    if any(key < 0 for key in keys):
        raise _invalid_cursor()
    return keys


def _invalid_cursor() -> ApiError:
    return ApiError(
        "INVALID_PARAMETER",
        "A query parameter is unknown or not valid.",
        400,
        fields={"cursor": "INVALID"},
    )


@dataclass(frozen=True, slots=True)
class CursorPage:
    """One page of already rendered items and where the next begins ("" ends the list)."""

    items: list[Any]
    next_cursor: str = ""

    def body(self) -> dict[str, Any]:
        """Return the answer of a list."""
        return {"items": self.items, "next_cursor": self.next_cursor or None}


def page_of(
    rows: Iterable[Any], *, limit: int, key: Callable[[Any], int], render: Callable[[Any], Any]
) -> CursorPage:
    """
    Return one page of rows that a selector fetched, one more than ``limit`` if there are.

    The cursor is the key of the last row shown.
    """
    found = list(rows)
    shown = found[:limit]
    more = encode_cursor(key(shown[-1])) if len(found) > limit and shown else ""
    return CursorPage(items=[render(row) for row in shown], next_cursor=more)
