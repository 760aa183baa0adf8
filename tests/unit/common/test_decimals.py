import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.decimals import format_atoms, format_atoms_fixed, format_rate, parse_atoms
from common.errors import FieldError


class TestParseAtoms:
    @pytest.mark.parametrize(
        ("text", "atoms"),
        [
            ("0", 0),
            ("1", 100_000_000),
            ("0.00000001", 1),
            ("1.10", 110_000_000),
            ("50000.12", 5_000_012_000_000),
            ("92233720368.54775807", 2**63 - 1),
        ],
    )
    def test_is_exact(self, text, atoms):
        assert parse_atoms(text, field="price") == atoms

    @pytest.mark.parametrize(
        ("value", "code"),
        [
            ("", "INVALID_DECIMAL"),
            ("-1", "INVALID_DECIMAL"),
            ("+1", "INVALID_DECIMAL"),
            ("01", "INVALID_DECIMAL"),
            (".5", "INVALID_DECIMAL"),
            ("5.", "INVALID_DECIMAL"),
            ("1e3", "INVALID_DECIMAL"),
            ("1e999999", "INVALID_DECIMAL"),
            ("1_000", "INVALID_DECIMAL"),
            ("1,000", "INVALID_DECIMAL"),
            (" 1", "INVALID_DECIMAL"),
            ("1\n", "INVALID_DECIMAL"),
            ("\u0661", "INVALID_DECIMAL"),
            ("\uff11", "INVALID_DECIMAL"),
            ("0x10", "INVALID_DECIMAL"),
            ("NaN", "INVALID_DECIMAL"),
            ("Infinity", "INVALID_DECIMAL"),
            (1, "INVALID_DECIMAL"),
            (1.5, "INVALID_DECIMAL"),
            (True, "INVALID_DECIMAL"),
            (None, "INVALID_DECIMAL"),
            (["1"], "INVALID_DECIMAL"),
            ("9" * 65, "INVALID_DECIMAL"),
            ("1.123456789", "TOO_MANY_DECIMALS"),
            ("1.000000000", "TOO_MANY_DECIMALS"),
            ("123456789012", "OUT_OF_RANGE"),
            ("92233720368.54775808", "OUT_OF_RANGE"),
        ],
    )
    def test_refuses(self, value, code):
        with pytest.raises(FieldError) as raised:
            parse_atoms(value, field="price")

        assert raised.value.fields == {"price": code}
        assert raised.value.status_code == 400

    def test_respects_the_decimals_of_an_asset(self):
        assert parse_atoms("1.12", field="a", decimals=2) == 112_000_000
        with pytest.raises(FieldError) as raised:
            parse_atoms("1.123", field="a", decimals=2)
        assert raised.value.field_code == "TOO_MANY_DECIMALS"

    def test_a_huge_text_costs_nothing(self):
        began = time.thread_time()

        with pytest.raises(FieldError):
            parse_atoms("1" + "0" * 60_000, field="a")

        assert time.thread_time() - began < 0.05

    @given(st.integers(min_value=0, max_value=2**63 - 1))
    def test_reads_back_what_is_formatted(self, atoms):
        assert parse_atoms(format_atoms(atoms), field="a") == atoms


class TestFormat:
    @pytest.mark.parametrize(
        ("atoms", "text"),
        [(0, "0"), (1, "0.00000001"), (150_000_000, "1.5"), (-25_000_000, "-0.25")],
    )
    def test_is_shortest(self, atoms, text):
        assert format_atoms(atoms) == text

    @pytest.mark.parametrize(
        ("atoms", "decimals", "text"),
        [(100_000_000, 2, "1.00"), (100_000_000, 0, "1"), (123_456_789, 2, "1.23456789")],
    )
    def test_fixed_shows_at_least_the_decimals_and_never_rounds(self, atoms, decimals, text):
        assert format_atoms_fixed(atoms, decimals=decimals) == text

    def test_rate(self):
        assert format_rate(40_000) == "0.0004"
        assert format_rate(-10_000) == "-0.0001"
