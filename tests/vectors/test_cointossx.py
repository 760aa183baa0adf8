"""Price-time matching as CoinTossX (MIT) tests it; source and commit stand in the data file."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.core.rejects import Code
from tests.vectors.replay import Replay, vectors

ROWS = vectors("matching_cointossx.json")

# Why a row does not bind the engine, by a test that names it; the first that fits is counted.
LEFT_OUT = {
    "hidden orders and minimum execution size are not adopted": (
        lambda row: row["uses_hidden_or_mes"],
        35,
    ),
    "stop orders are not an order type yet": (
        lambda row: any(
            order["type"].startswith("STOP") for order in row["book_before"] + row["action_orders"]
        ),
        27,
    ),
    "replacing an order is not a command yet": (lambda row: row["action"] == "replace", 7),
}


def reason_left_out(row: dict[str, Any]) -> str | None:
    """Return why a row does not bind the engine, None when it does."""
    return next((reason for reason, (fits, _) in LEFT_OUT.items() if fits(row)), None)


BINDING = [row for row in ROWS if reason_left_out(row) is None]


@pytest.mark.parametrize("row", BINDING, ids=lambda row: row["id"])
def test_engine_matches_as_the_row_says(row: dict[str, Any]) -> None:
    replay = Replay()
    for order in sorted(row["book_before"], key=lambda order: order["time"]):
        replay.place(order["id"], order["side"], order["qty"], order["price"])

    trades = []
    for order in row["action_orders"]:
        if row["action"] == "cancel":
            outcome = replay.cancel(order["id"])
            known = any(resting["id"] == order["id"] for resting in row["book_before"])
            assert outcome.code is (Code.OK if known else Code.ORDER_NOT_FOUND)
        else:
            outcome = replay.place(order["id"], order["side"], order["qty"], order["price"])
        trades += [(price, quantity) for _, price, quantity in replay.trades(outcome)]

    assert trades == [(trade["price"], trade["qty"]) for trade in row["trades"]]
    assert replay.resting() == {
        (order["id"], order["side"], order["qty"], order["price"]) for order in row["book_after"]
    }


def test_every_row_binds_or_has_its_reason() -> None:
    counts = dict.fromkeys(LEFT_OUT, 0)
    for row in ROWS:
        if reason := reason_left_out(row):
            counts[reason] += 1

    assert counts == {reason: count for reason, (_, count) in LEFT_OUT.items()}
    assert len(BINDING) + sum(counts.values()) == len(ROWS) == 83
