"""An answer that was lost on its way: the command log knows it, without its events."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from django.db import OperationalError

from exchange import gateway
from exchange.core.enums import Lane
from exchange.core.events import Outcome
from exchange.core.rejects import Code
from exchange.outcome_log import Sent, look_up
from exchange.wire import Submission
from orders import services
from tests.support.trading import Trader

pytestmark = pytest.mark.integration

BUY = {"symbol": "BTC-USDT", "side": "buy", "type": "limit", "quantity": "0.1", "price": "50000"}


@pytest.fixture
def lose_answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let every outcome from now on be what the command log says of it."""

    def lose() -> None:
        submit = gateway._submit

        def logged(
            submissions: list[Submission], lane: Lane, timeout_s: float
        ) -> list[Outcome | None]:
            submit(submissions, lane, timeout_s)
            sent = Sent(lane, 0, "")
            return [look_up(each.command_id, sent, since_ms=0) for each in submissions]

        monkeypatch.setattr(gateway, "_submit", logged)

    return lose


def test_a_placed_order_is_shown_as_it_is_with_its_fills(
    alice: Trader, bob: Trader, lose_answers: Callable[[], None]
) -> None:
    bob.placed(side="sell", quantity="0.03", price="49000")
    bob.placed(side="sell", quantity="0.03", price="49500")
    lose_answers()

    placed = alice.placed()

    assert (placed["status"], placed["filled_quantity"]) == (
        "partially_filled",
        "0.06000",
    )
    assert [fill["price"] for fill in placed["fills"]] == ["49000.00", "49500.00"]
    detail = alice.api.get(f"/api/orders/{placed['id']}").json()
    assert {name: detail[name] for name in placed if name != "fills"} == {
        name: value for name, value in placed.items() if name != "fills"
    }


def test_changes_are_shown_as_they_left_the_order(
    alice: Trader, lose_answers: Callable[[], None]
) -> None:
    order_id = alice.placed(price="40000")["id"]
    lose_answers()

    amended = alice.api.put(f"/api/orders/{order_id}", {"price": "41000"})
    cancelled = alice.api.delete(f"/api/orders/{order_id}")
    again = alice.api.delete(f"/api/orders/{order_id}")

    assert (amended.status_code, amended.json()["price"]) == (200, "41000.00")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (again.status_code, again.json()["error"]["code"]) == (422, "ORDER_NOT_OPEN")


def test_batches_and_groups_are_shown_too(alice: Trader, lose_answers: Callable[[], None]) -> None:
    lose_answers()

    batch = alice.api.post("/api/orders/batch", {"orders": [BUY, {**BUY, "quantity": "99999"}]})
    legs = {
        "take_profit": {"type": "limit", "price": "55000"},
        "stop_loss": {"type": "stop_loss", "trigger_price": "45000"},
    }
    group = alice.api.post(
        "/api/orders/oco", {"symbol": "BTC-USDT", "side": "sell", "quantity": "0.1", **legs}
    )

    first, second = batch.json()["results"]
    assert (first["status"], first["order"]["status"], first["order"]["fills"]) == (201, "open", [])
    assert second["status"] == 422
    assert group.status_code == 201
    assert [order["type"] for order in group.json()["orders"]] == ["limit", "stop_loss"]


def test_cancel_all_shows_what_it_ended(alice: Trader, lose_answers: Callable[[], None]) -> None:
    alice.placed(price="39000", symbol="ETH-USDT")
    ids = [alice.placed(price=price)["id"] for price in ("40000", "41000")]
    lose_answers()

    done = alice.api.delete("/api/orders?symbol=BTC-USDT").json()
    nothing = alice.api.delete("/api/orders?symbol=BTC-USDT").json()

    assert [(order["id"], order["status"]) for order in done["orders"]] == [
        (order_id, "cancelled") for order_id in ids
    ]
    assert done["complete"]
    assert nothing == {"orders": [], "complete": True}


def test_an_order_that_is_kept_no_more_is_unknown(
    alice: Trader, lose_answers: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_answers()
    monkeypatch.setattr(services.selectors, "order_of", lambda *_: None)

    answer = alice.place()

    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "STATUS_UNKNOWN")


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database goes away between a command and the reading of what it left."""

    def away(*_: object, **__: object) -> None:
        raise OperationalError("the server does not answer")

    for name in ("order_of", "orders_by_id"):
        monkeypatch.setattr(services.selectors, name, away)


@pytest.mark.usefixtures("unreadable")
def test_what_was_done_and_cannot_be_read_is_unknown(
    alice: Trader, lose_answers: Callable[[], None]
) -> None:
    lose_answers()

    placed = alice.place()
    several = alice.api.post("/api/orders/batch", {"orders": [BUY]}).json()["results"]
    ended = alice.api.delete("/api/orders?symbol=BTC-USDT")

    assert [answer.status_code for answer in (placed, ended)] == [504, 504]
    assert {answer.json()["error"]["code"] for answer in (placed, ended)} == {"STATUS_UNKNOWN"}
    assert [(one["status"], one["error"]["code"]) for one in several] == [(504, "STATUS_UNKNOWN")]


def test_a_repetition_whose_order_cannot_be_read_is_unknown(
    alice: Trader, request: pytest.FixtureRequest
) -> None:
    alice.placed(client_order_id="again")
    request.getfixturevalue("unreadable")

    answer = alice.place(client_order_id="again")

    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "STATUS_UNKNOWN")


def test_what_needs_rows_is_told_apart() -> None:
    outcome = Outcome(Code.OK, 7, ())

    assert services.needs_rows(outcome)
    assert services.needs_rows(Outcome(Code.OK, 0, (), order_ids=[7]))
    assert not services.needs_rows(msgspec.structs.replace(outcome, reference_id=0))
    assert services.needs_rows(msgspec.structs.replace(outcome, code=Code.ORDER_NOT_FOUND))
