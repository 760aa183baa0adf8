"""The client for programs without asyncio: the same, with its streams in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Self, TypeVar, Unpack

from tradingclient import models
from tradingclient.account_state import AccountState
from tradingclient.book import OrderBook
from tradingclient.calls import AmendFields, Json, OrderFields
from tradingclient.client_async import BOOK_DEPTH_MAX, AsyncTradingClient
from tradingclient.credentials import Password, Token
from tradingclient.dispatch import Handler
from tradingclient.errors import UnavailableError
from tradingclient.rest import RestClient
from tradingclient.signing import ApiKey

Result = TypeVar("Result")

# Longer than any request inside may take, asking for a lost answer included.
CALL_S = 60.0


class TradingClient:
    """
    ``AsyncTradingClient`` for threads; its events and ``rest`` are the same.

    Streams live in a background thread that starts with the first of them. Handlers are called
    there, one after the other, and may use ``rest`` and nothing else of this client: whatever
    waits for the thread would wait for itself.
    """

    def __init__(
        self,
        url: str = "http://localhost:3000",
        *,
        credentials: Password | Token | ApiKey | None = None,
        token: str | None = None,
    ) -> None:
        if token is not None:
            credentials = Token(token)
        self.rest = RestClient(url, credentials=credentials)
        self._url = url
        self._credentials = credentials
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._streams: AsyncTradingClient | None = None
        self._starting = threading.Lock()
        self.trading = SyncSocketTrading(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections and end the thread; open orders stay."""
        with self._starting:
            loop, thread, streams = self._loop, self._thread, self._streams
            self._loop = self._thread = self._streams = None
        if loop is not None and thread is not None and streams is not None:
            asyncio.run_coroutine_threadsafe(streams.aclose(), loop).result(CALL_S)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
        self.rest.close()

    @property
    def streams(self) -> AsyncTradingClient:
        """Return the client inside the thread, for reading its states."""
        with self._starting:
            if self._streams is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="tradingclient", daemon=True
                )
                self._thread.start()
                self._streams = AsyncTradingClient(self._url, credentials=self._credentials)
            return self._streams

    def run(self, make: Callable[[AsyncTradingClient], Awaitable[Result]]) -> Result:
        """
        Run a coroutine of the streams' client in its thread and return its result.

        Raises:
            RuntimeError: inside a handler, where it could never end.
            UnavailableError: ``TIMEOUT`` when it does not end in time.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("handlers may not wait for the client's own thread: use rest")
        streams = self.streams
        loop = self._loop
        if loop is None:
            raise UnavailableError("CLOSED", "The client is closed.")

        async def made() -> Result:
            # In the thread of the loop already: making the coroutine may start connections.
            return await make(streams)

        future = asyncio.run_coroutine_threadsafe(made(), loop)
        try:
            return future.result(CALL_S)
        except TimeoutError:
            future.cancel()
            raise UnavailableError("TIMEOUT", f"No end within {CALL_S} s.") from None

    def on(self, event: str, handler: Handler) -> Callable[[], None]:
        """Call a function for each event, in the background thread; what is returned ends that."""
        return self.streams.on(event, handler)

    @property
    def account(self) -> AccountState:
        """Return one's own account as the streams keep it."""
        return self.streams.account

    def subscribe_prices(self, symbols: Iterable[str]) -> None:
        """Follow prices; the event is ``price:SYMBOL``."""
        self.run(lambda streams: streams.subscribe_prices(symbols))

    def subscribe_tickers(self, symbols: Iterable[str]) -> None:
        """Follow the figures of 24 hours; the event is ``ticker:SYMBOL``."""
        self.run(lambda streams: streams.subscribe_tickers(symbols))

    def subscribe_trades(self, symbols: Iterable[str]) -> None:
        """Follow trades; the event is ``trade:SYMBOL``."""
        self.run(lambda streams: streams.subscribe_trades(symbols))

    def subscribe_klines(self, symbols: Iterable[str], interval: str = "1m") -> None:
        """Follow the candle now being built; the event is ``kline:SYMBOL:INTERVAL``."""
        self.run(lambda streams: streams.subscribe_klines(symbols, interval))

    def order_book(self, symbol: str, *, depth: int = BOOK_DEPTH_MAX) -> OrderBook:
        """Return a book that follows the platform; read it, do not change it."""
        return self.run(lambda streams: streams.order_book(symbol, depth=depth))

    def subscribe_user_streams(
        self, streams: Iterable[str] = ("orders", "fills", "balances")
    ) -> AccountState:
        """Follow one's own account and return its state."""
        return self.run(lambda client: client.subscribe_user_streams(streams))

    def subscribe_admin(self, channels: Iterable[str]) -> None:
        """Follow channels of ``/ws/admin``; the event is ``admin:CHANNEL``."""
        self.run(lambda streams: streams.subscribe_admin(channels))


class SyncSocketTrading:
    """Order entry over the WebSocket, for threads; see ``SocketTrading``."""

    def __init__(self, client: TradingClient) -> None:
        self._client = client

    def place_order(self, **order: Unpack[OrderFields]) -> models.Order:
        """Place an order."""
        return self._client.run(lambda streams: streams.trading.place_order(**order))

    def amend_order(
        self,
        order_id: str | None = None,
        *,
        client_order_id: str | None = None,
        **changes: Unpack[AmendFields],
    ) -> models.Order:
        """Amend an open order."""
        return self._client.run(
            lambda streams: streams.trading.amend_order(
                order_id, client_order_id=client_order_id, **changes
            )
        )

    def cancel_order(
        self, order_id: str | None = None, *, client_order_id: str | None = None
    ) -> models.Order:
        """Cancel an open order."""
        return self._client.run(
            lambda streams: streams.trading.cancel_order(order_id, client_order_id=client_order_id)
        )

    def cancel_all(self, symbol: str | None = None) -> list[models.Order]:
        """Cancel all open orders, or those of a market."""
        return self._client.run(lambda streams: streams.trading.cancel_all(symbol))

    def place_orders(self, orders: Sequence[OrderFields]) -> list[models.BatchResult]:
        """Place any number of orders in batches."""
        return self._client.run(lambda streams: streams.trading.place_orders(orders))

    def amend_orders(self, changes: Sequence[Json]) -> list[models.BatchResult]:
        """Amend orders in batches."""
        return self._client.run(lambda streams: streams.trading.amend_orders(changes))

    def cancel_orders(self, order_ids: Sequence[str]) -> list[models.BatchResult]:
        """Cancel any number of orders in batches."""
        return self._client.run(lambda streams: streams.trading.cancel_orders(order_ids))

    def cancel_on_disconnect(self, enabled: bool = True, *, symbol: str | None = None) -> None:
        """Let the end of the connection cancel all open orders, or those of a market."""
        self._client.run(
            lambda streams: streams.trading.cancel_on_disconnect(enabled, symbol=symbol)
        )
