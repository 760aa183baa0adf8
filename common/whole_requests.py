"""Telling a request that arrived whole in one piece from bytes that only a parser may judge."""

from __future__ import annotations

import re

_LINE = re.compile(rb"([A-Z]{3,7}) (/[!-~]{0,2000}) HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: ?([0-9]{1,5})\r\n")
_KEPT = b"\r\nconnection: keep-alive\r\n"
# Whoever sends one of these wants more than an answer, or frames the body in another way.
_SPECIAL = re.compile(rb"\r\n(?:transfer-encoding|upgrade|expect|trailer|te)[ \t:]")


def whole_request(data: bytes, *, head_bytes_max: int) -> tuple[str, str] | None:
    """
    Return method and target of the one request that ``data`` is, None where that is not sure.

    Sure is only what no parser could frame otherwise: HTTP/1.1 on a connection that stays
    open, one length that the bytes have exactly, every line ended by CRLF.
    """
    end = data.find(b"\r\n\r\n")
    line = _LINE.match(data)
    if line is None or not 0 < end <= head_bytes_max:
        return None
    head = data[: end + 2].lower()
    if head.count(b"\n") != head.count(b"\r\n") or _SPECIAL.search(head):
        return None
    if b"\r\nconnection:" in head and (_KEPT not in head or head.count(b"\r\nconnection:") > 1):
        return None
    body_bytes = len(data) - end - 4
    lengths = _LENGTH.findall(head)
    if head.count(b"\r\ncontent-length") != len(lengths) or len(lengths) > 1:
        return None
    if body_bytes != (int(lengths[0]) if lengths else 0):
        return None
    return line[1].decode("ascii"), line[2].decode("ascii")
