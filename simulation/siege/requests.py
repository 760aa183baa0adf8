"""
Requests that must be refused or carried out, but never break anything.

Two sources over every operation of the API's description: schemathesis, which draws valid and
invalid requests from it, and a corpus of our own, which puts hostile values into valid ones.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

HOSTILE_TEXTS = (
    "",
    " ",
    "\x00",
    "\r\nX-Injected: 1",
    "a" * 70,
    "a" * 9_000,
    "9" * 30,
    "1e999999",
    "-1",
    "-0",
    "0x10",
    "NaN",
    "Infinity",
    "\u0661\u0662",
    "\uff11",
    "\u202eabc",
    "\U0001f4a5" * 20,
    "' OR 1=1 --",
    "$(sleep 5)",
    "{{7*7}}",
    "${jndi:ldap://x/y}",
    "<script>alert(1)</script>",
    "../../../etc/passwd",
    "%00",
    "BTC/USDT:USDT",
)
HOSTILE_VALUES: tuple[Any, ...] = (
    *HOSTILE_TEXTS,
    None,
    True,
    0,
    -1,
    1.5,
    1e308,
    2**63,
    -(2**63) - 1,
    10**400,
    [],
    [[]],
    {},
    {"$gt": ""},
    {"$where": "sleep(5000)"},
    [None] * 60,
    ["a"] * 400,
)
HOSTILE_BODIES = (
    b"",
    b"{",
    b"[]",
    b"null",
    b'"',
    b"[" * 30_000,
    b'{"a":' * 40 + b"1" + b"}" * 40,
    b'{"a":1,"a":2}',
    b'{"a":NaN}',
    b'{"a":"\\ud800"}',
    b'{"a":"\xff\xfe"}',
    b"\x1f\x8b\x08\x00\x00\x00",
    b"\xef\xbb\xbf{}",
    b"a=1&b=2",
    b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
)
HOSTILE_HEADERS: tuple[dict[str, str], ...] = (
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/json; charset=utf-7"},
    {"Content-Type": "multipart/form-data; boundary=x"},
    {"Content-Type": ""},
    {"Content-Encoding": "gzip"},
    {"Accept": "text/html"},
    {"Accept": ",;q=;"},
    {"Accept-Encoding": "gzip;q=0, *;q=1"},
    {"Authorization": "Bearer "},
    {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."},
    {"Authorization": "Basic YTpi"},
    {"Authorization": "Bearer " + "a" * 8_000},
    {"X-API-Key": "x", "X-Timestamp": "NaN", "X-Nonce": "\u00e9", "X-Signature": "0" * 64},
    {"X-API-Key": "\u00ff" * 40, "X-Timestamp": "9" * 40, "X-Nonce": "", "X-Signature": ""},
    {"X-Request-Id": "x" * 500},
    {"X-Forwarded-For": "', ::::, 1.1.1.1"},
    {"Origin": "null"},
    {"Cookie": "exchange_session=" + "a" * 500 + "; csrftoken=\u00ff"},
    {"If-None-Match": "*", "If-Modified-Since": "yesterday", "Range": "bytes=-1"},
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it goes over the wire; ``source`` says who drew it."""

    operation: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    source: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation with examples of its parts."""

    name: str
    method: str
    path: str
    path_names: tuple[str, ...]
    query_names: tuple[str, ...]
    bodies: tuple[dict[str, Any], ...] = field(repr=False)


class Generator:
    """Draws requests with schemathesis, a few of one operation at a time."""

    def __init__(self, description: dict[str, Any]) -> None:
        """Load the API's description."""
        import schemathesis

        loaded = schemathesis.openapi.from_dict(description)
        self._operations = [found.ok() for found in loaded.get_all_operations()]

    @property
    def count(self) -> int:
        """Return how many operations there are."""
        return len(self._operations)

    def draw(self, index: int, *, valid: bool, count: int, seed: int) -> list[Request]:
        """Return about ``count`` requests of one operation; the same seed draws the same."""
        import hypothesis
        from schemathesis import GenerationMode

        operation = self._operations[index]
        mode = GenerationMode.POSITIVE if valid else GenerationMode.NEGATIVE
        drawn: list[Request] = []

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=count,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.generate],
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def collect(case: Any) -> None:
            drawn.append(_request_of(case, valid=valid))

        # An operation without parameters and body has no invalid request.
        with contextlib.suppress(hypothesis.errors.Unsatisfiable):
            collect()
        return drawn

    def operations(self, seed: int) -> list[Operation]:
        """Return the operations with valid bodies for the corpus to spoil."""
        found = []
        for index, operation in enumerate(self._operations):
            raw = operation.definition.raw
            names = [item["name"] for item in raw.get("parameters", ()) if item["in"] == "query"]
            examples = self.draw(index, valid=True, count=4, seed=seed)
            bodies = [json.loads(example.body) for example in examples if example.body]
            found.append(
                Operation(
                    name=raw["operationId"],
                    method=operation.method.upper(),
                    path=operation.path,
                    path_names=tuple(
                        item["name"] for item in raw.get("parameters", ()) if item["in"] == "path"
                    ),
                    query_names=tuple(names),
                    bodies=tuple(body for body in bodies if isinstance(body, dict)),
                )
            )
        return found


def _request_of(case: Any, *, valid: bool) -> Request:
    query = urlencode(
        [
            (name, value)
            for name, values in (case.query or {}).items()
            for value in (values if isinstance(values, list) else [values])
        ],
        errors="replace",
    )
    body = b""
    # schemathesis marks an absent body with a value of its own.
    if case.media_type and type(case.body).__name__ != "NotSet":
        body = json.dumps(case.body, default=str).encode(errors="replace")
    headers = {str(name): str(value) for name, value in (case.headers or {}).items()}
    if body:
        headers.setdefault("Content-Type", case.media_type or "application/json")
    target = quote(case.formatted_path, safe="/%~!$&'()*+,;=:@")
    return Request(
        operation=case.operation.definition.raw["operationId"],
        method=case.method.upper(),
        target=f"{target}?{query}" if query else target,
        headers=headers,
        body=body,
        source="schemathesis, valid" if valid else "schemathesis, invalid",
    )


def corpus(operations: list[Operation], seed: int) -> Iterator[Request]:
    """Yield requests of our own without end; the same seed yields the same."""
    chance = random.Random(seed)
    while True:
        operation = chance.choice(operations)
        yield Request(
            operation=operation.name,
            method=operation.method if chance.random() < 0.95 else _other_method(chance),
            target=_target(operation, chance),
            headers=dict(chance.choice(HOSTILE_HEADERS)) if chance.random() < 0.25 else {},
            body=_body(operation, chance),
            source="corpus",
        )


def _other_method(chance: random.Random) -> str:
    return chance.choice(("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"))


def _target(operation: Operation, chance: random.Random) -> str:
    values = {
        name: quote(chance.choice(HOSTILE_TEXTS) or "-", safe="")
        if chance.random() < 0.4
        else ("BTC-USDT" if name == "symbol" else "BTC" if name == "currency" else "1")
        for name in operation.path_names
    }
    path = operation.path.format(**values)
    if chance.random() < 0.7:
        return path
    names = [*operation.query_names, "id", "limit[]", "\x00"]
    pairs = [
        (chance.choice(names), chance.choice(HOSTILE_TEXTS)) for _ in range(chance.randrange(1, 4))
    ]
    return f"{path}?{urlencode(pairs, errors='replace')}"


def _body(operation: Operation, chance: random.Random) -> bytes:
    if not operation.bodies or chance.random() < 0.15:
        return chance.choice(HOSTILE_BODIES) if chance.random() < 0.5 else b""
    body = dict(chance.choice(operation.bodies))
    for _ in range(chance.randrange(1, 3)):
        name = chance.choice([*body, "user", "is_staff", "$where"])
        if chance.random() < 0.2:
            body.pop(name, None)
        else:
            body[name] = chance.choice(HOSTILE_VALUES)
    text = json.dumps(body, ensure_ascii=chance.random() < 0.5).encode(errors="replace")
    if chance.random() < 0.1:
        cut = chance.randrange(len(text))
        return text[:cut] + bytes([chance.randrange(256)]) + text[cut + 1 :]
    return text
