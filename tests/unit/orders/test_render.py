"""Orders and fills look as the schema says, in REST and WebSocket alike."""

import pytest

from exchange.core.enums import (
    EndReason,
    LinkKind,
    MarketKind,
    MarketStatus,
    OrderStatus,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
    TriggerType,
)
from exchange.core.events import OrderChanged, OrderTerms, TradeExecuted
from exchange.core.units import ATOMS
from markets.types import MarketInfo
from orders import render
from orders.schema import FILL_PROPERTIES, ORDER_PROPERTIES

MAKER, TAKER = 11, 12

MARKET = MarketInfo(
    market_id=1,
    symbol="BTC-USDT",
    kind=MarketKind.SPOT,
    base="BTC",
    quote="USDT",
    base_asset_id=1,
    quote_asset_id=2,
    base_decimals=8,
    quote_decimals=6,
    tick_atoms=ATOMS // 100,
    lot_atoms=ATOMS // 10_000,
    quantity_min_atoms=0,
    quantity_max_atoms=0,
    price_min_atoms=0,
    price_max_atoms=0,
    notional_min_atoms=0,
    price_band_e8=0,
    market_band_e8=0,
    price_decimals=2,
    quantity_decimals=4,
    status=MarketStatus.TRADING,
)

TRADE = TradeExecuted(
    trade_id=5,
    market_id=1,
    price_atoms=50_000 * ATOMS,
    quantity_atoms=ATOMS // 2,
    quote_atoms=25_000 * ATOMS,
    taker_side=Side.SELL,
    taker_order_id=21,
    maker_order_id=20,
    taker_account_id=TAKER,
    maker_account_id=MAKER,
    taker_fee_atoms=10 * ATOMS,
    maker_fee_atoms=-1,
    time_ms=1234,
)


@pytest.fixture(autouse=True)
def one_market(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "market_by_id", {1: MARKET}.__getitem__)


def make_order(**changes: object) -> OrderChanged:
    values: dict[str, object] = {
        "order_id": 2**60,
        "account_id": MAKER,
        "market_id": 1,
        "client_order_id": "",
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "time_in_force": TimeInForce.GTC,
        "post_only": True,
        "price_atoms": 50_000 * ATOMS,
        "quantity_atoms": ATOMS,
        "quote_quantity_atoms": 0,
        "filled_atoms": 0,
        "quote_filled_atoms": 0,
        "fee_atoms": 0,
        "status": OrderStatus.OPEN,
        "reason": EndReason.NONE,
        "self_trade_mode": SelfTradeMode.EXPIRE_BOTH,
        "created_ms": 1,
        "updated_ms": 2,
    }
    return OrderChanged(**{**values, **changes})  # type: ignore[arg-type]


class TestRenderOrder:
    def test_has_exactly_the_fields_of_the_schema(self) -> None:
        assert list(render.render_order(make_order())) == list(ORDER_PROPERTIES)

    def test_special_ones_have_the_same_fields(self) -> None:
        body = render.render_order(
            make_order(
                order_type=OrderType.TRAILING_STOP,
                status=OrderStatus.UNTRIGGERED,
                open_atoms=ATOMS,
                terms=OrderTerms(
                    trigger_type=TriggerType.MARK,
                    trigger_price_atoms=0,
                    activation_price_atoms=52_000 * ATOMS,
                    callback_rate_e8=ATOMS // 1_000,
                    extreme_atoms=0,
                    display_atoms=0,
                    expires_ms=0,
                    triggered_ms=0,
                    link_id=2**60,
                    link_kind=LinkKind.OCO,
                ),
            )
        )

        assert list(body) == list(ORDER_PROPERTIES)
        assert (body["trigger_by"], body["trigger_price"]) == ("mark", None)
        assert (body["activation_price"], body["activated"]) == ("52000.00", False)
        assert (body["callback_rate"], body["remaining_quantity"]) == ("0.001", "1.0000")
        assert (body["group_id"], body["group_role"]) == ("1152921504606846976", "oco")
        assert body["display_quantity"] is body["expire_time"] is body["triggered_at"] is None

    def test_ids_are_strings_amounts_decimal_strings_absent_values_null(self) -> None:
        body = render.render_order(make_order())

        assert body["id"] == "1152921504606846976"
        assert (body["price"], body["quantity"]) == ("50000.00", "1.0000")
        assert body["client_order_id"] is body["average_price"] is body["reason"] is None
        assert body["quote_quantity"] is None

    def test_the_average_price_is_rounded_down(self) -> None:
        body = render.render_order(
            make_order(filled_atoms=3 * ATOMS, quote_filled_atoms=100 * ATOMS)
        )

        assert body["average_price"] == "33.33333333"

    def test_a_market_order_has_no_price(self) -> None:
        body = render.render_order(
            make_order(
                order_type=OrderType.MARKET,
                price_atoms=0,
                quantity_atoms=0,
                quote_quantity_atoms=10 * ATOMS,
                status=OrderStatus.EXPIRED,
                reason=EndReason.NO_LIQUIDITY,
            )
        )

        assert (body["price"], body["quantity"]) == (None, None)
        assert body["quote_quantity"] == "10.000000"
        assert (body["status"], body["reason"]) == ("expired", "no_liquidity")


class TestRenderFill:
    def test_has_exactly_the_fields_of_the_schema(self) -> None:
        assert list(render.render_fill(TRADE, TAKER)) == list(FILL_PROPERTIES)

    @pytest.mark.parametrize(
        ("account_id", "expected"),
        [
            (TAKER, ("21", "sell", "taker", "10.000000")),
            (MAKER, ("20", "buy", "maker", "-0.00000001")),
        ],
    )
    def test_each_side_sees_its_own(self, account_id: int, expected: tuple[str, ...]) -> None:
        body = render.render_fill(TRADE, account_id)

        assert (body["order_id"], body["side"], body["role"], body["fee"]) == expected
        assert (body["trade_id"], body["executed_at"]) == ("5", 1234)
