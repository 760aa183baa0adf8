"""What a position's history says it cost."""

import pytest

from exchange.core.commands import Credit, UpdateIndexPrices
from exchange.core.enums import CloseReason, MarginMode, Side, TradeKind, WalletKind
from exchange.core.events import LiquidationStepped, PositionClosed
from tests.support.engine import ALICE, BOB, USDT, units
from tests.support.perpetual import PERP, PerpetualBench


def closed_by(events: object, account: int) -> PositionClosed:
    """Return the position of an account that events say has ended."""
    found = [event for event in events if isinstance(event, PositionClosed)]  # type: ignore[attr-defined]
    return next(event for event in found if event.account_id == account)


class TestFees:
    def test_the_fee_of_the_fill_that_closes_is_part_of_its_history(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB)
        bench.trade(ALICE, BOB, "0.1", "60000")

        outcome = bench.trade(BOB, ALICE, "0.1", "60000")

        # Alice paid 0.04 % as taker, then 0.02 % as maker, of 6,000; Bob the other way round.
        assert closed_by(outcome.events, ALICE).fee_atoms == units("3.6")
        assert closed_by(outcome.events, BOB).fee_atoms == units("3.6")
        assert bench.position(ALICE).fee_atoms == bench.position(BOB).fee_atoms == 0

    def test_a_fill_that_turns_a_position_shares_its_fee_between_both(self) -> None:
        bench = PerpetualBench.opened(ALICE, BOB)
        bench.trade(ALICE, BOB, "0.1", "60000")
        bench.ok(bench.order(ALICE, Side.BUY, "0.3", "60000"))

        outcome = bench.ok(bench.order(BOB, Side.SELL, "0.3", "60000"))
        turned = bench.trade(BOB, ALICE, "0.5", "60000")

        assert not [event for event in outcome.events if isinstance(event, PositionClosed)]
        # Bob: 0.02 % of 6,000 and 0.04 % of 18,000, then 4/5 of 0.04 % of 30,000.
        assert closed_by(turned.events, BOB).fee_atoms == units("1.2") + units("7.2") + units("9.6")
        assert bench.position(BOB).fee_atoms == units("2.4")
        assert bench.position(BOB).quantity_atoms == units("0.1")

    @pytest.mark.parametrize("mode", [MarginMode.CROSS, MarginMode.ISOLATED])
    def test_the_liquidation_fee_of_one_that_is_closed_in_the_book_is_part_of_it(
        self, mode: MarginMode
    ) -> None:
        bench = PerpetualBench.opened(ALICE, BOB, margin="130")
        bench.ok(Credit(BOB, WalletKind.MARGIN, USDT, units(100_000), "test", "test"))
        bench.leverage(ALICE, 50, mode)
        bench.trade(ALICE, BOB, "0.1", "60000")
        bench.ok(bench.order(BOB, Side.BUY, "10", "58930"))
        bench.exchange.drain()
        bench.time_ms += 1_000

        events = list(bench.ok(UpdateIndexPrices(((PERP, units(58_930)),))).events)
        events += bench.settle()

        (step,) = (event for event in events if isinstance(event, LiquidationStepped))
        closed = closed_by(events, ALICE)
        assert (step.kind, closed.reason) == (TradeKind.MATCH, CloseReason.LIQUIDATION)
        assert step.fee_atoms > 0
        # 0.04 % of 6,000 for what opened it; the exchange's own order pays no trading fee.
        assert closed.fee_atoms == units("2.4") + step.fee_atoms
        changes, _ = bench.exchange.drain()
        assert closed in changes.closed_positions
        assert len({one.position_id for one in changes.closed_positions}) == 2
