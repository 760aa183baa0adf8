"""Every operation of the API, as its description has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator

# Values of path parameters that name nothing.
UNUSED: dict[str, str] = {
    "symbol": "BTC-USDT",
    "currency": "BTC",
    "order_id": "999999999999999999",
    "client_order_id": "never-used",
    "position_id": "999999999999999999",
    "session_id": "999999999999999999",
    "key_id": "999999999999999999",
    "slot_id": "999999999999999999",
    "user_id": "999999999999999999",
    "account_id": "999999999999999999",
    "approval_id": "999999999999999999",
    "export_id": "999999999999999999",
    "insurance_group": "999",
    "source": "kraken",
    "quarantine_id": "999999999999999999",
    "withdrawal_id": "999999999999999999",
    "address_id": "999999999999999999",
}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one address."""

    operation_id: str
    method: str
    path: str
    query: tuple[str, ...]
    body: dict[str, Any] | None = field(repr=False)
    security: tuple[str, ...]

    def __str__(self) -> str:
        """Return what a test is called."""
        return self.operation_id

    @property
    def needs_login(self) -> bool:
        """Return whether the description asks for credentials."""
        return bool(self.security) and "" not in self.security

    @property
    def reads(self) -> bool:
        """Return whether it changes nothing."""
        return self.method == "GET"

    def address(self, **values: str) -> str:
        """Return the path with its parameters filled in, by default with unused ones."""
        return self.path.format(**{**UNUSED, **values})


@cache
def schema() -> dict[str, Any]:
    """Return the API's description as the code gives it."""
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return found


@cache
def operations() -> tuple[Operation, ...]:
    """Return every operation, in the order of the description."""
    found = [
        Operation(
            operation_id=described["operationId"],
            method=method.upper(),
            path=path,
            query=tuple(
                parameter["name"]
                for parameter in described.get("parameters", ())
                if parameter["in"] == "query"
            ),
            body=_body(described),
            security=tuple(
                name
                for requirement in described.get("security", ())
                for name in (requirement or {"": []})
            ),
        )
        for path, methods in schema()["paths"].items()
        for method, described in methods.items()
    ]
    return tuple(found)


def _body(described: dict[str, Any]) -> dict[str, Any] | None:
    content = described.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return None
    return resolved(content["application/json"]["schema"])


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part of the description without its outermost reference."""
    reference = part.get("$ref")
    if reference is None:
        return part
    found: dict[str, Any] = schema()["components"]["schemas"][reference.rpartition("/")[2]]
    return found
