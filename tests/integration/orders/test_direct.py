"""Placing goes past the framework: what is refused, and how, is what the framework answers."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts import direct_views
from common import limits
from tests.support.trading import Trader

pytestmark = pytest.mark.integration

ORDER = (
    b'{"symbol": "BTC-USDT", "side": "buy", "type": "limit", "price": "49000", "quantity": "0.1"}'
)
# What differs by nature, or is the framework's decoration.
UNSTEADY = {"X-Request-Id", "X-RateLimit-Reset", "X-RateLimit-Remaining", "Allow", "Vary"}


def asked(token: str, **changed: Any) -> tuple[int, Any, dict[str, str]]:
    """Return status, body without its request id, and headers of an order's answer."""
    sent = {
        "path": "/api/orders",
        "data": ORDER,
        "content_type": "application/json",
        "headers": {"Authorization": f"Bearer {token}"},
    } | changed
    limits.reset()
    answer = Client(raise_request_exception=False).generic("POST", **sent)
    body = answer.json()
    if "error" in body:
        del body["error"]["request_id"]
    else:
        body = sorted(body)
    shown = {name: value for name, value in answer.headers.items() if name not in UNSTEADY}
    shown.pop("Content-Length", None)
    return answer.status_code, body, shown


CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "an order": (201, {}),
    "a charset": (201, {"content_type": "application/json; charset=utf-8"}),
    "no token": (401, {"headers": {}}),
    "a bad token": (401, {"headers": {"Authorization": "Bearer x.y.z"}}),
    "another scheme": (401, {"headers": {"Authorization": "Basic eDp5"}}),
    "half a signature": (400, {"headers": {"X-API-Key": "x" * 32}}),
    "no body": (400, {"data": b""}),
    "no JSON": (400, {"data": b"{"}),
    "a key twice": (400, {"data": b'{"side": "buy", "side": "sell"}'}),
    "a list": (400, {"data": b"[]"}),
    "a body that is too large": (413, {"data": b" " * 70_000}),
    "a form": (415, {"content_type": "application/x-www-form-urlencoded"}),
    "a parameter": (400, {"path": "/api/orders?side=buy"}),
    "an unknown field": (400, {"data": b'{"colour": "red"}'}),
    "a business refusal": (422, {"data": ORDER.replace(b'"0.1"', b'"900"')}),
}


def test_every_answer_is_that_of_the_framework(
    alice: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = alice.api.token
    direct = {name: asked(token, **changed) for name, (_, changed) in CASES.items()}
    monkeypatch.setattr(direct_views, "_is_plain", lambda _: False)
    framework = {name: asked(token, **changed) for name, (_, changed) in CASES.items()}

    assert {name: answer[0] for name, answer in direct.items()} == {
        name: status for name, (status, _) in CASES.items()
    }
    assert direct == framework


def test_who_takes_no_json_is_told_so(alice: Trader) -> None:
    headers = {"Authorization": f"Bearer {alice.api.token}", "Accept": "text/html"}

    status, body, _ = asked(alice.api.token, headers=headers)

    assert (status, body["error"]["code"]) == (406, "NOT_ACCEPTABLE")


def test_a_user_who_may_not_trade_is_refused_before_anything_is_counted(
    alice: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.types.Identity.refusal", lambda *_: "PERMISSION_DENIED")

    status, body, headers = asked(alice.api.token)

    assert (status, body["error"]["code"]) == (403, "PERMISSION_DENIED")
    assert "X-RateLimit-Limit" not in headers
