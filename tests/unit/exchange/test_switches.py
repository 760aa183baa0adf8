"""Dead-man switches: armed again, disarmed, tripped in bounded steps, kept over a restart."""

import copy

import pytest

from exchange.core import cancelling, switches
from exchange.core.commands import CancelAllAfter, ConfigureAccount, ContinueTask
from exchange.core.engine import Exchange
from exchange.core.enums import EndReason, OrderStatus, Side
from exchange.core.events import CancelSwitchChanged, OrderChanged, Outcome
from exchange.core.rejects import Code
from tests.support.engine import ALICE, BOB, MARKET, Bench, market

OTHER_MARKET = 2


@pytest.fixture
def bench() -> Bench:
    """A bench with two markets, in which Alice has an order each and Bob one."""
    bench = Bench.funded()
    bench.ok(market(market_id=OTHER_MARKET, symbol="BTC-USDT-2"))
    bench.buy(ALICE, "1", "100")
    order = bench.limit(ALICE, Side.BUY, "1", "90")
    bench.ok(_in_other_market(order))
    bench.buy(BOB, "1", "80")
    return bench


def _in_other_market(order):  # type: ignore[no-untyped-def]
    import msgspec

    return msgspec.structs.replace(order, market_id=OTHER_MARKET)


def after(bench: Bench, milliseconds: int) -> bool:
    """Let time pass and tell whether something is due then."""
    bench.time_ms += milliseconds
    return bench.exchange.is_due(bench.time_ms)


def ended(outcome: Outcome) -> list[tuple[int, EndReason]]:
    return [
        (event.order_id, event.reason)
        for event in outcome.events
        if isinstance(event, OrderChanged) and event.status is OrderStatus.CANCELLED
    ]


class TestArming:
    def test_answers_when_orders_will_be_cancelled(self, bench: Bench) -> None:
        outcome = bench.ok(CancelAllAfter(ALICE, 5_000))

        assert outcome.events == [CancelSwitchChanged(ALICE, 0, 5_000, bench.time_ms + 5_000)]
        assert ended(outcome) == []

    def test_each_call_starts_the_time_anew(self, bench: Bench) -> None:
        bench.ok(CancelAllAfter(ALICE, 5_000))
        assert not after(bench, 4_000)
        bench.ok(CancelAllAfter(ALICE, 5_000))

        assert not after(bench, 4_999)
        assert after(bench, 1)

    def test_zero_disarms_and_is_possible_when_nothing_is_armed(self, bench: Bench) -> None:
        bench.ok(CancelAllAfter(ALICE, 5_000))
        outcome = bench.ok(CancelAllAfter(ALICE, 0))
        again = bench.ok(CancelAllAfter(ALICE, 0))

        assert outcome.events == again.events == [CancelSwitchChanged(ALICE, 0, 0, 0)]
        assert not after(bench, 100_000)
        assert bench.exchange.image().switches == []

    def test_a_market_and_all_markets_are_two_switches(self, bench: Bench) -> None:
        bench.ok(CancelAllAfter(ALICE, 5_000))
        bench.ok(CancelAllAfter(ALICE, 2_000, MARKET))
        bench.ok(CancelAllAfter(ALICE, 0))

        assert after(bench, 2_000)

    @pytest.mark.parametrize("timeout", [-1, 1, 999, 24 * 3_600_000 + 1, 2**62])
    def test_other_times_are_refused(self, bench: Bench, timeout: int) -> None:
        bench.refused(CancelAllAfter(ALICE, timeout), Code.INVALID_TIMEOUT)

    @pytest.mark.parametrize("timeout", [1_000, 24 * 3_600_000])
    def test_the_shortest_and_the_longest_time_are_taken(self, bench: Bench, timeout: int) -> None:
        bench.ok(CancelAllAfter(ALICE, timeout))

        assert not after(bench, timeout - 1)
        assert after(bench, 1)

    @pytest.mark.parametrize("account", [1, 2, 42])
    def test_an_account_without_orders_of_its_own_is_refused(
        self, bench: Bench, account: int
    ) -> None:
        bench.refused(CancelAllAfter(account, 1_000), Code.ACCOUNT_NOT_FOUND)

    def test_an_unknown_market_is_refused(self, bench: Bench) -> None:
        bench.refused(CancelAllAfter(ALICE, 1_000, 99), Code.MARKET_NOT_FOUND)

    def test_times_of_renewed_switches_do_not_pile_up(self, bench: Bench) -> None:
        for _ in range(500):
            bench.exchange.apply(bench.next(CancelAllAfter(ALICE, 60_000)))

        assert len(bench.exchange._memory.switch_times) <= 2 + switches._STALE_TIMES_KEPT
        assert not after(bench, 59_000)
        assert after(bench, 1_000)


class TestTripping:
    def test_cancels_everything_of_the_account_and_nothing_else(self, bench: Bench) -> None:
        bench.ok(CancelAllAfter(ALICE, 1_000))
        assert after(bench, 1_000)

        outcome = bench.ok(ContinueTask())

        assert outcome.events[0] == CancelSwitchChanged(ALICE, 0, 0, 0)
        assert ended(outcome) == [(1, EndReason.CANCEL_ALL_AFTER), (2, EndReason.CANCEL_ALL_AFTER)]
        assert [order.account_id for order in bench.exchange.image().orders] == [BOB]
        assert not after(bench, 100_000)

    def test_of_one_market_leaves_the_other(self, bench: Bench) -> None:
        bench.ok(CancelAllAfter(ALICE, 1_000, OTHER_MARKET))
        assert after(bench, 1_000)

        assert ended(bench.ok(ContinueTask())) == [(2, EndReason.CANCEL_ALL_AFTER)]

    def test_the_one_that_is_due_first_acts_first(self, bench: Bench) -> None:
        bench.ok(CancelAllAfter(ALICE, 2_000))
        bench.ok(CancelAllAfter(BOB, 1_000))
        assert after(bench, 5_000)

        first, second = bench.ok(ContinueTask()), bench.ok(ContinueTask())

        assert [order_id for order_id, _ in ended(first)] == [3]
        assert [order_id for order_id, _ in ended(second)] == [1, 2]
        assert not bench.exchange.is_due(bench.time_ms)

    def test_very_many_orders_are_cancelled_in_bounded_steps(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cancelling, "CANCELS_PER_STEP", 10)
        bench.ok(ConfigureAccount(ALICE, open_orders_max=1_000))
        for _ in range(23):
            bench.buy(ALICE, "0.1", "70")
        bench.ok(CancelAllAfter(ALICE, 1_000))
        after(bench, 1_000)
        steps = [len(ended(bench.ok(ContinueTask())))]
        late = bench.buy(ALICE, "0.1", "70").reference_id
        while bench.exchange.has_task:
            steps.append(len(ended(bench.ok(ContinueTask()))))

        assert steps == [10, 10, 5]
        # Placed after the time was over: not meant.
        assert [o.order_id for o in bench.exchange.image().orders if o.account_id == ALICE] == [
            late
        ]

    def test_survives_a_restart(self, bench: Bench) -> None:
        bench.ok(CancelAllAfter(ALICE, 1_000))
        bench.exchange = Exchange.load(copy.deepcopy(bench.exchange.image()))

        assert not after(bench, 999)
        assert after(bench, 1)
        assert len(ended(bench.ok(ContinueTask()))) == 2

    def test_leaves_one_row_for_each_time_it_was_armed_afresh(self, bench: Bench) -> None:
        bench.exchange.drain()
        for timeout in (1_000, 2_000, 0, 3_000):
            bench.ok(CancelAllAfter(ALICE, timeout))

        changes, _ = bench.exchange.drain()

        rows = list(changes.switches.values())
        assert [row.timeout_ms for row in rows] == [0, 3_000]
        assert rows[0].switch_id < rows[1].switch_id
