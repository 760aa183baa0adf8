"""Price-time matching as CoinTossX (MIT) tests it; source and commit stand in the data file."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.core.events import Outcome
from exchange.core.rejects import Code
from tests.vectors.replay import Replay, vectors

ROWS = vectors("matching_cointossx.json")

REACHED = (
    "ctx-stopOrder-7",
    "ctx-stopOrder-8",
    "ctx-stopLimitOrder-7",
    "ctx-stopLimitOrder-8",
    "ctx-replaceOrder-34",
    "ctx-replaceOrder-35",
)
SLIPS = {
    "ctx-stopOrder-5": "a resting sell has become a buy",
    "ctx-stopOrder-10": "two orders share a number",
    "ctx-stopLimitOrder-10": "it says the greatest distance first and trades the smaller first",
    "ctx-stopLimitOrder-11": "two orders share a number",
}

# Why a row does not bind the engine, by a test that names it; the first that fits is counted.
LEFT_OUT = {
    "hidden orders and minimum execution size are not adopted": (
        lambda row: row["uses_hidden_or_mes"],
        35,
    ),
    "an amendment does not change the expiry": (
        lambda row: row["action"] == "replace" and "expire" in row["action_orders"][0],
        8,
    ),
    "a stop that is reached already is refused here": (lambda row: row["id"] in REACHED, 6),
    "the row has a slip of the pen": (lambda row: row["id"] in SLIPS, 4),
}


def reason_left_out(row: dict[str, Any]) -> str | None:
    """Return why a row does not bind the engine, None when it does."""
    return next((reason for reason, (fits, _) in LEFT_OUT.items() if fits(row)), None)


def place(replay: Replay, order: dict[str, Any]) -> Outcome:
    """Place an order of a row."""
    return replay.place(
        order["id"], order["side"], order["qty"], order["price"], stop=order.get("stop_price")
    )


def replace(replay: Replay, row: dict[str, Any], order: dict[str, Any]) -> Outcome:
    """Amend an order of a row in what differs; one that is not there is refused."""
    before = next((o for o in row["book_before"] if o["id"] == order["id"]), None)
    names = {"qty": "quantity", "price": "price", "stop_price": "trigger_price"}
    changes = {
        names[key]: order[key]
        for key in names
        if key in order and (before is None or before[key] != order[key])
    }
    outcome = replay.amend(order["id"], **changes)
    assert outcome.code is (Code.OK if before else Code.ORDER_NOT_FOUND)
    return outcome


BINDING = [row for row in ROWS if reason_left_out(row) is None]


@pytest.mark.parametrize("row", BINDING, ids=lambda row: row["id"])
def test_engine_matches_as_the_row_says(row: dict[str, Any]) -> None:
    replay = Replay()
    for order in sorted(row["book_before"], key=lambda order: order["time"]):
        place(replay, order)

    trades = []
    for order in row["action_orders"]:
        if row["action"] == "cancel":
            outcome = replay.cancel(order["id"])
            known = any(resting["id"] == order["id"] for resting in row["book_before"])
            assert outcome.code is (Code.OK if known else Code.ORDER_NOT_FOUND)
        elif row["action"] == "replace":
            outcome = replace(replay, row, order)
        else:
            outcome = place(replay, order)
        for each in (outcome, *replay.carry_on()):
            trades += [(price, quantity) for _, price, quantity in replay.trades(each)]

    assert trades == [(trade["price"], trade["qty"]) for trade in row["trades"]]
    assert replay.resting() == {
        (order["id"], order["side"], order["qty"], order["price"] or "0")
        for order in row["book_after"]
    }


def test_every_row_binds_or_has_its_reason() -> None:
    counts = dict.fromkeys(LEFT_OUT, 0)
    for row in ROWS:
        if reason := reason_left_out(row):
            counts[reason] += 1

    assert counts == {reason: count for reason, (_, count) in LEFT_OUT.items()}
    assert len(BINDING) + sum(counts.values()) == len(ROWS) == 83
