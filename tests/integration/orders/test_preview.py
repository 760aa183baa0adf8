"""POST /api/orders/preview: what placing would do, without placing."""

from typing import Any

import msgspec
import pytest
import redis as redis_module

from common.testing import ApiClient, error_code
from common.ws import topics
from exchange.core.commands import ConfigureAccount, SetMarketStatus
from exchange.core.enums import AccountStatus, MarketStatus
from exchange.core.units import format_atoms
from markets.selectors import cache_clear
from orders.render import PREVIEW_FIELDS
from orders.schema import PREVIEW
from tests.support.exchange import BTC_USDT, ExchangeHarness
from tests.support.trading import Trader, money_of

pytestmark = pytest.mark.integration

LIMIT: dict[str, Any] = {
    "symbol": "BTC-USDT",
    "side": "buy",
    "type": "limit",
    "quantity": "0.1",
    "price": "50000",
}
STOP = {"side": "sell", "type": "stop_loss", "price": None, "trigger_price": "49000"}
MARKET = {"type": "market", "price": None}


def publish(exchange: ExchangeHarness, redis: redis_module.Redis) -> int:
    """Write what the projector would have written, and return the sequence."""
    bids, asks = exchange.exchange.book_levels(BTC_USDT)
    market = next(iter(exchange.exchange.image().markets))
    index = exchange.exchange.image().index_prices[0].price_atoms
    seq = exchange.exchange.sequences.command
    head = {"symbol": market.symbol, "epoch": 1, "seq": seq, "time": 1_800_000_000_000}
    sides = {
        name: [[format_atoms(price, 2), format_atoms(quantity, 5)] for price, quantity in levels]
        for name, levels in (("bids", bids), ("asks", asks))
    }
    last = exchange.exchange.image().last_prices.get(BTC_USDT)
    prices = {"index_price": format_atoms(index, 2), "last_price": last and format_atoms(last, 2)}
    redis.set(topics.book_key(BTC_USDT), msgspec.json.encode({**head, **sides}))
    redis.set(topics.price_key(BTC_USDT), msgspec.json.encode({**head, **prices}))
    return seq


def preview(trader: Trader, **fields: Any) -> Any:
    body = {name: value for name, value in {**LIMIT, **fields}.items() if value is not None}
    return trader.api.post("/api/orders/preview", body)


CASES: list[tuple[str, dict[str, Any]]] = [
    ("rests", {"price": "49000"}),
    ("takes and rests", {"price": "50010", "quantity": "0.5"}),
    ("takes two levels", {"price": "50010", "quantity": "0.25"}),
    ("ioc", {"price": "50000", "quantity": "0.5", "time_in_force": "ioc"}),
    ("fok", {"price": "50020", "quantity": "0.5", "time_in_force": "fok"}),
    ("market", {**MARKET, "quantity": "0.3"}),
    ("market sized in quote", {**MARKET, "quantity": None, "quote_quantity": "7000"}),
    ("market with slippage", {**MARKET, "quantity": "0.5", "slippage": "0.0001"}),
    ("market beyond the book", {**MARKET, "quantity": "5"}),
    ("sell into own", {"side": "sell", "price": "49500"}),
    ("reprices", {"price": "50010", "post_only": True, "reprice": True}),
    ("stop", {**STOP, "trigger_by": "index"}),
    ("iceberg", {"price": "50000", "quantity": "0.5", "display_quantity": "0.1"}),
    ("post-only crosses", {"price": "50010", "post_only": True}),
    ("fok too large", {"price": "50000", "quantity": "0.5", "time_in_force": "fok"}),
    ("stop reached", {**STOP, "trigger_by": "index", "trigger_price": "50000"}),
    ("no money", {"quantity": "100"}),
    ("tick", {"price": "50000.001"}),
    ("combination", {**MARKET, "post_only": True}),
    ("reduce-only", {"reduce_only": True}),
]


@pytest.fixture
def book(
    exchange: ExchangeHarness, alice: Trader, bob: Trader, redis_client: redis_module.Redis
) -> int:
    """Bob's sells, and a bid and a stop of alice's own."""
    for price, quantity in (("50000", "0.2"), ("50010", "0.1"), ("50020", "0.3")):
        bob.placed(side="sell", price=price, quantity=quantity)
    alice.placed(price="49500", display_quantity="0.02")
    alice.placed(**STOP)
    return publish(exchange, redis_client)


class TestPreview:
    @pytest.mark.parametrize(("_case", "fields"), CASES, ids=[case[0] for case in CASES])
    def test_says_what_placing_then_does(
        self,
        exchange: ExchangeHarness,
        alice: Trader,
        book: int,
        _case: str,
        fields: dict[str, Any],
    ) -> None:
        before = money_of(exchange)
        commands = exchange.exchange.sequences.command

        answer = preview(alice, **fields)

        body = answer.json()
        assert answer.status_code == 200
        assert (exchange.exchange.sequences.command, money_of(exchange)) == (commands, before)
        assert list(body) == [name for name in PREVIEW["properties"] if name in body]
        assert (body["book_sequence"], body["book_time"]) == (book, 1_800_000_000_000)
        placed = alice.place(**fields).json()
        if "error" in placed:
            assert not body["accepted"]
            assert body["refusal"] == {
                "code": placed["error"]["code"],
                "message": placed["error"]["message"],
            }
            assert {body[name] for name in PREVIEW_FIELDS} == {None}
        else:
            assert (body["accepted"], body["refusal"]) == (True, None)
            assert {name: body[name] for name in PREVIEW_FIELDS} == {
                name: placed[name] for name in PREVIEW_FIELDS
            }
            fills = placed["fills"]
            assert body["worst_price"] == (fills[-1]["price"] if fills else None)

    def test_a_client_id_is_not_used_up(self, alice: Trader, book: int) -> None:
        preview(alice, client_order_id="later")

        assert preview(alice, client_order_id="later").json()["accepted"]
        assert alice.place(client_order_id="later").status_code == 201

    @pytest.mark.parametrize("limit", [2, 3])
    def test_open_orders_are_counted(
        self, exchange: ExchangeHarness, alice: Trader, book: int, limit: int
    ) -> None:
        exchange.configure(ConfigureAccount(alice.account_id, open_orders_max=limit))

        body = preview(alice, price="40000").json()

        assert body["accepted"] is (limit == 3)
        assert limit == 3 or body["refusal"]["code"] == "TOO_MANY_OPEN_ORDERS"

    def test_status_of_account_and_market_count(
        self, exchange: ExchangeHarness, alice: Trader, book: int
    ) -> None:
        exchange.configure(SetMarketStatus(BTC_USDT, MarketStatus.HALTED))
        cache_clear()
        halted = preview(alice).json()
        exchange.configure(ConfigureAccount(alice.account_id, status=AccountStatus.SUSPENDED))

        assert halted["refusal"]["code"] == "MARKET_HALTED"
        assert preview(alice).json()["refusal"]["code"] == "ACCOUNT_SUSPENDED"

    def test_without_a_published_book_nothing_is_guessed(
        self, exchange: ExchangeHarness, alice: Trader, redis_client: redis_module.Redis
    ) -> None:
        answer = preview(alice)

        assert (answer.status_code, error_code(answer)) == (503, "MARKET_DATA_UNAVAILABLE")

    @pytest.mark.parametrize(
        ("fields", "status", "code"),
        [
            ({"price": None}, 400, "VALIDATION_ERROR"),
            ({"user": "1"}, 400, "UNKNOWN_FIELD"),
            ({"symbol": "BTC-XYZ"}, 404, "MARKET_NOT_FOUND"),
        ],
        ids=["missing", "unknown", "symbol"],
    )
    def test_a_wrong_shape_is_refused_as_when_placing(
        self, alice: Trader, book: int, fields: dict[str, Any], status: int, code: str
    ) -> None:
        answer = preview(alice, **fields)

        assert (answer.status_code, error_code(answer)) == (status, code)

    def test_nobody_previews_without_a_login(self, exchange: ExchangeHarness) -> None:
        answer = ApiClient().post("/api/orders/preview", LIMIT)

        assert (answer.status_code, error_code(answer)) == (401, "NOT_AUTHENTICATED")
