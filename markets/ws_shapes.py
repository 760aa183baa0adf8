"""
Shapes of what public channels carry, for the AsyncAPI document.

The projector writes these as text, so nothing here is used while it runs; tests hold every
frame that a socket received to these shapes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

# Price and whole quantity now resting there, decimal strings; 0 removes the level.
Level = tuple[str, str]


class _State(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    symbol: str
    epoch: int
    seq: int
    time: int


class Price(_State, forbid_unknown_fields=True, kw_only=True):
    """The price: of the index, or the last trade's where there is no index."""

    price: str | None
    index_price: str | None
    last_price: str | None


class Ticker(_State, forbid_unknown_fields=True, kw_only=True):
    """Statistics of the last 24 hours; what is not known is null."""

    last: str | None
    open: str | None
    high: str | None
    low: str | None
    volume: str
    quote_volume: str
    change: str | None
    change_percent: str | None
    trade_count: int
    bid: str | None
    ask: str | None
    index_price: str | None


class Kline(_State, forbid_unknown_fields=True, kw_only=True):
    """The candle that trades now go into, or one that has just closed."""

    interval: Literal["1m", "5m", "15m", "1h", "4h", "1d"]
    closed: bool
    open_time: int | None
    close_time: int | None
    open: str | None
    high: str | None
    low: str | None
    close: str | None
    volume: str
    quote_volume: str
    trade_count: int


class Book(_State, forbid_unknown_fields=True, kw_only=True):
    """The window of a book, best prices first."""

    bids: list[Level]
    asks: list[Level]


class BookChanges(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Levels that changed; ``first`` is the first command gathered in the frame."""

    first: int
    bids: list[Level]
    asks: list[Level]


class Trade(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One trade of the tape; ``side`` is the taker's."""

    id: str
    price: str
    quantity: str
    side: Literal["buy", "sell"]
    time: int


class Tape(_State, forbid_unknown_fields=True, kw_only=True):
    """The recent trades, newest first."""

    trades: list[Trade]


class NewTrades(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Trades since the frame before, newest first."""

    symbol: str
    trades: list[Trade]
