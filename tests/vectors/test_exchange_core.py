"""Order book scenarios of exchange-core (Apache-2.0); source and commit stand in the data file."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.core.rejects import Code
from tests.vectors.replay import Replay, book_of_exchange_core, vectors

ROWS = {row["id"]: row for row in vectors("matching_exchange_core.json")}

# Why a row does not bind the engine.
LEFT_OUT = {
    "fok-budget-short-by-1": "fill-or-kill by budget is not an order type of ours",
    "fok-budget-exact": "fill-or-kill by budget is not an order type of ours",
    "fok-sell-below-expectation": "fill-or-kill by budget is not an order type of ours",
    "fok-sell-exact": "fill-or-kill by budget is not an order type of ours",
    "fok-sell-61": "fill-or-kill by budget is not an order type of ours",
    "reduce-5-by-3": "amending an order is not a command yet",
    "reduce-1-by-300": "amending an order is not a command yet",
    "reduce-zero": "amending an order is not a command yet",
    "reduce-negative": "amending an order is not a command yet",
    "move-7-to-81590": "amending an order is not a command yet",
    "move-7-to-81594": "amending an order is not a command yet",
    "move-unknown": "amending an order is not a command yet",
}
ELSEWHERE = {"feature-reserve-nsf", "cancel-5", "cancel-unknown", "cancel-other-user"}
IOC = sorted(set(ROWS) - set(LEFT_OUT) - ELSEWHERE)


@pytest.fixture
def replay() -> Replay:
    """Return an engine with the book that all rows start from."""
    replay = Replay()
    book = book_of_exchange_core()
    for side, orders in (("SELL", book["asks"]), ("BUY", book["bids"])):
        for name, price, quantity in orders:
            replay.place(name, side, quantity, price)
    return replay


@pytest.mark.parametrize("name", IOC)
def test_immediate_or_cancel(replay: Replay, name: str) -> None:
    row: dict[str, Any] = ROWS[name]
    action, expected = row["action"], row["expected"]

    outcome = replay.place(
        "taker", action["side"], action["qty"], action["price"], time_in_force=action["tif"]
    )

    assert replay.trades(outcome) == [tuple(trade) for trade in row["trades"]]
    levels = replay.levels()
    if "best_bid" in expected:
        assert levels["bids"][0] == tuple(expected["best_bid"])
    if expected.get("asks") == "empty":
        assert levels["asks"] == []
    if "order5_remaining" in expected:
        assert ("5", "BUY", expected["order5_remaining"], "81590") in replay.resting()
    taken = sum(int(quantity) for _, _, quantity in row["trades"])
    assert int(action["qty"]) - taken == int(expected.get("rejected_remainder", "0"))


def test_cancel_releases_the_order_and_keeps_the_level(replay: Replay) -> None:
    outcome = replay.cancel("5")

    assert outcome.code is Code.OK
    assert ("81590", ROWS["cancel-5"]["expected"]["level_81590"]) in replay.levels()["bids"]


@pytest.mark.parametrize(
    ("_case", "name", "owner"),
    [("cancel-unknown", "5291", ""), ("cancel-other-user", "3", "other")],
)
def test_cancel_of_what_is_not_yours_changes_nothing(
    replay: Replay, _case: str, name: str, owner: str
) -> None:
    before = replay.resting()

    outcome = replay.cancel(name, owner=owner)

    assert ROWS[_case]["expected"]["error"] == "UNKNOWN_ORDER"
    assert outcome.code is Code.ORDER_NOT_FOUND
    assert replay.resting() == before


def test_an_order_one_unit_short_of_funds_is_refused() -> None:
    # feature-reserve-nsf: 7 lots at 30000 need 210000; here 7 near a seventh of the funds.
    replay = Replay()

    short = replay.place("alice", "BUY", "7", "142857143")
    exact = replay.place("alice", "BUY", "7", "142857142")
    sold = replay.place("bob", "SELL", "7", "142857142", time_in_force="IOC")

    assert short.code is Code.INSUFFICIENT_BALANCE
    assert exact.code is Code.OK
    assert replay.trades(sold) == [("alice", "142857142", "7")]


def test_every_row_binds_or_has_its_reason() -> None:
    assert set(LEFT_OUT) | ELSEWHERE | set(IOC) == set(ROWS)
    assert (len(LEFT_OUT), len(ELSEWHERE), len(IOC)) == (12, 4, 4)
