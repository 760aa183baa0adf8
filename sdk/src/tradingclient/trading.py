"""Order entry over ``/ws/user``: the orders of REST, answered after the commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, Unpack

import msgspec

from tradingclient import calls, models
from tradingclient.calls import AmendFields, Json, OrderFields, order_ref, plain
from tradingclient.errors import StatusUnknownError
from tradingclient.socket import Connection

Answer = TypeVar("Answer")

_order = msgspec.json.Decoder(models.Order).decode
_group = msgspec.json.Decoder(models.OrderGroup).decode
_batch = msgspec.json.Decoder(models.BatchResults).decode
_cancelled = msgspec.json.Decoder(models.CancelledAll).decode

# What finds out what became of an order whose answer was lost.
Resolve = Callable[[str, StatusUnknownError], Awaitable[models.Order]]


class SocketTrading:
    """
    Places, amends and cancels over the private connection.

    The same arguments, answers and errors as the REST client's. Answers of several requests
    that are under way come in any order; the exchange gets them in the order they were made.
    """

    def __init__(self, connection: Connection, resolve: Resolve) -> None:
        self._connection = connection
        self._resolve = resolve
        self._cancels: dict[str, Json] = {}
        connection.on_connect.append(self._restore)

    async def place_order(self, **order: Unpack[OrderFields]) -> models.Order:
        """Place an order; when the answer is lost, what became of it is asked over REST."""
        body = plain(order)
        body.setdefault("client_order_id", calls.new_client_order_id())
        try:
            return await self._send("place", body, _order)
        except StatusUnknownError as error:
            return await self._resolve(str(body["client_order_id"]), error)

    async def amend_order(
        self,
        order_id: str | None = None,
        *,
        client_order_id: str | None = None,
        **changes: Unpack[AmendFields],
    ) -> models.Order:
        """Change quantity (the new whole size), price or trigger price of an open order."""
        ref = order_ref(order_id, client_order_id)
        return await self._send("amend", ref | plain(changes), _order)

    async def cancel_order(
        self, order_id: str | None = None, *, client_order_id: str | None = None
    ) -> models.Order:
        """Cancel an open order and return its last state."""
        return await self._send("cancel", order_ref(order_id, client_order_id), _order)

    async def cancel_all(self, symbol: str | None = None) -> list[models.Order]:
        """Cancel all open orders, or those of a market, however many they are."""
        cancelled: list[models.Order] = []
        while True:
            done = await self._send("cancel_all", plain({"symbol": symbol}), _cancelled)
            cancelled += done.orders
            if done.complete or not done.orders:
                return cancelled

    async def place_orders(self, orders: Sequence[OrderFields]) -> list[models.BatchResult]:
        """Place any number of orders in batches; one result each, in their order."""
        return await self._batches("place_batch", [plain(order) for order in orders])

    async def amend_orders(self, changes: Sequence[Json]) -> list[models.BatchResult]:
        """Amend orders, each named by ``order_id`` or ``client_order_id``, in batches."""
        return await self._batches("amend_batch", [plain(change) for change in changes])

    async def cancel_orders(self, order_ids: Sequence[str]) -> list[models.BatchResult]:
        """Cancel any number of orders in batches; one result each, in their order."""
        return await self._batches("cancel_batch", [order_ref(item, None) for item in order_ids])

    async def place_oco(self, **fields: Any) -> models.OrderGroup:
        """Place an OCO; the fields of ``POST /api/orders/oco``."""
        return await self._send("place_oco", plain(fields), _group)

    async def place_bracket(self, **fields: Any) -> models.OrderGroup:
        """Place a bracket; the fields of ``POST /api/orders/bracket``."""
        return await self._send("place_bracket", plain(fields), _group)

    async def cancel_on_disconnect(
        self, enabled: bool = True, *, symbol: str | None = None
    ) -> None:
        """
        Let the end of the connection cancel all open orders, or those of a market.

        The platform forgets it with each connection; this client sets it again with the next,
        before anything else.
        """
        params = plain({"enabled": enabled, "symbol": symbol})
        await self._connection.ready()
        await self._connection.request("cancel_on_disconnect", fields={"params": params})
        self._cancels.clear()
        if enabled:
            self._cancels[symbol or ""] = params

    async def _restore(self) -> None:
        for params in self._cancels.values():
            await self._connection.request("cancel_on_disconnect", fields={"params": params})

    async def _batches(self, op: str, items: Sequence[Json]) -> list[models.BatchResult]:
        results: list[models.BatchResult] = []
        for start in range(0, len(items), calls.BATCH_MAX):
            part = {"orders": list(items[start : start + calls.BATCH_MAX])}
            results += (await self._send(op, part, _batch)).results
        return results

    async def _send(self, op: str, params: Json, decode: Callable[[msgspec.Raw], Answer]) -> Answer:
        await self._connection.ready()
        answer = await self._connection.request(op, acts=True, fields={"params": params})
        return decode(answer.data)
