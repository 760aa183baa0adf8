"""
The real ccxt clients against fake venues on loopback, with every faulty answer.

Shapes of the answers follow the venues' documentation of the three endpoints (24 h ticker,
product ticker, Ticker); pair names were checked against recorded traffic.
"""

import time
from collections.abc import Iterator

import pytest

from exchange.core.units import ATOMS
from markets.enums import PriceState, SourceStatus
from markets.feeds import live as live_module
from markets.feeds.catalogue import LIVE_INSTRUMENTS, VENUE_PAIR_IDS
from markets.feeds.engine import IndexView, SourceView
from markets.feeds.live import LiveFeed
from markets.feeds.sources import CcxtSource, SourceError, SourceOptions, wall_clock_ms
from markets.feeds.validate import QuoteRefused, quote_price_atoms
from tests.support.exchange import FakeClock
from tests.support.fake_exchanges import FakeExchanges, Fault, Price, Venue

VENUES = sorted(VENUE_PAIR_IDS)
# A busy machine takes more than a quarter of a second to answer; a turn waits for five.
TIMEOUT_MS = 1_000
FIRST_PAIR = {"binance": "BTC/USDT", "coinbase": "BTC/USD", "kraken": "BTC/USDT"}


@pytest.fixture(scope="module")
def server() -> Iterator[FakeExchanges]:
    with FakeExchanges() as exchanges:
        yield exchanges


@pytest.fixture(scope="module")
def sources(server: FakeExchanges) -> dict[str, CcxtSource]:
    """One source per venue for the module: making a client costs a tenth of a second."""
    return {
        name: CcxtSource(name, SourceOptions(url=server.url(name), timeout_ms=TIMEOUT_MS))
        for name in VENUES
    }


@pytest.fixture
def venues(server: FakeExchanges) -> FakeExchanges:
    """The venues, all well and with usual prices."""
    for name, pairs in VENUE_PAIR_IDS.items():
        server.venues[name] = Venue()
        for pair in pairs:
            server.set_price(name, pair, _usual(pair))
    return server


def _usual(pair: str) -> str:
    return {"BTC": "60000", "USDT": "1.0", "ETH": "2500"}.get(pair.split("/")[0], "10")


def reason_of(source: CcxtSource, pair: str) -> str:
    """Return why an answer is of no use."""
    try:
        quotes = source.fetch([pair])
        quote_price_atoms(quotes[0])
    except (SourceError, QuoteRefused) as error:
        return error.reason
    return ""


class TestCcxtSource:
    @pytest.mark.parametrize("name", VENUES)
    def test_reads_prices_as_text_without_loading_markets(
        self, venues: FakeExchanges, sources: dict[str, CcxtSource], name: str
    ) -> None:
        pair = FIRST_PAIR[name]
        venues.venues[name].prices[pair] = Price("61837.63000000", "61837.64000000", "61840.1")

        (quote,) = sources[name].fetch([pair])

        assert (quote.pair, quote.bid, quote.ask, quote.last) == (
            pair,
            "61837.63000000",
            "61837.64000000",
            "61840.1",
        )
        assert abs(quote.time_ms - wall_clock_ms()) < 2_000
        assert venues.venues[name].requests == 1

    @pytest.mark.parametrize("name", VENUES)
    def test_reads_every_pair_of_the_catalogue(
        self, venues: FakeExchanges, sources: dict[str, CcxtSource], name: str
    ) -> None:
        quotes = sources[name].fetch(list(VENUE_PAIR_IDS[name]))

        assert {quote.pair for quote in quotes} == set(VENUE_PAIR_IDS[name])

    @pytest.mark.parametrize("name", VENUES)
    @pytest.mark.parametrize(
        ("fault", "reasons"),
        [
            # Coinbase's parser makes an empty ticker of anything that is not an object.
            (Fault.HTML, {"BAD_ANSWER", "EMPTY_ANSWER", "EMPTY"}),
            (Fault.TRUNCATED, {"BAD_ANSWER", "EMPTY_ANSWER", "EMPTY"}),
            (Fault.NULL, {"BAD_ANSWER", "EMPTY_ANSWER", "EMPTY"}),
            (Fault.EMPTY_OBJECT, {"BAD_ANSWER", "EMPTY_ANSWER", "EMPTY"}),
            (Fault.EMPTY_LIST, {"BAD_ANSWER", "EMPTY_ANSWER", "EMPTY"}),
            (Fault.RATE_LIMITED, {"RATE_LIMITED"}),
            (Fault.LOCATION_REFUSED, {"LOCATION_REFUSED"}),
            (Fault.TIMEOUT, {"TIMEOUT"}),
            (Fault.DOWN, {"NETWORK"}),
        ],
    )
    def test_a_faulty_answer_gives_no_quote_in_bounded_time(
        self,
        venues: FakeExchanges,
        sources: dict[str, CcxtSource],
        name: str,
        fault: Fault,
        reasons: set[str],
    ) -> None:
        venues.venues[name].fault = fault
        started = time.monotonic()

        reason = reason_of(sources[name], FIRST_PAIR[name])

        assert reason in reasons
        # The client's time-out and, where it was not made before, the import of ccxt.
        assert time.monotonic() - started < 4.0

    @pytest.mark.parametrize("name", VENUES)
    def test_asks_to_be_left_alone_after_429(
        self, venues: FakeExchanges, sources: dict[str, CcxtSource], name: str
    ) -> None:
        venues.venues[name].fault = Fault.RATE_LIMITED

        with pytest.raises(SourceError) as caught:
            sources[name].fetch([FIRST_PAIR[name]])

        assert caught.value.rest_s >= 5

    @pytest.mark.parametrize("name", VENUES)
    @pytest.mark.parametrize(
        "text", ["0", "-1", "NaN", "null", "", "1e308", "1e+308", "Infinity", None, "abc"]
    )
    def test_a_faulty_price_costs_only_its_pair(
        self,
        venues: FakeExchanges,
        sources: dict[str, CcxtSource],
        name: str,
        text: str | None,
    ) -> None:
        pair = FIRST_PAIR[name]
        venues.venues[name].prices[pair] = Price(text, text, text)

        quotes = {quote.pair: quote for quote in sources[name].fetch([pair, "ETH/BTC"])}

        with pytest.raises(QuoteRefused):
            quote_price_atoms(quotes[pair])
        assert quote_price_atoms(quotes["ETH/BTC"]) == 2_500 * ATOMS

    def test_kraken_is_as_old_as_its_last_change(self, venues: FakeExchanges) -> None:
        clock = FakeClock(1_000_000)
        kraken = CcxtSource("kraken", SourceOptions(url=venues.url("kraken")), clock_ms=clock)
        venues.venues["kraken"].frozen = True

        times = []
        for _ in range(3):
            times.append(kraken.fetch(["BTC/USDT"])[0].time_ms)
            clock.advance(6_000)
        venues.venues["kraken"].frozen = False
        times.append(kraken.fetch(["BTC/USDT"])[0].time_ms)

        assert times == [1_000_000, 1_000_000, 1_000_000, 1_018_000]


@pytest.fixture
def feed(
    venues: FakeExchanges, sources: dict[str, CcxtSource], monkeypatch: pytest.MonkeyPatch
) -> Iterator[LiveFeed]:
    monkeypatch.setattr(live_module, "REST_S_MAX", 0.0)
    made = LiveFeed([sources[name] for name in VENUES], LIVE_INSTRUMENTS[:1])
    made.poll(wait_s=5)
    yield made
    made.close()


def bitcoin(views: list[IndexView]) -> tuple[int | None, PriceState]:
    return views[0].price_atoms, views[0].state


def part(views: list[IndexView], name: str) -> SourceView:
    return next(item for item in views[0].sources if item.source == name)


USUAL = (60_000 * ATOMS, PriceState.LIVE)


class TestLiveFeed:
    def test_is_live_with_all_three(self, feed: LiveFeed) -> None:
        assert bitcoin(feed.poll(wait_s=5)) == USUAL
        assert feed.is_live("BTC-USDT")

    @pytest.mark.parametrize("name", VENUES)
    @pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
    def test_one_faulty_source_changes_nothing(
        self, venues: FakeExchanges, feed: LiveFeed, name: str, fault: Fault
    ) -> None:
        venues.venues[name].fault = fault

        views = feed.poll(wait_s=5)

        assert bitcoin(views) == USUAL
        assert part(views, name).status is not SourceStatus.OK

    @pytest.mark.parametrize("name", VENUES)
    @pytest.mark.parametrize("price", ["78000", "42000", "600000"])
    def test_a_spike_of_one_source_changes_nothing(
        self, venues: FakeExchanges, feed: LiveFeed, name: str, price: str
    ) -> None:
        venues.set_price(name, FIRST_PAIR[name], price)

        views = feed.poll(wait_s=5)

        assert bitcoin(views) == USUAL
        assert part(views, name).status is SourceStatus.UNCONFIRMED

    @pytest.mark.parametrize("name", ["binance", "coinbase"])
    @pytest.mark.parametrize(
        ("offset_ms", "status"),
        [(-11_000, SourceStatus.STALE), (5_000, SourceStatus.INVALID)],
    )
    def test_a_wrong_time_is_refused(
        self,
        venues: FakeExchanges,
        feed: LiveFeed,
        name: str,
        offset_ms: int,
        status: SourceStatus,
    ) -> None:
        venues.venues[name].time_offset_ms = offset_ms
        venues.set_price(name, FIRST_PAIR[name], "60100")

        views = feed.poll(wait_s=5)

        assert bitcoin(views) == USUAL
        assert part(views, name).status is status

    def test_answers_out_of_order_are_refused(self, venues: FakeExchanges, feed: LiveFeed) -> None:
        venues.set_price("binance", "BTC/USDT", "60100", time_ms=wall_clock_ms() - 8_000)

        views = feed.poll(wait_s=5)

        assert bitcoin(views) == USUAL
        assert part(views, "binance").reason == "OUT_OF_ORDER"

    def test_a_repeated_answer_is_taken_once(self, venues: FakeExchanges, feed: LiveFeed) -> None:
        stamp = wall_clock_ms()
        venues.set_price("binance", "BTC/USDT", "60000", time_ms=stamp)

        ages = [part(feed.poll(wait_s=5), "binance").age_ms for _ in range(3)]

        assert ages == sorted(age for age in ages if age is not None)

    def test_a_flapping_source_changes_nothing(self, venues: FakeExchanges, feed: LiveFeed) -> None:
        seen = set()
        for turn in range(6):
            venues.venues["binance"].fault = Fault.DOWN if turn % 2 else Fault.NONE
            seen.add(bitcoin(feed.poll(wait_s=5)))

        assert seen == {USUAL}

    @pytest.mark.parametrize(
        ("price", "expected"),
        [
            ("61200", (60_600 * ATOMS, PriceState.LIVE)),
            ("66000", (None, PriceState.DEGRADED)),
        ],
    )
    def test_two_that_disagree(
        self,
        venues: FakeExchanges,
        sources: dict[str, CcxtSource],
        price: str,
        expected: tuple[int | None, PriceState],
    ) -> None:
        venues.set_price("kraken", "BTC/USDT", price)
        feed = LiveFeed([sources["binance"], sources["kraken"]], LIVE_INSTRUMENTS[:1])

        found = bitcoin(feed.poll(wait_s=5))
        feed.close()

        assert found == expected

    @pytest.mark.parametrize("fault", [Fault.DOWN, Fault.TIMEOUT, Fault.HTML])
    def test_all_silent_is_halted(
        self, venues: FakeExchanges, sources: dict[str, CcxtSource], fault: Fault
    ) -> None:
        for venue in venues.venues.values():
            venue.fault = fault
        feed = LiveFeed([sources[name] for name in VENUES], LIVE_INSTRUMENTS[:1])

        found = bitcoin(feed.poll(wait_s=5))
        feed.close()

        assert found == (None, PriceState.HALTED)

    def test_a_hanging_source_delays_nobody(self, venues: FakeExchanges, feed: LiveFeed) -> None:
        venues.venues["kraken"].fault = Fault.TIMEOUT
        started = time.monotonic()

        for _ in range(3):
            assert bitcoin(feed.poll(wait_s=0.05)) == USUAL

        assert time.monotonic() - started < 1.0

    def test_one_that_is_switched_off_counts_for_nothing_at_once(
        self, venues: FakeExchanges, sources: dict[str, CcxtSource]
    ) -> None:
        off: set[str] = set()
        feed = LiveFeed(
            [sources[name] for name in VENUES], LIVE_INSTRUMENTS[:1], switched_off=lambda: off
        )

        def kraken() -> tuple[str, int | None]:
            (view,) = feed.poll(wait_s=5)
            (found,) = (source for source in view.sources if source.source == "kraken")
            return found.reason, found.price_atoms

        heard = kraken()
        off.add("kraken")
        asked = venues.venues["kraken"].requests
        ignored = kraken()
        still_asked = venues.venues["kraken"].requests
        off.clear()
        again = kraken()
        feed.close()

        assert heard[1] is not None
        assert ignored == ("SWITCHED_OFF", None)
        assert still_asked == asked
        assert again[1] is not None
