"""Orders of perpetual markets over REST: reducing, closing, and how a quantity changed hands."""

from __future__ import annotations

import pytest

from common.testing import error_code
from exchange.core.enums import MarginMode, Side
from orders.trade_feed import trades_after, trades_recent
from tests.support.margin import PERP, SYMBOL, MarginHarness
from tests.support.trading import Trader, money_of

pytestmark = pytest.mark.integration


@pytest.fixture
def long(exchange: MarginHarness, alice: Trader, bob: Trader) -> Trader:
    """Alice, long 0.5 at 60,000 against Bob."""
    for trader in (alice, bob):
        exchange.margin(trader.account_id)
    exchange.trade(alice.account_id, bob.account_id, "0.5")
    return alice


class TestOrders:
    def test_a_reduce_only_order_says_so(self, long: Trader) -> None:
        order = long.placed(
            symbol=SYMBOL, side="sell", price="61000", quantity="0.2", reduce_only=True
        )

        assert order["reduce_only"] is True
        assert long.api.get(f"/api/orders/{order['id']}").json()["reduce_only"] is True

    def test_a_close_position_order_has_no_quantity(self, long: Trader) -> None:
        order = long.placed(
            symbol=SYMBOL,
            side="sell",
            type="stop_loss",
            price=None,
            quantity=None,
            trigger_price="58000",
            trigger_by="mark",
            close_position=True,
        )

        assert (order["close_position"], order["quantity"]) == (True, None)

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"side": "buy", "reduce_only": True}, "REDUCE_ONLY_NO_POSITION"),
            ({"side": "sell", "reduce_only": True, "quantity": "0.6"}, "REDUCE_ONLY_EXCEEDS"),
            ({"side": "sell", "close_position": True}, "CLOSE_POSITION_SHAPE"),
            ({"side": "buy", "quantity": "90"}, "INSUFFICIENT_MARGIN"),
            ({"side": "buy", "quantity": "5000"}, "POSITION_LIMIT"),
        ],
    )
    def test_a_refusal_changes_nothing(
        self, exchange: MarginHarness, long: Trader, fields: dict[str, object], code: str
    ) -> None:
        before = money_of(exchange)

        answer = long.place(**{"symbol": SYMBOL, "price": "60000", "quantity": "0.1", **fields})

        assert (answer.status_code, error_code(answer)) == (422, code)
        assert money_of(exchange) == before

    def test_a_stale_mark_takes_nothing_that_opens(
        self, exchange: MarginHarness, long: Trader
    ) -> None:
        exchange.clock.advance(11_000)

        opening = long.place(symbol=SYMBOL, price="60000")
        reducing = long.place(symbol=SYMBOL, side="sell", price="61000", reduce_only=True)

        assert (opening.status_code, error_code(opening)) == (422, "MARK_PRICE_STALE")
        assert reducing.status_code == 201

    def test_a_degraded_price_takes_only_what_reduces(
        self, exchange: MarginHarness, long: Trader
    ) -> None:
        exchange.mark(60_000, degraded=(PERP,))

        opening = long.place(symbol=SYMBOL, price="60000")
        reducing = long.place(symbol=SYMBOL, side="sell", price="61000", reduce_only=True)

        assert (opening.status_code, error_code(opening)) == (422, "MARKET_REDUCE_ONLY")
        assert reducing.status_code == 201


class TestFills:
    def test_a_takeover_is_a_fill_of_no_order_and_on_no_tape(
        self, exchange: MarginHarness, alice: Trader, bob: Trader
    ) -> None:
        for trader in (alice, bob):
            exchange.margin(trader.account_id)
        exchange.set_up(alice.account_id, 100, MarginMode.ISOLATED)
        exchange.trade(alice.account_id, bob.account_id, "0.5")
        exchange.mark(59_500)

        fills = alice.api.get(f"/api/fills?symbol={SYMBOL}").json()["items"]

        assert [(fill["kind"], fill["side"]) for fill in fills] == [
            ("takeover", "sell"),
            ("match", "buy"),
        ]
        assert fills[0]["order_id"] is None
        assert fills[1]["order_id"] is not None
        assert [trade.trade_id for trade in trades_after(0, 10)] == [1]
        assert [trade.trade_id for trade in trades_recent(PERP, 10)] == [1]
        assert exchange.exchange.image().sequences.trade == 2

    def test_fills_of_the_spot_market_are_others(self, long: Trader) -> None:
        assert long.api.get("/api/fills?symbol=BTC-USDT").json()["items"] == []
        (fill,) = long.api.get(f"/api/fills?symbol={SYMBOL}").json()["items"]
        assert (fill["symbol"], fill["side"]) == (SYMBOL, Side.BUY.name.lower())
