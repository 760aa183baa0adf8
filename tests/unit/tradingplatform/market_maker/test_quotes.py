"""Quotes keep to tick and lot, lie on the right side, and move only for a reason."""

from decimal import Decimal

import pytest

from tradingclient.models import Order
from tradingplatform.market_maker.quotes import (
    MarketRules,
    Quote,
    Style,
    around,
    changes,
    imbalance,
    mirrored,
    order_of,
    taker_order,
)

RULES = MarketRules(
    symbol="BTC-USDT",
    base="BTC",
    quote="USDT",
    tick=Decimal("0.01"),
    lot=Decimal("0.00001"),
    quantity_min=Decimal("0.00001"),
    notional_min=Decimal(5),
)
PRICE = Decimal("60000.005")


def quotes(leaning: str = "0", **style: object) -> list[Quote]:
    return around(RULES, Style(**style), price=PRICE, leaning=Decimal(leaning))  # type: ignore[arg-type]


class TestAround:
    def test_quotes_both_sides_with_every_level(self) -> None:
        found = quotes(levels=3)

        assert [quote.side for quote in found] == ["buy", "sell"] * 3
        assert all(quote.price < PRICE for quote in found if quote.side == "buy")
        assert all(quote.price > PRICE for quote in found if quote.side == "sell")

    def test_keeps_to_tick_and_lot(self) -> None:
        for quote in quotes():
            assert quote.price % RULES.tick == 0
            assert quote.quantity % RULES.lot == 0

    def test_too_much_inventory_lowers_all_quotes(self) -> None:
        level, leaning = quotes("0", levels=1), quotes("1", levels=1)

        assert leaning[0].price < level[0].price
        assert leaning[1].price < level[1].price

    def test_leaves_out_what_the_market_would_refuse(self) -> None:
        assert quotes(notional=Decimal(1), levels=1) == []


class TestMirrored:
    def test_adds_up_levels_of_one_tick_and_keeps_the_best(self) -> None:
        found = mirrored(
            RULES,
            bids=[("100.009", "1"), ("100.001", "2"), ("99.5", "3")],
            asks=[("100.021", "1"), ("100.5", "1")],
            levels=1,
        )

        assert found == [
            Quote("buy", Decimal("100.00"), Decimal(3)),
            Quote("sell", Decimal("100.03"), Decimal(1)),
        ]


def resting(price: str, quantity: str, *, side: str = "buy", filled: str = "0") -> Order:
    zero = Decimal(0)
    return Order(
        id=f"{side}{price}",
        client_order_id=None,
        symbol=RULES.symbol,
        side=side,
        type="limit",
        time_in_force="gtc",
        post_only=False,
        self_trade_prevention="expire_maker",
        price=Decimal(price),
        quantity=Decimal(quantity),
        quote_quantity=None,
        filled_quantity=Decimal(filled),
        remaining_quantity=Decimal(quantity) - Decimal(filled),
        filled_quote=zero,
        average_price=None,
        fee=zero,
        fee_currency=RULES.quote,
        status="open",
        reason=None,
        created_at=0,
        updated_at=0,
    )


class TestChanges:
    def test_leaves_a_wanted_order_alone(self) -> None:
        change = changes([resting("100.00", "1.5")], [Quote("buy", Decimal(100), Decimal(1))])

        assert change.cancel == []
        assert change.place == []

    @pytest.mark.parametrize(
        ("_case", "order"),
        [
            ("another price", resting("99.99", "1")),
            ("the other side", resting("100.00", "1", side="sell")),
            ("too little left", resting("100.00", "1", filled="0.6")),
            ("too much", resting("100.00", "2.1")),
        ],
    )
    def test_replaces_an_order_that_no_longer_fits(self, _case: str, order: Order) -> None:
        wanted = [Quote("buy", Decimal(100), Decimal(1))]

        change = changes([order], wanted)

        assert change.cancel == [order.id]
        assert change.place == wanted

    def test_cancels_everything_when_nothing_is_wanted(self) -> None:
        assert changes([resting("100.00", "1")], []).cancel == ["buy100.00"]


@pytest.mark.parametrize(
    ("held", "target", "expected"),
    [("0", "10", "-1"), ("10", "10", "0"), ("30", "10", "1"), ("15", "10", "0.5"), ("5", "0", "0")],
)
def test_imbalance_lies_between_none_and_twice_the_target(
    held: str, target: str, expected: str
) -> None:
    assert imbalance(held=Decimal(held), target=Decimal(target)) == Decimal(expected)


def test_quotes_are_orders_that_rest_and_yield_to_nobody() -> None:
    order = order_of(RULES, Quote("buy", Decimal(100), Decimal("0.1")))

    assert order == {
        "symbol": "BTC-USDT",
        "side": "buy",
        "type": "limit",
        "time_in_force": "gtc",
        "self_trade_prevention": "expire_maker",
        "price": Decimal(100),
        "quantity": Decimal("0.1"),
    }


def test_taker_pays_at_most_the_slippage() -> None:
    order = taker_order(
        RULES,
        side="buy",
        quantity=Decimal("0.123456"),
        reference=Decimal(60_000),
        slippage=Decimal("0.001"),
    )

    assert order is not None
    assert (order["price"], order["quantity"]) == (Decimal(60060), Decimal("0.12345"))
    assert order["time_in_force"] == "ioc"


def test_taker_leaves_dust_alone() -> None:
    order = taker_order(
        RULES,
        side="sell",
        quantity=Decimal("0.00001"),
        reference=Decimal(60_000),
        slippage=Decimal("0.001"),
    )

    assert order is None
