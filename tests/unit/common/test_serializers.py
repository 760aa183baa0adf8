import pytest
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from common.errors import ApiError
from common.exceptions import to_api_error
from common.serializers import AtomsField, IdField, StrictSerializer, TextField, validated


class Leg(StrictSerializer):
    price = AtomsField(decimals=2)


class Input(StrictSerializer):
    name = TextField(max_length=5)
    status = serializers.CharField(read_only=True)
    order_id = IdField(required=False)
    legs = Leg(many=True, required=False)


def fields_of(data):
    with pytest.raises((ApiError, ValidationError)) as raised:
        validated(Input, data)
    error = to_api_error(raised.value)
    assert error is not None
    return error.code, error.fields


class TestStrictSerializer:
    def test_returns_values(self):
        data = {"name": "a", "order_id": "7", "legs": [{"price": "1.5"}]}

        assert validated(Input, data) == {
            "name": "a",
            "order_id": 7,
            "legs": [{"price": 150_000_000}],
        }

    @pytest.mark.parametrize(
        ("data", "code", "fields"),
        [
            ({}, "VALIDATION_ERROR", {"name": "REQUIRED"}),
            ({"name": None}, "VALIDATION_ERROR", {"name": "NULL"}),
            ({"name": ""}, "VALIDATION_ERROR", {"name": "BLANK"}),
            ({"name": 1}, "VALIDATION_ERROR", {"name": "INVALID"}),
            ({"name": {"$ne": ""}}, "VALIDATION_ERROR", {"name": "INVALID"}),
            ({"name": ["a"]}, "VALIDATION_ERROR", {"name": "INVALID"}),
            ({"name": "abcdef"}, "VALIDATION_ERROR", {"name": "TOO_LONG"}),
            ({"name": "a\x00"}, "VALIDATION_ERROR", {"name": "NULL_CHARACTERS_NOT_ALLOWED"}),
            ({"name": "a", "x": 1}, "UNKNOWN_FIELD", {"x": "UNKNOWN_FIELD"}),
            ({"name": "a", "status": 1}, "UNKNOWN_FIELD", {"status": "UNKNOWN_FIELD"}),
            ({"name": "a", "order_id": 7}, "VALIDATION_ERROR", {"order_id": "INVALID"}),
            ({"name": "a", "order_id": "0"}, "VALIDATION_ERROR", {"order_id": "INVALID"}),
            ({"name": "a", "order_id": "9" * 19}, "VALIDATION_ERROR", {"order_id": "INVALID"}),
            (
                {"name": "a", "legs": [{"price": "1"}, {"price": 1.5}]},
                "VALIDATION_ERROR",
                {"legs.1.price": "INVALID_DECIMAL"},
            ),
            (
                {"name": "a", "legs": [{"price": "1.555"}]},
                "VALIDATION_ERROR",
                {"legs.0.price": "TOO_MANY_DECIMALS"},
            ),
            ({"name": "a", "legs": {"0": 1}}, "VALIDATION_ERROR", {"legs": "INVALID"}),
            ("text", "VALIDATION_ERROR", {"body": "INVALID"}),
        ],
    )
    def test_refuses(self, data, code, fields):
        assert fields_of(data) == (code, fields)

    def test_long_names_are_not_echoed_whole(self):
        _, fields = fields_of({"name": "a", "x" * 5_000: 1})

        assert fields == {"x" * 64: "UNKNOWN_FIELD"}
