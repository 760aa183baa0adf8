"""Orders and trades turn into rows and back without loss."""

from collections.abc import Iterator, Mapping

from exchange.core.enums import (
    EndReason,
    LinkKind,
    OrderStatus,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
    TriggerType,
)
from exchange.core.events import TradeExecuted
from exchange.core.state import DERIVED, Changes, Image, Order, Terms
from exchange.projection import Row, Table
from orders.projection import ORDERS, TERMS, OrderProjection

PERSISTED = set(Order.__struct_fields__) - DERIVED["Order"]


class FakeReader:
    """Serves rows it was given, filtered by equality, in the order of the key."""

    def __init__(self, rows_by_table: dict[str, list[Row]]) -> None:
        """Keep the rows."""
        self.rows_by_table = rows_by_table

    def rows(self, table: Table, *, equals: Mapping[str, int] | None = None) -> Iterator[Row]:
        """Yield matching rows."""
        wanted = {table.columns.index(name): value for name, value in (equals or {}).items()}
        for row in sorted(self.rows_by_table[table.name]):
            if all(row[index] == value for index, value in wanted.items()):
                yield row

    def last_key(self, table: Table) -> int:
        """Return the highest key."""
        return max((row[0] for row in self.rows_by_table[table.name]), default=0)


def make_order(order_id: int, status: OrderStatus = OrderStatus.OPEN) -> Order:
    """Return an order whose every integer field has a value of its own."""
    order = Order()
    for offset, name in enumerate(sorted(Order.__struct_fields__)):
        setattr(order, name, order_id * 1000 + offset)
    order.order_id = order_id
    order.client_order_id = f"client-{order_id}"
    order.side = Side.SELL
    order.order_type = OrderType.LIMIT
    order.time_in_force = TimeInForce.GTC
    order.post_only = True
    order.self_trade_mode = SelfTradeMode.EXPIRE_BOTH
    order.status = status
    order.reason = EndReason.NONE
    order.terms = None
    return order


def make_terms() -> Terms:
    """Return terms whose every integer field has a value of its own."""
    terms = Terms()
    for number, name in enumerate(Terms.__struct_fields__, start=1):
        setattr(terms, name, number)
    terms.trigger_type = TriggerType.INDEX
    terms.link_kind = LinkKind.OCO
    terms.reprice = True
    terms.holds = False
    terms.price_protect = True
    terms.reduce_only = True
    terms.close_position = True
    return terms


class TestOrderProjection:
    def test_open_orders_survive_the_way_to_rows_and_back(self) -> None:
        projection = OrderProjection()
        order = make_order(7, OrderStatus.PARTIALLY_FILLED)
        ((table, rows), *_others) = projection.rows(Changes(orders={7: order}))
        image = Image()

        projection.load(FakeReader({table.name: rows, TERMS.name: []}), image)

        (loaded,) = image.orders
        assert table is ORDERS
        for name in PERSISTED:
            assert getattr(loaded, name) == getattr(order, name), name
        assert type(loaded.side) is Side
        assert loaded.held_atoms == 0

    def test_finished_orders_are_not_loaded(self) -> None:
        projection = OrderProjection()
        orders = {
            number: make_order(number, status) for number, status in enumerate(OrderStatus, start=1)
        }
        ((table, rows), *_others) = projection.rows(Changes(orders=orders))
        image = Image()

        projection.load(FakeReader({table.name: rows, TERMS.name: []}), image)

        assert [order.status for order in image.orders] == [
            OrderStatus.OPEN,
            OrderStatus.PARTIALLY_FILLED,
            OrderStatus.UNTRIGGERED,
            OrderStatus.WAITING,
        ]

    def test_terms_survive_the_way_to_rows_and_back(self) -> None:
        projection = OrderProjection()
        order = make_order(7, OrderStatus.UNTRIGGERED)
        order.terms = make_terms()
        groups = projection.rows(Changes(orders={7: order}))
        image = Image()

        projection.load(FakeReader({table.name: rows for table, rows in groups}), image)

        assert image.orders[0].terms == order.terms

    def test_every_field_of_the_terms_has_a_column(self) -> None:
        assert set(TERMS.columns) == {"id", "is_open", *Terms.__struct_fields__}

    def test_rows_hold_plain_values_that_every_driver_takes(self) -> None:
        ((_table, (row,)), *_others) = OrderProjection().rows(Changes(orders={7: make_order(7)}))

        assert {type(value) for value in row} == {int, str, bool}

    def test_every_persisted_field_has_a_column(self) -> None:
        columns = set(ORDERS.columns) - {"id", "is_open"} | {"order_id"}

        assert columns == PERSISTED

    def test_a_trade_becomes_a_row_in_the_order_of_the_columns(self) -> None:
        trade = TradeExecuted(
            trade_id=1,
            market_id=2,
            price_atoms=3,
            quantity_atoms=4,
            quote_atoms=5,
            taker_side=Side.SELL,
            taker_order_id=6,
            maker_order_id=7,
            taker_account_id=8,
            maker_account_id=9,
            taker_fee_atoms=10,
            maker_fee_atoms=-11,
            time_ms=12,
        )

        (*_others, (table, (row,))) = OrderProjection().rows(Changes(trades=[trade]))

        assert dict(zip(table.columns, row, strict=True)) == {
            "id": 1,
            "market_id": 2,
            "price_atoms": 3,
            "quantity_atoms": 4,
            "quote_atoms": 5,
            "taker_side": 2,
            "taker_order_id": 6,
            "maker_order_id": 7,
            "taker_account_id": 8,
            "maker_account_id": 9,
            "taker_fee_atoms": 10,
            "maker_fee_atoms": -11,
            "time_ms": 12,
            "kind": 1,
        }
