"""Conditional, iceberg, good-till-date and repricing orders over REST, from placing to end."""

import json
import time
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from common.testing import error_code
from common.ws.topics import ORDERS
from exchange import gateway
from exchange.core.commands import UpdateIndexPrices
from exchange.core.enums import Lane
from exchange.core.events import OrderChanged
from exchange.core.rejects import Code
from exchange.core.units import ATOMS
from orders.consumers import account_snapshot
from orders.models import Order, OrderTerms
from orders.render import render_order
from orders.retention import retention_step
from orders.selectors import holds_needed
from tests.support.exchange import BTC, BTC_USDT, USDT, ExchangeHarness
from tests.support.trading import Trader, money_of

pytestmark = pytest.mark.integration

STOP = {"side": "sell", "type": "stop_loss", "price": None, "trigger_price": "49000"}
TRAILING = {"side": "sell", "type": "trailing_stop", "price": None, "callback_rate": "0.01"}
INDEX = {"trigger_by": "index"}


def in_ms(milliseconds: int) -> int:
    return time.time_ns() // 1_000_000 + milliseconds


def index_moves_to(price: int) -> None:
    """Let the price feed report a price, the way its process does."""
    outcome = gateway.submit(UpdateIndexPrices(((BTC_USDT, price * ATOMS),)), lane=Lane.SYSTEM)
    assert outcome.code is Code.OK


def order(trader: Trader, order_id: str) -> dict[str, Any]:
    found: dict[str, Any] = trader.api.get(f"/api/orders/{order_id}").json()
    return found


def restart() -> ExchangeHarness:
    """Let a new exchange take over what the old one stored."""
    harness = ExchangeHarness()
    gateway.use_inline(harness)
    return harness


def special(body: dict[str, Any]) -> dict[str, Any]:
    """Return what of an order's fields only special orders have, where they have it."""
    names = (
        "trigger_by",
        "trigger_price",
        "activation_price",
        "callback_rate",
        "activated",
        "display_quantity",
        "expire_time",
        "group_id",
        "group_role",
    )
    shown = {name: body[name] for name in names if body[name] is not None}
    return shown | ({"price_protect": True} if body["price_protect"] else {})


class TestPlacing:
    @pytest.mark.parametrize(
        ("_case", "fields", "status", "shown"),
        [
            ("stop-loss", STOP, "untriggered", {"trigger_by": "last", "trigger_price": "49000.00"}),
            (
                "stop-loss limit",
                {**STOP, "type": "stop_loss_limit", "price": "48900", "trigger_by": "mark"},
                "untriggered",
                {"trigger_by": "mark", "trigger_price": "49000.00"},
            ),
            (
                "take-profit",
                {**STOP, "type": "take_profit", "trigger_price": "51000", **INDEX},
                "untriggered",
                {"trigger_by": "index", "trigger_price": "51000.00"},
            ),
            (
                "take-profit limit",
                {"type": "take_profit_limit", "price": "49100", "trigger_price": "49000", **INDEX},
                "untriggered",
                {"trigger_by": "index", "trigger_price": "49000.00"},
            ),
            (
                "protected stop-loss",
                {**STOP, "price_protect": True},
                "untriggered",
                {"trigger_by": "last", "trigger_price": "49000.00", "price_protect": True},
            ),
            (
                "trailing stop",
                {**TRAILING, **INDEX},
                "untriggered",
                {"trigger_by": "index", "callback_rate": "0.010", "activated": True},
            ),
            (
                "trailing stop with activation",
                {**TRAILING, **INDEX, "activation_price": "52000"},
                "untriggered",
                {
                    "trigger_by": "index",
                    "activation_price": "52000.00",
                    "callback_rate": "0.010",
                    "activated": False,
                },
            ),
            ("iceberg", {"display_quantity": "0.01"}, "open", {"display_quantity": "0.01000"}),
        ],
    )
    def test_every_type_is_taken_and_answered_alike_everywhere(
        self,
        exchange: ExchangeHarness,
        alice: Trader,
        _case: str,
        fields: dict[str, Any],
        status: str,
        shown: dict[str, Any],
    ) -> None:
        body = alice.placed(**fields)

        assert body["status"] == status
        assert special(body) == shown
        assert body["remaining_quantity"] == "0.10000"
        fills, listed = body.pop("fills"), alice.api.get("/api/orders").json()["items"]
        assert fills == []
        assert listed == [body]
        # What /ws/user sends is rendered from the event.
        events = [
            event
            for batch in exchange.published
            for event in batch.events
            if isinstance(event, OrderChanged)
        ]
        assert render_order(events[-1]) == body

    def test_good_till_date_ends_in_time(self, exchange: ExchangeHarness, alice: Trader) -> None:
        ends = in_ms(60_000)
        body = alice.placed(time_in_force="gtd", expire_time=ends)
        exchange.processor._clock_ms = lambda: ends

        exchange.apply(UpdateIndexPrices(()))

        ended = order(alice, body["id"])
        assert (body["time_in_force"], body["expire_time"]) == ("gtd", ends)
        assert (ended["status"], ended["reason"]) == ("expired", "time_expired")
        assert ended["remaining_quantity"] == "0.00000"
        assert alice.balances()["USDT spot"] == ("1000000.00000000", "0.00000000")

    def test_post_only_may_step_back_instead(self, alice: Trader, bob: Trader) -> None:
        alice.placed(side="sell", price="50000")

        refused = bob.place(price="50001", post_only=True)
        body = bob.placed(price="50001", post_only=True, reprice=True)

        assert error_code(refused) == "POST_ONLY_WOULD_CROSS"
        assert (body["status"], body["price"]) == ("open", "49999.99")

    def test_an_iceberg_shows_part_and_fills_whole(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader
    ) -> None:
        body = alice.placed(side="sell", quantity="0.1", display_quantity="0.04")
        shown = exchange.exchange.book_levels(BTC_USDT)

        taken = bob.placed(quantity="0.05")

        assert shown == ([], [(50_000 * ATOMS, 4_000_000)])
        assert taken["status"] == "filled"
        left = order(alice, body["id"])
        assert (left["filled_quantity"], left["remaining_quantity"]) == ("0.05000", "0.05000")
        assert exchange.exchange.book_levels(BTC_USDT) == ([], [(50_000 * ATOMS, 3_000_000)])

    def test_the_same_request_is_carried_out_once(
        self, exchange: ExchangeHarness, alice: Trader
    ) -> None:
        fields = {**TRAILING, **INDEX, "client_order_id": "t-1"}
        first = alice.placed(**fields)
        before = money_of(exchange)

        again = alice.place(**fields, time_in_force="ioc", reduce_only=False)

        assert (again.status_code, again.json()["id"]) == (200, first["id"])
        assert money_of(exchange) == before

    @pytest.mark.parametrize(
        "change",
        [
            {"callback_rate": "0.02"},
            {"trigger_by": "mark"},
            {"activation_price": "52000"},
            {"type": "stop_loss", "callback_rate": None, "trigger_price": "49000"},
            {"slippage": "0.01"},
            {"reduce_only": True},
            {"close_position": True},
            {"display_quantity": "0.01"},
            {"expire_time": 2_000_000_000_000},
            {"trigger_price": "49000"},
            {"post_only": True, "reprice": True},
        ],
    )
    def test_another_request_under_the_same_id_is_a_conflict(
        self, exchange: ExchangeHarness, alice: Trader, change: dict[str, Any]
    ) -> None:
        fields = {**TRAILING, **INDEX, "client_order_id": "t-1"}
        alice.placed(**fields)
        before = money_of(exchange)

        answer = alice.place(**(fields | change))

        assert (answer.status_code, error_code(answer)) == (409, "CLIENT_ORDER_ID_CONFLICT")
        assert money_of(exchange) == before


# Case, fields that replace those of a good order, fields of the error.
SHAPE_REFUSALS: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("stop without trigger", {**STOP, "trigger_price": None}, {"trigger_price": "REQUIRED"}),
    (
        "stop limit without price",
        {**STOP, "type": "stop_loss_limit"},
        {"price": "REQUIRED"},
    ),
    ("trailing without rate", {**TRAILING, "callback_rate": None}, {"callback_rate": "REQUIRED"}),
    ("stop sized in nothing", {**STOP, "quantity": None}, {"quantity": "REQUIRED"}),
    ("gtd without end", {"time_in_force": "gtd"}, {"expire_time": "REQUIRED"}),
    ("reprice alone", {"reprice": True}, {"post_only": "REQUIRED"}),
    ("reprice without", {"reprice": True, "post_only": False}, {"post_only": "REQUIRED"}),
    ("end as text", {"expire_time": "2000000000000"}, {"expire_time": "INVALID"}),
    ("end as fraction", {"expire_time": 1.5}, {"expire_time": "INVALID"}),
    ("end as truth", {"expire_time": True}, {"expire_time": "INVALID"}),
    ("end at zero", {"expire_time": 0}, {"expire_time": "OUT_OF_RANGE"}),
    ("end beyond numbers", {"expire_time": 2**53}, {"expire_time": "OUT_OF_RANGE"}),
    ("trigger by nothing", {**STOP, "trigger_by": "none"}, {"trigger_by": "INVALID_CHOICE"}),
    ("trigger as number", {**STOP, "trigger_price": 49000}, {"trigger_price": "INVALID_DECIMAL"}),
    ("trigger at zero", {**STOP, "trigger_price": "0"}, {"trigger_price": "OUT_OF_RANGE"}),
    ("whole callback", {**TRAILING, "callback_rate": "1"}, {"callback_rate": "OUT_OF_RANGE"}),
    (
        "activation sign",
        {**TRAILING, "activation_price": "-1"},
        {"activation_price": "INVALID_DECIMAL"},
    ),
    ("display exponent", {"display_quantity": "1e-2"}, {"display_quantity": "INVALID_DECIMAL"}),
    ("reduce-only as text", {"reduce_only": "true"}, {"reduce_only": "INVALID"}),
    ("reprice as number", {"reprice": 1}, {"reprice": "INVALID"}),
]

RULE_REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("stop at the price", {**STOP, **INDEX, "trigger_price": "50000"}, "TRIGGER_WOULD_FIRE"),
    ("stop above", {**STOP, **INDEX, "trigger_price": "50001"}, "TRIGGER_WOULD_FIRE"),
    ("buy stop below", {**STOP, **INDEX, "side": "buy"}, "TRIGGER_WOULD_FIRE"),
    ("profit behind", {**STOP, **INDEX, "type": "take_profit"}, "TRIGGER_WOULD_FIRE"),
    ("trigger off the tick", {**STOP, "trigger_price": "49000.001"}, "INVALID_TRIGGER_PRICE"),
    (
        "activation off the tick",
        {**TRAILING, **INDEX, "activation_price": "52000.001"},
        "INVALID_TRIGGER_PRICE",
    ),
    ("callback too small", {**TRAILING, **INDEX, "callback_rate": "0.0005"}, "CALLBACK_RATE"),
    ("callback too large", {**TRAILING, **INDEX, "callback_rate": "0.101"}, "CALLBACK_RATE"),
    ("callback off its step", {**TRAILING, **INDEX, "callback_rate": "0.0015"}, "CALLBACK_RATE"),
    ("trailing before any trade", TRAILING, "REFERENCE_PRICE_MISSING"),
    (
        "activation passed",
        {**TRAILING, **INDEX, "activation_price": "49000"},
        "ACTIVATION_PRICE_REACHED",
    ),
    ("trailing with trigger", {**TRAILING, **INDEX, "trigger_price": "49000"}, "INVALID_ORDER"),
    ("stop with callback", {**STOP, "callback_rate": "0.01"}, "INVALID_ORDER"),
    ("stop with activation", {**STOP, "activation_price": "48000"}, "INVALID_ORDER"),
    ("limit with trigger", {"trigger_price": "49000"}, "INVALID_ORDER"),
    ("limit with trigger type", {"trigger_by": "last"}, "INVALID_ORDER"),
    ("limit with callback", {"callback_rate": "0.01"}, "INVALID_ORDER"),
    ("limit with activation", {"activation_price": "51000"}, "INVALID_ORDER"),
    ("stop with price", {**STOP, "price": "48000"}, "PRICE_NOT_POSSIBLE"),
    ("stop that rests", {**STOP, "time_in_force": "gtc"}, "TIME_IN_FORCE_NOT_POSSIBLE"),
    ("post-only stop", {**STOP, "post_only": True}, "POST_ONLY_NOT_RESTING"),
    (
        "post-only market",
        {"type": "market", "price": None, "post_only": True},
        "POST_ONLY_NOT_RESTING",
    ),
    ("stop sized twice", {**STOP, "quote_quantity": "10"}, "QUOTE_QUANTITY_NOT_POSSIBLE"),
    (
        "conditional that reprices",
        {**STOP, "type": "stop_loss_limit", "price": "48000", "post_only": True, "reprice": True},
        "INVALID_ORDER",
    ),
    ("end without gtd", {"expire_time": 2_000_000_000_000}, "EXPIRY_REQUIRED"),
    ("end in the past", {"time_in_force": "gtd", "expire_time": 1}, "EXPIRY_IN_THE_PAST"),
    ("end too far", {"time_in_force": "gtd", "expire_time": 2**53 - 1}, "EXPIRY_TOO_FAR"),
    ("ioc iceberg", {"display_quantity": "0.01", "time_in_force": "ioc"}, "ICEBERG_NOT_RESTING"),
    (
        "market iceberg",
        {"type": "market", "price": None, "display_quantity": "0.01"},
        "ICEBERG_NOT_RESTING",
    ),
    ("fok iceberg", {"display_quantity": "0.01", "time_in_force": "fok"}, "ICEBERG_NOT_RESTING"),
    ("iceberg shown whole", {"display_quantity": "0.1"}, "ICEBERG_DISPLAY"),
    ("iceberg off the lot", {"display_quantity": "0.010001"}, "ICEBERG_DISPLAY"),
    ("iceberg in crumbs", {"display_quantity": "0.0009"}, "ICEBERG_PARTS"),
    ("reduce-only", {"reduce_only": True}, "REDUCE_ONLY_NOT_POSSIBLE"),
    ("close-position", {"close_position": True}, "REDUCE_ONLY_NOT_POSSIBLE"),
    ("small stop", {**STOP, "quantity": "0.00001"}, "MIN_NOTIONAL"),
    ("stop without funds", {**STOP, "quantity": "11"}, "INSUFFICIENT_BALANCE"),
    (
        "buy stop without funds",
        {**STOP, "side": "buy", "trigger_price": "51000", "quantity": "20"},
        "INSUFFICIENT_BALANCE",
    ),
]


class TestRefusals:
    @pytest.mark.parametrize(
        ("_case", "fields", "errors"), SHAPE_REFUSALS, ids=[row[0] for row in SHAPE_REFUSALS]
    )
    def test_a_wrong_shape_never_reaches_the_exchange(
        self,
        exchange: ExchangeHarness,
        alice: Trader,
        _case: str,
        fields: dict[str, Any],
        errors: dict[str, str],
    ) -> None:
        commands = exchange.exchange.sequences.command

        answer = alice.place(**fields)

        assert (answer.status_code, error_code(answer)) == (400, "VALIDATION_ERROR")
        assert answer.json()["error"]["fields"] == errors
        assert exchange.exchange.sequences.command == commands

    @pytest.mark.parametrize(
        ("_case", "fields", "code"), RULE_REFUSALS, ids=[row[0] for row in RULE_REFUSALS]
    )
    def test_a_business_refusal_changes_nothing(
        self,
        exchange: ExchangeHarness,
        alice: Trader,
        _case: str,
        fields: dict[str, Any],
        code: str,
    ) -> None:
        before = money_of(exchange)

        answer = alice.place(**fields)

        assert (answer.status_code, error_code(answer)) == (422, code)
        assert money_of(exchange) == before
        assert not Order.objects.exists()
        assert not OrderTerms.objects.exists()

    def test_nothing_special_has_no_terms(self, alice: Trader) -> None:
        alice.placed(reduce_only=False, close_position=False, reprice=False)

        assert not OrderTerms.objects.exists()
        assert special(alice.api.get("/api/orders").json()["items"][0]) == {}


class TestFiring:
    def test_a_stop_fires_when_the_index_reaches_it_and_only_once(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader
    ) -> None:
        bob.placed(price="48500", quantity="1")
        body = alice.placed(**STOP, **INDEX)
        held = alice.balances()["BTC spot"]

        index_moves_to(49_001)
        waiting = order(alice, body["id"])
        index_moves_to(49_000)
        fired = order(alice, body["id"])
        index_moves_to(48_000)

        assert held == ("10.00000000", "0.10000000")
        assert waiting["status"] == "untriggered"
        assert (fired["status"], fired["average_price"]) == ("filled", "48500.00")
        assert fired["triggered_at"] == fired["updated_at"]
        assert [fill["role"] for fill in fired["fills"]] == ["taker"]
        assert order(alice, body["id"]) == fired
        assert alice.balances()["BTC spot"] == ("9.90000000", "0.00000000")
        history = alice.api.get("/api/orders/history").json()["items"]
        assert [item["trigger_price"] for item in history] == ["49000.00"]

    def test_a_trailing_stop_survives_a_restart_with_its_extreme(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader
    ) -> None:
        bob.placed(price="48500", quantity="1")
        body = alice.placed(**TRAILING, **INDEX)
        index_moves_to(60_000)

        restart()
        index_moves_to(59_401)
        waiting = order(alice, body["id"])
        index_moves_to(59_400)

        assert waiting["status"] == "untriggered"
        assert order(alice, body["id"])["status"] == "filled"

    def test_an_armed_stop_limit_survives_a_restart_and_rests(
        self, exchange: ExchangeHarness, alice: Trader
    ) -> None:
        body = alice.placed(**{**STOP, **INDEX, "type": "stop_loss_limit", "price": "48900"})

        harness = restart()
        index_moves_to(49_000)

        rested = order(alice, body["id"])
        assert (rested["status"], rested["remaining_quantity"]) == ("open", "0.10000")
        assert rested["triggered_at"] is not None
        assert harness.exchange.book_levels(BTC_USDT) == ([], [(48_900 * ATOMS, 10_000_000)])
        assert alice.balances()["BTC spot"] == ("10.00000000", "0.10000000")

    def test_a_trade_fires_what_waits_for_the_last_price(self, alice: Trader, bob: Trader) -> None:
        body = alice.placed(**STOP)
        bob.placed(price="49000", quantity="0.05")
        bob.placed(price="48000", quantity="1")

        alice.placed(side="sell", price="49000", quantity="0.05")

        fired = order(alice, body["id"])
        assert (fired["status"], fired["average_price"]) == ("filled", "48000.00")

    def test_an_untriggered_order_can_be_cancelled(self, alice: Trader) -> None:
        body = alice.placed(**STOP)

        ended = alice.api.delete(f"/api/orders/{body['id']}").json()

        assert (ended["status"], ended["reason"]) == ("cancelled", "user_cancelled")
        assert alice.balances()["BTC spot"] == ("10.00000000", "0.00000000")


class TestRows:
    def test_a_page_takes_one_more_query_however_many_are_special(self, alice: Trader) -> None:
        for number in range(6):
            alice.placed(price=str(40_000 + number), display_quantity="0.01")
        alice.placed(price="40100")

        with CaptureQueriesContext(connection) as captured:
            items = alice.api.get("/api/orders").json()["items"]

        queries = [query["sql"] for query in captured if "orders_order" in query["sql"]]
        assert len(items) == 7
        assert len(queries) == 2

    def test_holds_of_all_kinds_are_what_the_orders_need(self, alice: Trader) -> None:
        alice.placed(**STOP, **INDEX)
        alice.placed(**{**STOP, **INDEX, "side": "buy", "trigger_price": "51000"})
        alice.placed(price="40000", display_quantity="0.01")
        alice.placed(side="sell", price="60000")

        held = alice.balances()

        needs = holds_needed()
        assert needs[alice.account_id, BTC] == 20_000_000
        assert held["BTC spot"][1] == "0.20000000"
        assert held["USDT spot"][1] == f"{needs[alice.account_id, USDT] / ATOMS:.8f}"

    def test_the_ledger_adds_up_with_every_kind_of_order_open(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader
    ) -> None:
        alice.placed(**TRAILING, **INDEX)
        alice.placed(side="sell", price="50500", quantity="0.1", display_quantity="0.03")
        bob.placed(price="50500", quantity="0.04")
        stop = {"type": "stop_loss", "trigger_price": "49000", "trigger_by": "index"}
        common = {"symbol": "BTC-USDT", "side": "sell", "quantity": "0.1", "stop_loss": stop}
        profit = {"type": "limit", "price": "52000"}
        oco = alice.api.post("/api/orders/oco", {**common, "take_profit": profit})
        entry = {"type": "limit", "price": "49500"}
        bracket = alice.api.post("/api/orders/bracket", {**common, "side": "buy", "entry": entry})
        printed = StringIO()

        call_command("verify_ledger", stdout=printed)

        assert (oco.status_code, bracket.status_code) == (201, 201)
        assert "WRONG" not in printed.getvalue()

    def test_a_socket_s_snapshot_is_what_rest_lists(self, alice: Trader) -> None:
        alice.placed(**STOP)
        alice.placed(price="40000", display_quantity="0.01")
        stop = {"type": "stop_loss", "trigger_price": "39000"}
        body = {"symbol": "BTC-USDT", "side": "buy", "quantity": "0.1", "stop_loss": stop}
        alice.api.post(
            "/api/orders/bracket", {**body, "entry": {"type": "limit", "price": "40000"}}
        )

        data = account_snapshot(alice.account_id, frozenset({ORDERS}))

        listed = alice.api.get("/api/orders").json()["items"]
        assert json.loads(data[ORDERS]) == {"orders": listed}
        assert {item["status"] for item in listed} == {"untriggered", "open", "waiting"}

    def test_terms_go_with_their_order(self, exchange: ExchangeHarness, alice: Trader) -> None:
        gone = alice.placed(**STOP)
        alice.api.delete(f"/api/orders/{gone['id']}")
        kept = alice.placed(**STOP)
        Order.objects.filter(is_open=0).update(created_ms=1, updated_ms=1)
        alice.placed(price="40000")
        alice.api.delete(f"/api/orders/{kept['id']}")
        Order.objects.update(created_ms=1)

        retention_step(before_ms=1_000)

        assert list(OrderTerms.objects.values_list("id", flat=True)) == [int(kept["id"])]
        assert order(alice, gone["id"])["error"]["code"] == "NOT_FOUND"
