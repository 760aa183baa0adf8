"""
Binance, Coinbase and Kraken through ccxt's public endpoints.

Each source owns one ccxt client with a short timeout and is used by one thread at a time.
Numbers stay text from the venue's JSON to ``markets.feeds.validate``: ccxt is told to use
``str`` for its numbers. Importing ccxt costs over a second and 78 MB, so only the process
that asks the venues imports it, and its market tables are given, not loaded.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from markets.feeds.catalogue import VENUE_PAIR_IDS
from markets.feeds.validate import RawQuote

# A quote lives ten seconds; an answer that takes longer than this is of no use.
TIMEOUT_MS = 3_000

# ccxt's names of the venues' classes.
CLIENT_CLASSES = {"binance": "binance", "coinbase": "coinbaseexchange", "kraken": "kraken"}


class SourceError(Exception):
    """
    A source did not answer usefully.

    ``reason`` is a stable code; ``rest_s`` asks to leave the source alone for so long.
    """

    def __init__(self, reason: str, *, rest_s: float = 0.0) -> None:
        """Carry reason and rest."""
        super().__init__(reason)
        self.reason = reason
        self.rest_s = rest_s


class PriceSource(Protocol):
    """Something that can be asked for quotes."""

    name: str

    def connect(self) -> object:
        """Prepare what the first question needs; nothing is sent yet."""
        ...

    def fetch(self, pairs: list[str]) -> list[RawQuote]:
        """
        Ask for the current quotes of some pairs; missing pairs are left out.

        Raises:
            SourceError: when there is no usable answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How to reach one venue; an empty URL is the venue's own."""

    url: str = ""
    api_key: str = ""
    timeout_ms: int = TIMEOUT_MS


def wall_clock_ms() -> int:
    """Return UTC now in milliseconds."""
    return time.time_ns() // 1_000_000


class CcxtSource:
    """One venue behind a ccxt client."""

    def __init__(
        self,
        name: str,
        options: SourceOptions | None = None,
        *,
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """
        Prepare the source; the client is made at the first use.

        Raises:
            KeyError: if the venue is unknown.
        """
        self.name = name
        self._class_name = CLIENT_CLASSES[name]
        self._options = options or SourceOptions()
        self._clock_ms = clock_ms
        self._client: Any = None
        self._last_answer: dict[str, tuple[str | None, ...]] = {}
        self._last_change_ms = 0

    def fetch(self, pairs: list[str]) -> list[RawQuote]:
        """
        Ask the venue for the current quotes of some pairs.

        Raises:
            SourceError: when there is no usable answer.
        """
        client = self.connect()
        import ccxt

        try:
            tickers = self._tickers(client, pairs)
        except (ccxt.RateLimitExceeded, ccxt.DDoSProtection) as error:
            raise SourceError("RATE_LIMITED", rest_s=5.0) from error
        except ccxt.RequestTimeout as error:
            raise SourceError("TIMEOUT") from error
        except ccxt.ExchangeNotAvailable as error:
            raise SourceError(*_unavailable(error)) from error
        except ccxt.NetworkError as error:
            raise SourceError("NETWORK") from error
        except ccxt.BaseError as error:
            raise SourceError(*_unavailable(error)) from error
        except Exception as error:
            # A page, half a JSON document or another shape than documented makes ccxt raise
            # whatever Python raises on it; a stranger's answer must not end the feed.
            raise SourceError("BAD_ANSWER") from error
        return self._quotes(tickers)

    def connect(self) -> Any:
        """
        Return the ccxt client, making it at the first call; nothing is sent yet.

        On a busy machine the import alone takes seconds: who measures time calls this first.
        """
        if self._client is not None:
            return self._client
        import ccxt

        settings: dict[str, Any] = {
            "number": str,
            "timeout": self._options.timeout_ms,
            # The feed asks each source at most once a second, which is within every public
            # limit; ccxt's own limiter only adds sleeps.
            "enableRateLimit": False,
        }
        if self._options.api_key:
            settings["apiKey"] = self._options.api_key
        client = getattr(ccxt, self._class_name)(settings)
        client.set_markets(
            [_market(pair, identity) for pair, identity in VENUE_PAIR_IDS[self.name].items()]
        )
        # ccxt derives percentages and averages from each ticker; on a price of 0 or NaN that
        # raises and would cost all pairs of the answer. Only the venue's own fields are used.
        client.safe_ticker = _as_it_is
        if self._options.url:
            client.urls["api"] = _with_base(client.urls["api"], self._options.url)
        self._client = client
        return client

    def _tickers(self, client: Any, pairs: list[str]) -> dict[str, Any]:
        if self.name == "coinbase":
            # Its only call for many products gives no bid, ask or time.
            return {pair: client.fetch_ticker(pair) for pair in pairs}
        found: dict[str, Any] = client.fetch_tickers(pairs)
        return found

    def _quotes(self, tickers: dict[str, Any]) -> list[RawQuote]:
        answer = {
            pair: tuple(_text(ticker.get(name)) for name in ("bid", "ask", "last", "baseVolume"))
            for pair, ticker in tickers.items()
            if isinstance(ticker, dict)
        }
        if not answer:
            raise SourceError("EMPTY_ANSWER")
        if answer != self._last_answer:
            self._last_answer, self._last_change_ms = answer, self._clock_ms()
        return [
            RawQuote(
                pair=pair,
                bid=bid,
                ask=ask,
                last=last,
                time_ms=self._time_ms(tickers[pair].get("timestamp")),
            )
            for pair, (bid, ask, last, _volume) in answer.items()
        ]

    def _time_ms(self, stamp: object) -> int:
        """
        Return the venue's own time of a quote.

        Kraken's ticker has none. Its quotes are as old as the last change anywhere in its
        answer: over all pairs something moves within seconds unless the venue is frozen.
        """
        return stamp if isinstance(stamp, int) else self._last_change_ms


def _as_it_is(ticker: dict[str, Any], market: object = None) -> dict[str, Any]:
    return ticker


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _unavailable(error: Exception) -> tuple[str]:
    text = str(error)
    if " 451 " in text:
        return ("LOCATION_REFUSED",)
    return ("VENUE_ERROR",)


def _market(pair: str, identity: str) -> dict[str, Any]:
    base, quote = pair.split("/")
    return {
        "id": identity,
        "symbol": pair,
        "base": base,
        "quote": quote,
        "baseId": base,
        "quoteId": quote,
        "type": "spot",
        "spot": True,
        "active": True,
    }


def _with_base(urls: dict[str, Any], base: str) -> dict[str, Any]:
    """Return a venue's URL table with every host replaced, paths kept."""
    replaced: dict[str, Any] = {}
    for name, url in urls.items():
        if isinstance(url, dict):
            replaced[name] = _with_base(url, base)
        else:
            _scheme, _, rest = url.partition("://")
            _host, slash, path = rest.partition("/")
            replaced[name] = base.rstrip("/") + slash + path
    return replaced
