"""What a source's answer must be before it may touch an index price."""

import time

import pytest

from exchange.core.units import ATOMS
from markets.enums import SourceStatus
from markets.feeds.validate import (
    CONFIRM_SAMPLES,
    FRESH_MS,
    FUTURE_MS,
    QuoteRefused,
    RawQuote,
    Track,
    parse_price_atoms,
    quote_price_atoms,
    within_rate,
)

NOW = 1_800_000_000_000


def quote(price: object, *, at: int = NOW) -> RawQuote:
    text = None if price is None else str(price)
    return RawQuote(pair="BTC/USDT", bid=text, ask=text, last=text, time_ms=at)


def offer(track: Track, price: object, *, at: int, peers: tuple[int, ...] = ()) -> None:
    track.offer(quote(price, at=at), now_ms=at, peer_prices_atoms=[peer * ATOMS for peer in peers])


class TestParsePriceAtoms:
    @pytest.mark.parametrize(
        ("text", "atoms"),
        [
            ("61837.63", 6_183_763_000_000),
            ("0.00000001", 1),
            ("0.000000015", 2),
            ("0.000000025", 2),
            ("10000000000", 10**18),
            ("007", 7 * ATOMS),
        ],
    )
    def test_reads_plain_decimals_exactly(self, text: str, atoms: int) -> None:
        assert parse_price_atoms(text) == atoms

    @pytest.mark.parametrize(
        ("_case", "value", "reason"),
        [
            ("missing", None, "EMPTY"),
            ("empty", "", "EMPTY"),
            ("zero", "0", "NOT_POSITIVE"),
            ("zero with decimals", "0.000", "NOT_POSITIVE"),
            ("rounds to zero", "0.000000004", "NOT_POSITIVE"),
            ("negative", "-1", "NOT_POSITIVE"),
            ("nan", "NaN", "NOT_A_NUMBER"),
            ("null as text", "null", "NOT_A_NUMBER"),
            ("None as text", "None", "NOT_A_NUMBER"),
            ("infinity", "inf", "NOT_A_NUMBER"),
            ("huge exponent", "1e308", "NOT_A_NUMBER"),
            ("huge exponent as Python prints it", "1e+308", "NOT_A_NUMBER"),
            ("exponent that burns the processor", "1e999999", "NOT_A_NUMBER"),
            ("huge digits", "9" * 50, "NOT_A_NUMBER"),
            ("very long", "1" * 100_000, "NOT_A_NUMBER"),
            ("above any asset", "10000000001", "OUT_OF_RANGE"),
            ("float", 1.5, "NOT_A_NUMBER"),
            ("boolean", True, "NOT_A_NUMBER"),
            ("list", ["1"], "NOT_A_NUMBER"),
            ("spaces", " 1 ", "NOT_A_NUMBER"),
            ("underscores", "1_000", "NOT_A_NUMBER"),
            ("digits of another script", "١٢", "NOT_A_NUMBER"),
            ("line break", "1\n", "NOT_A_NUMBER"),
        ],
    )
    def test_refuses_everything_else(self, _case: str, value: object, reason: str) -> None:
        started = time.thread_time()

        with pytest.raises(QuoteRefused) as caught:
            parse_price_atoms(value)

        assert caught.value.reason == reason
        assert time.thread_time() - started < 0.05


class TestQuotePriceAtoms:
    def test_is_the_middle_of_bid_and_ask(self) -> None:
        raw = RawQuote("BTC/USDT", bid="100.00", ask="100.01", last="130", time_ms=NOW)

        assert quote_price_atoms(raw) == 100_00500000 * 100 // 100

    def test_is_the_last_trade_when_bid_or_ask_is_missing(self) -> None:
        raw = RawQuote("BTC/USDT", bid=None, ask="100.01", last="99", time_ms=NOW)

        assert quote_price_atoms(raw) == 99 * ATOMS

    @pytest.mark.parametrize(
        ("bid", "ask", "reason"),
        [
            ("101", "100", "CROSSED"),
            ("100", "103", "SPREAD_TOO_WIDE"),
            ("0", "100", "NOT_POSITIVE"),
            ("100", "NaN", "NOT_A_NUMBER"),
        ],
    )
    def test_refuses_a_broken_book_even_with_a_last_trade(
        self, bid: str, ask: str, reason: str
    ) -> None:
        raw = RawQuote("BTC/USDT", bid=bid, ask=ask, last="100", time_ms=NOW)

        with pytest.raises(QuoteRefused) as caught:
            quote_price_atoms(raw)

        assert caught.value.reason == reason


class TestWithinRate:
    @pytest.mark.parametrize(
        ("left", "right", "expected"), [(103, 100, True), (97, 100, True), (104, 100, False)]
    )
    def test_counts_the_edge(self, left: int, right: int, expected: bool) -> None:
        assert within_rate(left, right, 3_000_000) is expected


class TestTrack:
    def test_takes_the_first_quote(self) -> None:
        track = Track()

        offer(track, 100, at=NOW)

        assert track.status is SourceStatus.OK
        assert track.fresh_price_atoms(NOW) == 100 * ATOMS

    @pytest.mark.parametrize("price", ["0", "-5", "NaN", "null", "", None, "1e308"])
    def test_keeps_the_last_good_quote_until_it_is_stale(self, price: object) -> None:
        track = Track()
        offer(track, 100, at=NOW)

        offer(track, price, at=NOW + 1_000)

        assert track.status is SourceStatus.INVALID
        assert track.fresh_price_atoms(NOW + FRESH_MS) == 100 * ATOMS
        assert track.fresh_price_atoms(NOW + FRESH_MS + 1) is None

    def test_refuses_a_quote_that_is_too_old(self) -> None:
        track = Track()

        track.offer(quote(100, at=NOW - FRESH_MS - 1), now_ms=NOW, peer_prices_atoms=[])

        assert (track.status, track.reason) == (SourceStatus.STALE, "STALE")
        assert track.accepted is None

    def test_refuses_a_quote_from_the_future(self) -> None:
        track = Track()

        track.offer(quote(100, at=NOW + FUTURE_MS + 1), now_ms=NOW, peer_prices_atoms=[])

        assert (track.status, track.reason) == (SourceStatus.INVALID, "FUTURE")

    def test_allows_a_clock_that_is_a_little_ahead(self) -> None:
        track = Track()

        track.offer(quote(100, at=NOW + FUTURE_MS), now_ms=NOW, peer_prices_atoms=[])

        assert track.status is SourceStatus.OK

    def test_refuses_a_quote_older_than_the_last(self) -> None:
        track = Track()
        offer(track, 100, at=NOW)

        track.offer(quote(101, at=NOW - 1), now_ms=NOW + 500, peer_prices_atoms=[])

        assert track.reason == "OUT_OF_ORDER"
        assert track.fresh_price_atoms(NOW + 500) == 100 * ATOMS

    def test_a_repeated_quote_does_not_stay_fresh(self) -> None:
        track = Track()
        offer(track, 100, at=NOW)

        for second in range(1, 12):
            track.offer(quote(100), now_ms=NOW + second * 1_000, peer_prices_atoms=[])

        assert track.status is SourceStatus.STALE
        assert track.fresh_price_atoms(NOW + 11_000) is None

    @pytest.mark.parametrize("price", ["103", "97"])
    def test_three_percent_in_a_second_is_plausible(self, price: str) -> None:
        track = Track()
        offer(track, 100, at=NOW)

        offer(track, price, at=NOW + 1_000)

        assert track.status is SourceStatus.OK

    @pytest.mark.parametrize("price", ["103.01", "96.99", "130", "70", "1000", "10"])
    def test_more_waits_for_confirmation(self, price: str) -> None:
        track = Track()
        offer(track, 100, at=NOW)

        offer(track, price, at=NOW + 1_000)

        assert track.status is SourceStatus.UNCONFIRMED
        assert track.fresh_price_atoms(NOW + 1_000) == 100 * ATOMS

    def test_silence_allows_a_larger_step_up_to_a_limit(self) -> None:
        later, much_later = Track(), Track()
        offer(later, 100, at=NOW)
        offer(much_later, 100, at=NOW)

        offer(later, 109, at=NOW + 3_000)
        offer(much_later, 131, at=NOW + 3_600_000)

        assert later.status is SourceStatus.OK
        assert much_later.status is SourceStatus.UNCONFIRMED

    def test_a_second_source_confirms_a_jump(self) -> None:
        track = Track()
        offer(track, 100, at=NOW)

        offer(track, 70, at=NOW + 1_000, peers=(71,))

        assert track.fresh_price_atoms(NOW + 1_000) == 70 * ATOMS

    def test_a_source_that_stayed_does_not_confirm(self) -> None:
        track = Track()
        offer(track, 100, at=NOW)

        offer(track, 70, at=NOW + 1_000, peers=(100,))

        assert track.fresh_price_atoms(NOW + 1_000) == 100 * ATOMS

    def test_three_samples_confirm_a_jump(self) -> None:
        track = Track()
        offer(track, 100, at=NOW)

        for number in range(1, CONFIRM_SAMPLES):
            offer(track, 130, at=NOW + number * 1_000)
            assert track.status is SourceStatus.UNCONFIRMED
        offer(track, 130, at=NOW + CONFIRM_SAMPLES * 1_000)

        assert track.fresh_price_atoms(NOW + 3_000) == 130 * ATOMS

    def test_the_same_sample_again_does_not_confirm_itself(self) -> None:
        track = Track()
        offer(track, 100, at=NOW)

        for _ in range(5):
            track.offer(quote(130, at=NOW + 1_000), now_ms=NOW + 2_000, peer_prices_atoms=[])

        assert track.fresh_price_atoms(NOW + 2_000) == 100 * ATOMS

    def test_a_flapping_source_is_never_believed(self) -> None:
        track = Track()
        offer(track, 100, at=NOW)

        seen = set()
        for number in range(1, 20):
            offer(track, 130 if number % 2 else 100, at=NOW + number * 500)
            seen.add(track.fresh_price_atoms(NOW + number * 500))

        assert seen == {100 * ATOMS}

    def test_samples_that_wander_do_not_confirm_each_other(self) -> None:
        track = Track()
        offer(track, 100, at=NOW)

        for number, price in enumerate((130, 160, 200, 250), start=1):
            offer(track, price, at=NOW + number * 1_000)

        assert track.fresh_price_atoms(NOW + 4_000) == 100 * ATOMS
