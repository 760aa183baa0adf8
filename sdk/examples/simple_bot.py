"""
A bot that keeps one bid a little below the market and says when it is filled.

    EXCHANGE_USER=alice EXCHANGE_PASSWORD=demo-pass-2024 python sdk/examples/simple_bot.py

It shows what a bot needs: a book that it may trust, its own orders as the platform has them,
order entry over the WebSocket, and cancel on disconnect, so that nothing stays behind if it
dies. EXCHANGE_URL names the platform (http://localhost:3000).
"""

import asyncio
import os
import sys
from decimal import ROUND_FLOOR, Decimal

from tradingclient import (
    AsyncTradingClient,
    NotFoundError,
    OrderBook,
    Password,
    RefusedError,
    TradingError,
)
from tradingclient.models import Fill, Market, Order

URL = os.environ.get("EXCHANGE_URL", "http://localhost:3000")
SYMBOL = os.environ.get("SYMBOL", "BTC-USDT")
QUANTITY = Decimal(os.environ.get("QUANTITY", "0.001"))
# How far below the middle to bid, and how far the bid may be off before it moves.
DISTANCE = Decimal("0.0005")
TOLERANCE = Decimal("0.0002")
EVERY_S = 1.0


def wanted_price(book: OrderBook, market: Market) -> Decimal | None:
    """Return the price to bid, on the tick; None while the book is not to be trusted."""
    middle = book.middle
    if not book.is_live or middle is None:
        return None
    price = middle * (1 - DISTANCE)
    return (price / market.tick_size).to_integral_value(ROUND_FLOOR) * market.tick_size


async def keep_bid(
    client: AsyncTradingClient, market: Market, bid: Order | None, price: Decimal | None
) -> None:
    """Place, move or take back the one bid."""
    trading = client.trading
    if price is None:
        if bid is not None:
            await trading.cancel_order(bid.id)
    elif bid is None:
        await trading.place_order(
            symbol=market.symbol,
            side="buy",
            type="limit",
            price=price,
            quantity=QUANTITY,
            post_only=True,
        )
    elif bid.price is not None and abs(bid.price - price) > price * TOLERANCE:
        await trading.amend_order(bid.id, price=price)


def say(fill: Fill) -> None:
    """Tell of a fill."""
    print(f"{fill.side} {fill.quantity} {fill.symbol} at {fill.price}, fee {fill.fee}", flush=True)


async def main() -> None:
    """Keep the bid until Ctrl-C."""
    user = Password(os.environ["EXCHANGE_USER"], os.environ["EXCHANGE_PASSWORD"])
    async with AsyncTradingClient(URL, credentials=user) as client:
        client.on("fill:update", say)
        await client.trading.cancel_on_disconnect(symbol=SYMBOL)
        account = await client.subscribe_user_streams()
        market = await client.rest.market(SYMBOL)
        book = await client.order_book(SYMBOL, depth=20)
        while True:
            own = [order for order in account.orders.values() if order.symbol == SYMBOL]
            try:
                if account.is_live:
                    await keep_bid(
                        client, market, own[0] if own else None, wanted_price(book, market)
                    )
            except (RefusedError, NotFoundError) as error:
                # Filled meanwhile, or the market has run away: look again.
                print(f"refused: {error}", flush=True)
            except TradingError as error:
                print(f"waiting: {error}", flush=True)
                await asyncio.sleep(error.retry_after or 1.0)
            await asyncio.sleep(EVERY_S)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyError as error:
        sys.exit(f"set {error.args[0]}")
    except TradingError as error:
        sys.exit(f"{URL}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
