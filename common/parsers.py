"""The only parser of request bodies."""

import json
import math
import re
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework.parsers import BaseParser

from common.errors import ApiError

BODY_BYTES_MAX = 65_536
DEPTH_MAX = 16
KEYS_MAX = 1_000

_TOKEN = re.compile(rb'"|\\.|[\[\]{}]', re.DOTALL)


class _KeyCounter:
    """Builds objects while refusing duplicate and too many keys."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = KEYS_MAX

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        self.left -= len(pairs)
        if self.left < 0:
            raise ValueError(f"more than {KEYS_MAX} keys")
        result = dict(pairs)
        if len(result) != len(pairs):
            raise ValueError("a key appears twice")
        return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is out of range")
    return value


def _check_depth(body: bytes) -> None:
    """Refuse deep nesting before the recursive parser sees it."""
    # An upper bound that one pass of C gives; real requests end here.
    if body.count(b"{") + body.count(b"[") <= DEPTH_MAX:
        return
    depth = 0
    in_string = False
    for match in _TOKEN.finditer(body):
        token = match[0]
        if token == b'"':
            in_string = not in_string
        elif in_string or token[0] == 0x5C:
            continue
        elif token in b"[{":
            depth += 1
            if depth > DEPTH_MAX:
                raise ValueError(f"nested deeper than {DEPTH_MAX}")
        else:
            depth -= 1


def body_too_large() -> ApiError:
    """Return the answer to a body above the cap."""
    return ApiError(
        "BODY_TOO_LARGE", f"The request body is larger than {BODY_BYTES_MAX} bytes.", 413
    )


def parse_object(body: bytes | str) -> dict[str, Any]:
    """
    Return the JSON object in ``body``.

    Stricter than ``json``: UTF-8 only, no duplicate keys, no NaN or infinity in any
    spelling, no lone surrogates, at most 16 levels and 1,000 keys, an object on top.

    Raises:
        ApiError: ``BODY_TOO_LARGE`` 413 or ``INVALID_JSON`` 400.
    """
    try:
        raw = body.encode() if isinstance(body, str) else body
        if len(raw) > BODY_BYTES_MAX:
            raise body_too_large()
        _check_depth(raw)
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_KeyCounter(),
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
        if b"\\u" in raw:
            # "\ud800" alone passes json but no database or socket can encode it.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise ApiError("INVALID_JSON", "The request body is not valid JSON.", 400) from error
    if type(value) is not dict:
        raise ApiError("INVALID_JSON", "The request body must be a JSON object.", 400)
    return value


class StrictJSONParser(BaseParser):
    """Parse an ``application/json`` body with :func:`parse_object`, capped before reading."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """
        Return the object in the body.

        Raises:
            ApiError: as :func:`parse_object`.
        """
        request = (parser_context or {}).get("request")
        if request is not None:
            try:
                announced = int(request.META.get("CONTENT_LENGTH") or 0)
            except ValueError:
                announced = 0
            if announced > BODY_BYTES_MAX:
                raise body_too_large()
        return parse_object(stream.read(BODY_BYTES_MAX + 1))
