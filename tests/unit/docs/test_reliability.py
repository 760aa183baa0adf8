"""docs/RELIABILITY.md has a row for every promise, and its tests and commands exist."""

import re
from pathlib import Path

import pytest

from simulation.__main__ import _parser
from tests.unit.docs.test_security import missing

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "RELIABILITY.md").read_text(encoding="utf-8")
PROMISES = ["P1", "P1b", "P1c", *(f"P{number}" for number in range(2, 21))]
ROWS = {
    match[1]: list(match.groups())[1:]
    for match in re.finditer(
        r"^\| (P[0-9]+[bc]?) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.M
    )
}


def test_every_promise_has_a_row_in_order() -> None:
    assert list(ROWS) == PROMISES


@pytest.mark.parametrize("promise", PROMISES)
def test_names_tests_that_exist_or_says_that_nothing_ran(promise: str) -> None:
    _, short, long, run = ROWS[promise]
    named = re.findall(r"`([a-z_]+/[^`]+\.py[^`]*)`", short + long)

    assert named or "not run" in run.lower() or "make bench" in long
    assert [reference for reference in named if missing(reference)] == []


def test_every_command_that_the_page_names_exists() -> None:
    commands = set(re.findall(r"`(?:python -m )?simulation ([a-z]+)", PAGE))

    assert {"kill", "takeovers", "corruption", "soak", "faults"} <= commands
    for command in sorted(commands):
        assert _parser().parse_args([command]).action == command


def test_the_two_pages_are_linked_from_the_front() -> None:
    front = (ROOT / "README.md").read_text(encoding="utf-8")

    assert "(docs/RELIABILITY.md)" in front
    assert "(docs/SCALING.md)" in front
