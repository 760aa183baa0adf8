"""Public market data over REST."""

from typing import Any

import msgspec
import pytest
import redis as redis_module
from django.test import Client

from common import limits
from common.ws import topics
from exchange.core.enums import Side
from exchange.core.events import TradeExecuted
from exchange.core.units import ATOMS
from markets.candle_store import candles_build
from markets.candles import MINUTE_MS
from markets.enums import FeedMode
from markets.feeds import keys
from markets.seed import MARKETS, market_seed
from tests.support.exchange import ExchangeHarness

pytestmark = pytest.mark.django_db

HEAD = {"symbol": "BTC-USDT", "epoch": 3, "seq": 41, "time": 1_800_000_000_000}
BOOK = {
    **HEAD,
    "bids": [["61000.00", "1.00000"], ["60999.00", "2.00000"], ["60998.00", "3.00000"]],
    "asks": [["61001.00", "1.50000"]],
}
TRADES = {
    **HEAD,
    "trades": [
        {"id": str(number), "price": "61000.00", "quantity": "1.00000", "side": "buy", "time": 5}
        for number in (9, 8, 7)
    ],
}
TICKER = {**HEAD, "last": "61000.00", "index_price": "61000.50"}


@pytest.fixture
def exchange(inline_exchange: ExchangeHarness, live_redis: redis_module.Redis) -> ExchangeHarness:
    limits.reset()
    market_seed(FeedMode.LIVE)
    live_redis.set(topics.book_key(1), msgspec.json.encode(BOOK))
    live_redis.set(topics.trades_key(1), msgspec.json.encode(TRADES))
    live_redis.set(topics.ticker_key(1), msgspec.json.encode(TICKER))
    return inline_exchange


def trade(number: int, price: int, *, time_ms: int, quantity_atoms: int = ATOMS) -> TradeExecuted:
    return TradeExecuted(
        trade_id=number,
        market_id=1,
        price_atoms=price * ATOMS,
        quantity_atoms=quantity_atoms,
        quote_atoms=price * quantity_atoms,
        taker_side=Side.BUY,
        taker_order_id=1,
        maker_order_id=2,
        taker_account_id=1,
        maker_account_id=2,
        taker_fee_atoms=0,
        maker_fee_atoms=0,
        time_ms=time_ms,
    )


class TestMarkets:
    def test_lists_every_market_with_its_rules(
        self, exchange: ExchangeHarness, client: Client
    ) -> None:
        answer = client.get("/api/markets")

        assert answer.status_code == 200
        items = answer.json()["items"]
        assert [item["symbol"] for item in items] == [market.symbol for market in MARKETS]
        assert items[0] == {
            "id": "1",
            "symbol": "BTC-USDT",
            "kind": "spot",
            "base": "BTC",
            "quote": "USDT",
            "status": "trading",
            "status_reason": None,
            "status_until": None,
            "tick_size": "0.01",
            "lot_size": "0.00001",
            "price_decimals": 2,
            "quantity_decimals": 5,
            "min_quantity": "0.00001",
            "max_quantity": "500.00000",
            "min_price": "0.01",
            "max_price": "10000000.00",
            "min_notional": "5",
            "price_band": "0.5",
            "market_band": "0.05",
            "circuit_breaker": {
                "band": "0.1",
                "window_ms": 300_000,
                "halt_ms": 60_000,
                "cancel_only_ms": 5_000,
                "post_only_ms": 10_000,
            },
            "trigger_protect": "0.05",
            "contract": None,
        }

    @pytest.mark.parametrize("spelling", ["BTC-USDT", "BTCUSDT"])
    def test_finds_a_market_by_each_spelling_of_a_path(
        self, exchange: ExchangeHarness, client: Client, spelling: str
    ) -> None:
        answer = client.get(f"/api/markets/{spelling}")

        assert answer.json()["id"] == "1"

    @pytest.mark.parametrize(
        "path",
        [
            "/api/markets/NONE-USDT",
            "/api/markets/btc-usdt",
            "/api/markets/NONE-USDT/ticker",
            "/api/markets/NONE-USDT/orderbook",
            "/api/markets/NONE-USDT/trades",
            "/api/markets/NONE-USDT/klines",
        ],
    )
    def test_an_unknown_market_is_not_found(
        self, exchange: ExchangeHarness, client: Client, path: str
    ) -> None:
        answer = client.get(path)

        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "MARKET_NOT_FOUND"


class TestParameters:
    @pytest.mark.parametrize(
        ("path", "field"),
        [
            ("/api/markets?x=1", "x"),
            ("/api/markets/BTC-USDT?depth=1", "depth"),
            ("/api/markets/BTC-USDT/ticker?x=1", "x"),
            ("/api/markets/BTC-USDT/orderbook?depth=0", "depth"),
            ("/api/markets/BTC-USDT/orderbook?depth=1001", "depth"),
            ("/api/markets/BTC-USDT/orderbook?depth=abc", "depth"),
            ("/api/markets/BTC-USDT/orderbook?depth=%D9%A5", "depth"),
            ("/api/markets/BTC-USDT/orderbook?depth=+5", "depth"),
            ("/api/markets/BTC-USDT/orderbook?depth=5&depth=6", "depth"),
            ("/api/markets/BTC-USDT/orderbook?depth=" + "9" * 1000, "depth"),
            ("/api/markets/BTC-USDT/trades?limit=501", "limit"),
            ("/api/markets/BTC-USDT/trades?limit=nan", "limit"),
            ("/api/markets/BTC-USDT/klines?interval=2m", "interval"),
            ("/api/markets/BTC-USDT/klines?source=oracle", "source"),
            ("/api/markets/BTC-USDT/klines?start=-1", "start"),
            ("/api/markets/BTC-USDT/klines?start=2&end=1", "end"),
            ("/api/markets/BTC-USDT/klines?limit=1001", "limit"),
            ("/api/time?x=1", "x"),
            ("/api/exchange-info?x=1", "x"),
        ],
    )
    def test_refuses_what_is_not_declared(
        self, exchange: ExchangeHarness, client: Client, path: str, field: str
    ) -> None:
        answer = client.get(path)

        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "INVALID_PARAMETER"
        assert list(answer.json()["error"]["fields"]) == [field]

    @pytest.mark.parametrize("path", ["ticker", "orderbook", "trades", "klines"])
    def test_takes_only_reads(self, exchange: ExchangeHarness, client: Client, path: str) -> None:
        answer = client.post(
            f"/api/markets/BTC-USDT/{path}", data="{}", content_type="application/json"
        )

        assert answer.status_code == 405
        assert answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"


class TestLiveBytes:
    def test_a_ticker_carries_the_state_of_its_index(
        self, exchange: ExchangeHarness, live_redis: redis_module.Redis, client: Client
    ) -> None:
        state = {"index_state": "degraded", "index_source": "live", "index_time": 7}
        live_redis.set(keys.index_key(1), msgspec.json.encode(state))

        answer = client.get("/api/markets/BTC-USDT/ticker")

        assert answer["Content-Type"] == "application/json"
        assert answer.json() == {**TICKER, **state}

    def test_an_index_that_nobody_feeds_is_halted(
        self, exchange: ExchangeHarness, client: Client
    ) -> None:
        answer = client.get("/api/markets/BTC-USDT/ticker")

        assert answer.json()["index_state"] == "halted"

    def test_a_book_is_cut_to_its_depth(self, exchange: ExchangeHarness, client: Client) -> None:
        answer = client.get("/api/markets/BTC-USDT/orderbook?depth=2")

        assert answer.json() == {**BOOK, "bids": BOOK["bids"][:2]}

    @pytest.mark.parametrize("query", ["", "?depth=1000"])
    def test_a_whole_book_is_passed_on_as_it_is(
        self, exchange: ExchangeHarness, client: Client, query: str
    ) -> None:
        answer = client.get(f"/api/markets/BTC-USDT/orderbook{query}")

        assert answer.content == msgspec.json.encode(BOOK)

    def test_trades_are_cut_to_the_newest(self, exchange: ExchangeHarness, client: Client) -> None:
        answer = client.get("/api/markets/BTC-USDT/trades?limit=1")

        assert answer.json() == {**TRADES, "trades": TRADES["trades"][:1]}

    @pytest.mark.parametrize("path", ["ticker", "orderbook", "trades"])
    def test_says_so_while_nothing_live_is_known(
        self, exchange: ExchangeHarness, client: Client, path: str
    ) -> None:
        answer = client.get(f"/api/markets/ETH-USDT/{path}")

        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "MARKET_DATA_UNAVAILABLE"
        assert answer["Retry-After"] == "1"

    @pytest.mark.parametrize("path", ["ticker", "orderbook", "trades"])
    def test_is_unavailable_without_redis(
        self, exchange: ExchangeHarness, client: Client, settings: Any, path: str
    ) -> None:
        settings.REDIS_URL = "unix:///nowhere/redis.sock"

        answer = client.get(f"/api/markets/BTC-USDT/{path}")

        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "MARKET_DATA_UNAVAILABLE"

    @pytest.mark.parametrize("path", ["ticker", "orderbook", "trades"])
    def test_is_marked_stale_while_the_exchange_is_down(
        self,
        exchange: ExchangeHarness,
        client: Client,
        monkeypatch: pytest.MonkeyPatch,
        path: str,
    ) -> None:
        from exchange import gateway

        down = gateway.ExchangeStatus(
            leader=False, epoch=0, lag=0, command_number=0, heartbeat_ms=0, phase="down", down=True
        )
        monkeypatch.setattr(gateway, "status", lambda: down)

        answer = client.get(f"/api/markets/BTC-USDT/{path}").json()

        assert answer["stale"] is True
        assert answer["as_of"] == HEAD["time"]

    def test_counts_against_the_rate_limit_of_the_address(
        self, exchange: ExchangeHarness, client: Client, settings: Any
    ) -> None:
        statuses = [client.get("/api/markets/BTC-USDT/ticker").status_code for _ in range(101)]

        assert statuses[:100] == [200] * 100
        assert statuses[100] == 429

    def test_a_bad_token_is_refused_even_on_public_data(
        self, exchange: ExchangeHarness, client: Client
    ) -> None:
        answer = client.get(
            "/api/markets/BTC-USDT/ticker", headers={"Authorization": "Bearer nonsense"}
        )

        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "TOKEN_INVALID"


class TestKlines:
    def build(self, *trades: TradeExecuted) -> None:
        candles_build(lambda after, limit: [t for t in trades if t.trade_id > after][:limit])

    def test_fills_a_gap_flat_and_without_volume(
        self, exchange: ExchangeHarness, client: Client
    ) -> None:
        start = 1_700_000_040_000 // MINUTE_MS * MINUTE_MS
        self.build(
            trade(1, 61_000, time_ms=start + 1),
            trade(2, 62_000, time_ms=start + 2, quantity_atoms=ATOMS // 2),
            trade(3, 60_000, time_ms=start + 3 * MINUTE_MS),
        )

        answer = client.get(
            f"/api/markets/BTC-USDT/klines?start={start}&end={start + 3 * MINUTE_MS}"
        ).json()

        assert [line["open_time"] for line in answer["klines"]] == [
            start + minute * MINUTE_MS for minute in range(4)
        ]
        assert answer["klines"][0] == {
            "open_time": start,
            "close_time": start + MINUTE_MS,
            "open": "61000.00",
            "high": "62000.00",
            "low": "61000.00",
            "close": "62000.00",
            "volume": "1.50000",
            "quote_volume": "92000.00000000",
            "trade_count": 2,
            "closed": True,
            "recorded": False,
        }
        assert answer["klines"][1]["open"] == answer["klines"][1]["close"] == "62000.00"
        assert answer["klines"][2]["volume"] == "0.00000"
        assert answer["klines"][3]["close"] == "60000.00"

    def test_a_range_after_the_last_trade_is_flat(
        self, exchange: ExchangeHarness, client: Client
    ) -> None:
        start = 1_700_000_040_000 // MINUTE_MS * MINUTE_MS
        self.build(trade(1, 61_000, time_ms=start))

        answer = client.get(
            f"/api/markets/BTC-USDT/klines?interval=1h&start={start + 7_200_000}&limit=2"
        ).json()

        assert [line["close"] for line in answer["klines"]] == ["61000.00", "61000.00"]

    def test_candles_go_on_but_say_so_while_the_exchange_is_down(
        self, exchange: ExchangeHarness, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from exchange import gateway

        down = gateway.ExchangeStatus(
            leader=False, epoch=0, lag=0, command_number=0, heartbeat_ms=9, phase="down", down=True
        )
        monkeypatch.setattr(gateway, "status", lambda: down)

        answer = client.get("/api/markets/BTC-USDT/klines").json()

        assert (answer["klines"], answer["stale"], answer["as_of"]) == ([], True, 9)

    def test_is_empty_before_the_first_trade(
        self, exchange: ExchangeHarness, client: Client
    ) -> None:
        answer = client.get("/api/markets/BTC-USDT/klines?limit=1000")

        assert answer.json()["klines"] == []

    def test_shows_the_open_candle_of_the_live_process(
        self, exchange: ExchangeHarness, live_redis: redis_module.Redis, client: Client
    ) -> None:
        import time

        now = int(time.time() * 1000)
        opened = now - now % 86_400_000
        live_redis.set(
            topics.kline_key(1, "1d"),
            msgspec.json.encode(
                {
                    **HEAD,
                    "interval": "1d",
                    "closed": False,
                    "open_time": opened,
                    "close_time": opened + 86_400_000,
                    "open": "1.00",
                    "high": "3.00",
                    "low": "1.00",
                    "close": "2.00",
                    "volume": "5.00000",
                    "quote_volume": "10.00",
                    "trade_count": 4,
                }
            ),
        )

        (line,) = client.get("/api/markets/BTC-USDT/klines?interval=1d").json()["klines"]

        assert (line["open_time"], line["close"], line["closed"]) == (opened, "2.00", False)


class TestExchangeInfo:
    def test_says_what_a_client_needs_first(
        self, exchange: ExchangeHarness, client: Client
    ) -> None:
        answer = client.get("/api/exchange-info").json()

        assert [asset["code"] for asset in answer["assets"]][:2] == ["USDT", "BTC"]
        assert len(answer["markets"]) == len(MARKETS)
        assert answer["intervals"] == ["1m", "5m", "15m", "1h", "4h", "1d"]
        assert answer["feed"] == {"mode": None, "note": ""}

    def test_time_is_in_milliseconds(self, exchange: ExchangeHarness, client: Client) -> None:
        assert client.get("/api/time").json()["time"] > 1_700_000_000_000
