"""Every code in the sources is in the catalogue, once."""

import ast
from collections.abc import Iterator
from pathlib import Path

from common.error_catalog import GROUPS, catalog
from exchange.core.rejects import Code

ROOT = Path(__file__).resolve().parents[3]
APPS = ("accounts", "adminpanel", "common", "markets", "orders", "tradingplatform", "wallets")
RAISERS = {"ApiError", "TokenError"}


def codes_in_sources() -> Iterator[str]:
    """Yield every literal code that a source raises."""
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    yield from _codes_of(node)


def _codes_of(call: ast.Call) -> Iterator[str]:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    values = call.args[:1] if name in RAISERS else []
    if name == "FieldError":
        values = [word.value for word in call.keywords if word.arg == "code"]
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value


class TestCatalog:
    def test_every_code_of_the_sources_is_explained(self) -> None:
        known = {entry.code for entry in catalog()}

        assert sorted(set(codes_in_sources()) - known) == []

    def test_every_refusal_of_the_exchange_is_explained(self) -> None:
        known = {entry.code for entry in catalog()}

        assert {code.name for code in Code} - known == {"OK"}

    def test_no_code_has_two_meanings_in_one_group(self) -> None:
        entries = [(entry.group, entry.code) for entry in catalog()]

        assert len(set(entries)) == len(entries)
        assert {group for group, _ in entries} == set(GROUPS)
        assert all(entry.message.endswith(".") for entry in catalog())


class TestDocument:
    def test_the_guide_lists_every_code_with_its_meaning_in_this_order(self) -> None:
        guide = (ROOT / "docs" / "API.md").read_text().partition("## Every code")[2]

        rows = [line for line in guide.splitlines() if line.startswith("| `")]

        assert rows == [
            f"| `{entry.code}` | {entry.http_status} | {entry.message} |"
            for group in GROUPS
            for entry in catalog()
            if entry.group == group
        ]
