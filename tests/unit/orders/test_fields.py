"""Request tables: every value read once, every error named, one schema."""

from typing import Any

import pytest

from common.errors import ApiError
from orders.change_requests import parse_cancel
from orders.fields import read_body, schema_of
from orders.requests import ORDER_FIELDS, parse_batch

ACCOUNT = 7


def refusal(body: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read_body(ORDER_FIELDS, body, None)
    return caught.value


class TestReadBody:
    def test_names_every_invalid_and_missing_field_at_once(self) -> None:
        error = refusal({"symbol": "BTC-USDT", "price": "1e5", "quantity": 1, "post_only": "yes"})

        assert error.code == "VALIDATION_ERROR"
        assert error.fields == {
            "price": "INVALID_DECIMAL",
            "quantity": "INVALID_DECIMAL",
            "post_only": "INVALID",
            "side": "REQUIRED",
            "type": "REQUIRED",
        }

    def test_unknown_fields_are_refused_before_anything_else(self) -> None:
        error = refusal({"price": "x", "user_id": 1, "is_staff": True})

        assert error.code == "UNKNOWN_FIELD"
        assert error.fields == {"user_id": "UNKNOWN_FIELD", "is_staff": "UNKNOWN_FIELD"}

    def test_nothing_long_or_unprintable_is_echoed(self) -> None:
        error = refusal({"x" * 5_000: 1, "a\nb": 2})

        assert sorted(error.fields or {}) == ["a?b", "x" * 64]

    def test_the_schema_names_the_same_fields(self) -> None:
        schema = schema_of(ORDER_FIELDS)

        assert list(schema["properties"]) == list(ORDER_FIELDS)
        assert schema["required"] == ["symbol", "side", "type"]
        assert schema["additionalProperties"] is False


class TestParseCancel:
    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ({}, {"order_id": "REQUIRED"}),
            ({"order_id": 5}, {"order_id": "INVALID"}),
            ({"order_id": "05"}, {"order_id": "INVALID"}),
            ({"client_order_id": ""}, {"client_order_id": "INVALID"}),
            ({"order_id": "5", "client_order_id": "a"}, {"order_id": "CONFLICT"}),
        ],
    )
    def test_exactly_one_id_is_needed(self, body: dict[str, Any], fields: dict[str, str]) -> None:
        with pytest.raises(ApiError) as caught:
            parse_cancel(body, account_id=ACCOUNT)

        assert caught.value.fields == fields

    def test_reads_either(self) -> None:
        assert parse_cancel({"order_id": "5"}, account_id=ACCOUNT).order_id == 5
        assert parse_cancel({"client_order_id": "a-b_1"}, account_id=ACCOUNT).client_order_id == (
            "a-b_1"
        )


class TestParseBatch:
    @pytest.mark.parametrize(
        ("orders", "code"),
        [([], "BLANK"), ([{}] * 41, "TOO_LONG"), ("x", "INVALID"), ([1], "INVALID")],
    )
    def test_a_list_of_one_to_forty_objects(self, orders: Any, code: str) -> None:
        with pytest.raises(ApiError) as caught:
            parse_batch({"orders": orders})

        assert caught.value.fields == {"orders": code}
