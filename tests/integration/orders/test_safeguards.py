"""Dead-man switches and market-maker protection over REST, to rows and over a restart."""

from typing import Any

import pytest

from common.testing import error_code
from exchange.store.loader import rows_hash
from orders.models import CancelSwitch, QuoteProtection
from tests.support.exchange import ExchangeHarness, FakeClock
from tests.support.trading import Trader, money_of

pytestmark = pytest.mark.integration

AFTER = "/api/orders/cancel-all-after"
PROTECTION = "/api/orders/protection/BTC-USDT"


@pytest.fixture
def clock(exchange: ExchangeHarness) -> FakeClock:
    clock = FakeClock()
    exchange.processor._clock_ms = clock
    return clock


def work(exchange: ExchangeHarness) -> None:
    """Let the exchange do what is due, as the runner does without being asked."""
    while exchange.processor.has_work:
        exchange._run([])


def reloaded_alike(exchange: ExchangeHarness) -> bool:
    processor = exchange.processor
    return rows_hash(processor.store, processor.projections) == processor.exchange.state_hash()


class TestCancelAllAfter:
    def test_cancels_when_nobody_calls_again(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader, clock: FakeClock
    ) -> None:
        order, others = alice.placed(), bob.placed()

        answer = alice.api.post(AFTER, {"timeout_ms": 5_000})

        assert answer.status_code == 200, answer.content
        assert answer.json() == {
            "symbol": None,
            "timeout_ms": 5_000,
            "cancel_at": clock.time_ms + 5_000,
        }
        clock.advance(4_999)
        assert not exchange.processor.has_work
        clock.advance(1)
        assert exchange.processor.has_work
        work(exchange)
        ended = alice.api.get(f"/api/orders/{order['id']}").json()
        assert (ended["status"], ended["reason"]) == ("cancelled", "cancel_all_after")
        assert bob.api.get(f"/api/orders/{others['id']}").json()["status"] == "open"
        assert alice.api.get(AFTER).json() == {"items": []}
        assert reloaded_alike(exchange)

    def test_lists_what_is_armed_and_survives_a_restart(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader, clock: FakeClock
    ) -> None:
        alice.placed()
        alice.api.post(AFTER, {"timeout_ms": 9_000, "symbol": "ETHUSDT"})
        alice.api.post(AFTER, {"timeout_ms": 8_000})

        exchange.processor.reload()

        items = alice.api.get(AFTER).json()["items"]
        assert [(item["symbol"], item["timeout_ms"]) for item in items] == [
            (None, 8_000),
            ("ETH-USDT", 9_000),
        ]
        assert bob.api.get(AFTER).json() == {"items": []}
        clock.advance(8_000)
        work(exchange)
        assert alice.api.get("/api/orders").json()["items"] == []
        assert len(alice.api.get(AFTER).json()["items"]) == 1

    def test_each_call_starts_the_time_anew_in_one_row_and_zero_disarms(
        self, exchange: ExchangeHarness, alice: Trader, clock: FakeClock
    ) -> None:
        for _ in range(3):
            alice.api.post(AFTER, {"timeout_ms": 1_000})
            clock.advance(900)
        answer = alice.api.post(AFTER, {"timeout_ms": 0})

        assert answer.json() == {"symbol": None, "timeout_ms": 0, "cancel_at": None}
        assert CancelSwitch.objects.count() == 1
        clock.advance(10_000)
        assert not exchange.processor.has_work

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({}, 400, "VALIDATION_ERROR"),
            ({"timeout_ms": "1000"}, 400, "VALIDATION_ERROR"),
            ({"timeout_ms": True}, 400, "VALIDATION_ERROR"),
            ({"timeout_ms": -1}, 400, "VALIDATION_ERROR"),
            ({"timeout_ms": 1000.5}, 400, "VALIDATION_ERROR"),
            ({"timeout_ms": 2**63}, 400, "VALIDATION_ERROR"),
            ({"timeout_ms": 5000, "market": "BTC-USDT"}, 400, "UNKNOWN_FIELD"),
            ({"timeout_ms": 5000, "symbol": 1}, 400, "VALIDATION_ERROR"),
            ({"timeout_ms": 5000, "symbol": "XYZ-USDT"}, 404, "MARKET_NOT_FOUND"),
            ({"timeout_ms": 999}, 422, "INVALID_TIMEOUT"),
            ({"timeout_ms": 86_400_001}, 422, "INVALID_TIMEOUT"),
        ],
    )
    def test_bad_input_has_its_code_and_arms_nothing(
        self,
        exchange: ExchangeHarness,
        alice: Trader,
        body: dict[str, Any],
        status: int,
        code: str,
    ) -> None:
        before = money_of(exchange)

        answer = alice.api.post(AFTER, body)

        assert (answer.status_code, error_code(answer)) == (status, code)
        assert money_of(exchange) == before
        assert alice.api.get(AFTER).json() == {"items": []}


class TestProtection:
    def test_pulls_quotes_freezes_and_thaws(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader, clock: FakeClock
    ) -> None:
        answer = alice.api.put(
            PROTECTION, {"window_ms": 1_000, "quantity": "0.15", "frozen_ms": 3_000}
        )
        assert answer.status_code == 200, answer.content
        first, second = alice.placed(price="50000"), alice.placed(price="49000")
        far = alice.placed(price="40000")

        sold = bob.placed(side="sell", type="market", price=None, quantity="0.2")

        assert sold["status"] == "filled"
        assert [
            alice.api.get(f"/api/orders/{order['id']}").json()["reason"]
            for order in (first, second, far)
        ] == [None, None, "quote_protection"]
        assert alice.api.get(PROTECTION).json() == {
            "symbol": "BTC-USDT",
            "window_ms": 1_000,
            "quantity": "0.15000000",
            "fills": None,
            "frozen_ms": 3_000,
            "frozen": True,
            "frozen_until": clock.time_ms + 3_000,
        }
        before = money_of(exchange)
        refused = alice.place()
        assert (refused.status_code, error_code(refused)) == (422, "QUOTES_FROZEN")
        assert money_of(exchange) == before
        assert reloaded_alike(exchange)
        exchange.processor.reload()
        assert error_code(alice.place()) == "QUOTES_FROZEN"
        clock.advance(3_000)
        alice.placed()

    def test_a_reset_ends_a_freeze_without_end(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader
    ) -> None:
        alice.api.put(PROTECTION, {"window_ms": 1_000, "fills": 1})
        alice.placed()
        alice.placed()
        bob.placed(side="sell", quantity="0.2")
        frozen = alice.api.get(PROTECTION).json()
        assert (frozen["frozen"], frozen["frozen_until"]) == (True, None)

        answer = alice.api.post(f"{PROTECTION}/reset", {})

        assert (answer.status_code, answer.json()["frozen"]) == (200, False)
        alice.placed(price="30000")

    def test_is_the_accounts_own_and_of_one_market(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader
    ) -> None:
        alice.api.put(PROTECTION, {"window_ms": 1_000, "fills": 1})

        assert error_code(bob.api.get(PROTECTION)) == "NO_PROTECTION"
        assert error_code(alice.api.get("/api/orders/protection/ETH-USDT")) == "NO_PROTECTION"
        assert alice.api.get("/api/orders/protection/BTCUSDT").status_code == 200

    def test_delete_takes_it_away_and_a_new_one_is_another_row(
        self, exchange: ExchangeHarness, alice: Trader
    ) -> None:
        alice.api.put(PROTECTION, {"window_ms": 1_000, "fills": 1})
        alice.api.put(PROTECTION, {"window_ms": 2_000, "fills": 1})
        gone = alice.api.delete(PROTECTION)

        assert (gone.status_code, gone.json()["window_ms"]) == (200, 0)
        again = alice.api.delete(PROTECTION)
        assert (again.status_code, error_code(again)) == (404, "NO_PROTECTION")
        assert error_code(alice.api.post(f"{PROTECTION}/reset", {})) == "NO_PROTECTION"
        alice.api.put(PROTECTION, {"window_ms": 1_000, "fills": 1})
        assert list(QuoteProtection.objects.order_by("id").values_list("is_active")) == [
            (0,),
            (1,),
        ]
        assert reloaded_alike(exchange)

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({}, 400, "VALIDATION_ERROR"),
            ({"window_ms": 1.5, "fills": 1}, 400, "VALIDATION_ERROR"),
            ({"window_ms": 1_000, "fills": -1}, 400, "VALIDATION_ERROR"),
            ({"window_ms": 1_000, "quantity": 1}, 400, "VALIDATION_ERROR"),
            ({"window_ms": 1_000, "quantity": "0"}, 400, "VALIDATION_ERROR"),
            ({"window_ms": 1_000, "fill": 1}, 400, "UNKNOWN_FIELD"),
            ({"window_ms": 0, "fills": 1}, 422, "INVALID_PROTECTION"),
            ({"window_ms": 10_001, "fills": 1}, 422, "INVALID_PROTECTION"),
            ({"window_ms": 1_000}, 422, "INVALID_PROTECTION"),
            ({"window_ms": 1_000, "fills": 1, "frozen_ms": 86_400_001}, 422, "INVALID_PROTECTION"),
        ],
    )
    def test_bad_input_has_its_code_and_sets_nothing_up(
        self,
        exchange: ExchangeHarness,
        alice: Trader,
        body: dict[str, Any],
        status: int,
        code: str,
    ) -> None:
        answer = alice.api.put(PROTECTION, body)

        assert (answer.status_code, error_code(answer)) == (status, code)
        assert error_code(alice.api.get(PROTECTION)) == "NO_PROTECTION"

    def test_an_unknown_market_is_not_found(self, alice: Trader) -> None:
        path = "/api/orders/protection/XYZ-USDT"

        for answer in (
            alice.api.get(path),
            alice.api.put(path, {"window_ms": 1_000, "fills": 1}),
            alice.api.delete(path),
            alice.api.post(f"{path}/reset", {}),
        ):
            assert (answer.status_code, error_code(answer)) == (404, "MARKET_NOT_FOUND")
