"""The REST client logs in, renews, waits, and finds out what became of a lost order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tradingclient import (
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    Password,
    PermissionDeniedError,
    RateLimitedError,
    RefusedError,
    RestClient,
    StatusUnknownError,
    Token,
    TradingError,
    UnavailableError,
)

Answer = httpx.Response | Exception

ORDER = {
    "id": "17",
    "client_order_id": "mine",
    "symbol": "BTC-USDT",
    "side": "buy",
    "type": "limit",
    "time_in_force": "gtc",
    "post_only": False,
    "self_trade_prevention": "expire_taker",
    "price": "50000.00",
    "quantity": "0.01000",
    "quote_quantity": None,
    "filled_quantity": "0.00000",
    "remaining_quantity": "0.01000",
    "filled_quote": "0.00",
    "average_price": None,
    "fee": "0.00",
    "fee_currency": "USDT",
    "status": "open",
    "reason": None,
    "created_at": 1,
    "updated_at": 1,
    "added_later": {"ignored": True},
}


class FakePlatform:
    """Answers by path from prepared answers; remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.bodies: list[bytes] = []
        self.codes: list[str] = []
        self.answers: dict[str, list[Answer]] = {}
        self.logins = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append((request.method, path, request.headers.get("Authorization", "")))
        self.bodies.append(request.content)
        self.codes.append(request.headers.get("X-2FA-Code", ""))
        prepared = self.answers.get(path)
        if prepared is None and path in {"/api/auth/login", "/api/auth/refresh"}:
            self.logins += 1
            number = self.logins
            tokens = {"access_token": f"a{number}", "refresh_token": f"r{number}"}
            return httpx.Response(200, json=tokens | {"expires_in": 900})
        assert prepared, f"unexpected request: {path}"
        answer = prepared.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _ in self.asked]


def refused(status: int, code: str, **headers: str) -> httpx.Response:
    error = {"code": code, "message": "No.", "fields": {"a": "B"}, "request_id": "r-1"}
    return httpx.Response(status, json={"error": error}, headers=headers)


def markets(*symbols: str) -> httpx.Response:
    rules = {
        "id": "1",
        "kind": "spot",
        "base": "BTC",
        "quote": "USDT",
        "status": "trading",
        "tick_size": "0.01",
        "lot_size": "0.00001",
        "price_decimals": 2,
        "quantity_decimals": 5,
        "min_quantity": "0.00001",
    }
    return httpx.Response(200, json={"items": [rules | {"symbol": name} for name in symbols]})


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> FakePlatform:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return FakePlatform()


@pytest.fixture
def connect(platform: FakePlatform) -> Iterator[Callable[..., RestClient]]:
    clients: list[RestClient] = []

    def make(**options: Any) -> RestClient:
        options.setdefault("credentials", Password("bot", "secret"))
        transport = httpx.MockTransport(platform)
        clients.append(RestClient("http://exchange", transport=transport, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[..., RestClient]) -> RestClient:
    return connect()


class TestSession:
    def test_logs_in_before_the_first_request(
        self, client: RestClient, platform: FakePlatform
    ) -> None:
        platform.answers["/api/markets"] = [markets("BTC-USDT")]

        found = client.markets()

        assert platform.paths == ["/api/auth/login", "/api/markets"]
        assert platform.asked[1][2] == "Bearer a1"
        assert found[0].tick_size == Decimal("0.01")

    def test_asks_as_nobody_without_credentials(
        self, connect: Callable[..., RestClient], platform: FakePlatform
    ) -> None:
        platform.answers["/api/markets"] = [markets()]

        connect(credentials=None).markets()

        assert platform.asked == [("GET", "/api/markets", "")]

    @pytest.mark.parametrize("code", ["TOKEN_EXPIRED", "TOKEN_REVOKED", "NOT_AUTHENTICATED"])
    def test_renews_and_repeats(
        self, client: RestClient, platform: FakePlatform, code: str
    ) -> None:
        platform.answers["/api/markets"] = [refused(401, code), markets("BTC-USDT")]

        assert [market.symbol for market in client.markets()] == ["BTC-USDT"]
        assert platform.paths[2:] == ["/api/auth/refresh", "/api/markets"]
        assert platform.asked[3][2] == "Bearer a2"

    def test_logs_in_again_when_the_session_has_ended(
        self, client: RestClient, platform: FakePlatform
    ) -> None:
        platform.answers["/api/markets"] = [refused(401, "TOKEN_EXPIRED"), markets()]
        platform.answers["/api/auth/refresh"] = [refused(401, "TOKEN_REUSED")]

        client.markets()

        assert platform.paths[2:] == ["/api/auth/refresh", "/api/auth/login", "/api/markets"]

    def test_sends_a_code_of_the_second_factor(
        self, connect: Callable[..., RestClient], platform: FakePlatform
    ) -> None:
        client = connect(credentials=Password("bot", "secret", two_factor=lambda: "123456"))

        client.login()

        assert b'"code":"123456"' in platform.bodies[0]

    def test_says_so_when_the_second_factor_is_missing(
        self, client: RestClient, platform: FakePlatform
    ) -> None:
        platform.answers["/api/auth/login"] = [httpx.Response(202, json={"challenge": "c"})]

        with pytest.raises(AuthenticationError) as caught:
            client.login()

        assert caught.value.code == "TWO_FACTOR_REQUIRED"

    def test_sends_a_code_with_what_asks_for_it(
        self, client: RestClient, platform: FakePlatform
    ) -> None:
        moved = {
            "id": "1",
            "currency": "BTC",
            "amount": "1.5",
            "from_wallet": "spot",
            "to_wallet": "spot",
        }
        platform.answers["/api/wallet/transfer"] = [httpx.Response(201, json=moved)]

        client.transfer(
            currency="BTC", amount=Decimal("1.50"), to_username="bob", two_factor_code="654321"
        )

        assert platform.codes[-1] == "654321"
        assert platform.bodies[-1] == b'{"currency":"BTC","amount":"1.5","to_username":"bob"}'

    def test_asks_for_a_withdrawal_with_a_code(
        self, client: RestClient, platform: FakePlatform
    ) -> None:
        asked = {
            "id": "9",
            "client_withdrawal_id": "w-1",
            "currency": "USDT",
            "amount": "100.00000000",
            "fee": "1.00000000",
            "network": None,
            "address": "0xfeed",
            "memo": None,
            "status": "requested",
            "reason": None,
            "transaction_id": None,
            "created_at": 1,
            "updated_at": 1,
            "settled_at": None,
        }
        platform.answers["/api/wallet/withdrawals"] = [
            httpx.Response(201, json=asked),
            httpx.Response(200, json={"items": [asked], "next_cursor": None}),
        ]
        ended = asked | {"status": "cancelled", "settled_at": 2}
        platform.answers["/api/wallet/withdrawals/9"] = [httpx.Response(200, json=ended)]

        made = client.withdraw(
            currency="USDT",
            amount=Decimal("100"),
            address="0xfeed",
            client_withdrawal_id="w-1",
            two_factor_code="654321",
        )
        code, sent = platform.codes[-1], platform.bodies[-1]

        assert (made.status, made.amount, made.fee) == ("requested", 100, 1)
        assert code == "654321"
        assert sent == (
            b'{"currency":"USDT","amount":"100","address":"0xfeed","client_withdrawal_id":"w-1"}'
        )
        assert client.withdrawals(status="requested").items == [made]
        assert client.cancel_withdrawal("9").settled_at == 2

    def test_keeps_the_address_book(self, client: RestClient, platform: FakePlatform) -> None:
        kept = {
            "id": "5",
            "label": "cold store",
            "currency": "USDT",
            "network": "ERC20",
            "address": "0xfeed",
            "memo": None,
            "created_at": 1,
            "usable_at": 2,
        }
        platform.answers["/api/wallet/addresses"] = [
            httpx.Response(201, json=kept),
            httpx.Response(200, json={"items": [kept], "next_cursor": None}),
        ]
        platform.answers["/api/wallet/addresses/5"] = [httpx.Response(204)]

        made = client.add_withdrawal_address(
            currency="USDT", address="0xfeed", label="cold store", network="ERC20"
        )

        assert (made.network, made.usable_at) == ("ERC20", 2)
        assert client.withdrawal_addresses().items == [made]
        client.remove_withdrawal_address(made.id)
        assert platform.asked[-1][:2] == ("DELETE", "/api/wallet/addresses/5")

    def test_says_so_when_a_token_cannot_be_renewed(
        self, connect: Callable[..., RestClient], platform: FakePlatform
    ) -> None:
        platform.answers["/api/markets"] = [refused(401, "TOKEN_EXPIRED")]

        with pytest.raises(AuthenticationError) as caught:
            connect(credentials=Token("old")).markets()

        assert caught.value.code == "TOKEN_EXPIRED"

    def test_forgets_the_session_after_logout(
        self, client: RestClient, platform: FakePlatform
    ) -> None:
        platform.answers["/api/auth/logout"] = [httpx.Response(204)]
        client.login()

        client.logout()

        assert platform.asked[-1] == ("POST", "/api/auth/logout", "Bearer a1")
        assert client.session.access_token == ""


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "code", "family"),
        [
            (400, "VALIDATION_ERROR", InvalidRequestError),
            (401, "INVALID_CREDENTIALS", AuthenticationError),
            (403, "PERMISSION_DENIED", PermissionDeniedError),
            (404, "NOT_FOUND", NotFoundError),
            (409, "CLIENT_ORDER_ID_CONFLICT", ConflictError),
            (422, "INSUFFICIENT_BALANCE", RefusedError),
            (429, "ORDER_RATE", RateLimitedError),
            (503, "ENGINE_BUSY", UnavailableError),
        ],
    )
    def test_each_family_carries_what_the_platform_said(
        self,
        connect: Callable[..., RestClient],
        platform: FakePlatform,
        status: int,
        code: str,
        family: type[TradingError],
    ) -> None:
        platform.answers["/api/orders"] = [refused(status, code, **{"Retry-After": "7"})]

        with pytest.raises(family) as caught:
            connect(credentials=None).cancel_all()

        error = caught.value
        assert (error.code, error.status, error.message) == (code, status, "No.")
        assert (error.fields, error.request_id, error.retry_after) == ({"a": "B"}, "r-1", 7.0)

    @pytest.mark.parametrize(
        ("answer", "code", "wait_s"),
        [
            (refused(429, "RATE_LIMITED", **{"Retry-After": "999999"}), "RATE_LIMITED", 60.0),
            (httpx.Response(502, text="<html>"), "HTTP_502", 1.0),
            (httpx.ConnectError("refused"), "CONNECTION_FAILED", 1.0),
            (httpx.ReadTimeout("slow"), "CONNECTION_FAILED", 1.0),
        ],
    )
    def test_questions_may_be_asked_again(
        self,
        connect: Callable[..., RestClient],
        platform: FakePlatform,
        answer: Answer,
        code: str,
        wait_s: float,
    ) -> None:
        platform.answers["/api/markets"] = [answer] * 3

        with pytest.raises(TradingError) as caught:
            connect(credentials=None, retries=2).markets()

        assert (caught.value.code, caught.value.retry_after) == (code, wait_s)
        assert len(platform.asked) == 3

    def test_questions_are_repeated_until_there_is_an_answer(
        self, client: RestClient, platform: FakePlatform
    ) -> None:
        platform.answers["/api/markets"] = [refused(503, "ENGINE_BUSY"), markets("BTC-USDT")]

        assert len(client.markets()) == 1

    def test_an_answer_that_is_no_json_is_an_error(
        self, connect: Callable[..., RestClient], platform: FakePlatform
    ) -> None:
        platform.answers["/api/markets"] = [httpx.Response(200, text="<html>")]

        with pytest.raises(UnavailableError) as caught:
            connect(retries=0).markets()

        assert caught.value.code == "UNREADABLE_ANSWER"


class TestLostOrders:
    """The answer to an order is lost: what became of it is asked, it is never sent twice."""

    @pytest.mark.parametrize(
        "lost", [refused(504, "STATUS_UNKNOWN"), httpx.ReadTimeout("slow"), httpx.ReadError("cut")]
    )
    def test_are_asked_for(self, client: RestClient, platform: FakePlatform, lost: Answer) -> None:
        platform.answers["/api/orders"] = [lost]
        platform.answers["/api/orders/by-client-id/mine"] = [
            refused(503, "ENGINE_UNAVAILABLE"),
            httpx.Response(200, json=ORDER),
        ]

        order = client.place_order(
            symbol="BTC-USDT",
            side="buy",
            type="limit",
            price=Decimal(50_000),
            quantity=Decimal("0.01"),
            client_order_id="mine",
        )

        assert (order.id, order.price) == ("17", Decimal(50_000))
        assert platform.paths.count("/api/orders") == 1

    def test_that_do_not_exist_were_not_placed(
        self, client: RestClient, platform: FakePlatform
    ) -> None:
        platform.answers["/api/orders"] = [refused(504, "STATUS_UNKNOWN")]
        platform.answers["/api/orders/by-client-id/mine"] = [refused(404, "NOT_FOUND")]

        with pytest.raises(UnavailableError) as caught:
            client.place_order(symbol="X", side="buy", type="market", client_order_id="mine")

        assert caught.value.code == "NOT_PLACED"

    def test_that_cannot_be_asked_for_stay_unknown(
        self, client: RestClient, platform: FakePlatform
    ) -> None:
        platform.answers["/api/orders"] = [refused(504, "STATUS_UNKNOWN")]
        platform.answers["/api/orders/by-client-id/mine"] = [
            refused(503, "ENGINE_UNAVAILABLE") for _ in range(20)
        ]

        with pytest.raises(StatusUnknownError) as caught:
            client.place_order(symbol="X", side="buy", type="market", client_order_id="mine")

        assert caught.value.client_order_id == "mine"

    def test_get_an_id_to_be_asked_for(self, client: RestClient, platform: FakePlatform) -> None:
        platform.answers["/api/orders"] = [
            httpx.Response(201, json=ORDER),
            httpx.Response(201, json=ORDER),
        ]

        for _ in range(2):
            client.place_order(symbol="X", side="buy", type="market", quantity=1)

        first, second = (httpx.Response(200, content=body).json() for body in platform.bodies[1:])
        assert first["client_order_id"] != second["client_order_id"]
        assert first["quantity"] == "1"

    def test_a_connection_that_never_was_means_not_placed(
        self, client: RestClient, platform: FakePlatform
    ) -> None:
        client.login()
        platform.answers["/api/orders"] = [httpx.ConnectError("refused")]

        with pytest.raises(UnavailableError) as caught:
            client.place_order(symbol="X", side="buy", type="market", quantity=1)

        assert caught.value.code == "CONNECTION_FAILED"
        assert platform.paths == ["/api/auth/login", "/api/orders"]


class TestLists:
    def test_batches_are_what_the_api_takes(
        self, client: RestClient, platform: FakePlatform
    ) -> None:
        done = {"status": 201, "order": ORDER}
        platform.answers["/api/orders/batch"] = [
            httpx.Response(200, json={"results": [done] * 40}),
            httpx.Response(
                200,
                json={"results": [done] * 4 + [{"status": 422, "error": {"code": "LOT_SIZE"}}]},
            ),
        ]

        results = client.place_orders([{"symbol": "X", "side": "buy", "type": "market"}] * 45)

        assert len(results) == 45
        assert results[-1].error is not None
        assert results[-1].error.code == "LOT_SIZE"

    def test_pages_are_put_together(self, client: RestClient, platform: FakePlatform) -> None:
        platform.answers["/api/orders"] = [
            httpx.Response(200, json={"items": [ORDER], "next_cursor": "c 2"}),
            httpx.Response(200, json={"items": [ORDER], "next_cursor": None}),
        ]

        assert len(client.open_orders()) == 2

    def test_cancel_all_goes_on_until_nothing_is_left(
        self, client: RestClient, platform: FakePlatform
    ) -> None:
        platform.answers["/api/orders"] = [
            httpx.Response(200, json={"orders": [ORDER], "complete": False}),
            httpx.Response(200, json={"orders": [ORDER], "complete": True}),
        ]

        assert len(client.cancel_all("BTC-USDT")) == 2
