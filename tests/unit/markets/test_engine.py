"""From answers of several sources to index prices."""

import pytest

from exchange.core.units import ATOMS
from markets.enums import PriceState, SourceStatus
from markets.feeds.catalogue import LIVE_INSTRUMENTS, VENUE_PAIR_IDS
from markets.feeds.engine import IndexEngine, IndexView
from markets.feeds.validate import RawQuote

NOW = 1_800_000_000_000
BTC, ETH, ETH_BTC = LIVE_INSTRUMENTS[:3]


@pytest.fixture
def engine() -> IndexEngine:
    return IndexEngine((BTC,))


def say(engine: IndexEngine, source: str, *, at: int = NOW, **prices: str) -> None:
    quotes = [
        RawQuote(pair.replace("_", "/"), price, price, price, at) for pair, price in prices.items()
    ]
    engine.offer(source, quotes, now_ms=at)


def all_say(engine: IndexEngine, price: str, *, tether: str = "1", at: int = NOW) -> None:
    say(engine, "kraken", at=at, BTC_USDT=price, USDT_USD=tether)
    say(engine, "coinbase", at=at, BTC_USD=price, USDT_USD=tether)
    say(engine, "binance", at=at, BTC_USDT=price)


def index(engine: IndexEngine, at: int = NOW) -> IndexView:
    (view,) = engine.prices(at)
    return view


class TestQuorum:
    def test_is_live_with_all_sources(self, engine: IndexEngine) -> None:
        all_say(engine, "60000")

        assert (index(engine).price_atoms, index(engine).state) == (
            60_000 * ATOMS,
            PriceState.LIVE,
        )

    def test_is_live_with_two_sources(self, engine: IndexEngine) -> None:
        say(engine, "kraken", BTC_USDT="60000", USDT_USD="1")
        say(engine, "binance", BTC_USDT="60010")

        assert (index(engine).price_atoms, index(engine).state) == (
            60_005 * ATOMS,
            PriceState.LIVE,
        )

    def test_is_degraded_with_one(self, engine: IndexEngine) -> None:
        say(engine, "binance", BTC_USDT="60000")

        assert index(engine).state is PriceState.DEGRADED

    def test_is_halted_with_none_and_when_all_fall_silent(self, engine: IndexEngine) -> None:
        before = index(engine).state
        all_say(engine, "60000")

        assert before is PriceState.HALTED
        assert index(engine, NOW + 10_000).state is PriceState.LIVE
        assert index(engine, NOW + 10_001).state is PriceState.HALTED

    def test_a_failure_does_not_erase_what_is_still_fresh(self, engine: IndexEngine) -> None:
        all_say(engine, "60000")

        engine.fail("binance", "TIMEOUT")

        view = index(engine, NOW + 5_000)
        assert view.state is PriceState.LIVE
        assert view.sources[0].status is SourceStatus.UNAVAILABLE
        assert view.sources[0].reason == "TIMEOUT"


class TestDollars:
    def test_dollar_quotes_are_divided_by_the_tether_index(self, engine: IndexEngine) -> None:
        say(engine, "kraken", BTC_USDT="60000", USDT_USD="0.98")
        say(engine, "coinbase", BTC_USD="58800", USDT_USD="0.98")

        view = index(engine)

        assert view.price_atoms == 60_000 * ATOMS
        assert [source.divergence_e8 for source in view.sources if source.price_atoms] == [0, 0]

    def test_without_a_tether_price_dollars_are_no_quote(self, engine: IndexEngine) -> None:
        say(engine, "kraken", BTC_USDT="60000")
        say(engine, "coinbase", BTC_USD="60000")

        view = index(engine)

        assert view.state is PriceState.DEGRADED
        coinbase = next(source for source in view.sources if source.source == "coinbase")
        assert (coinbase.price_atoms, coinbase.reason) == (None, "NO_USDT_RATE")

    def test_two_tether_prices_that_contradict_make_no_rate(self, engine: IndexEngine) -> None:
        say(engine, "kraken", BTC_USDT="60000", USDT_USD="1")
        say(engine, "coinbase", BTC_USD="60000", USDT_USD="0.87")
        say(engine, "binance", BTC_USDT="60000")

        view = index(engine)

        assert engine.tether(NOW).price_atoms is None
        assert (view.price_atoms, view.state) == (60_000 * ATOMS, PriceState.LIVE)


class TestJumps:
    @pytest.mark.parametrize("price", ["78000", "42000", "600000", "6000"])
    def test_one_source_alone_does_not_move_the_index(
        self, engine: IndexEngine, price: str
    ) -> None:
        all_say(engine, "60000")
        later = NOW + 1_000

        say(engine, "binance", at=later, BTC_USDT=price)

        view = index(engine, later)
        assert view.price_atoms == 60_000 * ATOMS
        assert view.sources[0].status is SourceStatus.UNCONFIRMED

    @pytest.mark.parametrize("price", ["78000", "42000", "600000", "6000"])
    def test_even_when_it_insists_it_moves_it_by_two_percent_at_most(
        self, engine: IndexEngine, price: str
    ) -> None:
        all_say(engine, "60000")

        for second in range(1, 6):
            at = NOW + second * 1_000
            say(engine, "kraken", at=at, BTC_USDT="60000", USDT_USD="1")
            say(engine, "coinbase", at=at, BTC_USD="60000", USDT_USD="1")
            say(engine, "binance", at=at, BTC_USDT=price)

        view = index(engine, NOW + 5_000)
        assert view.price_atoms is not None
        assert abs(view.price_atoms - 60_000 * ATOMS) * 50 <= 60_000 * ATOMS

    def test_a_real_crash_is_followed_as_soon_as_two_agree(self, engine: IndexEngine) -> None:
        all_say(engine, "60000")
        later = NOW + 1_000

        say(engine, "kraken", at=later, BTC_USDT="50000", USDT_USD="1")
        after_one = index(engine, later).price_atoms
        say(engine, "coinbase", at=later, BTC_USD="50100", USDT_USD="1")
        say(engine, "binance", at=later, BTC_USDT="50050")
        say(engine, "kraken", at=later + 1, BTC_USDT="50000", USDT_USD="1")

        assert after_one == 60_000 * ATOMS
        assert index(engine, later + 1).price_atoms == 50_050 * ATOMS


class TestDisagreement:
    @pytest.mark.parametrize(
        ("other", "price", "state"),
        [
            ("61200", 60_600 * ATOMS, PriceState.LIVE),
            ("66000", None, PriceState.DEGRADED),
        ],
    )
    def test_of_two_sources(
        self, engine: IndexEngine, other: str, price: int | None, state: PriceState
    ) -> None:
        say(engine, "binance", BTC_USDT="60000")
        say(engine, "kraken", BTC_USDT=other, USDT_USD="1")

        assert (index(engine).price_atoms, index(engine).state) == (price, state)


class TestCatalogue:
    def test_every_leg_has_a_venue_id(self) -> None:
        engine = IndexEngine(LIVE_INSTRUMENTS)

        for venue, identities in VENUE_PAIR_IDS.items():
            assert sorted(engine.pairs_of(venue)) == sorted(identities)

    def test_a_pair_that_a_venue_leaves_out_is_noticed(self, engine: IndexEngine) -> None:
        engine.offer("binance", [], now_ms=NOW)

        assert index(engine).sources[0].reason == "PAIR_MISSING"

    def test_a_cross_market_needs_no_tether(self) -> None:
        engine = IndexEngine((ETH_BTC,))
        say(engine, "binance", ETH_BTC="0.043")
        say(engine, "coinbase", ETH_BTC="0.043")

        assert index(engine).price_atoms == 4_300_000


class TestAwayFromOthers:
    """One source's tick more than 2 % off the others counts only once it is confirmed."""

    @pytest.mark.parametrize("price", ["61500", "58500"])
    def test_a_tick_within_the_jump_rate_moves_nothing_while_unconfirmed(
        self, engine: IndexEngine, price: str
    ) -> None:
        all_say(engine, "60000")

        say(engine, "binance", at=NOW + 1_000, BTC_USDT=price)

        view = index(engine, NOW + 1_000)
        assert (view.price_atoms, view.state) == (60_000 * ATOMS, PriceState.LIVE)
        assert (view.sources[0].status, view.sources[0].reason) == (
            SourceStatus.UNCONFIRMED,
            "AWAY_FROM_OTHERS",
        )

    def test_counts_clipped_after_three_samples_and_goes_on_so(self, engine: IndexEngine) -> None:
        all_say(engine, "60000")
        for second in (1, 2, 3):
            say(engine, "binance", at=NOW + second * 1_000, BTC_USDT=f"6150{second}")
        third = index(engine, NOW + 3_000)

        say(engine, "binance", at=NOW + 4_000, BTC_USDT="61600")

        # The median and a third of 2 %.
        assert third.price_atoms == 60_400 * ATOMS
        assert index(engine, NOW + 4_000).sources[0].status is SourceStatus.OK

    def test_another_source_confirms_at_once(self, engine: IndexEngine) -> None:
        all_say(engine, "60000")
        later = NOW + 1_000

        say(engine, "binance", at=later, BTC_USDT="58200")
        say(engine, "kraken", at=later, BTC_USDT="58250", USDT_USD="1")
        say(engine, "binance", at=later + 1_000, BTC_USDT="58210")

        assert index(engine, later + 1_000).sources[0].status is SourceStatus.OK

    def test_a_glitch_of_one_of_two_does_not_silence_the_other(self, engine: IndexEngine) -> None:
        say(engine, "kraken", BTC_USDT="60000", USDT_USD="1")
        say(engine, "binance", BTC_USDT="60000")
        say(engine, "binance", at=NOW + 1_000, BTC_USDT="78000")

        say(engine, "kraken", at=NOW + 2_000, BTC_USDT="60010", USDT_USD="1")

        view = index(engine, NOW + 2_000)
        assert (view.price_atoms, view.state) == (60_005 * ATOMS, PriceState.LIVE)

    def test_the_first_price_there_is_counts_no_longer_when_all_others_contradict_it(
        self, engine: IndexEngine
    ) -> None:
        say(engine, "binance", BTC_USDT="66000")
        say(engine, "kraken", BTC_USDT="60000", USDT_USD="1")
        say(engine, "coinbase", BTC_USD="60010", USDT_USD="1")

        view = index(engine)

        assert (view.price_atoms, view.state) == (60_005 * ATOMS, PriceState.LIVE)
        assert view.sources[0].reason == "AWAY_FROM_OTHERS"
