"""
Load from outside the exchange's process: through the gateway and through HTTP.

``python -m simulation.kill.clients gateway|http HISTORY STOP_FILE ACCOUNT...`` runs until
the stop file appears, then settles: every request whose fate is unknown is sent once more
under its client id, as the guide tells clients to.
"""

from __future__ import annotations

import argparse
import os
import random
import threading
import time
from pathlib import Path
from typing import Any, Protocol

from simulation.kill.history import ACCEPTED, NOT_SENT, REFUSED, UNKNOWN, History

ATOMS = 10**8
MARKET = 1
SYMBOL = "BTC-USDT"
MIDDLE = 50_000
THREADS = 3
# Traders think; without it they would leave no processor to what is being restarted.
THINK_S = 0.005
# An exchange that is away answers at once; asking again at once would only heat the machine.
AWAY_PAUSE_S = 0.02
# One in so many unknown requests is sent again at once; the others at the end.
RETRY_AT_ONCE = 3
SETTLE_S = 30.0


class Order:
    """One order as a client means it; prices are whole, quantities thousandths."""

    def __init__(self, account_id: int, client_id: str, number: int) -> None:
        roll = random.Random(f"{client_id}:{number}")
        self.account_id = account_id
        self.client_id = client_id
        self.number = number
        self.buy = roll.random() < 0.5
        # Half of all orders cross the middle.
        away = roll.randint(-5, 5)
        self.price = MIDDLE - away if self.buy else MIDDLE + away
        # One in ten is larger than the market allows and must be refused.
        self.thousandths = roll.randint(1, 20) if roll.random() < 0.9 else 10**7


class Client(Protocol):
    """How orders leave."""

    def place(self, order: Order) -> tuple[str, int, str]:
        """Return the result, the order id (0: none) and the code."""
        ...

    def cancel(self, account_id: int, order_id: int) -> bool:
        """Tell whether the answer said that the order is cancelled now."""
        ...


class GatewayClient:
    """Submits commands as the platform's own processes do."""

    def place(self, order: Order) -> tuple[str, int, str]:
        """Place through the gateway."""
        from exchange import gateway
        from exchange.core.commands import PlaceOrder
        from exchange.core.enums import OrderType, Side, TimeInForce
        from exchange.core.rejects import Code

        command = PlaceOrder(
            account_id=order.account_id,
            market_id=MARKET,
            side=Side.BUY if order.buy else Side.SELL,
            order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            price_atoms=order.price * ATOMS,
            quantity_atoms=order.thousandths * (ATOMS // 1_000),
            client_order_id=order.client_id,
            request_hash=order.number,
        )
        try:
            outcome = gateway.submit(command)
        except gateway.StatusUnknown as error:
            return UNKNOWN, 0, error.code
        except gateway.ExchangeError as error:
            return NOT_SENT, 0, error.code
        code = Code(outcome.code)
        if code is Code.OK:
            return ACCEPTED, outcome.reference_id, "REPEATED" if outcome.repeated else code.name
        return REFUSED, 0, code.name

    def cancel(self, account_id: int, order_id: int) -> bool:
        """Cancel through the gateway."""
        from exchange import gateway
        from exchange.core.commands import CancelOrder
        from exchange.core.rejects import Code

        try:
            return gateway.submit(CancelOrder(account_id, order_id)).code is Code.OK
        except gateway.ExchangeError:
            return False


class HttpClient:
    """Places orders through REST, as users do; one user's token."""

    def __init__(self, url: str, token: str) -> None:
        import httpx

        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=8.0
        )

    def place(self, order: Order) -> tuple[str, int, str]:
        """POST the order; what is not an answer of the API is unknown."""
        import httpx

        body = {
            "symbol": SYMBOL,
            "side": "buy" if order.buy else "sell",
            "type": "limit",
            "price": str(order.price),
            "quantity": f"{order.thousandths // 1000}.{order.thousandths % 1000:03d}",
            "client_order_id": order.client_id,
        }
        try:
            answer = self._http.post("/api/orders", json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return NOT_SENT, 0, "CONNECT"
        except httpx.HTTPError as error:
            return UNKNOWN, 0, type(error).__name__
        content: dict[str, Any] = answer.json()
        if answer.status_code in (200, 201):
            return ACCEPTED, int(content["id"]), str(answer.status_code)
        code = content["error"]["code"]
        if answer.status_code in (500, 502, 504):
            return UNKNOWN, 0, code
        return (NOT_SENT if answer.status_code == 503 else REFUSED), 0, code

    def cancel(self, account_id: int, order_id: int) -> bool:
        """DELETE the order."""
        del account_id
        import httpx

        try:
            return self._http.delete(f"/api/orders/{order_id}").status_code == 200
        except httpx.HTTPError:
            return False


class Trader(threading.Thread):
    """Places and cancels without pause until told to stop, then settles what is unknown."""

    def __init__(
        self, client: Client, history: History, account_id: int, name: str, stop: threading.Event
    ) -> None:
        super().__init__(name=name)
        self._client = client
        self._history = history
        self._account_id = account_id
        self._stop_event = stop
        self._random = random.Random(name)
        self._unknown: list[Order] = []
        self._open: list[tuple[str, int]] = []

    def run(self) -> None:
        """Trade, then settle."""
        number = 0
        while not self._stop_event.is_set():
            number += 1
            order = Order(self._account_id, f"{self.name}-{number}", number)
            result = self._place(order)
            if result == UNKNOWN and number % RETRY_AT_ONCE == 0:
                self._settle(order)
            elif result == UNKNOWN:
                self._unknown.append(order)
            time.sleep(AWAY_PAUSE_S if result == NOT_SENT else THINK_S)
            if self._random.random() < 0.4:
                self._cancel_one()
        for order in self._unknown[::2]:
            self._settle(order)

    def _settle(self, order: Order) -> None:
        """Send the same request under the same id until the answer is one."""
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            if self._place(order) in (ACCEPTED, REFUSED):
                return
            time.sleep(AWAY_PAUSE_S)

    def _place(self, order: Order) -> str:
        facts = {"account_id": order.account_id, "client_id": order.client_id}
        self._history.write("sent", **facts)
        result, order_id, code = self._client.place(order)
        self._history.write("answered", **facts, result=result, order_id=order_id, code=code)
        if result == ACCEPTED:
            self._open.append((order.client_id, order_id))
        return result

    def _cancel_one(self) -> None:
        if not self._open:
            return
        client_id, order_id = self._open.pop(self._random.randrange(len(self._open)))
        if self._client.cancel(self._account_id, order_id):
            facts = {"account_id": self._account_id, "client_id": client_id}
            self._history.write("cancelled", **facts)


def main() -> None:
    """Trade until the stop file appears."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["gateway", "http"])
    parser.add_argument("history", type=Path)
    parser.add_argument("stop_file", type=Path)
    parser.add_argument("accounts", nargs="+", help="ACCOUNT, or for http ACCOUNT:TOKEN")
    options = parser.parse_args()
    if options.kind == "gateway":
        import django

        django.setup()
    history = History(options.history)
    stop = threading.Event()
    traders = []
    for index in range(max(THREADS, len(options.accounts))):
        account, _, token = options.accounts[index % len(options.accounts)].partition(":")
        client: Client = GatewayClient()
        if options.kind == "http":
            client = HttpClient(os.environ["KILL_URL"], token)
        name = f"{options.kind}-{options.history.stem}-{index}"
        traders.append(Trader(client, history, int(account), name, stop))
    for trader in traders:
        trader.start()
    while not options.stop_file.exists():
        time.sleep(0.05)
    stop.set()
    for trader in traders:
        trader.join()


if __name__ == "__main__":
    main()
