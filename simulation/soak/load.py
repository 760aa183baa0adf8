"""REST load of a soak: one account that places, cancels and reads, a request at a time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx

MIDDLE = 50_000
OPEN_MAX = 40
READS = (
    "/api/orders",
    "/api/wallet",
    "/api/fills",
    "/api/markets/BTC-USDT/orderbook",
    "/api/markets/BTC-USDT/ticker",
    "/api/markets/BTC-USDT/trades",
)


class RestTrader:
    """One account over REST; ``answers`` counts codes, ``server_errors`` is what must be 0."""

    def __init__(self, url: str, token: Callable[[], str], chance: random.Random) -> None:
        self.answers: Counter[str] = Counter()
        self.server_errors = 0
        self._url = url
        self._token = token
        self._chance = chance
        self._open: list[str] = []

    async def run(self, per_s: float) -> None:
        """Send requests at random times, ``per_s`` on average, until cancelled."""
        async with httpx.AsyncClient(base_url=self._url, timeout=15.0) as http:
            while True:
                await asyncio.sleep(self._chance.expovariate(per_s))
                try:
                    await self._step(http)
                except httpx.HTTPError as error:
                    self.answers[type(error).__name__] += 1

    async def _step(self, http: httpx.AsyncClient) -> None:
        chance = self._chance
        roll = chance.random()
        if roll < 0.4:
            await self._ask(http, "GET", chance.choice(READS))
        elif self._open and (roll < 0.6 or len(self._open) > OPEN_MAX):
            order_id = self._open.pop(chance.randrange(len(self._open)))
            await self._ask(http, "DELETE", f"/api/orders/{order_id}")
        else:
            side = chance.choice(("buy", "sell"))
            away = chance.randint(-5, 40)
            price = MIDDLE - away if side == "buy" else MIDDLE + away
            quantity = f"0.{chance.randint(1, 99):02d}"
            body = {"symbol": "BTC-USDT", "side": side, "type": "limit", "price": str(price)}
            placed = await self._ask(http, "POST", "/api/orders", {**body, "quantity": quantity})
            if placed.get("status") == "open":
                self._open.append(placed["id"])

    async def _ask(
        self, http: httpx.AsyncClient, method: str, path: str, body: Any = None
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token()}"}
        answer = await http.request(method, path, json=body, headers=headers)
        code = f"{method} {answer.status_code}"
        if answer.status_code >= 400:
            code += f" {answer.json()['error']['code']}"
        self.answers[code] += 1
        # 503 and 504 are documented answers of a busy exchange.
        if answer.status_code >= 500 and answer.status_code not in (503, 504):
            self.server_errors += 1
        content = answer.json() if answer.content else {}
        return content if isinstance(content, dict) else {}
