"""POST of OCO and bracket: orders that belong together."""

from typing import Any

import pytest

from accounts.models import User
from common.testing import ApiClient, error_code
from exchange import gateway
from exchange.core.commands import ConfigureAccount, UpdateIndexPrices
from exchange.core.enums import Lane
from exchange.core.units import ATOMS
from orders.models import Order
from orders.selectors import holds_needed
from tests.support.exchange import BTC, BTC_USDT, ExchangeHarness
from tests.support.trading import Trader, money_of, reset_process

pytestmark = pytest.mark.integration

OCO: dict[str, Any] = {
    "symbol": "BTC-USDT",
    "side": "sell",
    "quantity": "0.1",
    "take_profit": {"type": "limit", "price": "52000"},
    "stop_loss": {"type": "stop_loss", "trigger_price": "49000", "trigger_by": "index"},
}
BRACKET: dict[str, Any] = {
    "symbol": "BTC-USDT",
    "side": "buy",
    "quantity": "0.1",
    "entry": {"type": "limit", "price": "50000"},
    "take_profit": {"type": "take_profit", "trigger_price": "52000", "trigger_by": "index"},
    "stop_loss": {"type": "stop_loss", "trigger_price": "49000", "trigger_by": "index"},
}


def changed(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a body with fields replaced; those of a leg by ``leg={...}``, None removes."""
    found = {**body, **changes}
    return {name: value for name, value in found.items() if value is not None}


def with_leg(body: dict[str, Any], leg: str, **changes: Any) -> dict[str, Any]:
    """Return a body with fields of one leg replaced; None removes."""
    return {**body, leg: changed(body[leg], **changes)}


def index_moves_to(price: int) -> None:
    gateway.submit(UpdateIndexPrices(((BTC_USDT, price * ATOMS),)), lane=Lane.SYSTEM)


def states(trader: Trader, group: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Return status and reason of each order of a group as they now are."""
    found = [trader.api.get(f"/api/orders/{order['id']}").json() for order in group["orders"]]
    return [(order["status"], order["reason"]) for order in found]


def placed(trader: Trader, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = trader.api.post(path, body)
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


class TestOco:
    def test_both_legs_are_answered_and_funds_are_held_once(self, alice: Trader) -> None:
        group = placed(alice, "/api/orders/oco", OCO)

        profit, stop = group["orders"]
        assert group["group_id"] == profit["id"] == profit["group_id"] == stop["group_id"]
        assert (profit["group_role"], stop["group_role"]) == ("oco", "oco")
        assert (profit["type"], profit["status"], profit["price"]) == ("limit", "open", "52000.00")
        assert (stop["type"], stop["status"]) == ("stop_loss", "untriggered")
        assert (profit["side"], stop["side"]) == ("sell", "sell")
        assert alice.balances()["BTC spot"] == ("10.00000000", "0.10000000")
        assert holds_needed()[alice.account_id, BTC] == ATOMS // 10
        listed = alice.api.get("/api/orders").json()["items"]
        assert [{**order, "fills": []} for order in listed] == [stop, profit]

    def test_a_fill_of_one_ends_the_other(self, alice: Trader, bob: Trader) -> None:
        group = placed(alice, "/api/orders/oco", OCO)

        bob.placed(price="52000", quantity="0.1")

        assert states(alice, group) == [("filled", None), ("cancelled", "linked_order")]
        assert alice.balances()["BTC spot"] == ("9.90000000", "0.00000000")

    def test_a_trigger_of_one_ends_the_other(self, alice: Trader, bob: Trader) -> None:
        bob.placed(price="48000", quantity="1")
        group = placed(alice, "/api/orders/oco", OCO)

        index_moves_to(49_000)

        assert states(alice, group) == [("cancelled", "linked_order"), ("filled", None)]

    def test_the_stop_may_trail(self, alice: Trader) -> None:
        stop = {"type": "trailing_stop", "callback_rate": "0.02", "trigger_by": "index"}

        group = placed(alice, "/api/orders/oco", changed(OCO, stop_loss=stop))

        assert group["orders"][1]["callback_rate"] == "0.020"

    def test_cancelling_one_ends_both(self, alice: Trader) -> None:
        group = placed(alice, "/api/orders/oco", OCO)

        alice.api.delete(f"/api/orders/{group['orders'][1]['id']}")

        assert [status for status, _reason in states(alice, group)] == ["cancelled"] * 2
        assert alice.balances()["BTC spot"][1] == "0.00000000"

    def test_a_leg_cannot_be_amended(self, exchange: ExchangeHarness, alice: Trader) -> None:
        group = placed(alice, "/api/orders/oco", OCO)
        before = money_of(exchange)

        answer = alice.api.put(f"/api/orders/{group['group_id']}", {"price": "53000"})

        assert (answer.status_code, error_code(answer)) == (422, "AMEND_LINKED")
        assert money_of(exchange) == before


class TestBracket:
    def test_children_wait_for_the_entry_and_become_an_oco_over_its_fill(
        self, alice: Trader, bob: Trader
    ) -> None:
        group = placed(alice, "/api/orders/bracket", BRACKET)
        before = states(alice, group)
        bob.placed(side="sell", quantity="0.1")

        armed = [alice.api.get(f"/api/orders/{order['id']}").json() for order in group["orders"]]
        bob.placed(price="51500", quantity="1")
        index_moves_to(52_000)

        assert before == [("open", None), ("waiting", None), ("waiting", None)]
        assert [order["group_role"] for order in group["orders"]] == ["entry", "child", "child"]
        assert [order["side"] for order in group["orders"]] == ["buy", "sell", "sell"]
        assert [order["status"] for order in armed] == ["filled", "untriggered", "untriggered"]
        assert [order["group_role"] for order in armed] == ["entry", "oco", "oco"]
        assert states(alice, group) == [
            ("filled", None),
            ("filled", None),
            ("cancelled", "linked_order"),
        ]
        assert alice.balances()["BTC spot"] == ("10.00000000", "0.00000000")

    def test_a_market_entry_is_answered_with_its_fills(self, alice: Trader, bob: Trader) -> None:
        bob.placed(side="sell", quantity="0.1")

        group = placed(alice, "/api/orders/bracket", changed(BRACKET, entry={"type": "market"}))

        entry, *children = group["orders"]
        assert (entry["status"], [fill["quantity"] for fill in entry["fills"]]) == (
            "filled",
            ["0.10000"],
        )
        assert [child["fills"] for child in children] == [[], []]
        assert states(alice, group)[1:] == [("untriggered", None)] * 2

    def test_without_a_fill_the_children_end(self, alice: Trader) -> None:
        group = placed(alice, "/api/orders/bracket", changed(BRACKET, take_profit=None))

        alice.api.delete(f"/api/orders/{group['group_id']}")

        assert states(alice, group) == [
            ("cancelled", "user_cancelled"),
            ("cancelled", "entry_not_filled"),
        ]

    def test_armed_children_survive_a_restart(self, alice: Trader, bob: Trader) -> None:
        group = placed(alice, "/api/orders/bracket", BRACKET)
        bob.placed(side="sell", quantity="0.1")
        bob.placed(price="48000", quantity="1")

        gateway.use_inline(ExchangeHarness())
        index_moves_to(49_000)

        assert states(alice, group) == [
            ("filled", None),
            ("cancelled", "linked_order"),
            ("filled", None),
        ]


class TestCancelAll:
    def test_every_order_of_every_group_ends_once(self, alice: Trader) -> None:
        groups = [
            placed(alice, "/api/orders/oco", OCO),
            placed(alice, "/api/orders/bracket", BRACKET),
        ]

        done = alice.api.delete("/api/orders").json()

        ids = [order["id"] for group in groups for order in group["orders"]]
        assert sorted(order["id"] for order in done["orders"]) == sorted(ids)
        assert {order["status"] for order in done["orders"]} == {"cancelled"}
        assert alice.api.get("/api/orders").json()["items"] == []
        assert alice.balances()["BTC spot"] == ("10.00000000", "0.00000000")
        assert alice.balances()["USDT spot"] == ("1000000.00000000", "0.00000000")


class TestClientOrderId:
    @pytest.mark.parametrize(
        ("path", "body"),
        [("/api/orders/oco", OCO), ("/api/orders/bracket", BRACKET)],
        ids=["oco", "bracket"],
    )
    def test_the_same_group_is_placed_once(
        self, exchange: ExchangeHarness, alice: Trader, path: str, body: dict[str, Any]
    ) -> None:
        body = {**body, "client_order_id": "g-1"}
        first = placed(alice, path, body)
        before = money_of(exchange)

        again = alice.api.post(path, {**body, "symbol": "BTC/USDT", "quantity": "0.10"})
        other = alice.api.post(path, {**body, "quantity": "0.2"})
        leg = alice.api.post(path, with_leg(body, "stop_loss", trigger_price="48000"))
        plain = alice.place(client_order_id="g-1")

        assert (again.status_code, again.json()) == (200, first)
        for answer in (other, leg, plain):
            assert (answer.status_code, error_code(answer)) == (409, "CLIENT_ORDER_ID_CONFLICT")
        assert money_of(exchange) == before
        found = alice.api.get("/api/orders/by-client-id/g-1").json()
        assert found["id"] == first["group_id"]


# Case, path, body, fields of the error.
SHAPE_REFUSALS: list[tuple[str, str, dict[str, Any], str, dict[str, str]]] = [
    (
        "oco without stop",
        "oco",
        changed(OCO, stop_loss=None),
        "VALIDATION_ERROR",
        {"stop_loss": "REQUIRED"},
    ),
    (
        "bracket without entry",
        "bracket",
        changed(BRACKET, entry=None),
        "VALIDATION_ERROR",
        {"entry": "REQUIRED"},
    ),
    (
        "no quantity",
        "oco",
        changed(OCO, quantity=None),
        "VALIDATION_ERROR",
        {"quantity": "REQUIRED"},
    ),
    (
        "leg as text",
        "oco",
        changed(OCO, stop_loss="stop"),
        "VALIDATION_ERROR",
        {"stop_loss": "INVALID"},
    ),
    (
        "leg without type",
        "oco",
        with_leg(OCO, "stop_loss", type=None),
        "VALIDATION_ERROR",
        {"stop_loss.type": "REQUIRED"},
    ),
    (
        "stop as profit",
        "oco",
        with_leg(OCO, "take_profit", type="stop_loss"),
        "VALIDATION_ERROR",
        {"take_profit.type": "INVALID_CHOICE"},
    ),
    (
        "leg without price",
        "oco",
        with_leg(OCO, "take_profit", price=None),
        "VALIDATION_ERROR",
        {"take_profit.price": "REQUIRED"},
    ),
    (
        "leg of another size",
        "oco",
        with_leg(OCO, "stop_loss", quantity="1"),
        "UNKNOWN_FIELD",
        {"stop_loss.quantity": "UNKNOWN_FIELD"},
    ),
    (
        "leg price as number",
        "oco",
        with_leg(OCO, "take_profit", price=1),
        "VALIDATION_ERROR",
        {"take_profit.price": "INVALID_DECIMAL"},
    ),
    (
        "entry that waits",
        "bracket",
        with_leg(BRACKET, "entry", type="stop_loss"),
        "VALIDATION_ERROR",
        {"entry.type": "INVALID_CHOICE"},
    ),
    (
        "trailing child",
        "bracket",
        with_leg(BRACKET, "stop_loss", type="trailing_stop"),
        "VALIDATION_ERROR",
        {"stop_loss.type": "INVALID_CHOICE"},
    ),
    (
        "gtd without end",
        "bracket",
        with_leg(BRACKET, "entry", time_in_force="gtd"),
        "VALIDATION_ERROR",
        {"entry.expire_time": "REQUIRED"},
    ),
]

RULE_REFUSALS: list[tuple[str, str, dict[str, Any], str]] = [
    ("profit below", "oco", with_leg(OCO, "take_profit", price="49500"), "LEG_PRICES"),
    ("stop above", "oco", with_leg(OCO, "stop_loss", trigger_price="50500"), "LEG_PRICES"),
    ("legs of a buy", "oco", changed(OCO, side="buy"), "LEG_PRICES"),
    ("profit crosses", "oco", changed(
        OCO, side="buy",
        take_profit={"type": "limit", "price": "49800"},
        stop_loss={"type": "stop_loss", "trigger_price": "51000"},
    ), "LEG_PRICES"),
    ("profit that does not rest", "oco", with_leg(OCO, "take_profit", time_in_force="ioc"),
     "OCO_LEGS"),
    ("stop with a price", "oco", with_leg(OCO, "stop_loss", price="48000"), "PRICE_NOT_POSSIBLE"),
    ("tick", "oco", with_leg(OCO, "take_profit", price="52000.001"), "TICK_SIZE"),
    ("money", "oco", changed(OCO, quantity="11"), "INSUFFICIENT_BALANCE"),
    ("small", "oco", changed(OCO, quantity="0.00001"), "MIN_NOTIONAL"),
    ("entry alone", "bracket", changed(BRACKET, take_profit=None, stop_loss=None), "BRACKET_LEGS"),
    ("child that does not rest", "bracket", changed(
        BRACKET, take_profit={"type": "limit", "price": "52000", "time_in_force": "fok"}
    ), "BRACKET_LEGS"),
    ("profit below the entry", "bracket", with_leg(BRACKET, "take_profit", trigger_price="49900"),
     "LEG_PRICES"),
    ("stop above the entry", "bracket", with_leg(BRACKET, "stop_loss", trigger_price="50000"),
     "LEG_PRICES"),
    ("entry that cannot be paid", "bracket", changed(BRACKET, quantity="100"),
     "INSUFFICIENT_BALANCE"),
    ("entry in the past", "bracket",
     with_leg(BRACKET, "entry", time_in_force="gtd", expire_time=1), "EXPIRY_IN_THE_PAST"),
]  # fmt: skip


class TestRefusals:
    @pytest.mark.parametrize(
        ("_case", "path", "body", "code", "fields"),
        SHAPE_REFUSALS,
        ids=[row[0] for row in SHAPE_REFUSALS],
    )
    def test_a_wrong_shape_never_reaches_the_exchange(
        self,
        exchange: ExchangeHarness,
        alice: Trader,
        _case: str,
        path: str,
        body: dict[str, Any],
        code: str,
        fields: dict[str, str],
    ) -> None:
        commands = exchange.exchange.sequences.command

        answer = alice.api.post(f"/api/orders/{path}", body)

        assert (answer.status_code, error_code(answer)) == (400, code)
        assert answer.json()["error"]["fields"] == fields
        assert exchange.exchange.sequences.command == commands

    @pytest.mark.parametrize(
        ("_case", "path", "body", "code"), RULE_REFUSALS, ids=[row[0] for row in RULE_REFUSALS]
    )
    def test_a_business_refusal_changes_nothing(
        self,
        exchange: ExchangeHarness,
        alice: Trader,
        bob: Trader,
        _case: str,
        path: str,
        body: dict[str, Any],
        code: str,
    ) -> None:
        bob.placed(side="sell", price="49700")
        before, rows = money_of(exchange), Order.objects.count()

        answer = alice.api.post(f"/api/orders/{path}", body)

        assert (answer.status_code, error_code(answer)) == (422, code)
        assert money_of(exchange) == before
        assert Order.objects.count() == rows

    @pytest.mark.parametrize("path", ["oco", "bracket"])
    def test_an_unknown_market_is_not_found(self, alice: Trader, path: str) -> None:
        body = changed(OCO if path == "oco" else BRACKET, symbol="BTC-XYZ")

        answer = alice.api.post(f"/api/orders/{path}", body)

        assert (answer.status_code, error_code(answer)) == (404, "MARKET_NOT_FOUND")

    @pytest.mark.parametrize(("path", "room"), [("oco", 1), ("bracket", 2)])
    def test_a_group_counts_every_order(
        self, exchange: ExchangeHarness, alice: Trader, path: str, room: int
    ) -> None:
        exchange.configure(ConfigureAccount(alice.account_id, open_orders_max=room))
        before = money_of(exchange)

        answer = alice.api.post(f"/api/orders/{path}", OCO if path == "oco" else BRACKET)

        assert (answer.status_code, error_code(answer)) == (422, "TOO_MANY_OPEN_ORDERS")
        assert money_of(exchange) == before

    @pytest.mark.parametrize("path", ["oco", "bracket"])
    def test_only_traders_place_groups(
        self, exchange: ExchangeHarness, alice: Trader, path: str
    ) -> None:
        body = OCO if path == "oco" else BRACKET
        before = money_of(exchange)

        anonymous = ApiClient().post(f"/api/orders/{path}", body)
        User.objects.filter(username="alice").update(role="support")
        reset_process()
        other_role = alice.api.post(f"/api/orders/{path}", body)

        assert error_code(anonymous) == "NOT_AUTHENTICATED"
        assert error_code(other_role) == "PERMISSION_DENIED"
        assert money_of(exchange) == before
