"""
The REST API for asyncio.

``rest.py`` is the same for threads and is written from this file by ``generate_sync.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Unpack

from tradingclient import calls, models
from tradingclient.calls import AmendFields, Json, OrderFields, order_ref, plain
from tradingclient.errors import (
    NotFoundError,
    RateLimitedError,
    StatusUnknownError,
    UnavailableError,
)
from tradingclient.money import Amount
from tradingclient.transport_async import AsyncTransport

# How often an order whose answer was lost is asked for before its caller is told.
ASK_ATTEMPTS = 5
ASK_PAUSE_S = 0.5
PAGE = 500


class AsyncRestClient(AsyncTransport):
    """The endpoints of the REST API as methods; see ``AsyncTransport`` for how they are sent."""

    # --- Session ----------------------------------------------------------------------

    async def register(self, username: str, email: str, password: str) -> models.Tokens:
        """Make a user and log it in; this client is that user from now on."""
        tokens = await self._once(calls.register(username, email, password), "")
        self.session.keep(tokens)
        return tokens

    async def login(self) -> None:
        """Log in now instead of with the first request."""
        await self._prepare()

    async def logout(self) -> None:
        """End the session on the platform, and forget it here."""
        try:
            await self._once(calls.logout(), self.session.access_token)
        finally:
            self.session.forget()

    async def profile(self) -> models.User:
        """Return the user."""
        return await self.send(calls.profile())

    async def account(self) -> models.Account:
        """Return settings, fees and limits of the account."""
        return await self.send(calls.account())

    async def ws_ticket(self) -> str:
        """Return a one-time ticket for a WebSocket."""
        return (await self.send(calls.ticket())).ticket

    # --- Markets ----------------------------------------------------------------------

    async def server_time(self) -> int:
        """Return the platform's clock, in milliseconds UTC."""
        return (await self.send(calls.server_time())).time

    async def markets(self) -> list[models.Market]:
        """Return all markets with their rules."""
        return (await self.send(calls.markets())).items

    async def market(self, symbol: str) -> models.Market:
        """Return a market with its rules."""
        return await self.send(calls.market(symbol))

    async def ticker(self, symbol: str) -> models.Ticker:
        """Return the figures of the last 24 hours."""
        return await self.send(calls.ticker(symbol))

    async def order_book(self, symbol: str, *, depth: int | None = None) -> models.BookSnapshot:
        """Return the book as it is now; for a book that follows, see the streams."""
        return await self.send(calls.order_book(symbol, depth))

    async def trades(self, symbol: str, *, limit: int | None = None) -> list[models.Trade]:
        """Return recent trades, newest first."""
        return (await self.send(calls.trades(symbol, limit))).trades

    async def klines(
        self,
        symbol: str,
        *,
        interval: str = "1m",
        source: str | None = None,
        start: int | None = None,
        end: int | None = None,
        limit: int | None = None,
    ) -> list[models.Kline]:
        """Return candles without holes, oldest first; times in milliseconds UTC."""
        query = {
            "interval": interval,
            "source": source,
            "start": start,
            "end": end,
            "limit": limit,
        }
        return (await self.send(calls.klines(symbol, query))).klines

    # --- Orders -----------------------------------------------------------------------

    async def place_order(self, **order: Unpack[OrderFields]) -> models.Order:
        """
        Place an order and return it as placing left it, with its fills.

        An order without a ``client_order_id`` gets a new one, so that it can be asked for when
        the answer is lost: what comes back is what happened.

        Raises:
            UnavailableError: also ``NOT_PLACED`` when the answer was lost and the platform
                says that there is no such order.
            StatusUnknownError: when the platform could not be asked either; its
                ``client_order_id`` is what to ask for later.
        """
        body = plain(order)
        body.setdefault("client_order_id", calls.new_client_order_id())
        try:
            return await self.send(calls.place_order(body))
        except StatusUnknownError as error:
            return await self.resolve(str(body["client_order_id"]), error)

    async def resolve(self, client_order_id: str, unknown: StatusUnknownError) -> models.Order:
        """Ask what became of an order whose answer was lost; errors as ``place_order``."""
        for attempt in range(ASK_ATTEMPTS):
            try:
                return await self.order(client_order_id=client_order_id)
            except NotFoundError as error:
                raise UnavailableError(
                    "NOT_PLACED", "The order was not placed.", request_id=unknown.request_id
                ) from error
            except (UnavailableError, StatusUnknownError, RateLimitedError) as error:
                await asyncio.sleep((error.retry_after or ASK_PAUSE_S) * (attempt + 1))
        unknown.client_order_id = client_order_id
        raise unknown

    async def preview_order(self, **order: Unpack[OrderFields]) -> models.Preview:
        """Return what an order would do if it were placed now."""
        return await self.send(calls.preview_order(plain(order)))

    async def place_oco(
        self,
        *,
        symbol: str,
        side: str,
        quantity: Amount,
        take_profit: Json,
        stop_loss: Json,
        client_order_id: str | None = None,
    ) -> models.OrderGroup:
        """Place a take-profit and a stop-loss over the same funds; one cancels the other."""
        body = {
            "symbol": symbol,
            "side": side,
            "quantity": quantity,
            "take_profit": take_profit,
            "stop_loss": stop_loss,
            "client_order_id": client_order_id,
        }
        return await self.send(calls.place_group("oco", plain(body)))

    async def place_bracket(
        self,
        *,
        symbol: str,
        side: str,
        quantity: Amount,
        entry: Json,
        take_profit: Json | None = None,
        stop_loss: Json | None = None,
        client_order_id: str | None = None,
    ) -> models.OrderGroup:
        """Place an entry with a take-profit, a stop-loss or both against it."""
        body = {
            "symbol": symbol,
            "side": side,
            "quantity": quantity,
            "entry": entry,
            "take_profit": take_profit,
            "stop_loss": stop_loss,
            "client_order_id": client_order_id,
        }
        return await self.send(calls.place_group("bracket", plain(body)))

    async def order(
        self, order_id: str | None = None, *, client_order_id: str | None = None
    ) -> models.Order:
        """Return an order with its newest fills."""
        return await self.send(calls.order(order_ref(order_id, client_order_id)))

    async def amend_order(
        self,
        order_id: str | None = None,
        *,
        client_order_id: str | None = None,
        **changes: Unpack[AmendFields],
    ) -> models.Order:
        """Change quantity (the new whole size), price or trigger price of an open order."""
        ref = order_ref(order_id, client_order_id)
        return await self.send(calls.amend_order(ref, plain(changes)))

    async def cancel_order(
        self, order_id: str | None = None, *, client_order_id: str | None = None
    ) -> models.Order:
        """Cancel an open order and return its last state."""
        return await self.send(calls.cancel_order(order_ref(order_id, client_order_id)))

    async def cancel_all(self, symbol: str | None = None) -> list[models.Order]:
        """Cancel all open orders, or those of a market, however many they are."""
        cancelled: list[models.Order] = []
        while True:
            done = await self.send(calls.cancel_all(symbol))
            cancelled += done.orders
            if done.complete or not done.orders:
                return cancelled

    async def place_orders(self, orders: Sequence[OrderFields]) -> list[models.BatchResult]:
        """Place any number of orders in batches; one result each, in their order."""
        return await self._batches("POST", [plain(order) for order in orders])

    async def amend_orders(self, changes: Sequence[Json]) -> list[models.BatchResult]:
        """Amend orders, each named by ``order_id`` or ``client_order_id``, in batches."""
        return await self._batches("PUT", [plain(change) for change in changes])

    async def cancel_orders(self, order_ids: Sequence[str]) -> list[models.BatchResult]:
        """Cancel any number of orders in batches; one result each, in their order."""
        return await self._batches("DELETE", [order_ref(number, None) for number in order_ids])

    async def _batches(self, method: str, items: Sequence[Json]) -> list[models.BatchResult]:
        results: list[models.BatchResult] = []
        for start in range(0, len(items), calls.BATCH_MAX):
            part = items[start : start + calls.BATCH_MAX]
            results += (await self.send(calls.batch(method, part))).results
        return results

    async def open_orders(self, symbol: str | None = None) -> list[models.Order]:
        """Return all open orders, or those of a market."""
        return [order async for order in self._orders("/api/orders", symbol)]

    async def order_history(self, symbol: str | None = None) -> AsyncIterator[models.Order]:
        """Return ended orders, newest first, fetched page by page."""
        async for order in self._orders("/api/orders/history", symbol):
            yield order

    async def _orders(self, path: str, symbol: str | None) -> AsyncIterator[models.Order]:
        cursor: str | None = None
        while True:
            query = {"symbol": symbol, "limit": PAGE, "cursor": cursor}
            page = await self.send(calls.orders(path, query))
            for order in page.items:
                yield order
            cursor = page.next_cursor
            if cursor is None:
                return

    async def fills(
        self,
        symbol: str | None = None,
        *,
        order_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.Page[models.Fill]:
        """Return a page of own trades, newest first."""
        query = {"symbol": symbol, "order_id": order_id, "limit": limit, "cursor": cursor}
        return await self.send(calls.fills(query))

    # --- Wallets ----------------------------------------------------------------------

    async def balances(self) -> list[models.Balance]:
        """Return the balances of all wallets."""
        return (await self.send(calls.balances())).balances

    async def wallet_history(
        self,
        *,
        currency: str | None = None,
        kind: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.Page[models.LedgerEntry]:
        """Return a page of the ledger, newest first."""
        query = {"currency": currency, "kind": kind, "limit": limit, "cursor": cursor}
        return await self.send(calls.wallet_history(query))

    async def transfer(
        self,
        *,
        currency: str,
        amount: Amount,
        to_username: str | None = None,
        from_wallet: str | None = None,
        to_wallet: str | None = None,
        client_transfer_id: str | None = None,
        two_factor_code: str = "",
    ) -> models.Transfer:
        """
        Move money to another user, or between own wallets.

        With a ``client_transfer_id`` it may be repeated safely. A transfer to another user
        needs a code from users who have a second factor.
        """
        body = {
            "currency": currency,
            "amount": amount,
            "to_username": to_username,
            "from_wallet": from_wallet,
            "to_wallet": to_wallet,
            "client_transfer_id": client_transfer_id,
        }
        call = calls.transfer(plain(body))
        return await self.send(replace(call, two_factor_code=two_factor_code))

    # --- Withdrawals ------------------------------------------------------------------

    async def withdraw(
        self,
        *,
        currency: str,
        amount: Amount,
        address: str,
        client_withdrawal_id: str,
        network: str | None = None,
        memo: str | None = None,
        two_factor_code: str = "",
    ) -> models.Withdrawal:
        """
        Ask for an amount to be paid out to an address of the book; the fee comes on top.

        It may be repeated safely: the same request under its id is the first one. It needs a code
        from users who have a second factor, and no API key may do it.
        """
        body = {
            "currency": currency,
            "amount": amount,
            "address": address,
            "network": network,
            "memo": memo,
            "client_withdrawal_id": client_withdrawal_id,
        }
        call = calls.withdraw(plain(body))
        return await self.send(replace(call, two_factor_code=two_factor_code))

    async def withdrawals(
        self,
        *,
        status: str | None = None,
        currency: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> models.Page[models.Withdrawal]:
        """Return a page of withdrawals, newest first."""
        query = {"status": status, "currency": currency, "limit": limit, "cursor": cursor}
        return await self.send(calls.withdrawals(query))

    async def withdrawal(self, withdrawal_id: str) -> models.Withdrawal:
        """Return one withdrawal."""
        return await self.send(calls.withdrawal(withdrawal_id))

    async def cancel_withdrawal(self, withdrawal_id: str) -> models.Withdrawal:
        """Take a request back that nobody approved yet; its money returns."""
        return await self.send(calls.cancel_withdrawal(withdrawal_id))

    async def withdrawal_addresses(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> models.Page[models.WithdrawalAddress]:
        """Return a page of the address book, newest first."""
        return await self.send(calls.withdrawal_addresses({"limit": limit, "cursor": cursor}))

    async def add_withdrawal_address(
        self,
        *,
        currency: str,
        address: str,
        label: str,
        network: str | None = None,
        memo: str | None = None,
        two_factor_code: str = "",
    ) -> models.WithdrawalAddress:
        """Add an address to the book; it can be used from its ``usable_at`` on."""
        body = {
            "currency": currency,
            "address": address,
            "label": label,
            "network": network,
            "memo": memo,
        }
        call = calls.add_withdrawal_address(plain(body))
        return await self.send(replace(call, two_factor_code=two_factor_code))

    async def remove_withdrawal_address(self, address_id: str) -> None:
        """Remove an address from the book."""
        await self.send(calls.remove_withdrawal_address(address_id))
