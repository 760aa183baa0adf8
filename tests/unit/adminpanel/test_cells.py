"""Cells that spreadsheets must not run, and numbers that must stay numbers."""

from __future__ import annotations

import pytest

from adminpanel.exports.cells import atoms_cell, cell, time_cell
from adminpanel.exports.writing import ExportError, Plan, write_csv


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1+1", "'+1+1"),
        ("-1+1", "'-1+1"),
        ("-", "'-"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("-12.50", "-12.50"),
        (-7, "-7"),
        ("a=1", "a=1"),
        ("", ""),
        (None, ""),
    ],
)
def test_text_never_becomes_a_formula_and_numbers_stay(value: object, shown: str) -> None:
    assert cell(value) == shown  # type: ignore[arg-type]


def test_amounts_and_times_are_exact() -> None:
    assert atoms_cell(-123_000_000) == "-1.23"
    assert atoms_cell(2**62) == "46116860184.27387904"
    assert time_cell(1_795_694_400_123) == "2026-11-26 12:00:00.123"
    assert time_cell(0) == ""


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adminpanel.exports.writing.ROWS_MAX", 3)
    path = tmp_path / "x.csv"
    told: list[tuple[int, int]] = []

    def report(percent: int, rows: int) -> None:
        told.append((percent, rows))

    rows = write_csv(
        path, ["a", "b"], Plan(iter([iter([(1, "=x")]), iter([(2, None)])]), 2), report
    )
    with pytest.raises(ExportError, match="shorter period"):
        write_csv(tmp_path / "y.csv", ["a"], Plan(iter([iter([(1,)] * 4)]), 1), report)

    assert rows == 2
    assert path.read_bytes() == b"a,b\r\n1,'=x\r\n2,\r\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert told[:2] == [(50, 1), (100, 2)]
    assert [found.name for found in tmp_path.iterdir()] == ["x.csv"]
