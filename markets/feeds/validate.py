"""
What a source's answer must be before it may touch an index price.

Pure: the time comes in with the call. A refusal is a value with a reason, and the last good
quote stays usable until it is ``FRESH_MS`` old.
"""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from exchange.core.units import ATOMS, RATE_ONE
from markets.enums import SourceStatus

# Venues answer within a second; ten is what index providers allow a quote to live.
FRESH_MS = 10_000

# How far a venue's clock may run ahead of ours.
FUTURE_MS = 1_000

# A price may move this much per second of silence, up to JUMP_SECONDS_MAX seconds.
JUMP_RATE_E8 = 3_000_000
JUMP_SECONDS_MAX = 10

# A jump counts as confirmed when another source, or the samples after it, lie this close.
CONFIRM_RATE_E8 = 2_000_000
CONFIRM_SAMPLES = 3

# Wider than this and the middle of bid and ask says nothing about the price.
SPREAD_MAX_E8 = 2_000_000

# 10^10 quote units: far above any asset, far below 64 bits after scaling.
PRICE_MAX_ATOMS = 10**10 * ATOMS

_PLAIN = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,30})?", re.ASCII)


class QuoteRefused(ValueError):
    """An answer that is not a usable quote; ``reason`` is a stable code."""

    def __init__(self, reason: str) -> None:
        """Carry the reason."""
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RawQuote:
    """What a source said about one pair, still as text; ``time_ms`` is the source's own time."""

    pair: str
    bid: str | None
    ask: str | None
    last: str | None
    time_ms: int


@dataclass(frozen=True, slots=True)
class Quote:
    """A price in quote atoms per whole base and the source's time of it."""

    price_atoms: int
    time_ms: int


def parse_price_atoms(text: object, units: int = 1) -> int:
    """
    Return a source's decimal text, times ``units``, as atoms, rounded half-even to 8 places.

    Plain digits only: exponents are refused before any conversion, because 1e999999 costs
    seconds to expand.

    Raises:
        QuoteRefused: EMPTY, NOT_A_NUMBER, NOT_POSITIVE or OUT_OF_RANGE.
    """
    if text is None or text == "":
        raise QuoteRefused("EMPTY")
    if not isinstance(text, str) or len(text) > 60:
        raise QuoteRefused("NOT_A_NUMBER")
    if _PLAIN.fullmatch(text) is None:
        negative = text.startswith("-") and _PLAIN.fullmatch(text[1:]) is not None
        raise QuoteRefused("NOT_POSITIVE" if negative else "NOT_A_NUMBER")
    atoms = int((Decimal(text) * (ATOMS * units)).to_integral_value(rounding=ROUND_HALF_EVEN))
    if atoms == 0:
        raise QuoteRefused("NOT_POSITIVE")
    if atoms > PRICE_MAX_ATOMS:
        raise QuoteRefused("OUT_OF_RANGE")
    return atoms


def quote_price_atoms(raw: RawQuote, units: int = 1) -> int:
    """
    Return the price a quote stands for: the middle of a sound bid and ask, else the last trade.

    The middle cannot be moved by one odd print. It rounds down.

    Raises:
        QuoteRefused: when neither is usable, with the reason of the first fault met.
    """
    try:
        bid = parse_price_atoms(raw.bid, units)
        ask = parse_price_atoms(raw.ask, units)
        if bid > ask:
            raise QuoteRefused("CROSSED")
        if (ask - bid) * RATE_ONE > bid * SPREAD_MAX_E8:
            raise QuoteRefused("SPREAD_TOO_WIDE")
    except QuoteRefused as refusal:
        if refusal.reason != "EMPTY":
            raise
        return parse_price_atoms(raw.last, units)
    return (bid + ask) // 2


def within_rate(left_atoms: int, right_atoms: int, rate_e8: int) -> bool:
    """Return whether two prices differ by at most a rate of the second."""
    return abs(left_atoms - right_atoms) * RATE_ONE <= right_atoms * rate_e8


class Track:
    """
    One source's quotes of one pair, in the order in which they were accepted.

    ``accepted`` is the last good quote, ``pending`` one that waits for confirmation: a jump, or
    a price away from all other sources. ``is_confirmed`` says that another source, or three
    samples, stand behind the accepted one; ``is_apart`` that it was the samples alone.
    """

    def __init__(self, units: int = 1) -> None:
        """Start with nothing known; prices are those of so many ``units`` of the asset."""
        self._units = units
        self.accepted: Quote | None = None
        self.pending: Quote | None = None
        self.pending_count = 0
        self.is_confirmed = False
        self.is_apart = False
        self.status = SourceStatus.UNAVAILABLE
        self.reason = "NO_ANSWER_YET"

    def offer(self, raw: RawQuote, *, now_ms: int, peer_prices_atoms: list[int]) -> None:
        """
        Take or refuse an answer; ``peer_prices_atoms`` are other sources' fresh prices.

        Changes only this track. A refusal sets ``status`` and ``reason``.
        """
        try:
            quote = Quote(price_atoms=quote_price_atoms(raw, self._units), time_ms=raw.time_ms)
            self._check_time(quote, now_ms)
        except QuoteRefused as refusal:
            stale = refusal.reason == "STALE"
            self.status = SourceStatus.STALE if stale else SourceStatus.INVALID
            self.reason = refusal.reason
            return
        if quote == self.pending:
            # The same observation again does not confirm itself.
            return
        if quote == self.accepted:
            self.status, self.reason = SourceStatus.OK, ""
            return
        if any(within_rate(quote.price_atoms, peer, CONFIRM_RATE_E8) for peer in peer_prices_atoms):
            self._accept(quote, confirmed=True, apart=False)
        elif self.accepted is None or (not peer_prices_atoms and self._is_plausible(quote)):
            self._accept(quote, confirmed=False, apart=False)
        elif self._goes_on_apart(quote) or self._is_repeated(quote):
            self._accept(quote, confirmed=True, apart=bool(peer_prices_atoms))
        else:
            self.status = SourceStatus.UNCONFIRMED
            self.reason = "JUMP" if not self._is_plausible(quote) else "AWAY_FROM_OTHERS"

    def fail(self, reason: str) -> None:
        """Note that the source gave no answer."""
        self.status, self.reason = SourceStatus.UNAVAILABLE, reason

    def forget(self, reason: str) -> None:
        """Know nothing any more: the source is not to be listened to."""
        self.accepted = self.pending = None
        self.pending_count = 0
        self.is_confirmed = self.is_apart = False
        self.fail(reason)

    def fresh_price_atoms(self, now_ms: int) -> int | None:
        """Return the last good price unless it is older than ``FRESH_MS``."""
        if self.accepted is None or now_ms - self.accepted.time_ms > FRESH_MS:
            return None
        return self.accepted.price_atoms

    def latest_price_atoms(self, now_ms: int) -> int | None:
        """Return the newest fresh price, confirmed or not: it may confirm another source."""
        if self.pending is not None and now_ms - self.pending.time_ms <= FRESH_MS:
            return self.pending.price_atoms
        return self.fresh_price_atoms(now_ms)

    def _check_time(self, quote: Quote, now_ms: int) -> None:
        if quote.time_ms > now_ms + FUTURE_MS:
            raise QuoteRefused("FUTURE")
        if now_ms - quote.time_ms > FRESH_MS:
            raise QuoteRefused("STALE")
        newest = max(
            (known.time_ms for known in (self.accepted, self.pending) if known is not None),
            default=0,
        )
        if quote.time_ms < newest:
            raise QuoteRefused("OUT_OF_ORDER")

    def _is_plausible(self, quote: Quote) -> bool:
        if self.accepted is None:
            return True
        elapsed_s = (quote.time_ms - self.accepted.time_ms) // 1_000
        seconds = min(max(elapsed_s, 1), JUMP_SECONDS_MAX)
        return within_rate(quote.price_atoms, self.accepted.price_atoms, JUMP_RATE_E8 * seconds)

    def _accept(self, quote: Quote, *, confirmed: bool, apart: bool) -> None:
        self.accepted, self.pending, self.pending_count = quote, None, 0
        self.is_confirmed, self.is_apart = confirmed, apart
        self.status, self.reason = SourceStatus.OK, ""

    def _goes_on_apart(self, quote: Quote) -> bool:
        """Tell whether a quote stays where its source has been, away from all others."""
        return (
            self.is_apart
            and self.accepted is not None
            and within_rate(quote.price_atoms, self.accepted.price_atoms, CONFIRM_RATE_E8)
        )

    def _is_repeated(self, quote: Quote) -> bool:
        """Count a quote as one more sample of what is pending; tell whether it is enough."""
        near = self.pending is not None and within_rate(
            quote.price_atoms, self.pending.price_atoms, CONFIRM_RATE_E8
        )
        self.pending_count = self.pending_count + 1 if near else 1
        self.pending = quote
        return self.pending_count >= CONFIRM_SAMPLES
