"""The second line: it sees what the exchange sees, warns, and hands over who is overdue."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from exchange.core.commands import (
    CheckLiquidation,
    ConfigureInsurance,
    Deleverage,
    PlaceOrder,
    SetMarketStatus,
    UpdateIndexPrices,
)
from exchange.core.enums import (
    SYSTEM_RANGE,
    MarginMode,
    MarketStatus,
    OrderType,
    Side,
    TimeInForce,
)
from exchange.core.events import Outcome
from exchange.core.rejects import Code
from markets.selectors import cache_clear
from positions import adl
from positions.standing import standing_of
from riskengine.models import MarginCall
from riskengine.ranking import best, light_limits, scores
from riskengine.sweep import CALLS_KEPT_MS, OFFERS_PER_ALARM, Sweep, margin_calls_prune
from tests.support.engine import units
from tests.support.exchange import BTC, USDT
from tests.support.margin import PERP, MarginHarness
from tests.support.perpetual import GROUP, contract, perpetual_market

pytestmark = pytest.mark.integration

ALICE, BOB, CAROL, DAVE = 1_000_001, 1_000_002, 1_000_003, 1_000_004
QUIET = 9


class Recorder:
    """Takes commands instead of the exchange, or passes them on."""

    def __init__(self, harness: MarginHarness | None = None) -> None:
        self.harness = harness
        self.commands: list[object] = []

    def __call__(self, command: object) -> Outcome:
        self.commands.append(command)
        if self.harness is None:
            return Outcome(Code.OK, 0, ())
        return self.harness.apply(command)  # type: ignore[arg-type]


@pytest.fixture
def margin(exchange: MarginHarness) -> MarginHarness:
    """Alice isolated at 50, Carol cross at 20, Bob on the other side of both."""
    for account, amount in ((ALICE, 10_000), (BOB, 100_000), (CAROL, 4_000), (DAVE, 50_000)):
        exchange.add_account(account)
        exchange.margin(account, amount)
    exchange.set_up(ALICE, 50, MarginMode.ISOLATED)
    exchange.set_up(CAROL, 20)
    exchange.trade(ALICE, BOB, "0.5")
    exchange.trade(CAROL, BOB, "1")
    return exchange


def loaded(submit: Recorder | None = None) -> Sweep:
    """Return a sweep that has read the rows."""
    sweep = Sweep(submit=submit or Recorder())
    sweep.load()
    return sweep


def ratios(sweep: Sweep, least: float = 0.0) -> dict[tuple[int, int], float]:
    """Return the margin ratios of all scopes."""
    found = sweep.screen.look(least_ratio=least)
    scopes = zip(found.accounts.tolist(), found.markets.tolist(), strict=True)
    return dict(zip(scopes, found.ratios.tolist(), strict=True))


class TestScreen:
    def test_its_ratios_are_those_of_the_exchange(self, margin: MarginHarness) -> None:
        margin.mark(59_700)

        shown = ratios(loaded())

        assert set(shown) == {(ALICE, PERP), (BOB, 0), (CAROL, 0)}
        for (account, _), ratio in shown.items():
            (view,) = standing_of(account).views()
            assert ratio == pytest.approx(view.backed_atoms / view.balance_atoms, rel=1e-12)

    def test_events_leave_the_same_arrays_as_loading(self, margin: MarginHarness) -> None:
        sweep = loaded()
        margin.published.clear()
        margin.trade(DAVE, CAROL, "1", 60_100)
        margin.trade(DAVE, BOB, "2", 60_000)
        margin.mark(60_500)

        for batch in margin.published:
            sweep.apply(batch)

        assert ratios(sweep) == pytest.approx(ratios(loaded()))
        assert (CAROL, 0) not in ratios(sweep)

    def test_a_doubtful_price_warns_nobody(self, margin: MarginHarness) -> None:
        margin.mark(59_000, degraded=(PERP,))
        recorder = Recorder()

        done = loaded(recorder).turn(time_ms=1)

        assert (done.calls, done.overdue) == ([], ())

    def test_what_the_exchange_inherited_is_left_out(self, margin: MarginHarness) -> None:
        sweep = loaded()
        margin.published.clear()
        margin.mark(58_700)
        for batch in margin.published:
            sweep.apply(batch)

        held = {position.account_id for position in margin.exchange.image().positions
                if position.quantity_atoms}  # fmt: skip
        assert max(held & set(SYSTEM_RANGE))
        assert not set(SYSTEM_RANGE) & {account for account, _ in ratios(sweep)}
        assert not set(SYSTEM_RANGE) & {account for account, _ in ratios(loaded())}


class TestCalls:
    def test_a_level_is_called_once_and_again_five_points_below(
        self, margin: MarginHarness
    ) -> None:
        sweep = loaded()
        levels = []
        # Alice: 600 of margin for 0.5; maintenance 0.4 % of about 29,500.
        for number, mark in enumerate((59_100, 59_094, 59_060, 59_094, 59_130, 59_094)):
            margin.published.clear()
            margin.mark(mark)
            for batch in margin.published:
                sweep.apply(batch)
            done = sweep.turn(time_ms=number)
            levels.append([(call.account_id, call.level_e8) for call in done.calls])

        assert levels == [
            [],
            [(ALICE, 80_000_000)],
            [(ALICE, 90_000_000)],
            [],
            [],
            [(ALICE, 80_000_000)],
        ]
        assert MarginCall.objects.count() == 3

    def test_a_restart_repeats_none(self, margin: MarginHarness) -> None:
        margin.mark(59_094)
        loaded().turn(time_ms=1)

        again = loaded().turn(time_ms=2)

        assert again.calls == []
        assert again.near == 1

    def test_old_ones_are_removed(self, margin: MarginHarness) -> None:
        margin.mark(59_094)
        loaded().turn(time_ms=1_000)

        assert margin_calls_prune(time_ms=1_000 + CALLS_KEPT_MS) == 0
        assert margin_calls_prune(time_ms=1_001 + CALLS_KEPT_MS) == 1
        assert MarginCall.objects.count() == 0


class TestOverdue:
    def test_who_stays_below_maintenance_is_handed_over(self, margin: MarginHarness) -> None:
        margin.configure(contract(market_id=PERP, liquidations_paused=True))
        margin.mark(58_900)
        margin.configure(contract(market_id=PERP))
        recorder = Recorder(margin)
        sweep = loaded(recorder)

        first, second = sweep.turn(time_ms=1), sweep.turn(time_ms=2)

        assert (first.overdue, second.overdue) == ((), (ALICE,))
        assert CheckLiquidation((ALICE,)) in recorder.commands
        assert ALICE not in [account for account, _ in ratios(loaded())]

    @pytest.mark.parametrize("follows", [False, True])
    def test_nobody_is_handed_over_while_liquidations_are_paused(
        self, margin: MarginHarness, follows: bool
    ) -> None:
        recorder = Recorder()
        early = loaded(recorder)
        margin.published.clear()
        margin.configure(contract(market_id=PERP, liquidations_paused=True))
        # Alice, isolated, and Carol, cross, both far below their maintenance.
        margin.mark(55_000)
        for batch in margin.published:
            early.apply(batch)
        sweep = early if follows else loaded(recorder)

        first, second = sweep.turn(time_ms=1), sweep.turn(time_ms=2)

        assert {call.account_id for call in first.calls} == {ALICE, CAROL}
        assert (first.overdue, second.overdue) == ((), ())
        assert not any(isinstance(command, CheckLiquidation) for command in recorder.commands)

    def test_who_also_stands_where_none_are_paused_is_handed_over(
        self, margin: MarginHarness
    ) -> None:
        quiet = perpetual_market(
            market_id=QUIET, symbol="BTC-USDT-PERP-2", base_asset_id=BTC, quote_asset_id=USDT
        )
        margin.configure(
            contract(market_id=PERP, liquidations_paused=True),
            quiet,
            contract(market_id=QUIET),
            SetMarketStatus(QUIET, MarketStatus.TRADING),
            UpdateIndexPrices(((PERP, units(60_000)), (QUIET, units(60_000)))),
        )
        cache_clear()
        for account, side in ((BOB, Side.SELL), (CAROL, Side.BUY)):
            margin.configure(
                PlaceOrder(
                    account, QUIET, side, OrderType.LIMIT, TimeInForce.GTC,
                    units(60_000), units("0.001"),
                )
            )  # fmt: skip
        margin.configure(
            contract(market_id=QUIET, liquidations_paused=True),
            UpdateIndexPrices(((PERP, units(55_000)), (QUIET, units(60_000)))),
            contract(market_id=QUIET),
        )
        sweep = loaded()

        sweep.turn(time_ms=1)

        assert sweep.turn(time_ms=2).overdue == (CAROL,)


class TestDeleveraging:
    def test_what_no_fund_carries_is_closed_against_winners(self, margin: MarginHarness) -> None:
        margin.trade(DAVE, BOB, "0.1", 60_000)
        margin.configure(ConfigureInsurance(GROUP, 0, 0, 0, 0))
        margin.mark(58_800)
        recorder = Recorder(margin)

        done = loaded(recorder).turn(time_ms=1)

        (command,) = recorder.commands
        assert isinstance(command, Deleverage)
        assert BOB in command.candidates
        assert done.deleveraged == [PERP]
        trades = [trade for trade in margin.exchange.image().positions if trade.account_id == ALICE]
        assert trades[0].quantity_atoms == 0
        margin.assert_hashes_agree()

    def test_a_market_that_goes_on_waiting_is_an_alarm(self, margin: MarginHarness) -> None:
        margin.trade(DAVE, BOB, "0.1", 60_000)
        # As if whoever is offered did not fit.
        sweep = loaded(Recorder())

        with capture_logs() as logs:
            for turn in range(1, OFFERS_PER_ALARM + 1):
                assert not logs
                sweep.turn(time_ms=turn)

        (alarm,) = logs
        assert (alarm["event"], alarm["log_level"]) == ("deleveraging_finds_nobody", "critical")
        assert alarm["market_id"] == PERP

    def test_it_asks_once_after_a_start_and_then_waits(self, margin: MarginHarness) -> None:
        recorder = Recorder(margin)
        sweep = loaded(recorder)

        sweep.turn(time_ms=1)
        sweep.turn(time_ms=2)

        assert [type(command) for command in recorder.commands] == [Deleverage]

    def test_the_ranking_of_all_is_that_of_each(self, margin: MarginHarness) -> None:
        margin.trade(DAVE, BOB, "0.4", 60_300)
        margin.mark(60_600)
        sweep = loaded()
        market = sweep.screen.market(PERP)

        found = scores(market, *sweep.screen.standings())

        for row in range(market.count):
            (view,) = standing_of(int(market.accounts[row])).views()
            one = adl.score(
                quantity_atoms=view.slot.quantity_atoms,
                cost_atoms=view.slot.cost_atoms,
                mark_atoms=view.mark_atoms,
                bankruptcy_quote_atoms=view.bankruptcy_atoms
                * abs(view.slot.quantity_atoms)
                // units(1),
            )
            assert found[row] == pytest.approx(one, rel=1e-4)
        ranked = best(market, found, limit=10)
        assert ranked[:2] == [ALICE, BOB]
        limits = light_limits(market, found)
        longs = sorted(found[market.quantities[: market.count] > 0])
        assert adl.light_of(limits, quantity_atoms=1, own_score=float(longs[-1])) == 5
        assert adl.light_of(limits, quantity_atoms=1, own_score=float(longs[0])) == 1
