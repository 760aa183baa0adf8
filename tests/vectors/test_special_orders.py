"""Trailing stops, amendments, icebergs and stops as other projects work them out."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.core.commands import PlaceOrder, SpecialTerms, UpdateIndexPrices
from exchange.core.enums import OrderStatus, OrderType, SelfTradeMode, Side, TimeInForce
from exchange.core.enums import TriggerType as Trigger
from exchange.core.rejects import Code
from tests.support.engine import MARKET, units
from tests.vectors.replay import Replay, vectors, whole

TRAILING = vectors("trailing_stop_binance.json")
AMENDING = {row["id"]: row for row in vectors("amend_and_market_binance_vega.json")}
ICEBERGS = vectors("iceberg_vega.json")
STOPS = {row["id"]: row for row in vectors("stop_trigger_liquibook.json")}

# Why a row does not bind the engine.
LEFT_OUT = {
    "trail-A": "a buy activates on the way up: here a trailing buy follows the price down",
    "trail-B": "a sell activates on the way down: here a trailing sell follows the price up",
    "amend-increase-rejected-spot": "more quantity is allowed and goes to the back",
    "ice-refresh": "a part is refreshed when it is used up, not below a least visible size",
    "ice-passive-only": "parts trade one by one, each a trade of its own",
}


@pytest.mark.parametrize(
    "row", [row for row in TRAILING if row["id"] not in LEFT_OUT], ids=lambda row: row["id"]
)
def test_trailing_stop_fires_where_the_row_says(row: dict[str, Any]) -> None:
    replay = Replay(tick="0.5")
    bench = replay.bench
    bench.ok(UpdateIndexPrices(((MARKET, units(row["last_at_submit"])),)))
    terms = SpecialTerms(
        Trigger.INDEX,
        activation_price_atoms=units(row["activation_price"]),
        callback_rate_e8=row["trailing_bips"] * 10_000,
    )
    bench.ok(
        PlaceOrder(
            replay.account("t"),
            MARKET,
            Side[row["side"]],
            OrderType.TRAILING_STOP,
            TimeInForce.IOC,
            0,
            units(1),
            special=terms,
        )
    )

    *before, last = row["last_price_path"]
    for price in before:
        bench.ok(UpdateIndexPrices(((MARKET, units(price)),)))
        replay.order_ids["t"] = 1
        replay.carry_on()
        assert bench.exchange.market_of_order(1) == MARKET
    bench.ok(UpdateIndexPrices(((MARKET, units(last)),)))
    replay.carry_on()

    assert last == row["expected_trigger_at"]
    assert bench.exchange.market_of_order(1) == 0


def amending_book() -> Replay:
    replay = Replay(lot="0.01")
    for order in AMENDING["amend-keep-priority"]["book"]:
        replay.place(order["id"], order["side"], order["qty"], order["price"])
    return replay


def queue(replay: Replay, price: str, quantity: str) -> list[str]:
    """Return the queue of bids at a price, by trading all of it away."""
    outcome = replay.place("sweep", "SELL", quantity, price)
    return [f"{name}:{float(size):.2f}" for name, _, size in replay.trades(outcome)]


def test_less_quantity_keeps_the_place() -> None:
    row = AMENDING["amend-keep-priority"]
    replay = amending_book()

    replay.amend(row["action"]["id"], quantity=row["action"]["new_qty"])

    assert queue(replay, "87000", "10") == row["expected_queue_87000"]


def test_cancel_and_place_anew_goes_to_the_back() -> None:
    row = AMENDING["cancel-replace-loses-priority"]
    replay = amending_book()

    replay.cancel(row["action"]["id"])
    replay.place(row["action"]["new_id"], "BUY", row["action"]["new_qty"], "87000")

    assert queue(replay, "87000", "10") == row["expected_queue_87000"]


def test_an_amendment_that_changes_nothing_is_refused() -> None:
    assert "no state" in AMENDING["amend-noop-rejected"]["expected_error"]

    assert amending_book().amend("15", quantity="5.5").code is Code.AMEND_NO_CHANGE


def test_less_quantity_is_what_trades_first() -> None:
    row = AMENDING["vega-amend-reduce-keeps"]
    replay = Replay()
    for order in row["book"]:
        replay.place(order["id"], order["side"], order["qty"], order["price"])

    replay.amend("a", quantity="3")
    outcome = replay.place("t", row["then"]["side"], row["then"]["qty"], row["then"]["price"])

    assert [f"{n} {q}@{p}" for n, p, q in replay.trades(outcome)] == row["expected_trades"]


def place_iceberg(replay: Replay, order: dict[str, Any]) -> list[list[Any]]:
    special = SpecialTerms(display_atoms=units(order["peak"])) if order.get("iceberg") else None
    outcome = replay.place(
        order["id"],
        order["side"],
        str(order["qty"]),
        str(order["price"]),
        owner=f"acc-{order.get('acc', order['id'])}",
        mode=SelfTradeMode.EXPIRE_TAKER,
        special=special,
    )
    return [[name, int(price), int(size)] for name, price, size in replay.trades(outcome)]


@pytest.mark.parametrize(
    "row", [row for row in ICEBERGS if row["id"] not in LEFT_OUT], ids=lambda row: row["id"]
)
def test_iceberg_trades_as_the_row_says(row: dict[str, Any]) -> None:
    replay = Replay()
    for order in row["book"]:
        place_iceberg(replay, order)

    assert place_iceberg(replay, row["action"]) == row["trades"]

    left = {order.order_id: order for order in replay.bench.exchange.image().orders}
    for name, expected in row["after"].items():
        order = left.get(replay.order_ids[name.removesuffix("_remaining")])
        if isinstance(expected, dict):
            assert order is not None
            assert order.terms is not None
            shown, hidden = whole(order.remaining_atoms), whole(order.terms.hidden_atoms)
            assert (shown, hidden) == (str(expected["visible"]), str(expected["reserved"]))
        elif name.endswith("_remaining"):
            assert order is not None
            assert whole(order.remaining_atoms) == str(expected)
        else:
            assert order is None
            assert replay.orders[name].status.name in ("FILLED", "EXPIRED")


def test_stops_away_from_the_market_wait() -> None:
    assert STOPS["lq-stop-off-market"]["expected"] == "both dormant"
    replay = market_at_55()

    replay.place("B", "BUY", "100", None, stop="56", time_in_force="IOC")
    replay.place("S", "SELL", "100", None, stop="54", time_in_force="IOC")

    assert replay.carry_on() == []
    statuses = {replay.orders[name].status for name in ("B", "S")}
    assert statuses == {OrderStatus.UNTRIGGERED}


def market_at_55() -> Replay:
    replay = Replay()
    replay.place("seller", "SELL", "1", "55")
    replay.place("buyer", "BUY", "1", "55")
    return replay


def test_stops_fire_one_after_the_other() -> None:
    assert len(STOPS["lq-stop-cascade"]["events"]) == 2
    replay = market_at_55()
    replay.place("B0", "BUY", "100", "53")
    replay.place("S1", "SELL", "100", "57")
    replay.place("B2", "BUY", "100", None, stop="56", time_in_force="IOC")
    replay.place("S3", "SELL", "100", None, stop="54", time_in_force="IOC")

    found = []
    for number, price in enumerate(("56", "54")):
        replay.place(f"maker-{number}", "SELL", "1000", price)
        replay.place(f"taker-{number}", "BUY", "1000", price)
        found += [trade for outcome in replay.carry_on() for trade in replay.trades(outcome)]

    assert found == [("S1", "57", "100"), ("B0", "53", "100")]
    assert {replay.orders[name].status for name in ("B2", "S3")} == {OrderStatus.FILLED}


def test_every_row_binds_or_has_its_reason() -> None:
    rows = [*TRAILING, *AMENDING.values(), *ICEBERGS, *STOPS.values()]

    assert set(LEFT_OUT) < {row["id"] for row in rows}
    assert len(rows) - len(LEFT_OUT) == 12
