"""docs/SECURITY.md has a row for every threat, and its tests exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "SECURITY.md").read_text(encoding="utf-8")


def rows() -> dict[str, list[str]]:
    """Return the cells of each threat: number, threat, answer, tests, requirements."""
    found = {}
    for line in PAGE.splitlines():
        match = re.fullmatch(r"\| (T[0-9]+) \| (.*) \| (.*) \| (.*) \| (.*) \|", line)
        if match:
            found[match[1]] = list(match.groups())
    return found


def missing(reference: str) -> bool:
    """Return whether a test that the page names is not there."""
    path, _, name = reference.partition("::")
    file = ROOT / "tests" / path
    if not file.is_file():
        return True
    return bool(name) and not re.search(
        rf"^\s*(?:async )?(?:def|class) {name}\b", file.read_text(encoding="utf-8"), re.M
    )


class TestPage:
    def test_every_threat_has_a_row_in_order(self) -> None:
        numbers = re.findall(r"^\| (T[0-9]+) \|", PAGE, re.M)

        assert numbers == [f"T{number}" for number in range(1, 38)]
        assert list(rows()) == numbers

    @pytest.mark.parametrize("threat", [f"T{number}" for number in range(1, 38)])
    def test_names_an_answer_a_test_that_exists_and_a_requirement(self, threat: str) -> None:
        _, what, answer, tests, requirements = rows()[threat]
        references = re.findall(r"`([^`]+)`", tests)

        assert what
        assert answer
        assert references
        assert [reference for reference in references if missing(reference)] == []
        assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+(, [0-9]+\.[0-9]+\.[0-9]+)*", requirements)

    def test_every_other_test_that_the_page_names_exists(self) -> None:
        named = re.findall(r"`((?:unit|integration|simulation)/[^`]+)`", PAGE)

        assert len(named) > 50
        assert [reference for reference in named if missing(reference)] == []

    def test_a_test_that_does_not_exist_would_be_noticed(self) -> None:
        assert missing("integration/security/test_input.py::test_t99_nothing")
        assert missing("integration/security/test_nothing.py")
        assert not missing("integration/security/test_input.py::TestMoney")
