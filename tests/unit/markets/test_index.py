"""Median, clip, weights and quorum."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.core.units import ATOMS
from markets.enums import PriceState
from markets.feeds.index import (
    clip_atoms,
    combine,
    median_atoms,
    to_tether_atoms,
    to_usd_atoms,
)


class TestMedian:
    @pytest.mark.parametrize(
        ("prices", "expected"),
        [([5], 5), ([9, 1], 5), ([9, 2], 5), ([3, 1, 2], 2), ([4, 1, 3, 2], 2)],
    )
    def test_is_the_middle(self, prices: list[int], expected: int) -> None:
        assert median_atoms(prices) == expected

    def test_needs_a_price(self) -> None:
        with pytest.raises(ValueError, match="at least one"):
            median_atoms([])


class TestClip:
    @pytest.mark.parametrize(
        ("price", "expected"),
        [(1_000, 1_000), (1_020, 1_020), (1_021, 1_020), (980, 980), (979, 980), (10_000, 1_020)],
    )
    def test_moves_a_price_to_the_edge_of_two_percent(self, price: int, expected: int) -> None:
        assert clip_atoms(price, median=1_000) == expected


class TestConversion:
    def test_dollars_are_divided_by_the_price_of_a_tether(self) -> None:
        assert to_tether_atoms(usd_price_atoms=50_000 * ATOMS, tether_usd_atoms=ATOMS) == (
            50_000 * ATOMS
        )
        assert to_tether_atoms(usd_price_atoms=99 * ATOMS, tether_usd_atoms=99_000_000) == (
            100 * ATOMS
        )

    def test_rounds_half_up(self) -> None:
        assert to_tether_atoms(usd_price_atoms=1, tether_usd_atoms=2 * ATOMS) == 1
        assert to_usd_atoms(tether_price_atoms=1, tether_usd_atoms=ATOMS // 2) == 1

    @pytest.mark.parametrize("rate", [0, -1])
    def test_refuses_a_rate_that_is_none(self, rate: int) -> None:
        with pytest.raises(ValueError, match="positive rate"):
            to_tether_atoms(usd_price_atoms=1, tether_usd_atoms=rate)


class TestCombine:
    def test_three_sources_give_their_mean(self) -> None:
        value = combine({"a": 1_000, "b": 1_003, "c": 1_006}, {})

        assert (value.price_atoms, value.state) == (1_003, PriceState.LIVE)

    def test_an_outlier_pulls_by_at_most_its_clipped_part(self) -> None:
        value = combine({"a": 10_000, "b": 10_000, "c": 100_000}, {})

        assert value.price_atoms == (10_000 + 10_000 + 10_200 + 1) // 3
        assert value.median_atoms == 10_000

    def test_weights_count(self) -> None:
        value = combine({"a": 1_000, "b": 1_010, "c": 1_010}, {"a": 2})

        assert value.price_atoms == (2 * 1_000 + 1_010 + 1_010 + 2) // 4

    def test_a_source_of_weight_zero_is_none(self) -> None:
        value = combine({"own book": 5_000, "a": 1_000, "b": 1_000}, {"own book": 0})

        assert (value.price_atoms, value.median_atoms) == (1_000, 1_000)

    def test_two_sources_two_percent_apart_meet_in_the_middle(self) -> None:
        value = combine({"a": 10_000, "b": 10_200}, {})

        assert (value.price_atoms, value.state) == (10_100, PriceState.LIVE)

    def test_two_sources_ten_percent_apart_set_no_price(self) -> None:
        value = combine({"a": 10_000, "b": 11_000}, {})

        assert (value.price_atoms, value.state) == (None, PriceState.DEGRADED)

    def test_one_source_is_degraded(self) -> None:
        value = combine({"a": 1_000}, {})

        assert (value.price_atoms, value.state) == (1_000, PriceState.DEGRADED)

    def test_no_source_is_halted(self) -> None:
        value = combine({}, {})

        assert (value.price_atoms, value.state) == (None, PriceState.HALTED)

    @given(
        st.lists(st.integers(1, 10**18), min_size=2, max_size=7),
        st.lists(st.integers(0, 5), min_size=7, max_size=7),
    )
    def test_is_never_further_than_two_percent_from_the_median(
        self, prices: list[int], weights: list[int]
    ) -> None:
        named = {str(number): price for number, price in enumerate(prices)}
        value = combine(named, {str(number): weight for number, weight in enumerate(weights)})

        if value.price_atoms is not None:
            assert value.median_atoms is not None
            distance = abs(value.price_atoms - value.median_atoms)
            assert distance * 50 <= value.median_atoms + 50
            assert isinstance(value.price_atoms, int)
