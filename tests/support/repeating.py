"""A plugin of pytest for proofs: ``-p tests.support.repeating --times 100``."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--times", type=int, default=1, help="run each test so many times")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make as many tests of each as ``--times`` says."""
    times = metafunc.config.getoption("times")
    if times > 1:
        metafunc.fixturenames.append("_turn")
        metafunc.parametrize("_turn", range(times), indirect=True)


@pytest.fixture
def _turn(request: pytest.FixtureRequest) -> int:
    """Return which of the ``--times`` this is."""
    return int(request.param)
