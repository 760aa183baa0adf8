"""Admission before XADD, packing, and what a caller learns when no answer comes."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from msgspec.structs import replace

from exchange.core.commands import (
    AnyCommand,
    CancelAllOrders,
    ClosePosition,
    PlaceLinkedOrders,
    PlaceOrder,
    SpecialTerms,
)
from exchange.core.enums import Lane, LinkKind, OrderType, Side, TimeInForce
from exchange.core.events import Outcome
from exchange.core.rejects import Code
from exchange.dispatch import calls
from exchange.dispatch.admission import (
    AGE_MAX_MS,
    BACKLOG_MAX,
    NEW_ORDERS_AGE_MAX_MS,
    NEW_ORDERS_BACKLOG_MAX,
    Admission,
)
from exchange.dispatch.calls import SUBMISSIONS_PER_ENTRY, Call, Pack, make_packs
from exchange.errors import ExchangeBusy, ExchangeUnavailable
from exchange.outcome_log import Sent
from exchange.wire import StatusMessage, Submission, decode_packet, encode, make_command_id

ORDER = PlaceOrder(1, 1, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 1, 1)
REDUCING = replace(ORDER, special=SpecialTerms(reduce_only=True))
LINKED = PlaceLinkedOrders(1, LinkKind.OCO, (ORDER, ORDER))
CANCEL = CancelAllOrders(1)


class RecordedCall(Call):
    """A call that counts how often it was woken."""

    woken = 0

    def wake(self) -> None:
        self.woken += 1


def call(*commands: AnyCommand, lane: Lane = Lane.ORDERS) -> RecordedCall:
    return RecordedCall([Submission(make_command_id(), command) for command in commands], lane)


def admission(*, orders_lag: int = 0, orders_age_ms: int = 0, leader: bool = True) -> Admission:
    judge = Admission()
    status = StatusMessage(
        leader=leader,
        epoch=3,
        stream_epoch=2,
        phase="trading",
        command_number=1,
        batch=1,
        orders_lag=orders_lag,
        system_lag=0,
        heartbeat_ms=0,
        orders_age_ms=orders_age_ms,
    )
    judge.update(encode(status))
    return judge


class TestAdmission:
    @pytest.mark.parametrize(
        ("_case", "lag", "command", "refused"),
        [
            ("orders below the bound", NEW_ORDERS_BACKLOG_MAX - 1, ORDER, False),
            ("orders at the bound", NEW_ORDERS_BACKLOG_MAX, ORDER, True),
            ("an OCO is new orders", NEW_ORDERS_BACKLOG_MAX, LINKED, True),
            ("what only reduces has twice the room", NEW_ORDERS_BACKLOG_MAX, REDUCING, False),
            ("closing has twice the room", NEW_ORDERS_BACKLOG_MAX, ClosePosition(1, 1), False),
            ("cancels have twice the room", NEW_ORDERS_BACKLOG_MAX, CANCEL, False),
            ("cancels below their bound", BACKLOG_MAX - 1, CANCEL, False),
            ("cancels at their bound", BACKLOG_MAX, CANCEL, True),
        ],
    )
    def test_bounds(self, _case: str, lag: int, command: AnyCommand, refused: bool) -> None:
        one = call(command)
        pack = Pack(Lane.ORDERS, [one])

        stream_epoch = pack.admit(admission(orders_lag=lag))

        assert (len(pack.calls) == 0) is refused
        if refused:
            assert isinstance(one.error, ExchangeBusy)
            assert (one.error.code, one.error.http_status) == ("ENGINE_BUSY", 503)
            assert one.error.retry_after_s == 1
            assert one.woken == 1
        else:
            assert stream_epoch == 2

    @pytest.mark.parametrize(
        ("_case", "age_ms", "command", "lane", "refused"),
        [
            ("orders behind younger ones", NEW_ORDERS_AGE_MAX_MS - 1, ORDER, Lane.ORDERS, False),
            ("orders that would come late", NEW_ORDERS_AGE_MAX_MS, ORDER, Lane.ORDERS, True),
            ("an OCO that would come late", NEW_ORDERS_AGE_MAX_MS, LINKED, Lane.ORDERS, True),
            ("what only reduces has more time", AGE_MAX_MS - 1, REDUCING, Lane.ORDERS, False),
            ("cancels have more time", AGE_MAX_MS - 1, CANCEL, Lane.ORDERS, False),
            ("a cancel that would be void", AGE_MAX_MS, CANCEL, Lane.ORDERS, True),
            ("the other lane is not concerned", AGE_MAX_MS, CANCEL, Lane.SYSTEM, False),
        ],
    )
    def test_the_age_of_the_oldest_refuses_where_few_are_too_many(
        self, _case: str, age_ms: int, command: AnyCommand, lane: Lane, refused: bool
    ) -> None:
        one = call(command, lane=lane)
        pack = Pack(lane, [one])

        pack.admit(admission(orders_lag=1, orders_age_ms=age_ms))

        assert (len(pack.calls) == 0) is refused
        assert isinstance(one.error, ExchangeBusy) is refused

    def test_counts_what_was_sent_since_the_status(self) -> None:
        judge = admission(orders_lag=NEW_ORDERS_BACKLOG_MAX - 2)

        pack = Pack(Lane.ORDERS, [call(ORDER), call(ORDER), call(ORDER), call(CANCEL)])
        pack.admit(judge)

        assert [type(one.submissions[0].command) for one in pack.calls] == [
            PlaceOrder,
            PlaceOrder,
            CancelAllOrders,
        ]

    def test_the_system_lane_has_a_backlog_of_its_own(self) -> None:
        pack = Pack(Lane.SYSTEM, [call(CANCEL, lane=Lane.SYSTEM)])

        pack.admit(admission(orders_lag=BACKLOG_MAX))

        assert len(pack.calls) == 1

    @pytest.mark.parametrize("judge", [Admission(), admission(leader=False)])
    def test_without_a_leader_nothing_is_sent(self, judge: Admission) -> None:
        one = call(CANCEL)

        Pack(Lane.ORDERS, [one]).admit(judge)

        assert isinstance(one.error, ExchangeUnavailable)

    def test_an_expired_status_is_no_leader(self) -> None:
        judge = admission()
        judge.update(None)

        with pytest.raises(ExchangeUnavailable):
            judge.admit(call(CANCEL).submissions, Lane.ORDERS)


class TestPacks:
    def test_runs_of_a_lane_share_an_entry_in_order(self) -> None:
        calls = [
            call(ORDER),
            call(CANCEL, CANCEL),
            call(CANCEL, lane=Lane.SYSTEM),
            call(ORDER),
        ]

        packs = make_packs(calls)

        assert [(pack.lane, len(pack.calls)) for pack in packs] == [
            (Lane.ORDERS, 2),
            (Lane.SYSTEM, 1),
            (Lane.ORDERS, 1),
        ]

    def test_an_entry_has_a_largest_size(self) -> None:
        packs = make_packs([call(*[ORDER] * 200) for _ in range(5)])

        assert [len(pack.calls) for pack in packs] == [2, 2, 1]
        assert SUBMISSIONS_PER_ENTRY == 500

    def test_the_command_never_creates_a_stream(self) -> None:
        pack = Pack(Lane.ORDERS, [call(ORDER), call(CANCEL)])

        name, key, option, *rest = pack.command(stream_epoch=7, reply_to="r")

        assert (name, option) == ("XADD", "NOMKSTREAM")
        assert str(key).endswith("orders:7")
        packet = decode_packet(rest[-1])  # type: ignore[arg-type]
        assert (packet.reply_to, len(packet.submissions)) == ("r", 2)


class TestCall:
    def test_is_done_when_each_has_its_answer(self) -> None:
        one = call(ORDER, CANCEL)
        first, second = (submission.command_id for submission in one.submissions)

        assert not one.answer(second, Outcome(Code.OK, 2, ()))
        assert not one.answer(second, Outcome(Code.OK, 2, ()))
        assert one.answer(first, Outcome(Code.OK, 1, ()))
        assert [outcome.reference_id for outcome in one.in_order()] == [1, 2]

    def test_what_was_never_sent_is_not_looked_up(self) -> None:
        assert not call(ORDER).look_up_missing()

    def test_while_the_database_is_away_nothing_is_known(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def look_up(*_: object, **__: object) -> Outcome:
            raise OperationalError("the server does not answer")

        monkeypatch.setattr(calls, "look_up", look_up)
        one = call(ORDER)
        one.sent = Sent(Lane.ORDERS, 2, "5-0")

        assert not one.look_up_missing()
