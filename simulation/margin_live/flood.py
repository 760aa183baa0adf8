"""
Keeps the exchange's backlog of orders at its bound: ``python -m simulation.margin_live.flood``.

A process of its own that sends through the gateway as a WebSocket process does: very many
clients each place an order, cancel it once it rests, and begin again; one that is told that the
exchange is busy waits a moment. Ends when the file named on the command line appears, leaves
what still waits, and prints what it was answered.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from pathlib import Path
from random import Random

from simulation.margin_live.setup import ATOMS, PERP, PRICE

# More than may wait, and than the exchange does meanwhile.
CLIENTS = 7_500
ACCOUNTS = range(8_000_000, 8_000_200)
BUSY_PAUSE_S = 0.25


class Flood:
    """All clients and what they were answered."""

    def __init__(self, stop: Path) -> None:
        self.answers: Counter[str] = Counter()
        self._stop = stop
        self._random = Random(1)

    async def run(self) -> None:
        """Send until the file is there; what waits then is left to itself."""
        self._clients = [asyncio.create_task(self._client(number)) for number in range(CLIENTS)]
        while not self._stop.exists():  # noqa: ASYNC110 - the word comes from outside
            await asyncio.sleep(0.05)

    async def _client(self, number: int) -> None:
        from exchange.core import commands as c
        from exchange.core.enums import OrderType, Side, TimeInForce

        account = ACCOUNTS[number % len(ACCOUNTS)]
        price = (PRICE * 9 // 10 - number % 500) * ATOMS
        while True:
            order_id = await self._send(
                "order",
                c.PlaceOrder(
                    account, PERP, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, price, ATOMS // 1_000
                ),
            )
            if order_id:
                await self._send("cancel", c.CancelOrder(account, order_id))
            else:
                await asyncio.sleep(BUSY_PAUSE_S * (0.5 + self._random.random()))

    async def _send(self, what: str, command: object) -> int:
        from exchange import gateway
        from exchange.core.rejects import Code

        try:
            outcome = await gateway.submit_async(command)  # type: ignore[arg-type]
        except gateway.ExchangeError as error:
            self.answers[f"{what} {error.code}"] += 1
            return 0
        self.answers[f"{what} {Code(outcome.code).name}"] += 1
        return outcome.reference_id if outcome.code is Code.OK else 0


async def _run(stop: Path) -> None:
    flood = Flood(stop)
    await flood.run()
    sys.stdout.write(json.dumps(flood.answers) + "\n")
    sys.stdout.flush()
    # Thousands of commands are under way, each with five seconds to be answered.
    os._exit(0)


def main(stop: Path) -> None:
    """Set Django up and send."""
    import django
    import uvloop

    django.setup()
    uvloop.run(_run(stop))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
