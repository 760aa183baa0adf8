"""The AsyncAPI document: complete, consistent, and true of what is sent and taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support import contract
from tradingplatform.asyncapi import NAMESPACES, document


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def test_every_reference_leads_somewhere() -> None:
    described = document()

    for reference in set(_references(described)):
        target: Any = described
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        assert target


def test_names_every_namespace_and_every_operation_of_its_consumer() -> None:
    described = document()

    addresses = {channel["address"] for channel in described["channels"].values()}
    assert addresses == {"/ws/prices", "/ws/market", "/ws/user", "/ws/admin"}
    for namespace in NAMESPACES:
        messages = described["channels"][namespace.name]["messages"]
        requests = {name for name in messages if name.startswith("request_")}
        assert requests == {f"request_{op}" for op in namespace.consumer.operations}
        kinds = namespace.consumer.kinds
        assert kinds <= {frame.channel for frame in namespace.frames}


def test_every_schema_is_valid_json_schema() -> None:
    for schema in document()["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/ws/market", {"type": "pong", "ts": 1, "more": 1}),
        ("/ws/market", {"channel": "price:X", "epoch": 1, "seq": 1, "type": "update", "ts": 1}),
        ("/ws/prices", {"type": "authenticated", "account_id": "1", "expires_at": 1}),
        ("/ws/user", {"type": "result", "id": 1, "op": "cancel", "status": 200, "data": {}}),
    ],
)
def test_the_contract_notices_what_is_not_described(path: str, message: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="does not describe"):
        contract.check(path, message)
