import pytest
from django.test import RequestFactory
from rest_framework import serializers

from common.errors import ApiError
from common.pagination import PageQuery, decode_cursor, encode_cursor, page_of
from common.query import QuerySerializer, read_query


class Query(QuerySerializer):
    symbol = serializers.CharField(required=False, max_length=32)
    id = serializers.IntegerField(required=False, max_value=2**63 - 1)


def read(query: str, serializer=Query):
    return read_query(RequestFactory().get(f"/?{query}"), serializer)


class TestReadQuery:
    def test_returns_declared_parameters(self):
        assert read("symbol=BTC-USDT&id=7") == {"symbol": "BTC-USDT", "id": 7}
        assert read("") == {}

    @pytest.mark.parametrize(
        ("query", "fields"),
        [
            ("other=1", {"other": "UNKNOWN_PARAMETER"}),
            ("symbol[]=a", {"symbol[]": "UNKNOWN_PARAMETER"}),
            ("symbol__contains=a", {"symbol__contains": "UNKNOWN_PARAMETER"}),
            ("symbol=a&symbol=b", {"symbol": "DUPLICATE"}),
            ("id=abc", {"id": "INVALID"}),
            ("id=nan", {"id": "INVALID"}),
            ("id=" + "9" * 1_500, {"id": "MAX_STRING_LENGTH"}),
            ("id=99999999999999999999", {"id": "TOO_LARGE"}),
            ("id=1.5", {"id": "INVALID"}),
            ("symbol=" + "a" * 33, {"symbol": "TOO_LONG"}),
            ("symbol=%00", {"symbol": "NULL_CHARACTERS_NOT_ALLOWED"}),
        ],
    )
    def test_refuses(self, query, fields):
        with pytest.raises(ApiError) as raised:
            read(query)

        assert (raised.value.code, raised.value.status_code) == ("INVALID_PARAMETER", 400)
        expected = {
            name: "TOO_LONG" if code == "MAX_STRING_LENGTH" else code
            for name, code in fields.items()
        }
        assert raised.value.fields == expected

    @pytest.mark.parametrize("query", ["a" * 3_000, "&".join(["a=1"] * 21)])
    def test_refuses_what_is_too_long(self, query):
        with pytest.raises(ApiError) as raised:
            read(query)

        assert raised.value.code == "INVALID_PARAMETER"

    def test_a_view_without_parameters_takes_none(self):
        with pytest.raises(ApiError):
            read("a=1", QuerySerializer)


class TestPages:
    @pytest.mark.parametrize("limit", ["0", "501", "-1", "1e2", "9" * 30])
    def test_refuses_other_sizes(self, limit):
        with pytest.raises(ApiError):
            read(f"limit={limit}", PageQuery)

    @pytest.mark.parametrize("keys", [(0,), (1, 2), (2**63 - 1,)])
    def test_cursors_come_back(self, keys):
        assert decode_cursor(encode_cursor(*keys), parts=len(keys)) == keys

    @pytest.mark.parametrize("cursor", ["x", "AAAA", "*" * 11, "A" * 64, "\u00e9", "AAAAAAAAAA=="])
    def test_other_cursors_are_refused(self, cursor):
        with pytest.raises(ApiError) as raised:
            decode_cursor(cursor)

        assert raised.value.fields == {"cursor": "INVALID"}

    def test_negative_keys_are_refused(self):
        with pytest.raises(ApiError):
            decode_cursor(encode_cursor(-1))

    def test_a_page_ends_with_the_key_of_its_last_row(self):
        page = page_of([9, 8, 7], limit=2, key=int, render=str)

        assert page.items == ["9", "8"]
        assert decode_cursor(page.next_cursor) == (8,)
        last = page_of([9, 8], limit=2, key=int, render=str)
        assert last.body() == {"items": ["9", "8"], "next_cursor": None}
