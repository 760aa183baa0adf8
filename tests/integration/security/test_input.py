"""
T1 to T7 and T26: what every operation does with input that it must not take.

The operations come from the API's description, so a new one is asked as well. Each test asks
all of them and lists those that answered otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from common import limits
from common.testing import ApiClient, error_code
from tests.support.operations import UNUSED, Operation, operations, resolved
from tests.support.trading import Trader, money_of

# Whoever watches over the platform may add what keeps caches away.
PROBES = {"health", "health_live", "health_ready"}


@pytest.fixture
def api(admin: Trader) -> ApiClient:
    """Somebody who may do everything, so that only the input can be what is refused."""
    return admin.api


def writes() -> list[Operation]:
    return [operation for operation in operations() if not operation.reads]


def writes_at_hand() -> list[Operation]:
    """Return the writes that find what they are about: here nobody has a position."""
    return [
        operation
        for operation in writes()
        if not (operation.operation_id.startswith("positions_") and "{" in operation.path)
    ]


def refused(answer: Any, status: int, code: str) -> dict[str, Any] | None:
    """Return the error if an answer is one of this code in the envelope, else None."""
    if answer.status_code != status or answer["Content-Type"] != "application/json":
        return None
    error: dict[str, Any] = answer.json()["error"]
    if answer["Cache-Control"] != "no-store" or error["request_id"] != answer["X-Request-Id"]:
        return None
    return error if error["code"] == code else None


class Others:
    """Answers that were not the expected ones."""

    def __init__(self) -> None:
        self.asked = 0
        self.found: list[str] = []

    def check(
        self, operation: Operation, case: str, answer: Any, status: int, code: str, only: str = ""
    ) -> None:
        self.asked += 1
        error = refused(answer, status, code)
        if error is None or (only and list(error.get("fields", {})) != [only]):
            self.found.append(f"{operation} {case}: {answer.status_code} {answer.content[:200]}")


@pytest.fixture
def others() -> Iterator[Others]:
    found = Others()
    yield found
    assert found.asked > 0
    assert found.found == []


def send(api: ApiClient, operation: Operation, body: Any = None, query: str = "") -> Any:
    limits.reset()
    return api._send(operation.method, operation.address() + query, body, None)


def test_t1_a_body_above_64_kib_is_refused(api: ApiClient, others: Others) -> None:
    body = b'{"symbol": "' + b"x" * 65_536 + b'"}'

    for operation in writes():
        others.check(operation, "", send(api, operation, body), 413, "BODY_TOO_LARGE")


NO_OBJECTS = {
    "deep": b"[" * 20_000,
    "17 levels": b'{"a":' * 17 + b"1" + b"}" * 17,
    "1,001 keys": b"{" + b",".join(b'"k%d":1' % number for number in range(1_001)) + b"}",
    "a key twice": b'{"symbol": "BTC-USDT", "symbol": "ETH-USDT"}',
    "NaN": b'{"price": NaN}',
    "Infinity": b'{"price": -Infinity}',
    "bad UTF-8": b'{"symbol": "\xff\xfe"}',
    "an array": b"[]",
    "null": b"null",
    "a string": b'"text"',
}


def test_t2_a_body_that_is_no_plain_object_is_refused(api: ApiClient, others: Others) -> None:
    for operation in writes():
        for case, body in NO_OBJECTS.items():
            others.check(operation, case, send(api, operation, body), 400, "INVALID_JSON")


OTHER_TYPES = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=punycode",
    "multipart/form-data; boundary=x",
    "application/xml",
    "",
)


def test_t3_a_body_of_another_type_is_refused(api: ApiClient, others: Others) -> None:
    for operation in writes():
        for content_type in OTHER_TYPES:
            answer = api.generic(
                operation.method,
                operation.address(),
                b"symbol=BTC-USDT",
                content_type=content_type,
                headers={"Authorization": f"Bearer {api.token}"},
            )
            others.check(operation, content_type, answer, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_t3_an_answer_of_another_type_is_not_given(api: ApiClient, others: Others) -> None:
    for operation in operations():
        answer = api._send(operation.method, operation.address(), None, {"Accept": "text/html"})
        others.check(operation, "", answer, 406, "NOT_ACCEPTABLE")


def test_t6_a_field_that_is_not_the_clients_is_refused(api: ApiClient, others: Others) -> None:
    for operation in writes_at_hand():
        # An operator does set the fee of withdrawals.
        own = (operation.body or {}).get("properties", {})
        for name in {"user", "status", "filled", "fee", "is_staff", "balance", "id"} - set(own):
            answer = send(api, operation, {name: "1"})
            others.check(operation, name, answer, 400, "UNKNOWN_FIELD", only=name)


def test_t7_a_parameter_that_is_not_declared_is_refused(api: ApiClient, others: Others) -> None:
    for operation in operations():
        if operation.operation_id in PROBES:
            continue
        for query in ("nonsense=1", "id=1", "limit[]=1", "%00=1", "a=1&a=2", "x=" + "9" * 3_000):
            answer = send(api, operation, {} if not operation.reads else None, f"?{query}")
            others.check(operation, query[:20], answer, 400, "INVALID_PARAMETER")


def test_t7_a_declared_parameter_is_validated(api: ApiClient, others: Others) -> None:
    for operation in operations():
        for name in operation.query:
            for value in (f"1&{name}=1", "", "%00", "9" * 400):
                answer = send(api, operation, None, f"?{name}={value}")
                others.check(operation, f"{name}={value[:9]}", answer, 400, "INVALID_PARAMETER")


def test_t7_a_page_has_1_to_500_rows(api: ApiClient, others: Others) -> None:
    for operation in operations():
        if "cursor" not in operation.query:
            continue
        for limit in ("0", "501", "-1", "1.5", "abc", "nan", "1e3", "9" * 300):
            answer = send(api, operation, None, f"?limit={limit}")
            others.check(operation, limit[:9], answer, 400, "INVALID_PARAMETER", only="limit")


def test_t7_an_id_that_is_none_is_an_unknown_address(api: ApiClient, others: Others) -> None:
    for operation in operations():
        if "_id}" not in operation.path or "client" in operation.path:
            continue
        for value in ("abc", "nan", "0", "-1", "1.0", "9" * 5_000, "%D9%A1", "1%00"):
            path = operation.path.format(**dict.fromkeys(UNUSED, value))
            answer = api._send(operation.method, path, None, None)
            others.check(operation, value[:9], answer, 404, "NOT_FOUND")


WRONG_MONEY = {
    "a float": (0.1, "INVALID_DECIMAL"),
    "an integer": (1, "INVALID_DECIMAL"),
    "a bool": (True, "INVALID_DECIMAL"),
    "an exponent": ("1e5", "INVALID_DECIMAL"),
    "a bomb": ("1e999999999", "INVALID_DECIMAL"),
    "a sign": ("+1", "INVALID_DECIMAL"),
    "negative": ("-1", "INVALID_DECIMAL"),
    "underscores": ("1_000", "INVALID_DECIMAL"),
    "spaces": (" 1", "INVALID_DECIMAL"),
    "a line break": ("1\n", "INVALID_DECIMAL"),
    "Arabic digits": ("\u0661\u0662", "INVALID_DECIMAL"),
    "full-width digits": ("\uff11", "INVALID_DECIMAL"),
    "a leading zero": ("01", "INVALID_DECIMAL"),
    "no digit in front": (".5", "INVALID_DECIMAL"),
    "hexadecimal": ("0x10", "INVALID_DECIMAL"),
    "NaN": ("NaN", "INVALID_DECIMAL"),
    "Infinity": ("Infinity", "INVALID_DECIMAL"),
    "empty": ("", "INVALID_DECIMAL"),
    "9 decimals": ("0.123456789", "TOO_MANY_DECIMALS"),
    "21 digits": ("9" * 21, "OUT_OF_RANGE"),
    "60,000 digits": ("9" * 60_000, "INVALID_DECIMAL"),
    "an object": ({"$gt": "0"}, "INVALID_DECIMAL"),
    "an array": (["1"], "INVALID_DECIMAL"),
}


class TestMoney:
    @pytest.mark.parametrize("name", ["price", "quantity"])
    def test_t4_an_order_takes_plain_decimal_strings_only(
        self, exchange: Any, alice: Trader, name: str
    ) -> None:
        before = money_of(exchange)

        for case, (value, code) in WRONG_MONEY.items():
            seconds = []
            # Whatever else the process does, such as collecting garbage, does it not twice.
            for _ in range(2):
                began = time.thread_time()
                answer = alice.place(**{name: value})
                seconds.append(time.thread_time() - began)

            error = refused(answer, 400, "VALIDATION_ERROR")
            assert error is not None, (case, answer.content)
            assert (case, error["fields"]) == (case, {name: code})
            assert min(seconds) < 0.05
        assert money_of(exchange) == before

    def test_t4_so_does_a_transfer(self, exchange: Any, alice: Trader) -> None:
        before = money_of(exchange)

        for case, (value, code) in WRONG_MONEY.items():
            body = {"currency": "USDT", "amount": value, "to_wallet": "margin"}
            error = refused(alice.api.post("/api/wallet/transfer", body), 400, "VALIDATION_ERROR")
            assert error is not None, case
            assert (case, error["fields"]) == (case, {"amount": code})
        assert money_of(exchange) == before

    @pytest.mark.parametrize(
        ("fields", "status", "code"),
        [
            ({"quantity": "0"}, 400, "VALIDATION_ERROR"),
            ({"price": "0"}, 400, "VALIDATION_ERROR"),
            ({"price": "50000.001"}, 422, "TICK_SIZE"),
            ({"quantity": "0.000001"}, 422, "LOT_SIZE"),
            ({"quantity": "1001"}, 422, "QUANTITY_TOO_LARGE"),
            ({"quantity": "0.00001", "price": "1"}, 422, "MIN_NOTIONAL"),
            ({"quantity": "30", "price": "50000"}, 422, "INSUFFICIENT_BALANCE"),
        ],
    )
    def test_t5_what_is_off_the_rules_of_a_market_locks_nothing(
        self, exchange: Any, alice: Trader, fields: dict[str, str], status: int, code: str
    ) -> None:
        before = money_of(exchange)

        answer = alice.place(**fields)

        assert refused(answer, status, code) is not None, answer.content
        assert money_of(exchange) == before
        assert alice.api.get("/api/orders").json()["items"] == []


OPERATORS = ({"$ne": None}, {"$gt": ""}, {"$where": "sleep(5000)"}, ["a"], 1, True, 0.5)


class TestInjection:
    def test_t26_a_string_is_a_string(self, api: ApiClient, others: Others) -> None:
        for operation in writes_at_hand():
            for name, described in (operation.body or {}).get("properties", {}).items():
                if resolved(described).get("type") != "string":
                    continue
                for value in OPERATORS:
                    answer = send(api, operation, {name: value})
                    others.check(operation, f"{name}={value}", answer, 400, "VALIDATION_ERROR")
                    fields = answer.json()["error"].get("fields", {})
                    if fields.get(name) == "REQUIRED":
                        others.found.append(f"{operation} takes {name}={value} for absent")

    @pytest.mark.parametrize(
        "text",
        ["' OR 1=1 --", "1; DROP TABLE orders_order", "%27", '" OR ""="', "a' UNION SELECT 1"],
    )
    def test_t26_text_that_is_sql_is_text(self, api: ApiClient, text: str) -> None:
        address = quote(text, safe="")

        login = ApiClient().post("/api/auth/login", {"username": text, "password": text})
        listed = api.get(f"/api/orders?symbol={address}")
        one = api.get(f"/api/wallet/{address}")

        assert error_code(login) == "INVALID_CREDENTIALS"
        assert error_code(listed) == "MARKET_NOT_FOUND"
        assert error_code(one) == "ASSET_NOT_FOUND"
