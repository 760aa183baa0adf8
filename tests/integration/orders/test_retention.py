"""Old never-filled orders go; no history breaks and the exchange is not contradicted."""

import random
from typing import Any

import pytest

from common.testing import error_code
from exchange.core.enums import EndReason, OrderStatus, OrderType, SelfTradeMode, Side, TimeInForce
from exchange.store.factory import open_store
from exchange.store.loader import rows_hash
from orders import retention, selectors
from orders.models import Order, RetentionProgress
from orders.retention import retention_run, retention_step
from tests.support.exchange import ExchangeHarness
from tests.support.trading import Trader
from wallets.chains import walk_chain

pytestmark = pytest.mark.integration

OLD_MS = 1_000
BEFORE_MS = 2_000
DAY_MS = 86_400_000

FILLED, CANCELLED = OrderStatus.FILLED, OrderStatus.CANCELLED
EXPIRED, OPEN = OrderStatus.EXPIRED, OrderStatus.OPEN


def make_orders(*orders: tuple[int, OrderStatus], **changes: Any) -> None:
    """Write orders 1, 2, 3, ... as (account, status), linked per account, ended long ago."""
    heads: dict[int, int] = {}
    rows = []
    for number, (account_id, status) in enumerate(orders, start=1):
        rows.append(
            Order(
                id=number,
                account_id=account_id,
                market_id=1,
                side=Side.BUY,
                order_type=OrderType.LIMIT,
                time_in_force=TimeInForce.GTC,
                self_trade_mode=SelfTradeMode.EXPIRE_TAKER,
                price_atoms=1,
                quantity_atoms=1,
                quote_quantity_atoms=0,
                remaining_atoms=0,
                filled_atoms=1 if status is FILLED else 0,
                quote_filled_atoms=0,
                fee_atoms=0,
                fee_remainder=0,
                maker_rate_e8=0,
                taker_rate_e8=0,
                status=status,
                reason=EndReason.NONE,
                is_open=int(status is OPEN),
                priority=number,
                previous_id=heads.get(account_id, 0),
                created_ms=changes.get("created_ms", OLD_MS),
                updated_ms=changes.get("updated_ms", OLD_MS),
            )
        )
        heads[account_id] = number
    Order.objects.bulk_create(rows)


def chain(account_id: int, head_id: int) -> list[int]:
    """Return an account's orders along its links, newest first."""
    rows = walk_chain(
        Order,
        start_id=head_id,
        account_id=account_id,
        columns=("id", "previous_id"),
        rows_max=10_000,
    )
    return [row[0] for row in rows]


def left() -> list[int]:
    return list(Order.objects.order_by("id").values_list("id", flat=True))


@pytest.mark.usefixtures("db")
class TestRetentionStep:
    @pytest.mark.parametrize(
        ("_case", "statuses", "expected"),
        [
            ("the last one stays", [CANCELLED, CANCELLED, CANCELLED], [3]),
            ("filled ones stay", [FILLED, CANCELLED, FILLED], [1, 3]),
            ("expired ones go too", [EXPIRED, CANCELLED, FILLED], [3]),
            ("what an open one points to stays", [CANCELLED, CANCELLED, OPEN, FILLED], [2, 3, 4]),
            ("open at the end", [FILLED, CANCELLED, OPEN], [1, 2, 3]),
            ("after an open one", [OPEN, CANCELLED, CANCELLED, FILLED], [1, 4]),
            ("nothing to do", [FILLED, OPEN, FILLED], [1, 2, 3]),
        ],
    )
    def test_what_goes_and_what_stays(
        self, _case: str, statuses: list[OrderStatus], expected: list[int]
    ) -> None:
        make_orders(*((7, status) for status in statuses))

        step = retention_step(before_ms=BEFORE_MS)

        assert left() == expected
        assert chain(7, len(statuses)) == expected[::-1]
        assert (step.scanned, step.removed) == (len(statuses), len(statuses) - len(expected))

    def test_the_links_of_open_orders_are_never_rewritten(self) -> None:
        make_orders((7, CANCELLED), (7, CANCELLED), (7, OPEN))

        retention_step(before_ms=BEFORE_MS)

        assert Order.objects.get(id=3).previous_id == 2

    def test_what_ended_lately_stays(self) -> None:
        make_orders((7, CANCELLED), (7, CANCELLED), (7, FILLED), updated_ms=BEFORE_MS)

        retention_step(before_ms=BEFORE_MS)

        assert left() == [1, 2, 3]

    def test_reading_stops_at_the_first_order_placed_lately(self) -> None:
        make_orders((7, CANCELLED), (7, CANCELLED), (7, FILLED), created_ms=BEFORE_MS)

        step = retention_step(before_ms=BEFORE_MS)

        assert step == retention.RetentionStep(scanned=0, removed=0, finished=True)
        assert not RetentionProgress.objects.exists()

    def test_somebody_elses_step_is_not_repeated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make_orders((7, CANCELLED), (7, CANCELLED), (7, FILLED))
        read = retention._read

        def read_while_another_finishes(*args: Any, **options: Any) -> Any:
            rows = read(*args, **options)
            RetentionProgress.objects.create(id=1, through_order_id=3)
            return rows

        monkeypatch.setattr(retention, "_read", read_while_another_finishes)

        step = retention_step(before_ms=BEFORE_MS)

        assert (step.removed, step.finished) == (0, True)
        assert left() == [1, 2, 3]

    @pytest.mark.parametrize("seed", range(8))
    def test_chains_hold_whatever_the_order_of_events(self, seed: int) -> None:
        chance = random.Random(seed)
        kinds = [FILLED, CANCELLED, CANCELLED, CANCELLED, EXPIRED, OPEN]
        orders = [(chance.randint(1, 3), chance.choice(kinds)) for _ in range(120)]
        make_orders(*orders)
        kept = {n for n, (_, status) in enumerate(orders, start=1) if status in (FILLED, OPEN)}

        while not retention_step(before_ms=BEFORE_MS, rows_max=chance.randint(5, 30)).finished:
            pass

        remaining = set(left())
        assert kept <= remaining
        assert len(remaining) < len(orders)
        for account_id in (1, 2, 3):
            own = [n for n, (account, _) in enumerate(orders, start=1) if account == account_id]
            if own:
                expected = [n for n in reversed(own) if n in remaining]
                assert chain(account_id, own[-1]) == expected


class TestRetentionRun:
    def test_history_and_state_survive_beside_the_running_exchange(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader, settings: Any
    ) -> None:
        settings.ORDER_RETENTION_DAYS = 30
        for number in range(6):
            order = alice.placed(price="40000", quantity="0.001")
            if number % 3:
                alice.api.delete(f"/api/orders/{order['id']}")
        alice.placed(side="sell", client_order_id="kept")
        bob.placed()
        gone = alice.placed(price="40000", client_order_id="gone", time_in_force="ioc")
        alice.placed(price="40000", time_in_force="ioc")
        alice.placed(price="40000")
        before = [
            order.order_id for order in selectors.orders_finished(alice.account_id, limit=50).orders
        ]
        later_ms = alice.placed(price="40000")["created_at"] + 31 * DAY_MS

        done = retention_run(now_ms=later_ms)

        after = [
            order.order_id for order in selectors.orders_finished(alice.account_id, limit=50).orders
        ]
        assert done.finished
        assert done.removed == len(before) - len(after) > 0
        assert [number for number in before if number in after] == after
        live = exchange.exchange.state_hash()
        assert rows_hash(open_store(), exchange.processor.projections) == live
        alice.api.delete("/api/orders")
        assert rows_hash(open_store(), exchange.processor.projections) == (
            exchange.exchange.state_hash()
        )
        newest = [
            order.order_id for order in selectors.orders_finished(alice.account_id, limit=50).orders
        ]
        assert set(after) < set(newest)
        # The id of an order that was cleaned up stays used.
        assert not Order.objects.filter(id=int(gone["id"])).exists()
        again = alice.place(price="40000", client_order_id="gone", time_in_force="ioc")
        assert (again.status_code, error_code(again)) == (409, "CLIENT_ORDER_ID_CONFLICT")

    def test_zero_days_keep_everything(self, db: Any, settings: Any) -> None:
        settings.ORDER_RETENTION_DAYS = 0
        make_orders((7, CANCELLED), (7, CANCELLED), (7, FILLED))

        done = retention_run(now_ms=BEFORE_MS + 1_000 * DAY_MS)

        assert (done.removed, done.finished) == (0, True)
        assert left() == [1, 2, 3]

    def test_a_run_stops_after_its_steps(
        self, db: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.ORDER_RETENTION_DAYS = 1
        monkeypatch.setattr(retention, "PAUSE_S", 0)
        monkeypatch.setattr(retention.retention_step, "__kwdefaults__", {"rows_max": 2})
        make_orders(*((7, CANCELLED) for _ in range(10)))

        done = retention_run(now_ms=OLD_MS + 2 * DAY_MS, steps_max=3)

        assert (done.scanned, done.finished) == (6, False)
