"""Everything about positions is in the rows: loading them is the live state."""

import pytest

from exchange.core.commands import (
    AdjustMargin,
    ClosePosition,
    ConfigureContract,
    ConfigureInsurance,
    SetPositionExits,
    SettleMarket,
)
from exchange.core.enums import MarginMode, Side, TradeKind
from orders.models import OrderTerms, Trade
from positions.models import ClosedPosition, FundingPayment, Position
from riskengine.models import Contract, Funding, Insurance, Liquidation, Price
from tests.support.engine import units
from tests.support.margin import PERP, MarginHarness
from tests.support.perpetual import GROUP, contract

pytestmark = pytest.mark.integration

ALICE, BOB, CAROL = 1_000_001, 1_000_002, 1_000_003


@pytest.fixture
def margin(exchange: MarginHarness) -> MarginHarness:
    """Three accounts with margin."""
    for account in (ALICE, BOB, CAROL):
        exchange.add_account(account)
        exchange.margin(account)
    return exchange


class TestRows:
    def test_open_positions_cross_and_isolated_load_as_they_are(
        self, margin: MarginHarness
    ) -> None:
        margin.set_up(ALICE, 20, MarginMode.ISOLATED)
        margin.trade(ALICE, BOB, "1.5")
        margin.configure(
            AdjustMargin(ALICE, PERP, units(1_000)),
            SetPositionExits(ALICE, PERP, units(70_000), units(58_000)),
        )
        margin.place(BOB, Side.BUY, "0.5", 59_000, reduce_only=True)
        margin.place(CAROL, Side.BUY, "0.5", 58_000)

        row = Position.objects.get(account_id=ALICE)

        assert (row.quantity_atoms, row.cost_atoms) == (units("1.5"), units(90_000))
        assert (row.mode, row.leverage, row.is_open) == (MarginMode.ISOLATED, 20, 1)
        # 90,000 / 20, and what was added.
        assert row.isolated_atoms == units(5_500)
        assert OrderTerms.objects.filter(close_position=True).count() == 2
        margin.assert_hashes_agree()

    def test_a_closed_position_is_history_and_its_slot_is_kept(self, margin: MarginHarness) -> None:
        margin.set_up(ALICE, 25)
        margin.trade(ALICE, BOB, "1")
        margin.trade(BOB, ALICE, "0.4", 61_000)
        margin.place(CAROL, Side.BUY, "1", 62_000)
        margin.configure(ClosePosition(ALICE, PERP))

        slot = Position.objects.get(account_id=ALICE)
        closed = ClosedPosition.objects.get(account_id=ALICE)

        assert (slot.is_open, slot.leverage, slot.previous_id) == (0, 25, closed.id)
        assert (closed.quantity_max_atoms, closed.opened_quote_atoms) == (units(1), units(60_000))
        # 0.4 at 61,000 and 0.6 at 62,000.
        assert closed.realised_atoms == units(400 + 1_200)
        margin.assert_hashes_agree()

    def test_funding_is_written_once_per_market_and_account(self, margin: MarginHarness) -> None:
        margin.trade(ALICE, BOB, "2")
        due_ms = Price.objects.get().next_funding_ms
        margin.mark(60_000, after_ms=due_ms - margin.clock())

        (settled,) = Funding.objects.all()
        payments = {row.account_id: row for row in FundingPayment.objects.all()}

        assert (settled.market_id, settled.skipped) == (PERP, False)
        assert settled.id > settled.funding_ms == due_ms
        assert payments[ALICE].amount_atoms == -payments[BOB].amount_atoms < 0
        assert payments[ALICE].rate_e8 == settled.rate_e8
        margin.assert_hashes_agree()

    def test_a_liquidation_and_what_it_moves_are_written(self, margin: MarginHarness) -> None:
        margin.set_up(ALICE, 100, MarginMode.ISOLATED)
        margin.trade(ALICE, BOB, "0.5")
        margin.mark(59_500)

        step = Liquidation.objects.get()

        assert (step.account_id, step.kind) == (ALICE, TradeKind.TAKEOVER)
        assert step.equity_atoms <= step.maintenance_atoms
        assert Trade.objects.get(kind=TradeKind.TAKEOVER).taker_account_id == ALICE
        assert not Position.objects.filter(account_id=ALICE, is_open=1).exists()
        margin.assert_hashes_agree()

    def test_terms_insurance_and_prices_are_written_as_they_change(
        self, margin: MarginHarness
    ) -> None:
        changed: ConfigureContract = contract(market_id=PERP, liquidations_paused=True)
        margin.configure(changed, ConfigureInsurance(GROUP, 1, 2, 3, 2))
        margin.mark(61_000, degraded=(PERP,))

        terms = Contract.objects.get()
        group = Insurance.objects.get()

        assert terms.liquidations_paused
        assert terms.brackets.startswith("[[0,400000,0,125],[")
        assert (group.notional_cap_e8, group.recovery_e8) == (1, 2)
        assert Price.objects.get().quality == 2
        margin.assert_hashes_agree()

    def test_a_settled_market_loads_as_settled(self, margin: MarginHarness) -> None:
        margin.trade(ALICE, BOB, "1")
        margin.configure(SettleMarket(PERP, units(59_000), "delisted", "tests"))

        assert Contract.objects.get().settled_price_atoms == units(59_000)
        assert not Position.objects.filter(is_open=1).exists()
        assert Trade.objects.filter(kind=TradeKind.SETTLEMENT).exists()
        margin.assert_hashes_agree()
