"""Everything live about one market: book, recent trades, prices, 24 h figures, candles."""

from __future__ import annotations

from collections import deque

from common.ws import topics
from common.ws.frames import DELTA, SNAPSHOT, UPDATE, PublicFrame, body, to_json
from common.ws.projecting import Output
from exchange.core.enums import Side
from exchange.core.events import TradeExecuted
from exchange.core.units import format_atoms
from markets.live.book import LiveBook
from markets.live.statistics import DayWindow, OpenBar, OpenCandle, percent_text
from markets.types import MarketInfo

# Book changes of one market are gathered for this long; the first after a pause goes at once.
BOOK_EVERY_MS = 50
PRICE_EVERY_MS = 100
KLINE_EVERY_MS = 250
# How late a candle may close, or a minute leave the 24 h window.
PASSED_EVERY_MS = 250

NO_CHANGES = ("[]", "[]")
_SIDE_NAMES = {Side.BUY: "buy", Side.SELL: "sell"}


class LiveMarket:
    """
    One market's views and what of them still has to be published.

    ``seq`` of books is the number of the last command they contain, that of trades the last
    trade's id. Prices, tickers and candles also change when time passes, or twice within one
    command: their ``seq`` is the number of a command, or one more than the frame before.
    """

    def __init__(self, info: MarketInfo) -> None:
        """Start empty; ``LiveBook`` stays unpublished until an image arrives."""
        self.info = info
        self.book = LiveBook(
            depths=topics.BOOK_DEPTHS, price=info.price_text, quantity=info.quantity_text
        )
        self.index_atoms = 0
        self.day = DayWindow()
        self.candles = [OpenCandle(name, length) for name, length in topics.INTERVALS_MS.items()]
        self.recent: deque[str] = deque(maxlen=topics.RECENT_TRADES_MAX)
        self.trade_floor = 0
        self.trade_seq = 0
        self._new_trades: list[str] = []
        self._trade_prev = 0
        self._trades_unwritten = True
        self._seq = 0
        # By topic: the sequence of the last whole state.
        self._state_seqs: dict[str, int] = {}
        self._book_image = False
        self._price_dirty = self._ticker_dirty = True
        self._dirty_candles = set(range(len(self.candles)))
        self._ended: list[tuple[OpenCandle, OpenBar]] = []
        self._book_ms = self._price_ms = self._kline_ms = self._passed_ms = 0

    def rename(self, info: MarketInfo) -> None:
        """Take changed metadata; tick and lot change only while the book is empty."""
        if (info.price_decimals, info.quantity_decimals) != (
            self.info.price_decimals,
            self.info.quantity_decimals,
        ):
            book, self.book = (
                self.book,
                LiveBook(
                    depths=topics.BOOK_DEPTHS, price=info.price_text, quantity=info.quantity_text
                ),
            )
            if book.is_known:
                self.take_image([], [], book.seq)
        self.info = info

    def take_image(
        self, bids: list[tuple[int, int]], asks: list[tuple[int, int]], command: int
    ) -> None:
        """Take the exchange's own picture of the book."""
        self.book.replace(bids, asks, command)
        self._book_image = True
        self._ticker_dirty = True
        self._seq = max(self._seq, command)

    def take_index(self, price_atoms: int, command: int) -> None:
        """Take the index price now in use."""
        self.index_atoms = price_atoms
        self._price_dirty = self._ticker_dirty = True
        self._seq = max(self._seq, command)

    def take_trade(self, trade: TradeExecuted, command: int) -> None:
        """Count and publish a trade unless what was restored contains it."""
        if trade.trade_id <= self.trade_seq:
            return
        if not self._new_trades:
            self._trade_prev = self.trade_seq
        self._new_trades.append(self._tape(trade))
        self._seq = max(self._seq, command)
        self._count(trade)

    def restore_trade(self, trade: TradeExecuted) -> None:
        """Take a trade from the tape; the restored candles contain those up to the floor."""
        self._tape(trade)
        if trade.trade_id > self.trade_floor:
            self._count(trade)
        else:
            self.day.last_atoms = trade.price_atoms

    def _tape(self, trade: TradeExecuted) -> str:
        text = to_json(
            {
                "id": str(trade.trade_id),
                "price": self.info.price_text(trade.price_atoms),
                "quantity": self.info.quantity_text(trade.quantity_atoms),
                "side": _SIDE_NAMES[trade.taker_side],
                "time": trade.time_ms,
            }
        )
        self.recent.appendleft(text)
        self.trade_seq = trade.trade_id
        return text

    def _count(self, trade: TradeExecuted) -> None:
        self._price_dirty = self._ticker_dirty = True
        self.day.add(
            time_ms=trade.time_ms,
            price_atoms=trade.price_atoms,
            quantity_atoms=trade.quantity_atoms,
            quote_atoms=trade.quote_atoms,
        )
        for index, candle in enumerate(self.candles):
            ended = candle.add(
                time_ms=trade.time_ms,
                price_atoms=trade.price_atoms,
                quantity_atoms=trade.quantity_atoms,
                quote_atoms=trade.quote_atoms,
            )
            if ended is not None:
                self._ended.append((candle, ended))
            self._dirty_candles.add(index)

    def flush(self, out: Output) -> None:
        """Add the frames and snapshots that are due."""
        self._flush_book(out)
        self._flush_trades(out)
        if out.time_ms - self._passed_ms >= PASSED_EVERY_MS:
            self._let_time_pass(out.time_ms)
        dirty = self._price_dirty or self._ticker_dirty
        if dirty and out.time_ms - self._price_ms >= PRICE_EVERY_MS:
            self._flush_prices(out)
        dirty = bool(self._dirty_candles or self._ended)
        if dirty and out.time_ms - self._kline_ms >= KLINE_EVERY_MS:
            self._flush_candles(out)

    def _let_time_pass(self, time_ms: int) -> None:
        """Drop what left the 24 h window, and close candles whose time is over."""
        self._passed_ms = time_ms
        self._ticker_dirty |= self.day.expire(time_ms)
        for index, candle in enumerate(self.candles):
            if candle.close(time_ms):
                self._dirty_candles.add(index)

    def _flush_book(self, out: Output) -> None:
        book = self.book
        due = self._book_image or (book.is_dirty and out.time_ms - self._book_ms >= BOOK_EVERY_MS)
        if not book.is_known or not due:
            return
        changes = list(zip(book.bids.take_changes(), book.asks.take_changes(), strict=True))
        states = list(zip(book.bids.snapshots(), book.asks.snapshots(), strict=True))
        for index, depth in enumerate(book.depths):
            if self._book_image or changes[index] != NO_CHANGES:
                self._flush_window(out, index, depth, states[index], changes[index])
        self._book_image = book.is_dirty = False
        self._book_ms = out.time_ms
        self._ticker_dirty = True

    def _flush_window(
        self,
        out: Output,
        index: int,
        depth: int,
        state: tuple[str, str],
        changes: tuple[str, str],
    ) -> None:
        """Publish one window of the book, and keep it as the snapshot for who comes later."""
        book = self.book
        topic = topics.book_topic(self.info.market_id, depth)
        data = f'{{{self._head(out, book.seq)},"bids":{state[0]},"asks":{state[1]}}}'
        out.snapshots[topics.snapshot_key(topic)] = data
        if self._book_image:
            # Also who already listens starts over from the picture.
            prev, kind = None, SNAPSHOT
        else:
            prev, kind = book.published_seqs[index], DELTA
            data = f'{{"first":{book.first},"bids":{changes[0]},"asks":{changes[1]}}}'
        text = body(
            epoch=out.epoch, seq=book.seq, prev=prev, kind=kind, time_ms=out.time_ms, data=data
        )
        out.public.append(PublicFrame(topic, book.seq, prev or 0, text))
        book.published_seqs[index] = book.seq

    def _flush_trades(self, out: Output) -> None:
        if not self._new_trades and not self._trades_unwritten:
            return
        topic = topics.topic_of(topics.TRADE, self.info.market_id)
        recent = ",".join(self.recent)
        out.snapshots[topics.snapshot_key(topic)] = (
            f'{{{self._head(out, self.trade_seq)},"trades":[{recent}]}}'
        )
        self._trades_unwritten = False
        if not self._new_trades:
            return
        trades = ",".join(reversed(self._new_trades))
        text = body(
            epoch=out.epoch,
            seq=self.trade_seq,
            prev=self._trade_prev,
            kind=UPDATE,
            time_ms=out.time_ms,
            data=f'{{"symbol":"{self.info.symbol}","trades":[{trades}]}}',
        )
        out.public.append(PublicFrame(topic, self.trade_seq, self._trade_prev, text))
        self._new_trades = []

    def _flush_prices(self, out: Output) -> None:
        if self._price_dirty:
            self._price_dirty = False
            self._state(out, topics.topic_of(topics.PRICE, self.info.market_id), self._price())
        if self._ticker_dirty:
            self._ticker_dirty = False
            self._state(out, topics.topic_of(topics.TICKER, self.info.market_id), self._ticker())
        self._price_ms = out.time_ms

    def _flush_candles(self, out: Output) -> None:
        for candle, bar in self._ended:
            self._candle(out, candle, bar, closed=True)
        self._ended = []
        for index in sorted(self._dirty_candles):
            candle = self.candles[index]
            self._candle(out, candle, candle.bar, closed=candle.closed)
        self._dirty_candles.clear()
        self._kline_ms = out.time_ms

    def _price(self) -> dict[str, str | None]:
        index = self._price_text(self.index_atoms)
        last = self._price_text(self.day.last_atoms)
        return {"price": index or last, "index_price": index, "last_price": last}

    def _ticker(self) -> dict[str, object]:
        day, quote_decimals = self.day, self.info.quote_decimals
        window = day.range_atoms()
        opened, high, low = window or (0, 0, 0)
        change = day.last_atoms - opened if window else 0
        return {
            "last": self._price_text(day.last_atoms),
            "open": self._price_text(opened),
            "high": self._price_text(high),
            "low": self._price_text(low),
            "volume": self.info.quantity_text(day.volume_atoms),
            "quote_volume": format_atoms(day.quote_atoms, quote_decimals),
            "change": self.info.price_text(change) if window else None,
            "change_percent": percent_text(change, opened) if window else None,
            "trade_count": day.count,
            "bid": self._price_text(self.book.bids.best_atoms() or 0),
            "ask": self._price_text(self.book.asks.best_atoms() or 0),
            "index_price": self._price_text(self.index_atoms),
        }

    def _candle(
        self, out: Output, candle: OpenCandle, bar: OpenBar | None, *, closed: bool
    ) -> None:
        values: dict[str, object] = {"interval": candle.interval, "closed": closed}
        if bar is None:
            values |= dict.fromkeys(("open_time", "close_time", "open", "high", "low", "close"))
        else:
            values |= {
                "open_time": bar.open_ms,
                "close_time": bar.open_ms + candle.length_ms,
                "open": self.info.price_text(bar.open_atoms),
                "high": self.info.price_text(bar.high_atoms),
                "low": self.info.price_text(bar.low_atoms),
                "close": self.info.price_text(bar.close_atoms),
            }
        values |= {
            "volume": self.info.quantity_text(bar.volume_atoms if bar else 0),
            "quote_volume": format_atoms(bar.quote_atoms if bar else 0, self.info.quote_decimals),
            "trade_count": bar.count if bar else 0,
        }
        topic = topics.topic_of(topics.KLINE, self.info.market_id, candle.interval)
        self._state(out, topic, values)

    def _state(
        self, out: Output, topic: str, values: dict[str, object] | dict[str, str | None]
    ) -> None:
        """Publish a whole state: as the snapshot, and as a frame that replaces the last one."""
        seq = max(self._seq, self._state_seqs.get(topic, 0) + 1)
        self._state_seqs[topic] = seq
        data = f"{{{self._head(out, seq)},{to_json(values)[1:]}"
        out.snapshots[topics.snapshot_key(topic)] = data
        text = body(epoch=out.epoch, seq=seq, kind=UPDATE, time_ms=out.time_ms, data=data)
        out.public.append(PublicFrame(topic, seq, 0, text))

    def _head(self, out: Output, seq: int) -> str:
        return f'"symbol":"{self.info.symbol}","epoch":{out.epoch},"seq":{seq},"time":{out.time_ms}'

    def _price_text(self, atoms: int) -> str | None:
        return self.info.price_text(atoms) if atoms else None
