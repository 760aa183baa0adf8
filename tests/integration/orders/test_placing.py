"""POST /api/orders: what is answered, and what a refusal leaves behind."""

from typing import Any

import pytest

from accounts.models import User
from common.testing import ApiClient, error_code
from exchange.core.commands import ConfigureAccount, SetMarketStatus
from exchange.core.enums import AccountStatus, MarketStatus
from tests.support.exchange import BTC_USDT, ExchangeHarness, market
from tests.support.trading import Trader, money_of, register, reset_process

pytestmark = pytest.mark.integration


class TestPlacing:
    def test_a_resting_order_is_answered_whole(
        self, exchange: ExchangeHarness, alice: Trader
    ) -> None:
        answer = alice.place(client_order_id="first", price="49000.5", quantity="0.25")

        body = answer.json()
        assert answer.status_code == 201
        assert body.pop("created_at") == body.pop("updated_at") > 1_700_000_000_000
        assert body == {
            "id": "1",
            "client_order_id": "first",
            "symbol": "BTC-USDT",
            "side": "buy",
            "type": "limit",
            "time_in_force": "gtc",
            "post_only": False,
            "self_trade_prevention": "expire_taker",
            "price": "49000.50",
            "quantity": "0.25000",
            "quote_quantity": None,
            "filled_quantity": "0.00000",
            "remaining_quantity": "0.25000",
            "filled_quote": "0.00000000",
            "average_price": None,
            "fee": "0.00000000",
            "fee_currency": "USDT",
            "status": "open",
            "reason": None,
            "trigger_by": None,
            "trigger_price": None,
            "activation_price": None,
            "callback_rate": None,
            "activated": None,
            "price_protect": None,
            "triggered_at": None,
            "display_quantity": None,
            "expire_time": None,
            "group_id": None,
            "group_role": None,
            "reduce_only": False,
            "close_position": False,
            "fills": [],
        }
        # 0.25 x 49,000.5 and 0.1 % of it.
        assert alice.balances()["USDT spot"] == ("1000000.00000000", "12262.37512500")
        assert exchange.exchange.book_levels(BTC_USDT) == ([(4_900_050_000_000, 25_000_000)], [])

    def test_a_taker_is_answered_with_its_fills_in_order(self, alice: Trader, bob: Trader) -> None:
        first = alice.placed(side="sell", quantity="0.1", price="50000")
        second = alice.placed(side="sell", quantity="0.3", price="50010")

        body = bob.placed(side="buy", quantity="0.2", price="50010")

        assert body["status"] == "filled"
        assert body["filled_quantity"] == "0.20000"
        assert body["filled_quote"] == "10001.00000000"
        assert body["average_price"] == "50005.00"
        assert body["fee"] == "10.00100000"
        times = [fill.pop("executed_at") for fill in body["fills"]]
        assert times == [body["updated_at"]] * 2
        assert body["fills"] == [
            {
                "trade_id": "1",
                "kind": "match",
                "order_id": body["id"],
                "symbol": "BTC-USDT",
                "side": "buy",
                "role": "taker",
                "price": "50000.00",
                "quantity": "0.10000",
                "quote_quantity": "5000.00000000",
                "fee": "5.00000000",
                "fee_currency": "USDT",
            },
            {
                "trade_id": "2",
                "kind": "match",
                "order_id": body["id"],
                "symbol": "BTC-USDT",
                "side": "buy",
                "role": "taker",
                "price": "50010.00",
                "quantity": "0.10000",
                "quote_quantity": "5001.00000000",
                "fee": "5.00100000",
                "fee_currency": "USDT",
            },
        ]
        assert alice.api.get(f"/api/orders/{first['id']}").json()["status"] == "filled"
        partly = alice.api.get(f"/api/orders/{second['id']}").json()
        assert (partly["status"], partly["filled_quantity"]) == ("partially_filled", "0.10000")
        assert bob.balances()["BTC spot"] == ("10.20000000", "0.00000000")

    def test_a_market_order_may_be_sized_in_quote(self, alice: Trader, bob: Trader) -> None:
        alice.placed(side="sell", quantity="1", price="50000")

        body = bob.placed(type="market", price=None, quantity=None, quote_quantity="1001")

        assert body["status"] == "filled"
        assert body["filled_quantity"] == "0.02000"
        assert body["time_in_force"] == "ioc"
        assert body["quantity"] is None
        assert body["quote_quantity"] == "1001.00000000"

    def test_an_ioc_remainder_expires_with_its_reason(self, alice: Trader, bob: Trader) -> None:
        alice.placed(side="sell", quantity="0.1")

        body = bob.placed(quantity="0.3", time_in_force="ioc")

        assert (body["status"], body["reason"]) == ("expired", "ioc_remainder")
        assert body["filled_quantity"] == "0.10000"

    @pytest.mark.parametrize("symbol", ["BTC-USDT", "BTC/USDT", "BTCUSDT"])
    def test_every_spelling_of_a_symbol_is_taken(self, alice: Trader, symbol: str) -> None:
        assert alice.placed(symbol=symbol)["symbol"] == "BTC-USDT"

    def test_an_account_the_exchange_does_not_know_is_opened_on_the_way(
        self, exchange: ExchangeHarness, alice: Trader
    ) -> None:
        User.objects.filter(username="alice").update(account_id=77_000_001)
        reset_process()

        answer = alice.place()

        assert (answer.status_code, error_code(answer)) == (422, "INSUFFICIENT_BALANCE")
        assert 77_000_001 in [account.account_id for account in exchange.exchange.image().accounts]


# Case, fields that replace those of a good order, status, code, fields of the error.
SHAPE_REFUSALS: list[tuple[str, dict[str, Any], int, str, dict[str, str] | None]] = [
    ("unknown field", {"user": "1"}, 400, "UNKNOWN_FIELD", {"user": "UNKNOWN_FIELD"}),
    ("read-only field", {"status": "filled"}, 400, "UNKNOWN_FIELD", {"status": "UNKNOWN_FIELD"}),
    ("no symbol", {"symbol": None}, 400, "VALIDATION_ERROR", {"symbol": "REQUIRED"}),
    ("symbol of another type", {"symbol": 5}, 400, "VALIDATION_ERROR", {"symbol": "INVALID"}),
    ("symbol unknown", {"symbol": "BTC-XYZ"}, 404, "MARKET_NOT_FOUND", None),
    ("no side", {"side": None}, 400, "VALIDATION_ERROR", {"side": "REQUIRED"}),
    ("side unknown", {"side": "BUY"}, 400, "VALIDATION_ERROR", {"side": "INVALID_CHOICE"}),
    ("type unknown", {"type": "stop"}, 400, "VALIDATION_ERROR", {"type": "INVALID_CHOICE"}),
    ("type as a list", {"type": ["limit"]}, 400, "VALIDATION_ERROR", {"type": "INVALID_CHOICE"}),
    ("no price", {"price": None}, 400, "VALIDATION_ERROR", {"price": "REQUIRED"}),
    ("no quantity", {"quantity": None}, 400, "VALIDATION_ERROR", {"quantity": "REQUIRED"}),
    ("number", {"price": 50000}, 400, "VALIDATION_ERROR", {"price": "INVALID_DECIMAL"}),
    ("float", {"price": 0.1}, 400, "VALIDATION_ERROR", {"price": "INVALID_DECIMAL"}),
    ("exponent", {"price": "5e4"}, 400, "VALIDATION_ERROR", {"price": "INVALID_DECIMAL"}),
    ("huge exponent", {"price": "1e999999"}, 400, "VALIDATION_ERROR", {"price": "INVALID_DECIMAL"}),
    ("sign", {"price": "-1"}, 400, "VALIDATION_ERROR", {"price": "INVALID_DECIMAL"}),
    ("plus", {"price": "+1"}, 400, "VALIDATION_ERROR", {"price": "INVALID_DECIMAL"}),
    ("underscore", {"price": "50_000"}, 400, "VALIDATION_ERROR", {"price": "INVALID_DECIMAL"}),
    ("space", {"price": " 1"}, 400, "VALIDATION_ERROR", {"price": "INVALID_DECIMAL"}),
    ("line end", {"price": "1\n"}, 400, "VALIDATION_ERROR", {"price": "INVALID_DECIMAL"}),
    ("other digits", {"price": "\u0665"}, 400, "VALIDATION_ERROR", {"price": "INVALID_DECIMAL"}),
    ("long", {"price": "1" * 21}, 400, "VALIDATION_ERROR", {"price": "OUT_OF_RANGE"}),
    ("decimals", {"price": "0.123456789"}, 400, "VALIDATION_ERROR", {"price": "TOO_MANY_DECIMALS"}),
    ("zero price", {"price": "0"}, 400, "VALIDATION_ERROR", {"price": "OUT_OF_RANGE"}),
    ("zero size", {"quantity": "0.0"}, 400, "VALIDATION_ERROR", {"quantity": "OUT_OF_RANGE"}),
    ("null", {"post_only": 1}, 400, "VALIDATION_ERROR", {"post_only": "INVALID"}),
    ("tif", {"time_in_force": "day"}, 400, "VALIDATION_ERROR", {"time_in_force": "INVALID_CHOICE"}),
    (
        "client id with a space",
        {"client_order_id": "a b"},
        400,
        "VALIDATION_ERROR",
        {"client_order_id": "INVALID"},
    ),
    (
        "client id too long",
        {"client_order_id": "a" * 65},
        400,
        "VALIDATION_ERROR",
        {"client_order_id": "INVALID"},
    ),
    ("whole slippage", {"slippage": "1"}, 400, "VALIDATION_ERROR", {"slippage": "OUT_OF_RANGE"}),
    (
        "several at once",
        {"price": "x", "quantity": "y"},
        400,
        "VALIDATION_ERROR",
        {"price": "INVALID_DECIMAL", "quantity": "INVALID_DECIMAL"},
    ),
]

RULE_REFUSALS: list[tuple[str, dict[str, Any], int, str]] = [
    ("post-only ioc", {"post_only": True, "time_in_force": "ioc"}, 422, "POST_ONLY_NOT_RESTING"),
    ("market with a price", {"type": "market"}, 422, "PRICE_NOT_POSSIBLE"),
    ("limit with slippage", {"slippage": "0.1"}, 422, "SLIPPAGE_NOT_POSSIBLE"),
    ("both sizes", {"quote_quantity": "10"}, 422, "QUOTE_QUANTITY_NOT_POSSIBLE"),
    (
        "market good till cancelled",
        {"type": "market", "price": None, "time_in_force": "gtc"},
        422,
        "TIME_IN_FORCE_NOT_POSSIBLE",
    ),
    ("lot", {"quantity": "0.000015"}, 422, "LOT_SIZE"),
    ("too small", {"quantity": "0.00001"}, 422, "MIN_NOTIONAL"),
    ("too large", {"quantity": "1001"}, 422, "QUANTITY_TOO_LARGE"),
    ("tick", {"price": "50000.001"}, 422, "TICK_SIZE"),
    ("notional", {"quantity": "1000", "price": "99999999"}, 422, "NOTIONAL_TOO_LARGE"),
    ("money", {"quantity": "100"}, 422, "INSUFFICIENT_BALANCE"),
    ("money to sell", {"side": "sell", "quantity": "11"}, 422, "INSUFFICIENT_BALANCE"),
    ("fill or kill", {"time_in_force": "fok"}, 422, "FOK_NOT_FILLABLE"),
]


class TestRefusals:
    @pytest.mark.parametrize(
        ("_case", "fields", "status", "code", "error_fields"),
        SHAPE_REFUSALS,
        ids=[row[0] for row in SHAPE_REFUSALS],
    )
    def test_a_wrong_shape_never_reaches_the_exchange(
        self,
        exchange: ExchangeHarness,
        alice: Trader,
        _case: str,
        fields: dict[str, Any],
        status: int,
        code: str,
        error_fields: dict[str, str] | None,
    ) -> None:
        commands = exchange.exchange.sequences.command

        answer = alice.place(**fields)

        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (status, code)
        assert error.get("fields") == error_fields
        assert exchange.exchange.sequences.command == commands

    @pytest.mark.parametrize(
        ("_case", "fields", "status", "code"),
        RULE_REFUSALS,
        ids=[row[0] for row in RULE_REFUSALS],
    )
    def test_a_business_refusal_changes_nothing(
        self,
        exchange: ExchangeHarness,
        alice: Trader,
        _case: str,
        fields: dict[str, Any],
        status: int,
        code: str,
    ) -> None:
        before = money_of(exchange)

        answer = alice.place(**fields)

        assert (answer.status_code, error_code(answer)) == (status, code)
        assert money_of(exchange) == before

    def test_a_post_only_order_that_would_trade_is_refused(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader
    ) -> None:
        alice.placed(side="sell")
        before = money_of(exchange)

        answer = bob.place(post_only=True)

        assert (answer.status_code, error_code(answer)) == (422, "POST_ONLY_WOULD_CROSS")
        assert money_of(exchange) == before

    def test_a_price_outside_the_band_is_refused(
        self, exchange: ExchangeHarness, alice: Trader
    ) -> None:
        exchange.configure(market(BTC_USDT, "BTC-USDT", 1, 3, price_band_e8=10_000_000))
        before = money_of(exchange)

        answer = alice.place(price="55000.01")

        assert (answer.status_code, error_code(answer)) == (422, "PRICE_BAND")
        assert money_of(exchange) == before

    @pytest.mark.parametrize(
        ("market_status", "code"),
        [
            (MarketStatus.HALTED, "MARKET_HALTED"),
            (MarketStatus.CANCEL_ONLY, "MARKET_CANCEL_ONLY"),
            (MarketStatus.POST_ONLY, "MARKET_POST_ONLY"),
        ],
    )
    def test_a_market_that_is_not_trading_refuses(
        self, exchange: ExchangeHarness, alice: Trader, market_status: MarketStatus, code: str
    ) -> None:
        exchange.configure(SetMarketStatus(BTC_USDT, market_status))
        before = money_of(exchange)

        answer = alice.place()

        assert (answer.status_code, error_code(answer)) == (422, code)
        assert money_of(exchange) == before

    @pytest.mark.parametrize(
        ("account_status", "code"),
        [
            (AccountStatus.SUSPENDED, "ACCOUNT_SUSPENDED"),
            (AccountStatus.CANCEL_ONLY, "ACCOUNT_CANCEL_ONLY"),
        ],
    )
    def test_an_account_that_may_not_trade_is_refused(
        self, exchange: ExchangeHarness, alice: Trader, account_status: AccountStatus, code: str
    ) -> None:
        exchange.configure(ConfigureAccount(alice.account_id, status=account_status))
        before = money_of(exchange)

        answer = alice.place()

        assert (answer.status_code, error_code(answer)) == (422, code)
        assert money_of(exchange) == before

    def test_too_many_open_orders_are_refused(
        self, exchange: ExchangeHarness, alice: Trader
    ) -> None:
        exchange.configure(ConfigureAccount(alice.account_id, open_orders_max=2))
        alice.placed(price="49000")
        alice.placed(price="48000")
        before = money_of(exchange)

        answer = alice.place(price="47000")

        assert (answer.status_code, error_code(answer)) == (422, "TOO_MANY_OPEN_ORDERS")
        assert money_of(exchange) == before

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"[]", "INVALID_JSON"),
            (b"{", "INVALID_JSON"),
            (b'{"symbol":"BTC-USDT","symbol":"ETH-USDT"}', "INVALID_JSON"),
            (b'{"price":NaN}', "INVALID_JSON"),
            (b"", "VALIDATION_ERROR"),
        ],
    )
    def test_a_body_that_is_no_object_is_refused(
        self, exchange: ExchangeHarness, alice: Trader, body: bytes, code: str
    ) -> None:
        answer = alice.api.post("/api/orders", body)

        assert (answer.status_code, error_code(answer)) == (400, code)

    def test_nobody_trades_without_a_login(self, exchange: ExchangeHarness, alice: Trader) -> None:
        before = money_of(exchange)

        answer = Trader("nobody", 0, ApiClient()).place()

        assert (answer.status_code, error_code(answer)) == (401, "NOT_AUTHENTICATED")
        assert money_of(exchange) == before

    def test_a_role_without_trading_is_refused(
        self, exchange: ExchangeHarness, alice: Trader
    ) -> None:
        User.objects.filter(username="alice").update(role="support")
        reset_process()
        before = money_of(exchange)

        answer = alice.place()

        assert (answer.status_code, error_code(answer)) == (403, "PERMISSION_DENIED")
        assert money_of(exchange) == before


class TestClientOrderId:
    def test_the_same_request_answers_the_order_as_it_now_is(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader
    ) -> None:
        first = alice.placed(client_order_id="x-1", side="sell")
        bob.placed()
        before = money_of(exchange)

        again = alice.place(
            client_order_id="x-1",
            side="sell",
            symbol="BTC/USDT",
            price="50000.00",
            time_in_force="gtc",
        )

        body = again.json()
        assert again.status_code == 200
        assert (body["id"], body["status"]) == (first["id"], "filled")
        assert money_of(exchange) == before

    @pytest.mark.parametrize(
        "change",
        [
            {"price": "50001"},
            {"quantity": "0.2"},
            {"side": "sell"},
            {"time_in_force": "ioc"},
            {"symbol": "ETH-USDT"},
            {"post_only": True},
            {"self_trade_prevention": "expire_maker"},
        ],
    )
    def test_another_request_is_a_conflict(
        self, exchange: ExchangeHarness, alice: Trader, change: dict[str, Any]
    ) -> None:
        alice.placed(client_order_id="x-1")
        before = money_of(exchange)

        answer = alice.place(client_order_id="x-1", **change)

        assert (answer.status_code, error_code(answer)) == (409, "CLIENT_ORDER_ID_CONFLICT")
        assert money_of(exchange) == before

    def test_two_accounts_may_use_the_same_id(self, alice: Trader, bob: Trader) -> None:
        assert (
            alice.placed(client_order_id="same")["id"] != bob.placed(client_order_id="same")["id"]
        )


class TestOrderRate:
    def test_a_trader_places_ten_a_second_and_cancels_beyond_that(
        self, exchange: ExchangeHarness
    ) -> None:
        carol = register(exchange, "carol")
        User.objects.filter(username="carol").update(limit_tier="trader")
        reset_process()

        answers = [carol.place(price="40000", quantity="0.001") for _ in range(14)]
        cancelled = carol.api.delete("/api/orders")

        refused = [answer for answer in answers if answer.status_code == 429]
        # Fourteen requests may fall into two windows on a slow machine.
        assert 1 <= len(refused) <= 4
        assert {error_code(answer) for answer in refused} == {"ORDER_RATE"}
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
        assert len(exchange.exchange.image().orders) == 0
        assert cancelled.status_code == 200

    def test_a_batch_counts_every_order(self, exchange: ExchangeHarness) -> None:
        carol = register(exchange, "carol")
        User.objects.filter(username="carol").update(limit_tier="trader")
        reset_process()
        order = {
            "symbol": "BTC-USDT",
            "side": "buy",
            "type": "limit",
            "quantity": "0.001",
            "price": "40000",
        }

        answer = carol.api.post("/api/orders/batch", {"orders": [order] * 11})

        assert (answer.status_code, error_code(answer)) == (429, "ORDER_RATE")
        assert exchange.exchange.image().orders == []
