"""docs/API.md names every order type and every reason there is."""

from pathlib import Path

from orders.render import ORDER_TYPE_NAMES, REASON_NAMES

GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "API.md").read_text()


def first_cells(heading: str) -> list[str]:
    """Return the names in the first column of the table of a chapter."""
    chapter = GUIDE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line for line in chapter.splitlines() if line.startswith("| `")]
    return [row.split("`")[1] for row in rows]


class TestGuide:
    def test_lists_every_order_type(self) -> None:
        assert sorted(first_cells("Order types")[1:]) == sorted(ORDER_TYPE_NAMES.values())

    def test_lists_every_reason(self) -> None:
        reasons = [name for name in REASON_NAMES.values() if name]

        assert first_cells("Why an order ended")[1:] == reasons
