"""The judge of an overload, and how its load reads answers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from simulation.overload.load import Load, read_answer
from simulation.overload.run import Figures, problems_of

LOAD: dict[str, Any] = {
    "answers": {"201": 800, "503": 9_000, "429": 200},
    "without_retry_after": 0,
    "sent": 10_000,
    "unsent": 500,
    "unanswered": 0,
    "broken": 0,
    "seconds": 1.0,
    "slowest_s": 1.0,
}
GOOD = Figures(peak=1_000.0, goodput=800.0, load=LOAD, normal_after_s=5.0)


class TestProblems:
    def test_none_of_an_overload_that_held(self) -> None:
        assert problems_of(GOOD) == []

    @pytest.mark.parametrize(
        ("changed", "problem"),
        [
            ({"answers": {"201": 1, "504": 2}}, "2 answers 504"),
            ({"answers": {"500": 1}}, "1 answers 500"),
            ({"without_retry_after": 3}, "3 without retry after"),
            ({"unanswered": 1}, "1 unanswered"),
            ({"broken": 4}, "4 broken"),
            ({"unsent": 600}, "600 of 10600 requests found no free connection"),
        ],
    )
    def test_of_what_clients_got(self, changed: dict[str, Any], problem: str) -> None:
        assert problems_of(replace(GOOD, load=LOAD | changed)) == [problem]

    def test_of_too_little_done_and_of_a_late_return(self) -> None:
        assert problems_of(replace(GOOD, goodput=799.0, normal_after_s=5.1)) == [
            "goodput was 80% of the peak",
            "normal only 5.1 s after the load",
        ]


class TestReadAnswer:
    @pytest.mark.parametrize(
        ("received", "read"),
        [
            (b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n", None),
            (b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{", None),
            (b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}", ("201", False, False)),
            (
                b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\ncontent-length: 0\r\n\r\n",
                ("503", True, False),
            ),
            (
                b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                ("201", False, True),
            ),
        ],
    )
    def test_when_it_is_whole(self, received: bytes, read: tuple[str, bool, bool] | None) -> None:
        assert read_answer(received) == read


class TestRequests:
    def test_each_is_whole_valid_and_has_a_client_order_id_of_its_own(self) -> None:
        load = Load(
            {
                "host": "",
                "port": 0,
                "token": "t",
                "tag": "x",
                "rate": 0,
                "connections": 0,
                "seconds": 0,
            }
        )
        requests = []
        for number in (1, 5_001):
            load._number = number
            requests.append(load._request())

        bodies = []
        for request in requests:
            head, _, body = request.partition(b"\r\n\r\n")
            assert head.endswith(f"Content-Length: {len(body)}".encode())
            bodies.append(json.loads(body))
        assert [body["client_order_id"] for body in bodies] == ["x-1", "x-5001"]
        assert [body["price"] for body in bodies] == ["30001", "30001"]
