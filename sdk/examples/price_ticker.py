"""
Prices as they move, and one's own orders and balances when somebody is logged in.

    python sdk/examples/price_ticker.py [SYMBOL ...]

EXCHANGE_URL names the platform (http://localhost:3000), TOKEN an access token.
"""

import os
import sys
import threading
from decimal import Decimal

from tradingclient import TradingClient, TradingError
from tradingclient.models import Balance, Order, Price

URL = os.environ.get("EXCHANGE_URL", "http://localhost:3000")


def show_price(price: Price, before: dict[str, Decimal]) -> None:
    """Print a price when it has changed, with its direction."""
    if price.price is None or price.price == before.get(price.symbol):
        return
    last = before.get(price.symbol, price.price)
    sign = "▲" if price.price > last else "▼" if price.price < last else " "
    before[price.symbol] = price.price
    print(f"{price.symbol:<12} {price.price:>16,} {sign}", flush=True)


def show_order(order: Order) -> None:
    """Print what became of an order."""
    print(f"order {order.id} {order.side} {order.symbol}: {order.status}", flush=True)


def show_balance(balance: Balance) -> None:
    """Print a balance."""
    print(f"{balance.currency}: {balance.available} available, {balance.held} held", flush=True)


def main() -> None:
    """Follow prices until Ctrl-C."""
    token = os.environ.get("TOKEN")
    before: dict[str, Decimal] = {}
    with TradingClient(URL, token=token) as client:
        symbols = sys.argv[1:] or [market.symbol for market in client.rest.markets()]
        for symbol in symbols:
            client.on(f"price:{symbol}", lambda price: show_price(price, before))
        client.subscribe_prices(symbols)
        if token:
            client.on("order:update", show_order)
            client.on("wallet:update", show_balance)
            client.subscribe_user_streams(["orders", "fills", "wallet"])
        threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except TradingError as error:
        sys.exit(f"{URL}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
