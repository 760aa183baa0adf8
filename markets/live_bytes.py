"""
The projector's own bytes, as REST answers them.

What the live process keeps in Redis is already JSON; here it is passed on, cut to size and
given what else is known, without being taken apart further than that.
"""

from typing import TypeVar

import msgspec
import redis

from common import redis as redis_clients
from common.decimals import parse_atoms
from common.errors import ApiError
from common.ws import topics
from exchange import gateway
from exchange.core.enums import MarketKind
from markets.candles import Bar
from markets.feeds import keys
from markets.types import BookLevels, MarketInfo

_Part = TypeVar("_Part", bound=msgspec.Struct)

# What a ticker says about the index when nobody feeds prices.
_NO_INDEX = b'{"index_state":"halted","index_source":null,"index_time":null}'


class _Levels(msgspec.Struct):
    bids: list[msgspec.Raw]
    asks: list[msgspec.Raw]


class _Book(msgspec.Struct):
    seq: int
    time: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class _Prices(msgspec.Struct):
    index_price: str | None = None
    last_price: str | None = None


class _LiveMark(msgspec.Struct):
    mark_price: str
    state: str


class _Mark(msgspec.Struct):
    mark_price: str | None = None
    open_interest: str | None = None
    open_interest_value: str | None = None


class _Funding(msgspec.Struct):
    funding_rate: str | None = None
    predicted_rate: str | None = None
    next_funding_time: int | None = None


class _Trades(msgspec.Struct):
    trades: list[msgspec.Raw]


class _Head(msgspec.Struct):
    symbol: str
    epoch: int
    seq: int
    time: int


class _Kline(msgspec.Struct):
    open_time: int | None
    open: str | None
    high: str | None
    low: str | None
    close: str | None
    volume: str
    quote_volume: str
    trade_count: int


def ticker_bytes(market: MarketInfo) -> bytes:
    """
    Return a market's ticker with the state of its index price, of a perpetual with its marks.

    Raises:
        ApiError: 503 ``MARKET_DATA_UNAVAILABLE`` when nothing live is known.
    """
    names = [topics.ticker_key(market.market_id), keys.index_key(market.market_id)]
    if market.kind is not MarketKind.PERPETUAL:
        ticker, index = _read(*names)
        return _marked(_joined(_known(ticker), index or _NO_INDEX))
    names += [topics.mark_key(market.market_id), topics.funding_key(market.market_id)]
    ticker, index, mark, funding = _read(*names)
    whole = _joined(_known(ticker), index or _NO_INDEX)
    for known in (_decoded(mark, _Mark), _decoded(funding, _Funding)):
        whole = _joined(whole, msgspec.json.encode(known))
    return _marked(whole)


def live_marks(market_ids: list[int]) -> dict[int, int]:
    """
    Return the published mark prices of perpetual markets whose price is healthy.

    Raises:
        redis.RedisError: if Redis cannot be asked.
    """
    found: list[bytes | None] = redis_clients.client().mget(  # type: ignore[assignment]
        [topics.mark_key(market_id) for market_id in market_ids]
    )
    marks = {
        market_id: msgspec.json.decode(raw, type=_LiveMark)
        for market_id, raw in zip(market_ids, found, strict=True)
        if raw is not None
    }
    return {
        market_id: parse_atoms(mark.mark_price, field="mark_price")
        for market_id, mark in marks.items()
        if mark.state == "live"
    }


def book_bytes(market: MarketInfo, depth: int) -> bytes:
    """
    Return the best ``depth`` levels of both sides.

    Raises:
        ApiError: 503 ``MARKET_DATA_UNAVAILABLE`` when nothing live is known.
    """
    (raw,) = _read(topics.book_key(market.market_id))
    book = _known(raw)
    if depth < topics.BOOK_DEPTH_MAX:
        levels = msgspec.json.decode(book, type=_Levels)
        if len(levels.bids) > depth or len(levels.asks) > depth:
            cut = _Levels(levels.bids[:depth], levels.asks[:depth])
            book = _joined(_head(book), msgspec.json.encode(cut))
    return _marked(book)


def book_levels(market: MarketInfo) -> BookLevels:
    """
    Return the published book and prices of a market in atoms.

    Raises:
        ApiError: 503 ``MARKET_DATA_UNAVAILABLE`` when nothing live is known.
    """
    raw, prices = _read(topics.book_key(market.market_id), topics.price_key(market.market_id))
    book = msgspec.json.decode(_known(raw), type=_Book)
    known = msgspec.json.decode(prices, type=_Prices) if prices else _Prices()
    return BookLevels(
        bids=[_level(*level) for level in book.bids],
        asks=[_level(*level) for level in book.asks],
        index_atoms=_price_atoms(known.index_price),
        last_atoms=_price_atoms(known.last_price),
        seq=book.seq,
        time_ms=book.time,
    )


def trades_bytes(market: MarketInfo, limit: int) -> bytes:
    """
    Return the ``limit`` newest trades, newest first.

    Raises:
        ApiError: 503 ``MARKET_DATA_UNAVAILABLE`` when nothing live is known.
    """
    (raw,) = _read(topics.trades_key(market.market_id))
    recent = _known(raw)
    trades = msgspec.json.decode(recent, type=_Trades).trades
    if len(trades) > limit:
        recent = _joined(_head(recent), msgspec.json.encode(_Trades(trades[:limit])))
    return _marked(recent)


def open_trade_bar(market: MarketInfo, interval: str) -> Bar | None:
    """Return the candle that trades are now going into; None when that is not known."""
    try:
        (raw,) = _read(topics.kline_key(market.market_id, interval))
    except ApiError:
        return None
    if raw is None:
        return None
    kline = msgspec.json.decode(raw, type=_Kline)
    if kline.open_time is None:
        return None
    return Bar(
        open_ms=kline.open_time,
        open_atoms=parse_atoms(kline.open, field="open"),
        high_atoms=parse_atoms(kline.high, field="high"),
        low_atoms=parse_atoms(kline.low, field="low"),
        close_atoms=parse_atoms(kline.close, field="close"),
        volume_atoms=parse_atoms(kline.volume, field="volume"),
        quote_atoms=parse_atoms(kline.quote_volume, field="quote_volume"),
        trade_count=kline.trade_count,
    )


def _decoded(raw: bytes | None, kind: type[_Part]) -> _Part:
    return kind() if raw is None else msgspec.json.decode(raw, type=kind)


def _level(price: str, quantity: str) -> tuple[int, int]:
    return parse_atoms(price, field="price"), parse_atoms(quantity, field="quantity")


def _price_atoms(text: str | None) -> int:
    return parse_atoms(text, field="price") if text else 0


def _unavailable() -> ApiError:
    return ApiError("MARKET_DATA_UNAVAILABLE", "Market data is not available right now.", 503)


def _known(raw: bytes | None) -> bytes:
    if raw is None:
        raise _unavailable()
    return raw


def _read(*names: str) -> list[bytes | None]:
    try:
        found: list[bytes | None] = redis_clients.client().mget(names)  # type: ignore[assignment]
    except redis.RedisError as error:
        raise _unavailable() from error
    return found


def _head(document: bytes) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(document, type=_Head))


def _joined(document: bytes, more: bytes) -> bytes:
    """Return two JSON objects as one; both have members."""
    return document[:-1] + b"," + more[1:]


def _marked(document: bytes) -> bytes:
    """Say so, and since when, if the exchange is not running."""
    try:
        is_down = gateway.status().down
    except gateway.ExchangeError:
        is_down = True
    if not is_down:
        return document
    as_of = msgspec.json.decode(document, type=_Head).time
    return _joined(document, b'{"stale":true,"as_of":%d}' % as_of)
