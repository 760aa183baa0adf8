"""Slots and their history turn into rows and back without loss."""

from exchange.core.enums import CloseReason, MarginMode, PositionSide
from exchange.core.events import FundingPaid, PositionClosed
from exchange.core.state import DERIVED, Changes, Image, Position
from positions.projection import CLOSED, PAYMENTS, PERSISTED, POSITIONS, PositionProjection
from tests.unit.orders.test_projection import FakeReader


def numbered_slot() -> Position:
    """Return a slot each of whose fields has another value."""
    slot = Position(**{name: 100 + index for index, name in enumerate(PERSISTED)})
    slot.side, slot.mode = PositionSide.NET, MarginMode.ISOLATED
    return slot


class TestPositionProjection:
    def test_every_persisted_field_survives_the_way_to_rows_and_back(self) -> None:
        slot = numbered_slot()
        flat = Position(slot_id=200, account_id=5, market_id=6, leverage=20)
        tables = dict(
            (table.name, rows)
            for table, rows in PositionProjection().rows(Changes(positions={100: slot, 200: flat}))
        )
        image = Image()

        PositionProjection().load(FakeReader(tables), image)

        assert image.positions == [slot, flat]
        assert [row[-1] for row in tables[POSITIONS.name]] == [1, 0]
        assert all(type(value) is int for row in tables[POSITIONS.name] for value in row)

    def test_every_field_is_a_column_or_derived(self) -> None:
        assert set(POSITIONS.columns) - {"id", "is_open"} == set(PERSISTED[1:])
        assert set(PERSISTED) | DERIVED["Position"] == set(Position.__struct_fields__)
        assert CLOSED.columns[1:] == PositionClosed.__struct_fields__[1:]
        assert PAYMENTS.columns[1:] == FundingPaid.__struct_fields__[1:]

    def test_history_is_written_as_plain_integers(self) -> None:
        closed = PositionClosed(
            8, 1, 0, 5, 6, MarginMode.CROSS, 10, 1, 2, 3, 4, 5, 6, 7, 8, CloseReason.TAKEOVER, 9, 10
        )
        paid = FundingPaid(3, 5, 6, 8, 1_000, 100, 60, -2, 12, 1_001)
        changes = Changes(closed_positions=[closed], funding_payments=[paid])

        tables = {table.name: rows for table, rows in PositionProjection().rows(changes)}

        assert tables == {
            CLOSED.name: [(8, 1, 0, 5, 6, 1, 10, 1, 2, 3, 4, 5, 6, 7, 8, 3, 9, 10)],
            PAYMENTS.name: [(3, 5, 6, 8, 1_000, 100, 60, -2, 12, 1_001)],
        }

    def test_nothing_touched_writes_nothing(self) -> None:
        assert list(PositionProjection().rows(Changes())) == []
