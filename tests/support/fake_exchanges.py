"""
Fake Binance, Coinbase and Kraken on loopback.

One HTTP server answers exactly the public endpoints that our ccxt adapters call, in the
venues' own JSON, and can be told to answer wrongly: see ``Fault``. Paths are prefixed with
the venue's name, so one port serves all three.
"""

import json
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from markets.feeds.catalogue import VENUE_PAIR_IDS


class Fault(StrEnum):
    """How a venue misbehaves instead of answering."""

    NONE = "none"
    HTML = "html"
    RATE_LIMITED = "429"
    LOCATION_REFUSED = "451"
    TIMEOUT = "timeout"
    TRUNCATED = "truncated"
    DOWN = "down"
    NULL = "null"
    EMPTY_OBJECT = "empty_object"
    EMPTY_LIST = "empty_list"


@dataclass
class Price:
    """What a venue says about one pair; texts go into its JSON as they are."""

    bid: str | None
    ask: str | None
    last: str | None
    time_ms: int | None = None


@dataclass
class Venue:
    """
    One venue's present behaviour.

    ``time_offset_ms`` shifts the times it reports; ``frozen`` stops Kraken's volumes, its
    only sign of life.
    """

    prices: dict[str, Price] = field(default_factory=dict)
    fault: Fault = Fault.NONE
    time_offset_ms: int = 0
    frozen: bool = False
    requests: int = 0


class FakeExchanges:
    """The three venues; a context manager that serves them on a free port."""

    def __init__(self) -> None:
        """Know every pair of every venue, without prices."""
        self.venues: dict[str, Venue] = {name: Venue() for name in VENUE_PAIR_IDS}
        self.hold = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    def url(self, venue: str) -> str:
        """Return the base URL of a venue."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_port}/{venue}"

    def set_price(self, venue: str, pair: str, price: str, *, time_ms: int | None = None) -> None:
        """Let a venue quote one price as bid, ask and last."""
        self.venues[venue].prices[pair] = Price(price, price, price, time_ms)

    def __enter__(self) -> Self:
        """Start serving."""
        exchanges = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # One packet per answer: two would wait 40 ms for a delayed acknowledgement.
            wbufsize = 1 << 20
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                exchanges._answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release held requests and stop."""
        assert self._server is not None
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        url = urlsplit(request.path)
        _, name, path = url.path.split("/", 2)
        venue = self.venues[name]
        venue.requests += 1
        if self._answer_fault(request, venue):
            return
        body = getattr(self, f"_{name}")(venue, path, parse_qs(url.query))
        if body is None:
            _send(request, 404, b'{"message":"NotFound"}')
            return
        encoded = json.dumps(body).encode()
        if venue.fault is Fault.TRUNCATED:
            encoded = encoded[: len(encoded) // 2]
        _send(request, 200, encoded)

    def _answer_fault(self, request: BaseHTTPRequestHandler, venue: Venue) -> bool:
        fault = venue.fault
        if fault is Fault.HTML:
            _send(request, 200, b"<html><body>Just a moment...</body></html>", "text/html")
        elif fault is Fault.RATE_LIMITED:
            _send(request, 429, b'{"code":-1003,"msg":"Too many requests."}')
        elif fault is Fault.LOCATION_REFUSED:
            _send(request, 451, b'{"code":0,"msg":"Restricted location"}')
        elif fault is Fault.TIMEOUT:
            self.hold.wait(5)
            request.close_connection = True
        elif fault is Fault.DOWN:
            request.close_connection = True
        elif fault is Fault.NULL:
            _send(request, 200, b"null")
        elif fault is Fault.EMPTY_OBJECT:
            _send(request, 200, b"{}")
        elif fault is Fault.EMPTY_LIST:
            _send(request, 200, b"[]")
        else:
            return False
        return True

    def _binance(self, venue: Venue, path: str, query: dict[str, list[str]]) -> Any:
        if path != "api/v3/ticker/24hr":
            return None
        wanted = json.loads(query["symbols"][0])
        pairs = {VENUE_PAIR_IDS["binance"][pair]: pair for pair in venue.prices}
        return [
            {
                "symbol": identity,
                "priceChange": "-94.99999800",
                "priceChangePercent": "-0.159",
                "weightedAvgPrice": "0.29628482",
                "prevClosePrice": "0.10002000",
                "lastPrice": price.last,
                "lastQty": "0.00731000",
                "bidPrice": price.bid,
                "bidQty": "7.15931000",
                "askPrice": price.ask,
                "askQty": "0.09592000",
                "openPrice": "99.00000000",
                "highPrice": "100.00000000",
                "lowPrice": "0.10000000",
                "volume": "8913.30000000",
                "quoteVolume": "15.30000000",
                "openTime": _time(venue, price) - 86_400_000,
                "closeTime": _time(venue, price),
                "firstId": 28385,
                "lastId": 28460,
                "count": 76,
            }
            for identity, price in (
                (identity, venue.prices[pair]) for identity, pair in pairs.items()
            )
            if identity in wanted
        ]

    def _coinbase(self, venue: Venue, path: str, query: dict[str, list[str]]) -> Any:
        _, identity, last = path.split("/")
        pairs = {VENUE_PAIR_IDS["coinbase"][pair]: pair for pair in venue.prices}
        if last != "ticker" or identity not in pairs:
            return None
        price = venue.prices[pairs[identity]]
        stamp = datetime.fromtimestamp(_time(venue, price) / 1_000, tz=UTC)
        return {
            "ask": price.ask,
            "bid": price.bid,
            "volume": "6534.83298853",
            "trade_id": 689_304_181,
            "price": price.last,
            "size": "0.00016",
            "time": stamp.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        }

    def _kraken(self, venue: Venue, path: str, query: dict[str, list[str]]) -> Any:
        if path != "0/public/Ticker":
            return None
        wanted = query["pair"][0].split(",")
        # Kraken's ticker has no time; a changing volume is what tells a live one.
        volume = "7812.3" if venue.frozen else str(time.time_ns())
        return {
            "error": [],
            "result": {
                VENUE_PAIR_IDS["kraken"][pair]: {
                    "a": [price.ask, "1", "1.000"],
                    "b": [price.bid, "2", "2.000"],
                    "c": [price.last, "0.04408910"],
                    "v": ["4147.94474901", volume],
                    "p": ["2456.22239", "2568.63032"],
                    "t": [3907, 10056],
                    "l": ["2302.18000", "2302.18000"],
                    "h": ["2621.14000", "2860.01000"],
                    "o": "2571.56000",
                }
                for pair, price in venue.prices.items()
                if VENUE_PAIR_IDS["kraken"][pair] in wanted
            },
        }


def _time(venue: Venue, price: Price) -> int:
    if price.time_ms is not None:
        return price.time_ms
    return time.time_ns() // 1_000_000 + venue.time_offset_ms


def _send(
    request: BaseHTTPRequestHandler, status: int, body: bytes, kind: str = "application/json"
) -> None:
    request.send_response(status)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
