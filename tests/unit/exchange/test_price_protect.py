"""Price protection: prices that nobody should believe fire nothing, and nothing is lost."""

import copy

import msgspec
import pytest

from exchange.core import firing
from exchange.core.commands import ContinueTask, PlaceOrder, SetMarketStatus, UpdateIndexPrices
from exchange.core.engine import Exchange
from exchange.core.enums import MarketStatus, OrderStatus, OrderType, Side, TimeInForce, TriggerType
from exchange.core.events import TradeExecuted
from exchange.core.rejects import Code
from exchange.core.safety import MarketSafety
from tests.support.engine import ALICE, BOB, MARKET, Bench, units

SELL, LAST, INDEX = Side.SELL, TriggerType.LAST, TriggerType.INDEX
FIVE_PERCENT = 5_000_000


def index(bench: Bench, price: str) -> None:
    bench.ok(UpdateIndexPrices(((MARKET, units(price)),)))


def trade(bench: Bench, price: str) -> None:
    bench.sell(BOB, "0.1", price)
    bench.buy(ALICE, "0.1", price, time_in_force=TimeInForce.IOC)


def stop(bench: Bench, trigger: str, *, protect: bool = True, kind: TriggerType = INDEX) -> int:
    return bench.ok(
        bench.conditional(ALICE, SELL, "0.1", trigger, trigger_type=kind, price_protect=protect)
    ).reference_id


def trail(bench: Bench, *, protect: bool = True, rate: int = 1_000_000, **more: int) -> int:
    command = bench.trailing(
        ALICE, SELL, "0.1", callback_rate_e8=rate, price_protect=protect, **more
    )
    return bench.ok(command).reference_id


def fired(bench: Bench) -> list[int]:
    """Carry all internal work out and return the orders that traded by it, in order."""
    takers = []
    while bench.exchange.has_task:
        events = bench.ok(ContinueTask()).events
        takers += [event.taker_order_id for event in events if isinstance(event, TradeExecuted)]
    return takers


def waiting(bench: Bench) -> list[int]:
    orders = bench.exchange.image().orders
    return [order.order_id for order in orders if order.status is OrderStatus.UNTRIGGERED]


@pytest.fixture
def bench() -> Bench:
    """Last and index price are 100, Bob bids far below, 5 % apart is too far."""
    bench = Bench.funded(safety=MarketSafety(trigger_protect_e8=FIVE_PERCENT))
    index(bench, "100")
    trade(bench, "100")
    bench.buy(BOB, "9", "50")
    return bench


class TestDivergedPrices:
    def test_protected_orders_stay_armed_and_the_others_fire(self, bench: Bench) -> None:
        protected, plain = stop(bench, "99"), stop(bench, "98", protect=False)

        index(bench, "94")  # 100 is more than 5 % above it

        assert fired(bench) == [plain]
        assert waiting(bench) == [protected]

    def test_at_the_rate_they_fire(self, bench: Bench) -> None:
        protected = stop(bench, "99")
        trade(bench, "100")

        index(bench, "95.24")  # 4.76 of 95.24 is less than 5 %

        assert fired(bench) == [protected]

    @pytest.mark.parametrize(("mark", "fires"), [("200", True), ("199.99", False)])
    def test_equality_is_close_enough(self, mark: str, fires: bool) -> None:
        bench = Bench.funded(safety=MarketSafety(trigger_protect_e8=5_000_000))
        index(bench, "190")
        trade(bench, "210")
        bench.buy(BOB, "1", "180")
        order = bench.conditional(
            ALICE, SELL, "0.1", "195", OrderType.TAKE_PROFIT, price_protect=True
        )
        order_id = bench.ok(order).reference_id

        index(bench, mark)

        assert fired(bench) == ([order_id] if fires else [])

    def test_they_fire_at_the_next_price_at_which_both_agree(self, bench: Bench) -> None:
        protected = stop(bench, "99", kind=LAST)
        trade(bench, "90")
        assert fired(bench) == []
        index(bench, "91")
        assert fired(bench) == []

        trade(bench, "90")

        assert fired(bench) == [protected]

    def test_trailing_stops_follow_on_and_fire_later(self, bench: Bench) -> None:
        protected, plain = trail(bench), trail(bench, protect=False)
        index(bench, "110")  # the extreme of both
        index(bench, "108.9")
        assert fired(bench) == [plain]
        assert waiting(bench) == [protected]
        index(bench, "120")
        trade(bench, "119")

        index(bench, "118.8")

        assert fired(bench) == [protected]

    def test_an_activation_is_no_firing(self, bench: Bench) -> None:
        protected = trail(bench, activation_price_atoms=units(110))

        index(bench, "112")

        assert bench.ok(ContinueTask()).events
        (order,) = [o for o in bench.exchange.image().orders if o.order_id == protected]
        assert order.terms is not None
        assert order.terms.extreme_atoms == units(112)

    @pytest.mark.parametrize("changes", [{"trigger_protect_e8": 0}, {}])
    def test_without_a_rate_or_a_price_to_compare_they_fire(self, changes: dict[str, int]) -> None:
        safety = MarketSafety(**{"trigger_protect_e8": FIVE_PERCENT, **changes})
        bench = Bench.funded(safety=safety)
        if changes:
            trade(bench, "200")
        index(bench, "100")
        bench.buy(BOB, "1", "50")
        protected = stop(bench, "99")

        index(bench, "98")

        assert fired(bench) == [protected]


class TestOrderOfFiring:
    def test_is_the_same_for_protected_and_plain_ones(self, bench: Bench) -> None:
        near = stop(bench, "97", protect=False)
        far, far_too = stop(bench, "99"), stop(bench, "99", protect=False)
        middle = stop(bench, "98")

        index(bench, "96")

        assert fired(bench) == [far, far_too, middle, near]

    def test_of_trailing_stops_too(self, bench: Bench) -> None:
        wide = trail(bench, rate=2_000_000)
        first, second = trail(bench), trail(bench, protect=False)
        third = trail(bench)

        index(bench, "97")

        assert fired(bench) == [first, second, third, wide]

    def test_survives_a_restart_in_the_middle(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(firing, "FIRED_PER_STEP", 1)
        orders = [stop(bench, "99", protect=number % 2 == 0) for number in range(4)]
        trails = [trail(bench, protect=number % 2 == 0) for number in range(4)]
        index(bench, "96")
        seen = []
        while bench.exchange.has_task:
            before = bench.exchange.state_hash()
            bench.exchange = Exchange.load(copy.deepcopy(bench.exchange.image()))
            assert bench.exchange.state_hash() == before
            events = bench.ok(ContinueTask()).events
            seen += [event.taker_order_id for event in events if isinstance(event, TradeExecuted)]

        assert seen == [*orders, *trails]

    def test_a_task_of_plain_ones_leaves_protected_ones_armed_over_a_restart(
        self, bench: Bench
    ) -> None:
        protected, plain = stop(bench, "99"), stop(bench, "98", protect=False)
        index(bench, "94")

        bench.exchange = Exchange.load(copy.deepcopy(bench.exchange.image()))

        assert fired(bench) == [plain]
        assert waiting(bench) == [protected]
        trade(bench, "94")
        index(bench, "94")
        assert fired(bench) == [protected]


class TestHalts:
    def test_fired_ones_wait_again_each_among_its_own(self, bench: Bench) -> None:
        orders = [stop(bench, "99", protect=protect) for protect in (True, False)]
        trails = [trail(bench, protect=protect) for protect in (True, False)]
        index(bench, "96")
        bench.ok(SetMarketStatus(MARKET, MarketStatus.HALTED))
        assert fired(bench) == []
        bench.ok(SetMarketStatus(MARKET, MarketStatus.TRADING))

        index(bench, "94")  # too far from 100 for the protected ones

        assert fired(bench) == [orders[1], trails[1]]
        assert waiting(bench) == [orders[0], trails[0]]


class TestRefusals:
    def test_only_conditional_orders_take_it(self, bench: Bench) -> None:
        from exchange.core.commands import SpecialTerms

        order = PlaceOrder(
            ALICE,
            MARKET,
            SELL,
            OrderType.LIMIT,
            TimeInForce.GTC,
            units(100),
            units(1),
            special=SpecialTerms(price_protect=True),
        )

        bench.refused(order, Code.INVALID_ORDER)


class TestActivationByTheLastPrice:
    def test_survives_a_restart_before_it_is_announced(self, bench: Bench) -> None:
        order = bench.trailing(
            ALICE, SELL, "0.1", callback_rate_e8=1_000_000, activation_price_atoms=units(101)
        )
        terms = msgspec.structs.replace(order.special, trigger_type=LAST)
        order_id = bench.ok(msgspec.structs.replace(order, special=terms)).reference_id
        bench.exchange.drain()
        rows = {row.order_id: copy.deepcopy(row) for row in bench.exchange.image().orders}
        trade(bench, "101")
        changed = bench.exchange.drain()[0].orders
        image = copy.deepcopy(bench.exchange.image())
        # What rows hold: the newest that became active says so, others not before their turn.
        assert order_id in changed
        image.orders = [
            rows[row.order_id] if row.order_id == order_id else row for row in image.orders
        ]

        loaded = Exchange.load(image)

        (found,) = [row for row in loaded.image().orders if row.order_id == order_id]
        assert found.terms is not None
        assert found.terms.extreme_atoms == units(101)
