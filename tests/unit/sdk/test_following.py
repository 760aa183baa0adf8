"""A channel is followed by the rule of the protocol, and a book and an account rebuilt."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tradingclient.account_state import (
    AccountState,
    BalancesSnapshot,
    FillsSnapshot,
    OrdersSnapshot,
)
from tradingclient.book import BookChange, OrderBook
from tradingclient.frames import ChannelRule, Verdict, decode_message
from tradingclient.models import Balance, Fill, Order


def judge(rule: ChannelRule, **fields: Any) -> Verdict:
    frame = {"channel": "book:X", "epoch": 5, "ts": 0, "data": {}} | fields
    return rule.judge(decode_message(msgspec.json.encode(frame)))


@pytest.fixture
def rule() -> ChannelRule:
    """A rule that has had a snapshot of epoch 5 at sequence 10."""
    rule = ChannelRule()
    assert judge(rule, type="snapshot", seq=10) is Verdict.REPLACE
    return rule


class TestRule:
    def test_takes_nothing_before_a_snapshot(self) -> None:
        rule = ChannelRule()

        assert judge(rule, type="delta", seq=3, prev=2) is Verdict.IGNORE
        assert judge(rule, type="heartbeat", seq=3) is Verdict.IGNORE

    def test_takes_what_follows(self, rule: ChannelRule) -> None:
        assert judge(rule, type="delta", seq=12, prev=10) is Verdict.CHANGE
        assert judge(rule, type="delta", seq=13, prev=12) is Verdict.CHANGE

    def test_ignores_repeats_and_lower_epochs(self, rule: ChannelRule) -> None:
        assert judge(rule, type="delta", seq=10, prev=9) is Verdict.IGNORE
        assert judge(rule, type="delta", seq=11, prev=10, epoch=4) is Verdict.IGNORE
        assert judge(rule, type="snapshot", seq=11, epoch=4) is Verdict.IGNORE

    def test_sees_a_gap_in_what_was_before(self, rule: ChannelRule) -> None:
        assert judge(rule, type="delta", seq=12, prev=11) is Verdict.GAP
        assert rule.gaps == 1

    def test_sees_a_gap_in_a_heartbeat(self, rule: ChannelRule) -> None:
        assert judge(rule, type="heartbeat", seq=10) is Verdict.IGNORE
        assert judge(rule, type="heartbeat", seq=11) is Verdict.GAP

    def test_sees_a_gap_when_an_epoch_begins_without_a_reset(self, rule: ChannelRule) -> None:
        assert judge(rule, type="delta", seq=12, prev=10, epoch=6) is Verdict.GAP

    def test_takes_whole_states_whatever_was_before(self, rule: ChannelRule) -> None:
        assert judge(rule, type="update", seq=900) is Verdict.CHANGE

    def test_ignores_everything_until_the_new_subscription_is_answered(
        self, rule: ChannelRule
    ) -> None:
        judge(rule, type="delta", seq=12, prev=11)

        assert judge(rule, type="snapshot", seq=12) is Verdict.IGNORE
        rule.answered()
        assert judge(rule, type="delta", seq=13, prev=12) is Verdict.IGNORE
        assert judge(rule, type="snapshot", seq=13) is Verdict.REPLACE

    def test_forgets_on_a_reset_and_goes_on_from_the_snapshot(self, rule: ChannelRule) -> None:
        assert judge(rule, type="reset", seq=0, epoch=6) is Verdict.FORGET
        assert judge(rule, type="delta", seq=12, prev=10, epoch=6) is Verdict.IGNORE
        assert judge(rule, type="snapshot", seq=3, epoch=6) is Verdict.REPLACE
        assert judge(rule, type="delta", seq=4, prev=3, epoch=6) is Verdict.CHANGE

    def test_keeps_its_place_to_resume_from(self, rule: ChannelRule) -> None:
        rule.expect_answer()

        assert (rule.epoch, rule.last) == (5, 10)

    def test_of_a_resumed_stream_is_current_at_the_first_heartbeat(self, rule: ChannelRule) -> None:
        before = rule.is_current
        rule.expect_answer()
        assert judge(rule, type="heartbeat", seq=10) is Verdict.IGNORE
        rule.answered()

        assert judge(rule, type="update", seq=12, prev=10) is Verdict.CHANGE
        assert (before, rule.is_current) == (True, False)

        assert judge(rule, type="heartbeat", seq=12) is Verdict.CURRENT
        assert judge(rule, type="heartbeat", seq=12) is Verdict.IGNORE
        assert rule.is_current

    @pytest.mark.parametrize(
        "frame",
        [
            {"type": "reset", "seq": 0, "epoch": 6},
            {"type": "heartbeat", "seq": 11},
            {"type": "update", "seq": 12, "prev": 11},
        ],
    )
    def test_is_not_current_while_something_is_missing(
        self, rule: ChannelRule, frame: dict[str, Any]
    ) -> None:
        judge(rule, **frame)

        assert not rule.is_current


def change(**sides: list[tuple[str, str]]) -> BookChange:
    levels = {
        name: [(Decimal(price), Decimal(quantity)) for price, quantity in side]
        for name, side in sides.items()
    }
    return BookChange(**levels)  # type: ignore[arg-type]


class TestOrderBook:
    def test_follows_the_example_of_the_guide(self) -> None:
        book = OrderBook("BTC/USDT")
        book.replace(
            change(
                bids=[("61790.00", "0.41200"), ("61788.00", "1.00000")],
                asks=[("61811.00", "0.20000")],
            ),
            epoch=1,
            seq=1048,
            time=0,
        )

        book.apply(
            change(bids=[("61790.00", "0.00000")], asks=[("61810.00", "0.75000")]),
            epoch=1,
            seq=1051,
            time=0,
        )

        assert book.levels(10) == (
            [(Decimal(61788), Decimal(1))],
            [(Decimal(61810), Decimal("0.75")), (Decimal(61811), Decimal("0.2"))],
        )
        assert book.best_bid == (Decimal(61788), Decimal(1))
        assert book.best_ask == (Decimal(61810), Decimal("0.75"))
        assert book.middle == Decimal(61799)
        assert (book.seq, book.is_live) == (1051, True)

    def test_of_an_empty_market_has_no_best_prices(self) -> None:
        book = OrderBook("BTC/USDT")

        assert (book.best_bid, book.best_ask, book.middle) == (None, None, None)
        assert not book.is_live


def order(number: str, status: str) -> Order:
    zero = Decimal(0)
    return Order(
        id=number,
        client_order_id=f"c{number}",
        symbol="BTC-USDT",
        side="buy",
        type="limit",
        time_in_force="gtc",
        post_only=False,
        self_trade_prevention="expire_taker",
        price=Decimal(1),
        quantity=Decimal(1),
        quote_quantity=None,
        filled_quantity=zero,
        remaining_quantity=Decimal(1),
        filled_quote=zero,
        average_price=None,
        fee=zero,
        fee_currency="USDT",
        status=status,
        reason=None,
        created_at=1,
        updated_at=1,
    )


def fill(number: str) -> Fill:
    one = Decimal(1)
    return Fill(
        trade_id=number,
        order_id="1",
        symbol="BTC-USDT",
        side="buy",
        role="taker",
        price=one,
        quantity=one,
        quote_quantity=one,
        fee=one,
        fee_currency="USDT",
        executed_at=1,
    )


class TestAccount:
    @pytest.mark.parametrize("status", ["filled", "cancelled", "expired"])
    def test_forgets_orders_that_have_ended(self, status: str) -> None:
        account = AccountState()
        account.set_order(order("1", "open"))
        account.set_order(order("2", "untriggered"))

        account.set_order(order("1", status))

        assert list(account.orders) == ["2"]
        assert account.order_by_client_id("c2") == order("2", "untriggered")
        assert account.order_by_client_id("c1") is None

    def test_takes_a_fill_once(self) -> None:
        account = AccountState()
        assert account.add_fill(fill("1"))

        new = account.add_fills(FillsSnapshot([fill("3"), fill("2"), fill("1")]))

        assert [item.trade_id for item in new] == ["2", "3"]
        assert list(account.fills) == ["1", "2", "3"]

    def test_snapshot_replaces_all_balances(self) -> None:
        account = AccountState()
        one = Decimal(1)
        account.set_balance(
            Balance(currency="BTC", wallet="spot", total=one, available=one, held=Decimal(0))
        )

        account.replace_balances(BalancesSnapshot([]))

        assert account.balance("BTC") is None

    def test_snapshot_tells_what_is_new_or_has_changed(self) -> None:
        account = AccountState()
        for number in ("1", "2", "3"):
            account.set_order(order(number, "open"))
        snapshot = [order("1", "open"), order("2", "partially_filled"), order("4", "open")]

        news = account.replace_orders(OrdersSnapshot(snapshot))

        assert news == snapshot[1:]
        assert list(account.orders) == ["1", "2", "4"]
