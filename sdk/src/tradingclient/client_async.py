"""The client for asyncio: REST, live market data, one's own account and order entry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import msgspec

from tradingclient import models
from tradingclient.account_state import (
    AccountState,
    BalancesSnapshot,
    FillsSnapshot,
    OrdersSnapshot,
)
from tradingclient.book import OrderBook, decode_change
from tradingclient.credentials import Password, Token
from tradingclient.dispatch import Dispatcher, Handler
from tradingclient.errors import UnavailableError
from tradingclient.frames import Message, Verdict
from tradingclient.login import KeyLogin, TokenLogin
from tradingclient.private_socket import PrivateConnection
from tradingclient.rest_async import AsyncRestClient
from tradingclient.signing import ApiKey
from tradingclient.socket import Connection
from tradingclient.subscriptions import Channel, Login, State
from tradingclient.trading import SocketTrading

BOOK_DEPTH_MAX = 1_000
SNAPSHOT_S = 30.0
# Other names of private streams.
STREAMS = {
    "orders": "orders",
    "fills": "fills",
    "balances": "balances",
    "wallet": "balances",
    "positions": "positions",
}

_price = msgspec.json.Decoder(models.Price).decode
_ticker = msgspec.json.Decoder(models.Ticker).decode
_trades = msgspec.json.Decoder(models.Trades).decode
_kline = msgspec.json.Decoder(models.Kline).decode
_json = msgspec.json.Decoder().decode


class StreamStatus(msgspec.Struct, frozen=True):
    """The event ``status``: a connection has changed its state."""

    namespace: str
    state: State


class AsyncTradingClient:
    """
    Everything over one object; connections are made when they are first needed.

        async with AsyncTradingClient(url, credentials=Password("alice", "...")) as client:
            client.on("price:BTC/USDT", lambda price: print(price.price))
            await client.subscribe_prices(["BTC/USDT"])
            account = await client.subscribe_user_streams()
            await client.trading.place_order(symbol="BTC-USDT", side="buy", ...)

    ``rest`` is the REST client, ``trading`` takes orders over the WebSocket. Events for ``on``:

    - ``price:SYMBOL`` (Price), ``ticker:SYMBOL`` (Ticker), ``trade:SYMBOL`` (Trade),
      ``book:SYMBOL`` (OrderBook), ``kline:SYMBOL:INTERVAL`` (Kline);
    - ``order:update`` (Order), ``fill:update`` (Fill), ``balance:update`` and
      ``wallet:update`` (Balance), ``position:update`` (dict); ``account:snapshot``
      (AccountState) when all open orders came anew: one that ended in between has no update;
    - ``admin:CHANNEL`` (dict); ``status`` (StreamStatus); ``gap`` (the channel's name).
    """

    def __init__(
        self,
        url: str = "http://localhost:3000",
        *,
        credentials: Password | Token | ApiKey | None = None,
        token: str | None = None,
        rest: AsyncRestClient | None = None,
    ) -> None:
        if token is not None:
            credentials = Token(token)
        self.rest = rest or AsyncRestClient(url, credentials=credentials)
        self.account = AccountState()
        self.books: dict[str, OrderBook] = {}
        self._socket_url = url.replace("http", "ws", 1).rstrip("/")
        self._credentials = credentials
        self._events = Dispatcher()
        self._connections: dict[str, Connection] = {}
        self._trading: SocketTrading | None = None
        self._progress = asyncio.Event()
        # Private streams that had a snapshot.
        self._begun: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; open orders stay."""
        await asyncio.gather(*(connection.close() for connection in self._connections.values()))
        await self._events.stop()
        await self.rest.aclose()

    def on(self, event: str, handler: Handler) -> Callable[[], None]:
        """Call a function or coroutine for each event; what is returned ends that."""
        return self._events.on(event, handler)

    def connection(self, namespace: str) -> Connection:
        """Return the connection to ``prices``, ``market``, ``user`` or ``admin``."""
        known = self._connections.get(namespace)
        if known is None:
            known = self._connections[namespace] = self._connect(namespace)
            self._events.start()
        return known

    def _connect(self, namespace: str) -> Connection:
        kind = PrivateConnection if namespace == "user" else Connection

        def on_state(state: State) -> None:
            self._state_changed(namespace, state)

        return kind(
            f"{self._socket_url}/ws/{namespace}",
            login=self._login(namespace),
            on_state=on_state,
        )

    def _login(self, namespace: str) -> Login | None:
        if namespace not in {"user", "admin"}:
            return None
        if isinstance(self._credentials, ApiKey):
            return KeyLogin(self._credentials, f"/ws/{namespace}")
        return TokenLogin(self.rest)

    def _state_changed(self, namespace: str, state: State) -> None:
        channels = self._connections[namespace].channels
        if namespace == "market":
            for text, book in self.books.items():
                known = text in channels and channels[text].rule.last is not None
                book.is_live = known and state is State.LIVE
        elif namespace == "user":
            self._judge_account()
        self._events.emit("status", StreamStatus(namespace, state))

    # --- Public data ------------------------------------------------------------------

    async def subscribe_prices(self, symbols: Iterable[str]) -> None:
        """Follow prices; the event is ``price:SYMBOL``, as the symbol is written here."""
        await self._follow("prices", "price", symbols, _price)

    async def subscribe_tickers(self, symbols: Iterable[str]) -> None:
        """Follow the figures of 24 hours; the event is ``ticker:SYMBOL``."""
        await self._follow("prices", "ticker", symbols, _ticker)

    async def subscribe_trades(self, symbols: Iterable[str]) -> None:
        """Follow trades; the event is ``trade:SYMBOL``, one for each trade, oldest first."""

        def channel(symbol: str) -> Channel:
            text = f"trade:{symbol}"

            def take(frame: Message, verdict: Verdict) -> None:
                if self._lost(text, verdict):
                    return
                # What was missed comes with the next snapshot, among what is known already.
                for trade in reversed(_trades(frame.data).trades):
                    number = int(trade.id)
                    if number > seen[0]:
                        seen[0] = number
                        self._events.emit(text, trade)

            seen = [0]
            return Channel(text, take)

        await self.connection("market").subscribe([channel(symbol) for symbol in symbols])

    async def subscribe_klines(self, symbols: Iterable[str], interval: str = "1m") -> None:
        """Follow the candle now being built; the event is ``kline:SYMBOL:INTERVAL``."""
        names = [f"{symbol}:{interval}" for symbol in symbols]
        await self._follow("market", "kline", names, _kline, latest_only=False)

    async def order_book(self, symbol: str, *, depth: int = BOOK_DEPTH_MAX) -> OrderBook:
        """
        Return a book that follows the platform, once its first snapshot is there.

        ``depth`` is 20, 100 or 1,000 levels a side. The event ``book:SYMBOL`` tells of changes.
        """
        text = f"book:{symbol}" if depth == BOOK_DEPTH_MAX else f"book:{symbol}:{depth}"
        known = self.books.get(text)
        if known is not None:
            await self._until(lambda: known.is_live)
            return known
        book = OrderBook(symbol)

        def take(frame: Message, verdict: Verdict) -> None:
            if self._lost(text, verdict):
                book.is_live = False
            else:
                change = decode_change(frame.data)
                update = book.replace if verdict is Verdict.REPLACE else book.apply
                update(change, epoch=frame.epoch, seq=frame.seq, time=frame.ts)
                self._progress.set()
            self._events.emit(f"book:{symbol}", book, latest_only=True)

        await self.connection("market").subscribe([Channel(text, take)])
        self.books[text] = book
        await self._until(lambda: book.is_live)
        return book

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for snapshots; raises ``SNAPSHOT_TIMEOUT`` when they do not come."""
        try:
            async with asyncio.timeout(SNAPSHOT_S):
                while not condition():
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            raise UnavailableError("SNAPSHOT_TIMEOUT", "No snapshot came.") from None

    async def _follow(
        self,
        namespace: str,
        kind: str,
        names: Iterable[str],
        decode: Callable[[msgspec.Raw], Any],
        *,
        latest_only: bool = True,
    ) -> None:
        def channel(text: str) -> Channel:
            def take(frame: Message, verdict: Verdict) -> None:
                if not self._lost(text, verdict):
                    self._events.emit(text, decode(frame.data), latest_only=latest_only)

            return Channel(text, take)

        channels = [channel(f"{kind}:{name}") for name in names]
        await self.connection(namespace).subscribe(channels)

    def _lost(self, text: str, verdict: Verdict) -> bool:
        if verdict is Verdict.GAP:
            self._events.emit("gap", text)
        return verdict in {Verdict.GAP, Verdict.FORGET}

    # --- One's own account ------------------------------------------------------------

    @property
    def trading(self) -> SocketTrading:
        """Return order entry over the WebSocket."""
        if self._trading is None:
            self._trading = SocketTrading(self.connection("user"), self.rest.resolve)
        return self._trading

    async def subscribe_user_streams(
        self, streams: Iterable[str] = ("orders", "fills", "balances")
    ) -> AccountState:
        """
        Follow one's own ``orders``, ``fills``, ``balances`` (or ``wallet``), ``positions``.

        Returns the account's state once every stream had its snapshot.
        """
        # One name each, in their order; two names of one stream are one subscription.
        names = list(dict.fromkeys(STREAMS.get(name, name) for name in streams))
        connection = self.connection("user")
        new = [name for name in names if name not in connection.channels]
        await connection.subscribe([self._private(name) for name in new])
        self.account.account_id = connection.account_id
        self._judge_account()
        await self._until(lambda: self.account.is_live)
        return self.account

    def _judge_account(self) -> None:
        """Say whether the account's state may be trusted."""
        connection = self._connections["user"]
        rules = [channel.rule for channel in connection.channels.values()]
        complete = bool(rules) and all(rule.is_current for rule in rules)
        self.account.is_live = complete and connection.state is State.LIVE
        self._progress.set()

    def _private(self, name: str) -> Channel:
        take = {
            "orders": self._take_orders,
            "fills": self._take_fills,
            "balances": self._take_balances,
        }.get(name, self._take_other)

        def taken(frame: Message, verdict: Verdict) -> None:
            if verdict is not Verdict.CURRENT and not self._lost(name, verdict):
                take(frame, verdict)
            if verdict is not Verdict.CHANGE:
                self._judge_account()

        return Channel(name, taken)

    def _take_orders(self, frame: Message, verdict: Verdict) -> None:
        if verdict is Verdict.REPLACE:
            snapshot = msgspec.json.decode(frame.data, type=OrdersSnapshot)
            self._tell_news("orders", self.account.replace_orders(snapshot), "order:update")
            self._events.emit("account:snapshot", self.account, latest_only=True)
            return
        order = msgspec.json.decode(frame.data, type=models.Order)
        self.account.set_order(order)
        self._events.emit("order:update", order)

    def _take_fills(self, frame: Message, verdict: Verdict) -> None:
        if verdict is Verdict.REPLACE:
            snapshot = msgspec.json.decode(frame.data, type=FillsSnapshot)
            self._tell_news("fills", self.account.add_fills(snapshot), "fill:update")
            return
        fill = msgspec.json.decode(frame.data, type=models.Fill)
        if self.account.add_fill(fill):
            self._events.emit("fill:update", fill)

    def _take_balances(self, frame: Message, verdict: Verdict) -> None:
        if verdict is Verdict.REPLACE:
            snapshot = msgspec.json.decode(frame.data, type=BalancesSnapshot)
            news = self.account.replace_balances(snapshot)
            self._tell_news("balances", news, "balance:update", "wallet:update")
            return
        balance = msgspec.json.decode(frame.data, type=models.Balance)
        self.account.set_balance(balance)
        self._events.emit("balance:update", balance)
        self._events.emit("wallet:update", balance)

    def _tell_news(self, stream: str, news: Iterable[Any], *events: str) -> None:
        """Tell what a snapshot shows to have happened since the one before."""
        if stream in self._begun:
            for item in news:
                for event in events:
                    self._events.emit(event, item)
        self._begun.add(stream)

    def _take_other(self, frame: Message, verdict: Verdict) -> None:
        if verdict is Verdict.CHANGE:
            name = (frame.channel or "").removesuffix("s")
            self._events.emit(f"{name}:update", _json(frame.data))

    # --- Operators --------------------------------------------------------------------

    async def subscribe_admin(self, channels: Iterable[str]) -> None:
        """Follow channels of ``/ws/admin``; the event is ``admin:CHANNEL``."""

        def channel(name: str) -> Channel:
            def take(frame: Message, verdict: Verdict) -> None:
                if not self._lost(name, verdict):
                    self._events.emit(f"admin:{name}", _json(frame.data), latest_only=True)

            return Channel(name, take)

        await self.connection("admin").subscribe([channel(name) for name in channels])
