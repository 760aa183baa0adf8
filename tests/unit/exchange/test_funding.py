"""Funding: the rate, when it is due, who pays whom, and that it happens exactly once."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from exchange.core.commands import (
    CancelAllOrders,
    ClosePosition,
    ConfigureAccount,
    ContinueTask,
    Credit,
    MoveInsurance,
    UpdateIndexPrices,
)
from exchange.core.engine import Exchange
from exchange.core.enums import CloseReason, MarginMode, Side, WalletKind
from exchange.core.events import (
    FundingPaid,
    FundingSettled,
    LiquidationStepped,
    PositionClosed,
)
from exchange.core.funding import LATE_MAX_MS, SLOTS_PER_STEP, funding_rate, next_time_ms
from tests.support.engine import ALICE, BOB, CAROL, USDT, units
from tests.support.perpetual import GROUP, PERP, PerpetualBench

MAKER = 1_000_009
HOUR = 3_600_000
INTERVAL = 8 * HOUR
# The rate of an interval without premium samples that differ from zero.
INTEREST = 10_000


def bench(*accounts: int, margin: str = "100000", **terms: Any) -> PerpetualBench:
    return PerpetualBench.opened(*(accounts or (ALICE, BOB, CAROL, MAKER)), margin=margin, **terms)


def due_ms(made: PerpetualBench) -> int:
    return made.exchange.image().prices[0].next_funding_ms


def pass_until(made: PerpetualBench, time_ms: int) -> None:
    """Let the next command have a time."""
    made.time_ms = time_ms - 1


def mark_at(made: PerpetualBench, time_ms: int, price: str = "60000", **more: Any) -> list[Any]:
    """Set the index at a time, carry everything out, and return what happened."""
    pass_until(made, time_ms)
    events = list(made.ok(UpdateIndexPrices(((PERP, units(price)),), **more)).events)
    return events + made.settle()


def lean(made: PerpetualBench, price: str) -> None:
    """Let the maker, and nobody else, quote far from the index, and take one sample of it."""
    made.ok(Credit(MAKER, WalletKind.MARGIN, USDT, units(1_000_000), "test", "test"))
    made.ok(made.order(MAKER, Side.BUY, "1", price))
    made.ok(made.order(MAKER, Side.SELL, "1", f"{price}.1"))
    made.mark("60000")


def paid(events: list[Any]) -> dict[int, int]:
    """Return what each account received (+) or paid (-); once each."""
    found = [event for event in events if isinstance(event, FundingPaid)]
    amounts = {event.account_id: event.amount_atoms for event in found}
    assert len(amounts) == len(found)
    return amounts


def settled(events: list[Any]) -> list[FundingSettled]:
    return [event for event in events if isinstance(event, FundingSettled)]


class TestFundingRate:
    @pytest.mark.parametrize(
        ("_case", "premium", "interest", "hours", "cap", "rate"),
        [
            ("no premium: the interest", 0, 10_000, 8, 300_000, 10_000),
            ("premium inside the clamp: the interest", 40_000, 10_000, 8, 300_000, 10_000),
            ("premium at the clamp's edge", 60_000, 10_000, 8, 300_000, 10_000),
            ("premium beyond the clamp", 100_000, 10_000, 8, 300_000, 50_000),
            ("negative premium inside the clamp", -40_000, 10_000, 8, 300_000, 10_000),
            ("negative premium beyond the clamp", -100_000, 10_000, 8, 300_000, -50_000),
            ("an hour has an eighth of it", 100_000, 10_000, 1, 300_000, 6_250),
            ("rounded toward zero from above", 60_007, 10_000, 1, 300_000, 1_250),
            ("rounded toward zero from below", -100_007, 10_000, 1, 300_000, -6_250),
            ("capped above", 900_000, 10_000, 8, 300_000, 300_000),
            ("capped below", -900_000, 10_000, 8, 300_000, -300_000),
        ],
    )
    def test_is_premium_and_clamped_interest_per_interval(
        self, _case: str, premium: int, interest: int, hours: int, cap: int, rate: int
    ) -> None:
        found = funding_rate(
            premium_e8=premium,
            interest_rate_e8=interest,
            interval_ms=hours * HOUR,
            cap_e8=cap,
        )

        assert found == rate

    @pytest.mark.parametrize(("cap", "rate"), [(0, 300_000), (70_000, 70_000)])
    def test_the_cap_is_the_contract_s_or_three_quarters_of_the_first_maintenance_rate(
        self, cap: int, rate: int
    ) -> None:
        made = bench(funding_cap_e8=cap)
        lean(made, "60900")

        assert made.exchange.image().prices[0].predicted_rate_e8 == rate

    def test_times_are_multiples_of_the_interval(self) -> None:
        assert next_time_ms(5 * HOUR, INTERVAL) == INTERVAL
        assert next_time_ms(INTERVAL - 1, INTERVAL) == INTERVAL
        assert next_time_ms(INTERVAL, INTERVAL) == 2 * INTERVAL


class TestPremium:
    def test_averages_the_samples_of_the_interval(self) -> None:
        made = bench(interest_rate_e8=0)
        lean(made, "60120")
        prices = made.exchange.image().prices[0]

        # One sample of nothing, from an empty book, and one of 120 / 60,000.
        assert (prices.premium_count, prices.premium_sum_e8) == (2, 200_000)
        assert prices.predicted_rate_e8 == 100_000 - 50_000

    def test_begins_anew_with_each_interval(self) -> None:
        made = bench()

        mark_at(made, due_ms(made))

        prices = made.exchange.image().prices[0]
        assert (prices.premium_count, prices.premium_sum_e8) == (0, 0)
        assert prices.funding_rate_e8 == INTEREST


class TestPayment:
    def test_longs_pay_shorts_at_a_positive_rate(self) -> None:
        made = bench()
        made.trade(ALICE, BOB, "1", "60000")
        had = made.margin(ALICE), made.margin(BOB)

        events = mark_at(made, due_ms(made))

        # 1 x 60,000 x 0.0001
        assert paid(events) == {ALICE: -units(6), BOB: units(6)}
        assert (made.margin(ALICE), made.margin(BOB)) == (had[0] - units(6), had[1] + units(6))
        assert made.position(ALICE).funding_atoms == -units(6)
        assert made.position(BOB).funding_atoms == units(6)

    def test_shorts_pay_longs_at_a_negative_rate(self) -> None:
        made = bench(interest_rate_e8=-INTEREST)
        made.trade(ALICE, BOB, "1", "60000")

        assert paid(mark_at(made, due_ms(made))) == {ALICE: units(6), BOB: -units(6)}

    def test_counts_at_the_mark_not_at_the_entry(self) -> None:
        made = bench()
        made.trade(ALICE, BOB, "1", "60000")

        events = mark_at(made, due_ms(made), "66000")

        assert paid(events)[ALICE] == -units("6.6")
        assert settled(events)[0].mark_atoms == units("66000")

    def test_rounds_payers_up_and_leaves_the_dust_to_the_fund(self) -> None:
        made = bench(interest_rate_e8=7)
        made.trade(ALICE, BOB, "0.001", "60000")
        made.trade(ALICE, CAROL, "0.002", "60000")
        fund = made.fund()

        events = mark_at(made, due_ms(made), "60000.1")

        # 180.0003 x 7 / 10^8 = 0.0000126000021
        assert paid(events) == {ALICE: -1_261, BOB: 420, CAROL: 840}
        assert made.fund() == fund + 1

    def test_a_rate_of_zero_moves_nothing(self) -> None:
        made = bench(interest_rate_e8=0)
        made.trade(ALICE, BOB, "1", "60000")

        events = mark_at(made, due_ms(made))

        assert paid(events) == {}
        assert [(event.rate_e8, event.skipped) for event in settled(events)] == [(0, False)]

    def test_who_has_no_position_pays_nothing(self) -> None:
        made = bench()
        made.trade(ALICE, BOB, "1", "60000")

        assert CAROL not in paid(mark_at(made, due_ms(made)))

    def test_who_opens_at_the_time_or_later_takes_no_part(self) -> None:
        made = bench()
        made.trade(ALICE, BOB, "1", "60000")
        time_ms = due_ms(made)
        mark_at(made, time_ms - 500)
        pass_until(made, time_ms)
        made.ok(made.order(CAROL, Side.SELL, "0.5", "60000"))
        made.ok(made.order(MAKER, Side.BUY, "0.5", "60000"))

        events = mark_at(made, made.time_ms + 500)

        assert set(paid(events)) == {ALICE, BOB}


class TestWhoCannotPay:
    def test_an_isolated_payer_pays_from_its_own_wallet(self) -> None:
        made = bench(interest_rate_e8=50_000)
        made.leverage(ALICE, 125, MarginMode.ISOLATED)
        made.trade(ALICE, BOB, "0.5", "60000")
        had = made.position(ALICE).isolated_atoms, made.margin(ALICE)

        events = mark_at(made, due_ms(made))

        # 30,000 x 0.0005
        assert paid(events)[ALICE] == -units(15)
        left = made.position(ALICE).isolated_atoms, made.margin(ALICE)
        assert left == (had[0] - units(15), had[1])

    def squeezed(self, margin: str) -> PerpetualBench:
        """Return a bench where Carol, short 0.5 at 125x, owes far more funding than 240."""
        made = bench(ALICE, BOB, MAKER, funding_cap_e8=25_000_000)
        made.ok(ConfigureAccount(CAROL))
        made.ok(Credit(CAROL, WalletKind.MARGIN, USDT, units(margin), "test", "test"))
        made.leverage(CAROL, 125, MarginMode.ISOLATED)
        made.ok(made.order(ALICE, Side.BUY, "0.3", "60000"))
        made.ok(made.order(BOB, Side.BUY, "0.2", "60000"))
        made.ok(made.order(CAROL, Side.SELL, "0.5", "60000"))
        lean(made, "54000")
        return made

    def test_receivers_share_what_an_isolated_payer_had(self) -> None:
        made = self.squeezed("252")
        assert (made.position(CAROL).isolated_atoms, made.margin(CAROL)) == (units(240), 0)

        events = mark_at(made, due_ms(made))

        assert paid(events) == {CAROL: -units(240), ALICE: units(144), BOB: units(96)}

    def test_the_margin_wallet_pays_what_the_isolated_one_lacks(self) -> None:
        made = self.squeezed("1012")
        assert made.margin(CAROL) == units(760)

        events = mark_at(made, due_ms(made))

        assert paid(events)[CAROL] == -units(240 + 760)
        assert made.margin(CAROL) == 0

    def test_a_cross_wallet_may_fall_below_zero_and_is_liquidated(self) -> None:
        made = bench(funding_cap_e8=25_000_000, margin="7000")
        made.trade(ALICE, BOB, "0.6", "60000")
        lean(made, "78000")

        events = mark_at(made, due_ms(made))
        (rate,) = [event.rate_e8 for event in settled(events)]
        # 0.6 at a mark of 60,120: the own book moves it no further.
        assert paid(events)[ALICE] == -units("36072") * rate // 10**8
        assert made.margin(ALICE) < 0

        made.ok(CancelAllOrders(MAKER))
        events = mark_at(made, made.time_ms + 1_000)

        assert {e.account_id for e in events if isinstance(e, LiquidationStepped)} == {ALICE}
        assert made.margin(ALICE) == 0

    def test_the_fund_pays_for_what_the_exchange_inherited(self) -> None:
        made = bench()
        made.leverage(ALICE, 125, MarginMode.ISOLATED)
        made.trade(ALICE, BOB, "0.8", "60000")
        mark_at(made, made.time_ms + 1_000, "59000")
        assert made.position(ALICE).quantity_atoms == 0
        fund = made.fund()

        events = mark_at(made, due_ms(made), "59000")

        amounts = paid(events)
        assert amounts[BOB] == units("4.72")
        assert sum(amounts.values()) == 0
        assert made.fund() <= fund - units("4.72")

    def test_an_empty_fund_pays_nothing_and_receivers_get_less(self) -> None:
        made = bench()
        made.leverage(ALICE, 125, MarginMode.ISOLATED)
        made.trade(ALICE, BOB, "0.8", "60000")
        made.trade(CAROL, BOB, "0.2", "60000")
        mark_at(made, made.time_ms + 1_000, "59000")
        made.ok(MoveInsurance(GROUP, USDT, -made.fund(), "test", "test"))

        events = mark_at(made, due_ms(made), "59000")

        # Only Carol's 0.2 pays: 11,800 x 0.0001.
        assert paid(events) == {CAROL: -units("1.18"), BOB: units("1.18")}


class TestExactlyOnce:
    def test_a_second_mark_of_the_same_time_charges_nothing(self) -> None:
        made = bench()
        made.trade(ALICE, BOB, "1", "60000")
        time_ms = due_ms(made)
        mark_at(made, time_ms)

        events = mark_at(made, time_ms + 1_000)

        assert (settled(events), paid(events)) == ([], {})
        assert due_ms(made) == time_ms + INTERVAL

    @pytest.mark.parametrize("late_ms", [0, 1, LATE_MAX_MS])
    def test_is_charged_once_when_late_by_an_hour_at_most(self, late_ms: int) -> None:
        made = bench()
        made.trade(ALICE, BOB, "1", "60000")
        time_ms = due_ms(made)

        events = mark_at(made, time_ms + late_ms)

        assert [(e.funding_ms, e.skipped) for e in settled(events)] == [(time_ms, False)]
        assert paid(events) == {ALICE: -units(6), BOB: units(6)}

    def test_is_skipped_with_a_notice_when_later(self) -> None:
        made = bench()
        made.trade(ALICE, BOB, "1", "60000")
        time_ms = due_ms(made)

        events = mark_at(made, time_ms + LATE_MAX_MS + 1)

        assert [(e.funding_ms, e.skipped) for e in settled(events)] == [(time_ms, True)]
        assert paid(events) == {}
        assert due_ms(made) == time_ms + INTERVAL
        assert made.exchange.image().prices[0].funding_rate_e8 == 0

    def test_of_several_missed_the_latest_is_charged(self) -> None:
        made = bench(funding_interval_ms=HOUR)
        made.trade(ALICE, BOB, "1", "60000")
        time_ms = due_ms(made)

        events = mark_at(made, time_ms + 3 * HOUR + HOUR // 2)

        assert [(e.funding_ms, e.skipped) for e in settled(events)] == [
            (time_ms, True),
            (time_ms + 3 * HOUR, False),
        ]
        assert len(paid(events)) == 2
        assert due_ms(made) == time_ms + 4 * HOUR

    def test_waits_for_a_healthy_mark(self) -> None:
        made = bench()
        made.trade(ALICE, BOB, "1", "60000")
        time_ms = due_ms(made)
        assert settled(mark_at(made, time_ms, degraded=(PERP,))) == []

        events = mark_at(made, time_ms + 5_000)

        assert [(e.funding_ms, e.skipped) for e in settled(events)] == [(time_ms, False)]
        assert len(paid(events)) == 2


@pytest.fixture(scope="module")
def crowded() -> tuple[PerpetualBench, list[int]]:
    """Return a bench with so many positions that funding needs several steps, and who has them."""
    people = list(range(2_000_000, 2_000_000 + SLOTS_PER_STEP + 20))
    made = bench(*people, MAKER, margin="1000")
    made.ok(Credit(MAKER, WalletKind.MARGIN, USDT, units(1_000_000), "test", "test"))
    made.ok(made.order(MAKER, Side.SELL, f"0.{len(people):03d}", "60000"))
    for account in people:
        if account == people[-1]:
            made.leverage(account, 125, MarginMode.ISOLATED)
        made.exchange.apply(made.next(made.order(account, Side.BUY, "0.001", "60000")))
    return made, people


class TestSteps:
    def started(self, crowded: tuple[PerpetualBench, list[int]]) -> PerpetualBench:
        """Return a copy of the crowd whose funding has begun: the first payers have paid."""
        made = replace(crowded[0])
        made.exchange = Exchange.load(copy.deepcopy(crowded[0].exchange.image()))
        made.log = list(crowded[0].log)
        pass_until(made, due_ms(made))
        made.ok(UpdateIndexPrices(((PERP, units("60000")),)))
        first = made.ok(ContinueTask()).events
        assert 0 < len(paid(list(first))) <= SLOTS_PER_STEP
        return made

    def test_each_step_is_bounded_and_all_are_charged_once(
        self, crowded: tuple[PerpetualBench, list[int]]
    ) -> None:
        made, people = replace(crowded[0]), crowded[1]
        made.exchange = Exchange.load(copy.deepcopy(crowded[0].exchange.image()))
        made.log = list(crowded[0].log)
        pass_until(made, due_ms(made))
        made.ok(UpdateIndexPrices(((PERP, units("60000")),)))
        amounts: dict[int, int] = {}
        while made.exchange.has_task:
            events = [e for e in made.ok(ContinueTask()).events if isinstance(e, FundingPaid)]
            assert len(events) <= SLOTS_PER_STEP
            for event in events:
                assert event.account_id not in amounts
                amounts[event.account_id] = event.amount_atoms

        each = units("0.006")
        assert amounts == {**dict.fromkeys(people, -each), MAKER: each * len(people)}

    def test_a_restart_in_the_middle_goes_on_where_it_was(
        self, crowded: tuple[PerpetualBench, list[int]]
    ) -> None:
        made = self.started(crowded)
        live_hash = made.exchange.state_hash()
        loaded = replace(made)
        loaded.exchange = Exchange.load(copy.deepcopy(made.exchange.image()))
        loaded.log = list(made.log)
        assert loaded.exchange.state_hash() == live_hash

        events = [made.settle(), loaded.settle()]

        assert paid(events[0]) == paid(events[1])
        assert loaded.exchange.state_hash() == made.exchange.state_hash()

    def test_who_closes_meanwhile_pays_first(
        self, crowded: tuple[PerpetualBench, list[int]]
    ) -> None:
        made, last = self.started(crowded), crowded[1][-1]
        made.ok(made.order(MAKER, Side.BUY, "0.001", "60000"))

        events = list(made.ok(ClosePosition(last, PERP)).events)

        assert paid(events)[last] == -units("0.006")
        closed = [e for e in events if isinstance(e, PositionClosed)]
        assert [(e.account_id, e.funding_atoms, e.reason) for e in closed] == [
            (last, -units("0.006"), CloseReason.TRADE)
        ]
        assert last not in paid(made.settle())

    def test_a_receiver_that_closed_is_paid_all_the_same(
        self, crowded: tuple[PerpetualBench, list[int]]
    ) -> None:
        made, people = self.started(crowded), crowded[1]
        helper = 1_000_077
        made.ok(ConfigureAccount(helper))
        made.ok(Credit(helper, WalletKind.MARGIN, USDT, units(100_000), "test", "test"))
        size = f"0.{len(people):03d}"
        made.ok(made.order(helper, Side.SELL, size, "60000"))
        made.ok(ClosePosition(MAKER, PERP))
        had = made.margin(MAKER)
        assert made.position(MAKER).quantity_atoms == 0

        events = made.settle()

        assert paid(events)[MAKER] == units("0.006") * len(people)
        assert made.margin(MAKER) == had + units("0.006") * len(people)
        assert helper not in paid(events)

    def test_who_is_liquidated_meanwhile_pays_before(
        self, crowded: tuple[PerpetualBench, list[int]]
    ) -> None:
        made, people = self.started(crowded), crowded[1]
        poor = people[-1]
        assert made.position(poor).funding_atoms == 0

        made.time_ms += 1_000
        made.ok(UpdateIndexPrices(((PERP, units("59000")),)))
        events = made.settle()

        assert paid(events)[poor] == -units("0.006")
        stepped = [e for e in events if isinstance(e, LiquidationStepped)]
        assert [e.account_id for e in stepped] == [poor]
        # 0.48 of margin, less the funding, less a fall of 1,000 on 0.001.
        assert stepped[0].equity_atoms == units("0.48") - units("0.006") - units(1)


def test_funding_account_is_empty_when_all_is_done() -> None:
    made = bench()
    made.trade(ALICE, BOB, "1", "60000")
    mark_at(made, due_ms(made))

    wallets = [w for w in made.exchange.image().wallets if w.account_id == 3]
    assert [wallet.total_atoms for wallet in wallets] == [0]
