"""Self-trade prevention as Binance's FAQ works it out; source and commit stand in the data file."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.core.enums import EndReason, OrderStatus, SelfTradeMode
from tests.vectors.replay import Replay, vectors, whole

ROWS = vectors("stp_binance.json")
# Why a row does not bind the engine.
LEFT_OUT = {
    "stp-A-none": "an account never trades with itself here; there is no mode NONE",
    "stp-H-transfer": "trade groups and TRANSFER are not adopted",
}
STATUSES = {
    "FILLED": (OrderStatus.FILLED, EndReason.NONE),
    "NEW": (OrderStatus.OPEN, EndReason.NONE),
    "EXPIRED_IN_MATCH": (OrderStatus.EXPIRED, EndReason.SELF_TRADE),
}


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row["id"] not in LEFT_OUT], ids=lambda row: row["id"]
)
def test_prevention_ends_orders_as_the_row_says(row: dict[str, Any]) -> None:
    replay = Replay(tick="0.1", lot="0.1")
    for maker in row["makers"]:
        replay.place(maker["id"], maker["side"], maker["qty"], maker["price"], owner="same")

    taker = row["taker"]
    outcome = replay.place(
        taker["id"],
        taker["side"],
        taker["qty"],
        taker["price"],
        owner="same",
        mode=SelfTradeMode[taker["stp"]],
    )

    assert replay.trades(outcome) == []
    for name, expected in row["expected"].items():
        order = replay.orders[name]
        assert (order.status, order.reason) == STATUSES[expected["status"]]
        if "executed" in expected:
            assert whole(order.filled_atoms) == expected["executed"]
    resting = {name: (quantity, price) for name, _, quantity, price in replay.resting()}
    for name, expected in row["expected"].items():
        if "resting" in expected:
            assert "@".join(resting[name]) == expected["resting"]
        if "remaining" in expected:
            assert resting[name][0] == expected["remaining"]


def test_every_row_binds_or_has_its_reason() -> None:
    assert set(LEFT_OUT) < {row["id"] for row in ROWS}
    assert len(ROWS) - len(LEFT_OUT) == 4
