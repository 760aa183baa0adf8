"""What an export is limited to; kept as JSON in its row."""

from __future__ import annotations

import msgspec


class Filters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A period, half open, in ms UTC; an account and a market where they are given."""

    since_ms: int
    until_ms: int
    account_id: int | None = None
    market_id: int | None = None


def encode_filters(filters: Filters) -> str:
    """Return filters as they are kept."""
    return msgspec.json.encode(filters).decode()


def decode_filters(text: str) -> Filters:
    """Return kept filters."""
    return msgspec.json.decode(text, type=Filters)
