"""
Turn raw Binance stream recordings into the compact files under ``data/replay``.

    python data/convert_binance.py BTC-USDT OUT.jsonl.gz spot_btcusdt_20240808.gz ...

Input lines are ``receive-time-ns raw-json`` as nkaz001/hftbacktest records them. Prices and
quantities are kept exactly, as integers of 10^-8. See ``data/replay/SOURCE.md`` for the
output format and for what is left out.
"""

import gzip
import json
import sys
from collections.abc import Iterator
from typing import Any

ATOMS_DIGITS = 8
DEPTH_LEVELS = 20
DEPTH_EVERY_MS = 250
QUOTE_EVERY_MS = 100

Book = dict[int, int]


def atoms(text: str) -> int:
    """Return a decimal string as an integer of 10^-8, exactly."""
    whole, _, fraction = text.partition(".")
    if len(fraction) > ATOMS_DIGITS:
        raise ValueError(f"expected at most 8 decimals, was {text}")
    return int(whole + fraction.ljust(ATOMS_DIGITS, "0"))


def messages(paths: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield receive time in ms and message, in the order of the files."""
    for path in paths:
        with gzip.open(path, "rt") as lines:
            for line in lines:
                received_ns, _, body = line.partition(" ")
                message = json.loads(body)
                yield int(received_ns) // 1_000_000, message.get("data", message)


def update_book(book: Book, levels: list[list[str]]) -> None:
    """Set absolute quantities; zero removes a level."""
    for price, quantity in levels:
        if (quantity_atoms := atoms(quantity)) == 0:
            book.pop(atoms(price), None)
        else:
            book[atoms(price)] = quantity_atoms


def best(book: Book, *, highest: bool) -> list[list[int]]:
    """Return the best levels of one side, best first."""
    prices = sorted(book, reverse=highest)[:DEPTH_LEVELS]
    return [[price, book[price]] for price in prices]


class Converter:
    """Rebuilds the order book and emits records with times relative to the first message."""

    def __init__(self) -> None:
        """Start with no book; depth records begin with the REST snapshot."""
        self.bids: Book = {}
        self.asks: Book = {}
        self.update_id = 0
        self.early: list[dict[str, Any]] = []
        self.start_ms = 0
        self.end_ms = 0
        self.depth_due_ms = 0
        self.quote_due_ms = 0
        self.quote: list[Any] = []

    def records(self, paths: list[str]) -> Iterator[list[Any]]:
        """Yield trade, quote and depth records in the order of their time."""
        for received_ms, message in messages(paths):
            self.start_ms = self.start_ms or received_ms
            self.end_ms = received_ms
            offset = received_ms - self.start_ms
            if message.get("e") == "trade":
                yield self._trade(offset, message)
            elif "lastUpdateId" in message:
                self._snapshot(message)
            elif message.get("e") == "depthUpdate":
                yield from self._depth(offset, message)
            else:
                yield from self._quote(offset, message)

    def _trade(self, offset: int, message: dict[str, Any]) -> list[Any]:
        price, quantity = atoms(message["p"]), atoms(message["q"])
        return ["t", offset, message["t"], price, quantity, int(message["m"])]

    def _snapshot(self, message: dict[str, Any]) -> None:
        self.update_id = message["lastUpdateId"]
        update_book(self.bids, message["bids"])
        update_book(self.asks, message["asks"])
        # The snapshot answers later than the updates that already passed it.
        for update in self.early:
            self._apply(update)

    def _depth(self, offset: int, message: dict[str, Any]) -> Iterator[list[Any]]:
        if not self.update_id:
            self.early.append(message)
            return
        self._apply(message)
        if offset >= self.depth_due_ms:
            self.depth_due_ms = offset + DEPTH_EVERY_MS - 50
            yield ["d", offset, best(self.bids, highest=True), best(self.asks, highest=False)]

    def _apply(self, message: dict[str, Any]) -> None:
        if message["u"] <= self.update_id:
            return
        if message["U"] > self.update_id + 1:
            raise ValueError(f"gap in the depth stream before update {message['U']}")
        self.update_id = message["u"]
        update_book(self.bids, message["b"])
        update_book(self.asks, message["a"])

    def _quote(self, offset: int, message: dict[str, Any]) -> Iterator[list[Any]]:
        quote = [atoms(message[name]) for name in "bBaA"]
        if offset >= self.quote_due_ms and quote != self.quote:
            self.quote_due_ms = offset + QUOTE_EVERY_MS
            self.quote = quote
            yield ["q", offset, *quote]


def main(symbol: str, target: str, *paths: str) -> None:
    """Write one recording: a header line, then one JSON array per record."""
    converter = Converter()
    lines = [json.dumps(record, separators=(",", ":")) for record in converter.records(list(paths))]
    header = {
        "format": 1,
        "symbol": symbol,
        "venue": "Binance spot",
        "start_ms": converter.start_ms,
        "duration_ms": converter.end_ms - converter.start_ms,
    }
    body = "\n".join([json.dumps(header), *lines]) + "\n"
    with open(target, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(body.encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
