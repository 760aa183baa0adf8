"""
From sources' answers to index prices: keeps each source's track and computes all markets.

No I/O and no clock; whoever asks the sources calls ``offer`` and ``fail`` and then reads
``prices``.
"""

from dataclasses import dataclass

from exchange.core.units import RATE_ONE
from markets.enums import PriceState, SourceStatus
from markets.feeds.catalogue import TETHER_USD, Instrument, Leg
from markets.feeds.index import QUORUM, IndexValue, combine, to_tether_atoms, to_usd_atoms
from markets.feeds.validate import CONFIRM_RATE_E8, RawQuote, Track, within_rate


@dataclass(frozen=True, slots=True)
class SourceView:
    """One source's part in one index; divergence is from the median, in 10^-8."""

    source: str
    status: SourceStatus
    reason: str
    price_atoms: int | None
    age_ms: int | None
    divergence_e8: int | None


@dataclass(frozen=True, slots=True)
class IndexView:
    """One market's index and what it was made of."""

    symbol: str
    price_atoms: int | None
    state: PriceState
    sources: tuple[SourceView, ...]


class IndexEngine:
    """The state of all sources; one instance per feeding process."""

    def __init__(self, instruments: tuple[Instrument, ...]) -> None:
        """Follow these instruments and the USDT-USD rate that they need."""
        self.instruments = instruments
        self._tracks: dict[tuple[str, str], Track] = {}
        for instrument in (TETHER_USD, *instruments):
            for source, leg in instrument.legs.items():
                self._tracks.setdefault((source, leg.pair), Track(leg.units))
        self._users: dict[tuple[str, str], list[Instrument]] = {}
        for instrument in (TETHER_USD, *instruments):
            for source, leg in instrument.legs.items():
                self._users.setdefault((source, leg.pair), []).append(instrument)

    def pairs_of(self, source: str) -> list[str]:
        """Return the pairs to ask a source for."""
        return [pair for name, pair in self._tracks if name == source]

    def offer(self, source: str, quotes: list[RawQuote], *, now_ms: int) -> None:
        """Take one answer of a source; pairs that were asked for and are missing fail."""
        answered = {quote.pair for quote in quotes}
        for quote in quotes:
            track = self._tracks.get((source, quote.pair))
            if track is not None:
                peers = self._peers(source, quote.pair, now_ms)
                track.offer(quote, now_ms=now_ms, peer_prices_atoms=peers)
        for pair in self.pairs_of(source):
            if pair not in answered:
                self._tracks[source, pair].fail("PAIR_MISSING")

    def fail(self, source: str, reason: str) -> None:
        """Note that a source gave no usable answer at all."""
        for pair in self.pairs_of(source):
            self._tracks[source, pair].fail(reason)

    def forget(self, source: str, reason: str) -> None:
        """Let a source count for nothing, with what it said before."""
        for pair in self.pairs_of(source):
            self._tracks[source, pair].forget(reason)

    def tether(self, now_ms: int) -> IndexView:
        """Return the USDT-USD index, which has a quorum of its own."""
        return self._view(TETHER_USD, now_ms, None)

    def prices(self, now_ms: int) -> list[IndexView]:
        """Return every market's index, in the order of the instruments."""
        rate = self.tether(now_ms).price_atoms
        return [self._view(instrument, now_ms, rate) for instrument in self.instruments]

    def _view(self, instrument: Instrument, now_ms: int, rate: int | None) -> IndexView:
        prices: dict[str, int] = {}
        for source, leg in instrument.legs.items():
            raw = self._tracks[source, leg.pair].fresh_price_atoms(now_ms)
            price = _in_market_currency(raw, leg, rate)
            if price is not None:
                prices[source] = price
        alone = self._alone(instrument, prices)
        trusted = {source: price for source, price in prices.items() if source not in alone}
        value = combine(trusted, instrument.weights)
        return IndexView(
            symbol=instrument.symbol,
            price_atoms=value.price_atoms,
            state=value.state,
            sources=tuple(
                self._source_view(
                    source, leg, prices.get(source), value, now_ms, is_alone=source in alone
                )
                for source, leg in instrument.legs.items()
            ),
        )

    def _alone(self, instrument: Instrument, prices: dict[str, int]) -> set[str]:
        """
        Return the sources whose unconfirmed price all others contradict, at least two of them.

        Such is a price that was the first there was, before anybody could confirm it.
        """
        return {
            source
            for source, price in prices.items()
            if len(prices) > QUORUM
            and not self._tracks[source, instrument.legs[source].pair].is_confirmed
            and not any(
                within_rate(price, other, CONFIRM_RATE_E8)
                for name, other in prices.items()
                if name != source
            )
        }

    def _source_view(
        self,
        source: str,
        leg: Leg,
        price: int | None,
        value: IndexValue,
        now_ms: int,
        *,
        is_alone: bool,
    ) -> SourceView:
        track = self._tracks[source, leg.pair]
        status, reason = track.status, track.reason
        if is_alone:
            status, reason = SourceStatus.UNCONFIRMED, "AWAY_FROM_OTHERS"
        if status is SourceStatus.OK and price is None:
            fresh = track.fresh_price_atoms(now_ms) is not None
            status, reason = SourceStatus.STALE, "NO_USDT_RATE" if fresh else "STALE"
        divergence = None
        if price is not None and value.median_atoms:
            divergence = (price - value.median_atoms) * RATE_ONE // value.median_atoms
        return SourceView(
            source=source,
            status=status,
            reason=reason,
            price_atoms=price,
            age_ms=None if track.accepted is None else max(0, now_ms - track.accepted.time_ms),
            divergence_e8=divergence,
        )

    def _peers(self, source: str, pair: str, now_ms: int) -> list[int]:
        """Return what other sources say about the same thing, in this pair's currency."""
        rate = self.tether(now_ms).price_atoms
        peers: list[int] = []
        for instrument in self._users[source, pair]:
            own = instrument.legs[source]
            for other, leg in instrument.legs.items():
                if other == source:
                    continue
                track = self._tracks[other, leg.pair]
                # Both what it last was and what it may be moving to.
                for known in {track.fresh_price_atoms(now_ms), track.latest_price_atoms(now_ms)}:
                    price = _in_market_currency(known, leg, rate)
                    if price is not None and own.in_usd and rate is not None:
                        price = to_usd_atoms(tether_price_atoms=price, tether_usd_atoms=rate)
                    elif own.in_usd:
                        price = None
                    if price is not None:
                        peers.append(price)
        return peers


def _in_market_currency(price: int | None, leg: Leg, rate: int | None) -> int | None:
    if price is None or not leg.in_usd:
        return price
    if rate is None:
        return None
    return to_tether_atoms(usd_price_atoms=price, tether_usd_atoms=rate)
