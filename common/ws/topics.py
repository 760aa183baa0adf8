"""
Names of everything live: channels as clients write them, topics, Redis keys and channels.

A *channel* is what a client subscribes to (``book:BTC-USDT``, also ``book:BTC/USDT``) and is
echoed as it was written. A *topic* is the same thing by market id (``book:1``), the form in
which the projector publishes and the hub routes. Keys and pub/sub channels carry
``settings.REDIS_PREFIX``, so that installations can share one Redis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings

PRICE = "price"
TICKER = "ticker"
TRADE = "trade"
BOOK = "book"
KLINE = "kline"
MARK = "mark"
FUNDING = "funding"
LIQUIDATIONS = "liquidations"

ORDERS = "orders"
FILLS = "fills"
BALANCES = "balances"
POSITIONS = "positions"
MARGIN = "margin"
NOTICES = "notices"
WITHDRAWALS = "withdrawals"

# Spellings that clients of other exchanges and of the product sheet use.
ALIASES = {
    "trades": TRADE,
    "orderbook": BOOK,
    "klines": KLINE,
    "candles": KLINE,
    "prices": PRICE,
    "statistics": TICKER,
    "stats": TICKER,
    "wallet": BALANCES,
    "mark_price": MARK,
    "liquidation": LIQUIDATIONS,
}
# Names of events that the product sheet's clients listen to, as names of channels.
EVENTS = {
    "order:update": ORDERS,
    "fill:update": FILLS,
    "balance:update": BALANCES,
    "wallet:update": BALANCES,
    "position:update": POSITIONS,
}
# What only perpetual markets have.
PERPETUAL_KINDS = frozenset({MARK, FUNDING, LIQUIDATIONS})
PUBLIC_KINDS = frozenset({PRICE, TICKER, TRADE, BOOK, KLINE}) | PERPETUAL_KINDS
PRIVATE_KINDS = frozenset({ORDERS, FILLS, BALANCES, POSITIONS, MARGIN, NOTICES, WITHDRAWALS})

# Kinds whose frames build on each other; the others are whole states, the latest wins.
DELTA_KINDS = frozenset({BOOK, TRADE, LIQUIDATIONS})

INTERVALS_MS = {
    "1m": 60_000,
    "5m": 300_000,
    "15m": 900_000,
    "1h": 3_600_000,
    "4h": 14_400_000,
    "1d": 86_400_000,
}

# Levels per side that are published and kept for snapshots: the whole window, which is the
# default, then the smaller ones.
BOOK_DEPTHS = (1_000, 100, 20)
BOOK_DEPTH_MAX = BOOK_DEPTHS[0]
_DEPTH_NAMES = {str(depth): depth for depth in BOOK_DEPTHS}
# Trades kept for the snapshot of a trade channel and for REST.
RECENT_TRADES_MAX = 500


class UnknownChannelError(ValueError):
    """The text names no channel."""


@dataclass(frozen=True, slots=True)
class Channel:
    """
    A parsed channel: its text as subscribed, kind and (public) market.

    ``part`` is the interval of a kline, or the depth of a book that is not the whole window.
    """

    text: str
    kind: str
    market_id: int = 0
    part: str = ""

    @property
    def topic(self) -> str:
        """Return the topic of a public channel."""
        return topic_of(self.kind, self.market_id, self.part)


def topic_of(kind: str, market_id: int, part: str = "") -> str:
    """Return the topic of a public kind, by market id and interval (kline) or depth (book)."""
    return f"{kind}:{market_id}:{part}" if part else f"{kind}:{market_id}"


def book_topic(market_id: int, depth: int) -> str:
    """Return the topic of a book of one of ``BOOK_DEPTHS``."""
    return topic_of(BOOK, market_id, "" if depth == BOOK_DEPTH_MAX else str(depth))


def symbol_of(text: str) -> str:
    """
    Return the symbol inside the text of a public channel, "" when it has none.

    A symbol may itself hold a colon (``BTC/USDT:USDT``), so a kline's interval is what
    follows the last one, and a book's depth too if it is one.
    """
    head, _, rest = text.partition(":")
    kind = ALIASES.get(head, head)
    symbol, _, last = rest.rpartition(":")
    if kind == KLINE or (kind == BOOK and last in _DEPTH_NAMES):
        return symbol
    return rest


def private_kind(text: str) -> str | None:
    """Return the kind of one's own channel that a text names, None if it names none."""
    kind = EVENTS.get(text) or ALIASES.get(text, text)
    return kind if kind in PRIVATE_KINDS else None


def parse_channel(text: str, market_id_of: Callable[[str], int]) -> Channel:
    """
    Parse a channel as a client writes it; kinds are lower case, aliases are accepted.

    ``market_id_of`` resolves a symbol in any accepted spelling.

    Raises:
        UnknownChannelError: for an unknown kind, interval or a malformed text.
        LookupError: whatever ``market_id_of`` raises for an unknown symbol passes through.
    """
    head, _, rest = text.partition(":")
    private = private_kind(text)
    if private is not None:
        return Channel(text=text, kind=private)
    kind = ALIASES.get(head, head)
    symbol = symbol_of(text)
    if kind not in PUBLIC_KINDS or not symbol:
        raise UnknownChannelError(text)
    part = "" if symbol == rest else rest.rpartition(":")[2]
    if kind == KLINE and part not in INTERVALS_MS:
        raise UnknownChannelError(text)
    if kind == BOOK and part == str(BOOK_DEPTH_MAX):
        part = ""
    return Channel(text=text, kind=kind, market_id=market_id_of(symbol), part=part)


def _key(name: str) -> str:
    return f"{settings.REDIS_PREFIX}{name}"


def snapshot_key(topic: str) -> str:
    """
    Return the key of a topic's latest snapshot: JSON bytes, the ``data`` of a snapshot frame.

    Every snapshot is an object that holds ``epoch``, ``seq``, ``time`` and ``symbol``. It is
    written in the same transaction that publishes the frame with this ``seq``.
    """
    return _key(topic)


def book_key(market_id: int) -> str:
    """
    Return the key of a market's book: JSON bytes, up to ``BOOK_DEPTH_MAX`` levels a side.

    ``{"symbol", "epoch", "seq", "time", "bids": [["price", "quantity"], ...], "asks": [...]}``
    with the best price first; ``seq`` is the number of the last command it contains.
    """
    return snapshot_key(topic_of(BOOK, market_id))


def ticker_key(market_id: int) -> str:
    """Return the key of a market's 24 h ticker: JSON bytes as the ticker channel's data."""
    return snapshot_key(topic_of(TICKER, market_id))


def price_key(market_id: int) -> str:
    """Return the key of a market's prices (index, last): JSON bytes as the price channel's data."""
    return snapshot_key(topic_of(PRICE, market_id))


def trades_key(market_id: int) -> str:
    """Return the key of the recent trades: an object whose ``trades`` are newest first."""
    return snapshot_key(topic_of(TRADE, market_id))


def kline_key(market_id: int, interval: str) -> str:
    """Return the key of the candle now being built: JSON bytes as the kline channel's data."""
    return snapshot_key(topic_of(KLINE, market_id, interval))


def mark_key(market_id: int) -> str:
    """Return the key of a perpetual's mark price: JSON bytes as the mark channel's data."""
    return snapshot_key(topic_of(MARK, market_id))


def funding_key(market_id: int) -> str:
    """Return the key of a perpetual's funding: JSON bytes as the funding channel's data."""
    return snapshot_key(topic_of(FUNDING, market_id))


def frames_channel() -> str:
    """Return the pub/sub channel that carries all frames, packed per flush."""
    return _key("live:frames")


def epoch_key() -> str:
    """Return the key of the epoch of the projector that publishes now."""
    return _key("live:epoch")


def leader_key() -> str:
    """Return the key that says which projector publishes; it expires unless renewed."""
    return _key("live:leader")


def ring_key(epoch: int, account_id: int) -> str:
    """Return the key of an account's recent private frames, for ``from_seq``."""
    return _key(f"live:ring:{epoch}:{account_id}")


def watched_key() -> str:
    """Return the key of the sorted set of watched accounts, by the last request (ms)."""
    return _key("live:watched")


def notices_key() -> str:
    """Return the key of the list of notices to accounts that the projector is to send."""
    return _key("live:notices")


def watch_requests_key() -> str:
    """Return the key of the list of account ids that the projector is asked to watch now."""
    return _key("live:watch-requests")
