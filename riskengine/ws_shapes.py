"""Shapes of what the public channels of perpetual markets carry, for the AsyncAPI document."""

from __future__ import annotations

from typing import Literal

import msgspec


class _State(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    symbol: str
    epoch: int
    seq: int
    time: int


class Mark(_State, forbid_unknown_fields=True, kw_only=True):
    """What positions are judged by; ``state`` says how far the index is believed."""

    mark_price: str
    index_price: str | None
    state: Literal["live", "degraded", "missing"]
    marked_at: int
    open_interest: str
    open_interest_value: str


class Funding(_State, forbid_unknown_fields=True, kw_only=True):
    """Last and predicted rate of an interval (positive: longs pay), and when it ends."""

    funding_rate: str
    predicted_rate: str
    next_funding_time: int | None


class Liquidation(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One step of the ladder; ``match`` went through the book, others have no fee."""

    id: str
    kind: Literal["match", "takeover", "deleveraging", "settlement"]
    side: Literal["buy", "sell"]
    price: str
    quantity: str
    value: str
    mark_price: str
    time: int


class Liquidations(_State, forbid_unknown_fields=True, kw_only=True):
    """The recent steps, newest first."""

    liquidations: list[Liquidation]


class NewLiquidations(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Steps since the frame before, newest first."""

    symbol: str
    liquidations: list[Liquidation]
