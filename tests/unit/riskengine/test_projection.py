"""Terms, prices and liquidations turn into rows and back without loss."""

from exchange.core.enums import PriceQuality, Side, TradeKind
from exchange.core.events import (
    ContractConfigured,
    FundingSettled,
    InsuranceChanged,
    LiquidationStepped,
    PricesChanged,
)
from exchange.core.state import Changes, Image
from riskengine.projection import FUNDINGS, LIQUIDATIONS, RiskProjection
from tests.unit.orders.test_projection import FakeReader

BRACKETS = ((0, 400_000, 0, 125), (5_000, 500_000, 5, 100))
CONTRACT = ContractConfigured(3, 1, 28_800_000, 10_000, 0, 25, 500, 7, 8, BRACKETS, 20, True, 9)
GROUP = InsuranceChanged(1, 2, 3, 4, 5, 6, 7, True)
PRICES = PricesChanged(
    3, 60, 61, 1_000, PriceQuality.DEGRADED, 900, ((1, -2), (3, 4)), 950, -5, 6, -7, 8, 9, 10, 11,
    True, 12, 13,
)  # fmt: skip


class TestRiskProjection:
    def test_the_state_survives_the_way_to_rows_and_back(self) -> None:
        changes = Changes(contracts={3: CONTRACT}, insurances={1: GROUP}, prices={3: PRICES})
        tables = {table.name: rows for table, rows in RiskProjection().rows(changes)}
        image = Image()

        RiskProjection().load(FakeReader(tables), image)

        assert image.contracts == [CONTRACT]
        assert image.insurances == [GROUP]
        assert image.prices == [PRICES]

    def test_history_is_written_with_rising_keys(self) -> None:
        funding = FundingSettled(3, 1_000, -5, 60, False, 1_001)
        other = FundingSettled(4, 1_000, 5, 70, True, 1_001)
        later = FundingSettled(3, 2_000, 5, 70, False, 2_001)
        step = LiquidationStepped(
            7, 5, 3, 8, TradeKind.TAKEOVER, Side.SELL, 1, 2, 3, 4, 5, 6, 0, -9, 10, 1_002
        )
        changes = Changes(fundings=[funding, other, later], liquidations=[step])

        tables = {table.name: rows for table, rows in RiskProjection().rows(changes)}

        keys = [row[0] for row in tables[FUNDINGS.name]]
        assert keys == sorted(set(keys))
        assert tables[FUNDINGS.name][0][1:] == (3, 1_000, -5, 60, False, 1_001)
        assert tables[LIQUIDATIONS.name] == [(7, 5, 3, 8, 2, 2, 1, 2, 3, 4, 5, 6, 0, -9, 10, 1_002)]

    def test_nothing_touched_writes_nothing(self) -> None:
        assert list(RiskProjection().rows(Changes())) == []
