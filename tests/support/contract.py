"""Holds what sockets receive to the AsyncAPI document: every kind of message, a few times."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tradingplatform.asyncapi import document

# Large snapshots are slow to validate, and one is like the other.
EACH_MAX = 3

_seen: Counter[tuple[str, ...]] = Counter()


@cache
def _validator(namespace: str) -> Draft202012Validator:
    described = document()
    sent = described["operations"][f"{namespace}_send"]["messages"]
    names = [reference["$ref"].rpartition("/")[2] for reference in sent]
    messages = described["components"]["messages"]
    return Draft202012Validator(
        {
            "anyOf": [messages[name]["payload"] for name in names],
            "components": described["components"],
        }
    )


def check(path: str, message: dict[str, Any]) -> None:
    """Fail when a message is not one that the document describes for its namespace."""
    namespace = path.partition("?")[0].rpartition("/")[2]
    kind = str(message.get("channel", "")).partition(":")[0]
    key = (namespace, kind, str(message.get("type")), str(message.get("op")))
    _seen[key] += 1
    if _seen[key] > EACH_MAX:
        return
    if not _validator(namespace).is_valid(message):
        shown = str(message)[:500]
        raise AssertionError(f"{path} sent what docs/asyncapi.yaml does not describe: {shown}")
