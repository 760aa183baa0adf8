"""Switches and protections turn into rows and back without loss."""

from exchange.core.state import CancelSwitch, Changes, Image, QuoteProtection
from orders.safeguard_projection import PROTECTIONS, SWITCHES, SafeguardProjection
from tests.unit.orders.test_projection import FakeReader

ARMED = CancelSwitch(7, 1_000_001, 2, 3_000, 4_000)
DONE = CancelSwitch(8, 1_000_002, 0, 0, 0)
ACTIVE = QuoteProtection(9, 1_000_001, 2, 10, 11, 12, 13, 14, [(1, 2, 3), (4, 5, 6)])
GONE = QuoteProtection(10, 1_000_002, 2, 0, 11, 12, 13, 0, [])


class TestSafeguardProjection:
    def test_what_is_in_force_survives_the_way_to_rows_and_back(self) -> None:
        changes = Changes(switches={7: ARMED, 8: DONE}, protections={9: ACTIVE, 10: GONE})
        tables = {table.name: rows for table, rows in SafeguardProjection().rows(changes)}
        image = Image()

        SafeguardProjection().load(FakeReader(tables), image)

        assert image.switches == [ARMED]
        assert image.protections == [ACTIVE]

    def test_every_field_has_a_column(self) -> None:
        assert SWITCHES.columns[1:-1] == CancelSwitch.__struct_fields__[1:]
        assert PROTECTIONS.columns[1:-1] == QuoteProtection.__struct_fields__[1:]

    def test_nothing_touched_writes_nothing(self) -> None:
        assert list(SafeguardProjection().rows(Changes())) == []
