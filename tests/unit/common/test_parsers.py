import io
import json
import time

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ApiError
from common.parsers import BODY_BYTES_MAX, StrictJSONParser, parse_object


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


class TestParseObject:
    def test_returns_the_object(self):
        assert parse_object(b'{"a": "1.5", "b": [1, {"c": null}]}') == {
            "a": "1.5",
            "b": [1, {"c": None}],
        }

    def test_takes_exactly_the_allowed_depth_and_keys(self):
        assert parse_object(nested(16))["a"] is not None
        keys = ",".join(f'"k{number}":1' for number in range(1_000))
        assert len(parse_object("{" + keys + "}")) == 1_000

    def test_brackets_inside_strings_are_not_depth(self):
        text = "[{" * 200 + '\\"' + "[" * 50

        assert parse_object(('{"a": "' + text + '"}').encode())["a"].startswith("[{")

    @pytest.mark.parametrize(
        ("_case", "body"),
        [
            ("empty", b""),
            ("no JSON", b"hello"),
            ("array on top", b"[1]"),
            ("string on top", b'"a"'),
            ("null on top", b"null"),
            ("number on top", b"7"),
            ("trailing comma", b'{"a": 1,}'),
            ("trailing text", b'{"a": 1} x'),
            ("two objects", b"{}{}"),
            ("single quotes", b"{'a': 1}"),
            ("comment", b'{"a": 1} // x'),
            ("duplicate key", b'{"a": 1, "a": 2}'),
            ("duplicate inner key", b'{"a": {"b": 1, "b": 1}}'),
            ("duplicate key, escaped", b'{"a": 1, "\\u0061": 2}'),
            ("NaN", b'{"a": NaN}'),
            ("Infinity", b'{"a": Infinity}'),
            ("-Infinity", b'{"a": -Infinity}'),
            ("infinite float", b'{"a": 1e999}'),
            ("5,000 digits", b'{"a": ' + b"9" * 5_000 + b"}"),
            ("bad UTF-8", b'{"a": "\xff"}'),
            ("over-long UTF-8", b'{"a": "\xc0\xaf"}'),
            ("UTF-16", '{"a": 1}'.encode("utf-16")),
            ("byte order mark", b'\xef\xbb\xbf{"a": 1}'),
            ("lone surrogate", b'{"a": "\\ud800"}'),
            ("lone surrogate key", b'{"\\udfff": 1}'),
            ("raw control character", b'{"a": "\x01"}'),
            ("NUL outside", b'{"a": 1}\x00'),
            ("depth 17", nested(17)),
            ("10,000 brackets", b"[" * 10_000),
            ("5,000 objects", nested(5_000)),
            ("deep in a field", b'{"a": ' + b"[" * 17 + b"]" * 17 + b"}"),
            ("1,001 keys", b"{" + b",".join(b'"k%d":1' % n for n in range(1_001)) + b"}"),
        ],
    )
    def test_refuses(self, _case, body):
        with pytest.raises(ApiError) as raised:
            parse_object(body)

        assert (raised.value.code, raised.value.status_code) == ("INVALID_JSON", 400)

    def test_a_surrogate_pair_is_a_character(self):
        assert parse_object(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}

    def test_hostile_quotes_are_refused_quickly(self):
        body = (b'{"' + b'\\"' * 32_000)[:BODY_BYTES_MAX]
        began = time.thread_time()

        with pytest.raises(ApiError):
            parse_object(body)
        with pytest.raises(ApiError):
            parse_object((b"[" * 40 + b'"\\' * 32_000)[:BODY_BYTES_MAX])

        assert time.thread_time() - began < 0.5


class TestStrictJSONParser:
    def parse(self, body: bytes, announced: str):
        request = RequestFactory().post("/", b"", content_type="application/json")
        request.META["CONTENT_LENGTH"] = announced
        stream = io.BytesIO(body)
        return StrictJSONParser().parse(stream, None, {"request": request}), stream

    def test_refuses_an_announced_size_without_reading(self):
        stream = io.BytesIO(b"x")
        request = RequestFactory().post("/", b"", content_type="application/json")
        request.META["CONTENT_LENGTH"] = str(BODY_BYTES_MAX + 1)

        with pytest.raises(ApiError) as raised:
            StrictJSONParser().parse(stream, None, {"request": request})

        assert (raised.value.code, raised.value.status_code) == ("BODY_TOO_LARGE", 413)
        assert stream.tell() == 0

    def test_refuses_a_size_that_was_not_announced(self):
        with pytest.raises(ApiError) as raised:
            self.parse(b'{"a": "' + b"x" * BODY_BYTES_MAX + b'"}', "")

        assert raised.value.code == "BODY_TOO_LARGE"

    def test_takes_the_largest_body(self):
        body = b'{"a": "' + b"x" * (BODY_BYTES_MAX - 9) + b'"}'
        assert len(body) == BODY_BYTES_MAX

        parsed, _ = self.parse(body, str(len(body)))

        assert len(parsed["a"]) == BODY_BYTES_MAX - 9


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def outcome(body):
    try:
        parsed = parse_object(body)
    except ApiError as error:
        return error.code
    return "object" if isinstance(parsed, dict) else type(parsed).__name__


class TestAnyInput:
    @given(st.dictionaries(st.text(), JSON_VALUES, max_size=6))
    def test_what_is_legal_comes_back_unchanged(self, value):
        try:
            parsed = parse_object(json.dumps(value))
        except ApiError:
            # The recursive strategy may nest deeper than is allowed.
            assert json.dumps(value).count("[") + json.dumps(value).count("{") > 16
        else:
            assert parsed == value

    @given(st.binary(max_size=200))
    def test_any_bytes_are_an_object_or_invalid(self, body):
        assert outcome(body) in {"object", "INVALID_JSON"}

    @given(st.text(alphabet='{}[]",:\\0aeE+-.u ', max_size=80))
    def test_any_almost_json_is_an_object_or_invalid(self, body):
        assert outcome(body) in {"object", "INVALID_JSON"}
