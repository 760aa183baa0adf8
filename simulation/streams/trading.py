"""Random trading over ``/ws/user``: what moves every channel."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

MIDDLE = 50_000
SPREAD = 40
ANSWER_S = 10.0
# Beyond so many resting orders a trader cancels rather than adds.
OPEN_MAX = 60


class Trader:
    """One account that places, amends and cancels at random, one message after the other."""

    def __init__(self, url: str, token: Callable[[], str], chance: random.Random) -> None:
        self.sent = 0
        self.refused: dict[str, int] = {}
        self._url = url
        self._token = token
        self._chance = chance
        self._open: list[str] = []
        self._socket: ClientConnection | None = None
        self._number = 0

    async def run(self, goes_on: asyncio.Event, per_s: float) -> None:
        """Trade while ``goes_on`` is set, until cancelled; connects again when it must."""
        while True:
            await goes_on.wait()
            try:
                if self._socket is None:
                    self._socket = await self._connect()
                await self._step(self._socket)
            except (OSError, ConnectionClosed, TimeoutError):
                # What is open is not known any more; the account's own list would say.
                if self._socket is not None:
                    self._socket.transport.abort()
                self._socket, self._open = None, []
                await asyncio.sleep(0.2)
            await asyncio.sleep(self._chance.expovariate(per_s))

    async def _connect(self) -> ClientConnection:
        socket = await connect(self._url, compression=None)
        await socket.send(json.dumps({"op": "auth", "token": self._token()}))
        await asyncio.wait_for(socket.recv(), ANSWER_S)
        return socket

    async def _step(self, socket: ClientConnection) -> None:
        chance = self._chance
        roll = chance.random()
        if self._open and (roll < 0.3 or len(self._open) > OPEN_MAX):
            order_id = self._open.pop(chance.randrange(len(self._open)))
            await self._ask(socket, "cancel", {"order_id": order_id})
        elif self._open and roll < 0.4:
            order_id = chance.choice(self._open)
            params = {"order_id": order_id, "quantity": f"0.{chance.randint(1, 9)}"}
            await self._ask(socket, "amend", params)
        elif roll < 0.5:
            orders = [self._order() for _ in range(chance.randint(1, 5))]
            await self._ask(socket, "place_batch", {"orders": orders})
        else:
            await self._ask(socket, "place", self._order())

    def _order(self) -> dict[str, str]:
        chance = self._chance
        side = chance.choice(("buy", "sell"))
        order = {"symbol": "BTC-USDT", "side": side, "quantity": f"0.{chance.randint(1, 99):02d}"}
        if chance.random() < 0.1:
            return {**order, "type": "market"}
        away = chance.randint(-SPREAD // 4, SPREAD)
        price = MIDDLE - away if side == "buy" else MIDDLE + away
        return {**order, "type": "limit", "price": str(price)}

    async def _ask(self, socket: ClientConnection, op: str, params: Any) -> None:
        self._number += 1
        await socket.send(json.dumps({"op": op, "id": self._number, "params": params}))
        self.sent += 1
        answer = json.loads(await asyncio.wait_for(socket.recv(), ANSWER_S))
        if answer["type"] == "auth_expired":
            # A new connection brings a new token.
            raise TimeoutError
        if answer["type"] == "error":
            code = answer["error"]["code"]
            self.refused[code] = self.refused.get(code, 0) + 1
            return
        data = answer["data"]
        placed = [data] if op == "place" else []
        placed += [result["order"] for result in data.get("results", ()) if "order" in result]
        self._open += [order["id"] for order in placed if order["status"] == "open"]
