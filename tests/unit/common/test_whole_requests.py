"""Which bytes are surely one request: a parser must find exactly that one in them."""

from __future__ import annotations

import httptools
import pytest

from common.whole_requests import whole_request

HEAD_MAX = 16_384
START = b"POST /api/orders HTTP/1.1\r\nhost: x\r\n"


class _Seen:
    def __init__(self) -> None:
        self.complete = 0

    def on_message_complete(self) -> None:
        self.complete += 1


@pytest.mark.parametrize(
    ("_case", "data", "asked"),
    [
        ("a body", START + b"content-length: 2\r\n\r\n{}", ("POST", "/api/orders")),
        ("no body", b"GET /api/time HTTP/1.1\r\nHost: x\r\n\r\n", ("GET", "/api/time")),
        ("no header", b"GET / HTTP/1.1\r\n\r\n", ("GET", "/")),
        (
            "a query, any case, kept open",
            b"DELETE /api/orders?a=1 HTTP/1.1\r\nConnection: Keep-Alive\r\n"
            b"Content-Length:2\r\n\r\n{}",
            ("DELETE", "/api/orders?a=1"),
        ),
    ],
)
def test_tells_method_and_target_of_what_the_parser_takes_for_one_request(
    _case: str, data: bytes, asked: tuple[str, str]
) -> None:
    seen = _Seen()
    parser = httptools.HttpRequestParser(seen)
    parser.feed_data(data)

    assert whole_request(data, head_bytes_max=HEAD_MAX) == asked
    assert (seen.complete, parser.should_keep_alive()) == (1, True)


@pytest.mark.parametrize(
    ("_case", "data"),
    [
        ("nothing", b""),
        ("a blank line first", b"\r\n" + START + b"\r\n"),
        ("half a head", START),
        ("half a body", START + b"content-length: 3\r\n\r\n{}"),
        ("a second request behind it", START + b"content-length: 2\r\n\r\n{}GET "),
        ("a body without length", START + b"\r\n{}"),
        ("two lengths", START + b"content-length: 2\r\ncontent-length: 2\r\n\r\n{}"),
        ("a length that is none", START + b"content-length: +2\r\n\r\n{}"),
        ("a list of lengths", START + b"content-length: 2, 2\r\n\r\n{}"),
        ("a blank before the colon", START + b"content-length : 2\r\n\r\n{}"),
        ("a blank behind the length", START + b"content-length: 2 \r\n\r\n{}"),
        ("a length hidden by a bare LF", START + b"x: y\ncontent-length: 2\r\n\r\n{}"),
        ("a bare LF ends the head early", START + b"x: y\n\nGET / HTTP/1.1\r\n\r\n"),
        ("chunks", START + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("chunks and no body", START + b"Transfer-Encoding: chunked\r\n\r\n"),
        ("a folded header", START + b"transfer-encoding:\r\n chunked\r\n\r\n"),
        ("the end of the connection", START + b"connection: close\r\n\r\n"),
        ("two words", START + b"connection: keep-alive\r\nconnection: close\r\n\r\n"),
        ("an upgrade", START + b"upgrade: websocket\r\n\r\n"),
        ("a wish to be asked first", START + b"expect: 100-continue\r\n\r\n"),
        ("an older version", b"GET / HTTP/1.0\r\n\r\n"),
        ("a target of another form", b"GET http://x/ HTTP/1.1\r\n\r\n"),
        ("no target", b"GET  HTTP/1.1\r\n\r\n"),
        ("a head that is too large", START + b"x: " + b"y" * HEAD_MAX + b"\r\n\r\n"),
    ],
)
def test_leaves_to_the_parser_what_is_not_sure(_case: str, data: bytes) -> None:
    assert whole_request(data, head_bytes_max=HEAD_MAX) is None
