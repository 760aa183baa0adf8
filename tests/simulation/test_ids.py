"""The proof of client order ids would find an order that is made twice."""

from __future__ import annotations

import pytest

from simulation.siege.ids import COPIES, Answer, body_of, problems_of

MADE, SAME, OTHER = (201, "7"), (200, "7"), (409, "")


def test_the_last_copy_alone_asks_for_something_else() -> None:
    bodies = [body_of("a", copy) for copy in range(COPIES)]

    assert [body == bodies[0] for body in bodies] == [True] * (COPIES - 1) + [False]
    assert {body["client_order_id"] for body in bodies} == {"a"}


@pytest.mark.parametrize(
    ("answers", "before"),
    [
        ([MADE, SAME, SAME, SAME, OTHER], None),
        ([OTHER, OTHER, OTHER, OTHER, MADE], None),
        # The answer of the first was lost with the exchange.
        ([SAME, SAME, SAME, SAME, OTHER], None),
        ([SAME, SAME, SAME, SAME, OTHER], "7"),
    ],
)
def test_p4_what_may_be_answered(answers: list[Answer], before: str | None) -> None:
    assert problems_of("a", answers, before) == []


@pytest.mark.parametrize(
    ("answers", "before", "problem"),
    [
        ([MADE, MADE, SAME, SAME, OTHER], None, "made again"),
        ([MADE, (200, "8"), SAME, SAME, OTHER], None, "not one order"),
        ([MADE, SAME, SAME, SAME, SAME], None, "both requests were taken"),
        ([OTHER, OTHER, OTHER, OTHER, OTHER], None, "not one order"),
        ([MADE, SAME, SAME, SAME, OTHER], "7", "made again"),
        ([SAME, SAME, SAME, SAME, OTHER], "6", "was 6"),
    ],
)
def test_p4_what_may_not(answers: list[Answer], before: str | None, problem: str) -> None:
    (found,) = problems_of("a", answers, before)

    assert problem in found
