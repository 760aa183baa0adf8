"""Tables of measurements and the document they are kept in."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.report import Section


@pytest.fixture
def document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "docs" / "BENCHMARKS.md"
    monkeypatch.setattr(report, "DOCUMENT", path)
    return path


class TestSection:
    def test_a_missed_bound_is_marked_and_remembered(self) -> None:
        section = Section("core", "Core", ("rate", "bound"))

        held, missed = section.bound(True, "1.20"), section.bound(False, "0.80")

        assert held == "1.20 ✓"
        assert missed == "0.80 ✗ MISSED"
        assert section.failed == ["core: 0.80"]


class TestWriteDocument:
    def test_only_the_measured_section_is_replaced(self, document: Path) -> None:
        first = Section("book", "Book", ("a",), [("1",)])
        other = Section("core", "Core", ("a",), [("2",)])
        report.write_document([first, other])
        document.write_text(document.read_text() + "\nWritten by hand.\n")

        report.write_document([Section("book", "Book", ("a",), [("3",)])])

        text = document.read_text()
        assert "| 3 |" in text
        assert "| 1 |" not in text
        assert "| 2 |" in text
        assert text.endswith("Written by hand.\n")
        assert text.count("<!-- book:start -->") == 1


def test_percentile_is_a_value_that_was_measured() -> None:
    assert report.percentile([5.0, 1.0, 3.0], 0.5) == 3.0
    assert report.percentile([5.0, 1.0, 3.0], 0.99) == 5.0
