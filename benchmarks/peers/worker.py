"""
Runs a flow through one order book and says how long it took.

Started as a script by ``benchmarks.book`` in an environment that has the named book: it
reads a flow file, prints ``ready``, and for each line on stdin runs once from an empty book
and prints one line of JSON. Making each book's own order objects is inside the time, since
every caller pays it; loading the flow and the preload are not.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

ADD, BUY = 0, 1
# A slow book is stopped after this long; its rate is what it did until then.
SECONDS_MAX = 3.0
CHUNK = 500

Apply = Callable[[int, int, int, int, int], None]


def ours() -> tuple[Apply, Callable[[], tuple[int, int]]]:
    """Return our book: price-time queues, every take planned first, self-trades checked."""
    from exchange.core.book import OrderBook
    from exchange.core.enums import SelfTradeMode, Side
    from exchange.core.matching import plan_match
    from exchange.core.state import Order

    book = OrderBook()
    bids, asks = book.bids, book.asks
    orders: dict[int, Order] = {}
    trades = volume = 0
    atoms = 10**8
    buy, sell, mode = Side.BUY, Side.SELL, SelfTradeMode.EXPIRE_TAKER

    def apply(kind: int, order_id: int, side: int, price: int, quantity: int) -> None:
        nonlocal trades, volume
        if kind != ADD:
            order = orders.pop(order_id)
            own = bids if order.side is buy else asks
            own.reduce(order, order.remaining_atoms)
            return
        quantity *= atoms
        if side == BUY:
            own, opposite, named = bids, asks, buy
        else:
            own, opposite, named = asks, bids, sell
        best = opposite.best_price()
        if best and (price >= best if side == BUY else price <= best):
            plan = plan_match(
                opposite,
                account_id=order_id,
                mode=mode,
                limit_atoms=price,
                quantity_atoms=quantity,
                quote_atoms_max=0,
                lot_atoms=atoms,
                time_ms=0,
            )
            for _, maker, size, _ in plan.steps:
                opposite.reduce(maker, size)
                trades += 1
                volume += size
                if not maker.remaining_atoms:
                    del orders[maker.order_id]
            quantity = plan.unfilled_atoms
            if not quantity:
                return
        order = orders[order_id] = Order(
            order_id=order_id,
            side=named,
            price_atoms=price,
            quantity_atoms=quantity,
            remaining_atoms=quantity,
        )
        own.insert(order)

    return apply, lambda: (trades, volume // atoms)


def cython_orderbook() -> tuple[Apply, Callable[[], tuple[int, int]]]:
    """Return cython-orderbook with integer prices, which it handles faster than Decimal."""
    from cython_orderbook import Order, OrderBook, OrderSide

    book = OrderBook()
    names: dict[int, str] = {}

    def apply(kind: int, order_id: int, side: int, price: int, quantity: int) -> None:
        if kind != ADD:
            book.cancel_order(names[order_id])
            return
        order = Order(OrderSide.BID if side == BUY else OrderSide.ASK, quantity, price)
        names[order_id] = order.order_id
        book.add_limit_order(order)

    def totals() -> tuple[int, int]:
        return len(book.trade_log), sum(trade.quantity_filled for trade in book.trade_log)

    return apply, totals


def lightmatchingengine() -> tuple[Apply, Callable[[], tuple[int, int]]]:
    """Return lightmatchingengine, whose trades list both sides of a match."""
    from lightmatchingengine.lightmatchingengine import LightMatchingEngine

    engine = LightMatchingEngine()
    names: dict[int, int] = {}
    trades = volume = 0

    def apply(kind: int, order_id: int, side: int, price: int, quantity: int) -> None:
        nonlocal trades, volume
        if kind != ADD:
            engine.cancel_order(names[order_id], "X")
            return
        order, done = engine.add_order("X", price, quantity, side)
        names[order_id] = order.order_id
        for trade in done:
            if trade.order_id != order.order_id:
                trades += 1
                volume += trade.trade_qty

    return apply, lambda: (trades, volume)


def pyorderbook() -> tuple[Apply, Callable[[], tuple[int, int]]]:
    """Return pyorderbook."""
    from pyorderbook import Book, ask, bid

    book = Book()
    orders: dict[int, object] = {}
    trades = volume = 0

    def apply(kind: int, order_id: int, side: int, price: int, quantity: int) -> None:
        nonlocal trades, volume
        if kind != ADD:
            book.cancel(orders.pop(order_id))
            return
        order = (bid if side == BUY else ask)("X", price, quantity)
        orders[order_id] = order
        for trade in book.match(order).trades:
            trades += 1
            volume += trade.fill_quantity

    return apply, lambda: (trades, volume)


def order_matching() -> tuple[Apply, Callable[[], tuple[int, int]]]:
    """Return order-matching, matched after every order as its users would see it."""
    from datetime import datetime, timedelta

    from loguru import logger
    from order_matching.enums import Side
    from order_matching.matching_engine import MatchingEngine
    from order_matching.order import LimitOrder
    from order_matching.orders import Orders

    logger.remove()
    engine = MatchingEngine(seed=1)
    now = datetime(2023, 1, 1)  # noqa: DTZ001 - the library compares naive times
    tick = timedelta(microseconds=1)
    trades = volume = 0

    def apply(kind: int, order_id: int, side: int, price: int, quantity: int) -> None:
        nonlocal trades, volume, now
        now += tick
        if kind != ADD:
            engine.cancel_order(str(order_id))
            return
        order = LimitOrder(
            side=Side.BUY if side == BUY else Side.SELL,
            price=price,
            size=quantity,
            timestamp=now,
            order_id=str(order_id),
            trader_id="x",
        )
        engine.place(Orders([order]))
        for trade in engine.match(timestamp=now).trades:
            trades += 1
            volume += int(trade.size)

    return apply, lambda: (trades, volume)


BOOKS = {
    "ours": ours,
    "cython-orderbook": cython_orderbook,
    "lightmatchingengine": lightmatchingengine,
    "pyorderbook": pyorderbook,
    "order-matching": order_matching,
}


def run(name: str, preload: list[list[int]], timed: list[list[int]]) -> dict[str, float]:
    """Run the flow once from an empty book and return what was measured."""
    apply, totals = BOOKS[name]()
    started = time.perf_counter()
    for number, message in enumerate(preload):
        apply(*message)
        if number % CHUNK == 0 and time.perf_counter() - started > 4 * SECONDS_MAX:
            return {"error": 1, "preload_seconds": time.perf_counter() - started}
    gc.collect()
    gc.disable()
    done = 0
    started = time.perf_counter()
    seconds = 0.0
    while done < len(timed) and seconds < SECONDS_MAX:
        for message in timed[done : done + CHUNK]:
            apply(*message)
        done += CHUNK
        seconds = time.perf_counter() - started
    gc.enable()
    trades, volume = totals()
    return {
        "messages": min(done, len(timed)),
        "seconds": seconds,
        "trades": trades,
        "volume": volume,
    }


def main() -> None:
    """Serve runs until stdin ends."""
    name, path = sys.argv[1:3]
    preload, timed = json.loads(Path(path).read_text())
    BOOKS[name]()
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(run(name, preload, timed)), flush=True)


if __name__ == "__main__":
    main()
