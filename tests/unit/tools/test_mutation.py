"""The sample of mutants is drawn fairly, and the score says how sure it is."""

import sys
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
NAMES = [f"core.big.x_f__mutmut_{number}" for number in range(90)] + [
    f"core.small.x_g__mutmut_{number}" for number in range(10)
]


@pytest.fixture
def mutation(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import mutation

    monkeypatch.delitem(sys.modules, "mutation")
    return mutation


class TestStratified:
    @pytest.mark.parametrize(("size", "small"), [(10, 1), (34, 3), (36, 4), (100, 10), (500, 10)])
    def test_each_module_has_its_share(self, mutation: ModuleType, size: int, small: int) -> None:
        drawn = mutation.stratified(NAMES, size=size, random=Random(1))

        assert len(set(drawn)) == len(drawn) == min(size, 100)
        assert sum(name.startswith("core.small") for name in drawn) == small

    def test_a_seed_repeats_a_sample_and_another_draws_another(self, mutation: ModuleType) -> None:
        first, again, other = (
            mutation.stratified(NAMES, size=20, random=Random(seed)) for seed in (1, 1, 2)
        )

        assert first == again != other


@pytest.mark.parametrize(
    ("killed", "total", "low", "high"),
    [(270, 300, 86.08, 92.91), (10, 10, 72.25, 100.0), (0, 0, 0.0, 100.0)],
)
def test_interval_of_a_score(
    mutation: ModuleType, killed: int, total: int, low: float, high: float
) -> None:
    assert mutation.wilson(killed, total) == pytest.approx((low, high), abs=0.01)


class TestTold:
    def test_names_each_test_that_failed_and_why(self, mutation: ModuleType) -> None:
        output = (
            "generating mutants\n....F..\nE       assert 1 == 2\n"
            "FAILED tests/unit/exchange/test_book.py::test_one - assert 1 == 2\n1 failed\n"
        )

        assert mutation.told(output) == [
            "E       assert 1 == 2",
            "FAILED tests/unit/exchange/test_book.py::test_one - assert 1 == 2",
        ]

    def test_of_an_output_that_names_none_says_the_end(self, mutation: ModuleType) -> None:
        lines = [f"line {number}" for number in range(100)]

        assert mutation.told("\n\n".join(lines)) == lines[-20:]
