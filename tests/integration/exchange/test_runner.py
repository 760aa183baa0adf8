"""The runner behind a real Redis, led from a thread of the test."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from exchange import gateway, keys
from exchange.core.commands import CancelAllOrders, ConfigureAccount, UpdateIndexPrices
from exchange.core.enums import Lane, Side
from exchange.core.rejects import Code
from exchange.core.units import ATOMS
from exchange.dispatch import loop, threads
from exchange.dispatch.calls import Pack
from exchange.errors import ExchangeBusy, ExchangeUnavailable, StatusUnknown
from exchange.events_stream import EventReader, request_books
from exchange.link import RedisError
from exchange.models import Batch, LogPosition
from exchange.outcome_log import Sent
from exchange.publisher import Publisher
from exchange.replay import replay_log
from exchange.runner import PAUSE_MIN_S
from exchange.store.base import Store
from exchange.store.factory import open_store
from exchange.store.loader import rows_hash
from exchange.wire import (
    WIRE_VERSION,
    Packet,
    StatusMessage,
    Submission,
    encode,
    make_command_id,
)
from tests.support.exchange import limit_order
from tests.support.processes import RedisProcess, wait_until
from tests.support.runner_thread import ALICE, RunnerThread

ONE = {"quantity_atoms": ATOMS}


def assert_rows_and_replay_agree() -> None:
    from exchange.processor import make_projections

    store = open_store()
    assert rows_hash(store, make_projections()) == replay_log(store).state_hash()


class TestAnswers:
    def test_an_order_is_answered_after_its_commit(self, runner: RunnerThread) -> None:
        outcome = gateway.submit(limit_order(ALICE, Side.BUY, price=100, quantity_atoms=ATOMS))

        assert outcome.code is Code.OK
        assert LogPosition.objects.get().last_order == outcome.reference_id == 1
        assert outcome.events

    def test_many_threads_get_their_own_answers(self, runner: RunnerThread) -> None:
        found: dict[int, int] = {}

        def place(step: int) -> None:
            order = limit_order(ALICE, Side.BUY, price=100 + step, quantity_atoms=ATOMS)
            outcome = gateway.submit(order)
            found[step] = outcome.events[-1].price_atoms // ATOMS  # type: ignore[union-attr]

        callers = [threading.Thread(target=place, args=(step,)) for step in range(20)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()

        assert found == {step: 100 + step for step in range(20)}
        assert_rows_and_replay_agree()

    async def test_from_an_event_loop(self, runner: RunnerThread) -> None:
        orders = [
            limit_order(ALICE, Side.BUY, price=100 + step, quantity_atoms=ATOMS)
            for step in range(5)
        ]

        outcomes = await gateway.submit_many_async([*orders, CancelAllOrders(ALICE)])
        await loop.dispatcher().aclose()

        assert [outcome.code for outcome in outcomes] == [Code.OK] * 6

    def test_caught_up_waits_for_what_was_sent(self, runner: RunnerThread) -> None:
        gateway.submit(limit_order(ALICE, Side.BUY, price=100, quantity_atoms=ATOMS))

        gateway.wait_until_caught_up()

        status = gateway.status()
        assert status.leader
        assert not status.down


class TestNoAnswer:
    @pytest.fixture
    def deaf(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Answers are published and nobody hears them."""
        monkeypatch.setattr(threads.ThreadDispatcher, "_deliver", lambda *_: None)
        monkeypatch.setattr(loop.LoopDispatcher, "_deliver", lambda *_: None)

    @pytest.mark.usefixtures("deaf")
    def test_the_log_knows_the_outcome(self, runner: RunnerThread) -> None:
        order = limit_order(ALICE, Side.BUY, price=100, quantity_atoms=ATOMS)
        poor = limit_order(ALICE, Side.BUY, price=100, quantity_atoms=90_000 * ATOMS)

        outcomes = gateway.submit_many([order, poor, order], timeout_s=0.3)

        assert [outcome.code for outcome in outcomes] == [
            Code.OK,
            Code.QUANTITY_TOO_LARGE,
            Code.OK,
        ]
        assert [outcome.reference_id for outcome in outcomes] == [1, 0, 2]

    @pytest.mark.usefixtures("deaf")
    async def test_the_log_knows_it_for_an_event_loop_too(self, runner: RunnerThread) -> None:
        order = limit_order(ALICE, Side.BUY, price=100, quantity_atoms=ATOMS)

        outcome = await gateway.submit_async(order, timeout_s=0.3)
        await loop.dispatcher().aclose()

        assert (outcome.code, outcome.reference_id) == (Code.OK, 1)

    @pytest.mark.usefixtures("deaf")
    def test_the_log_knows_it_without_the_entry(
        self, runner: RunnerThread, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The reply to XADD was lost: the newest batches are searched."""
        monkeypatch.setattr(
            Pack, "mark_sent", lambda pack, epoch, stream_id="": mark_without_id(pack, epoch)
        )
        order = limit_order(ALICE, Side.BUY, price=100, quantity_atoms=ATOMS)

        outcome = gateway.submit(order, timeout_s=0.3)

        assert (outcome.code, outcome.reference_id) == (Code.OK, 1)

    def test_is_unknown_while_it_waits_and_void_later(
        self, seeded: None, redis_server: RedisProcess
    ) -> None:
        first = RunnerThread()
        first.start()
        first.stop()
        pretend_to_lead(redis_server)
        order = limit_order(ALICE, Side.BUY, price=100, quantity_atoms=ATOMS)

        with pytest.raises(StatusUnknown) as raised:
            gateway.submit(order, timeout_s=0.2)

        assert (raised.value.code, raised.value.http_status) == ("STATUS_UNKNOWN", 504)
        assert redis_server.client.xlen(orders_key()) == 1

    def test_too_large_a_backlog_is_refused_before_xadd(
        self, seeded: None, redis_server: RedisProcess
    ) -> None:
        first = RunnerThread()
        first.start()
        first.stop()
        pretend_to_lead(redis_server, orders_lag=5_000)

        with pytest.raises(ExchangeBusy):
            gateway.submit(limit_order(ALICE, Side.BUY, price=100, quantity_atoms=ATOMS))
        with pytest.raises(StatusUnknown):
            gateway.submit(CancelAllOrders(ALICE), timeout_s=0.2)

        assert redis_server.client.xlen(orders_key()) == 1


class TestLanes:
    def test_only_the_latest_price_of_a_market_is_applied(
        self, seeded: None, redis_server: RedisProcess
    ) -> None:
        first = RunnerThread()
        first.start()
        first.stop()
        commands = [UpdateIndexPrices(((1, price * ATOMS),)) for price in (51, 52, 53)]
        submissions = [Submission(make_command_id(), command) for command in commands]
        send(redis_server, Lane.SYSTEM, submissions)

        runner = RunnerThread()
        runner.start()
        wait_until(lambda: LogPosition.objects.get().system_offset != "0-0")
        runner.stop()

        payload = last_payload_with(submissions[0].command_id)
        assert [unapplied.code for unapplied in payload.unapplied] == [Code.OK, Code.OK]
        assert [envelope.command for envelope in payload.envelopes] == [commands[2]]

    def test_a_word_of_missing_prices_is_not_overtaken_by_prices_of_others(
        self, seeded: None, redis_server: RedisProcess
    ) -> None:
        first = RunnerThread()
        first.start()
        first.stop()
        commands = [
            UpdateIndexPrices((), missing=(1,)),
            UpdateIndexPrices((), degraded=(1,)),
            UpdateIndexPrices(((1, 51 * ATOMS),)),
            UpdateIndexPrices((), missing=(1,)),
        ]
        submissions = [Submission(make_command_id(), command) for command in commands]
        send(redis_server, Lane.SYSTEM, submissions)

        runner = RunnerThread()
        runner.start()
        wait_until(lambda: LogPosition.objects.get().system_offset != "0-0")
        runner.stop()

        payload = last_payload_with(submissions[0].command_id)
        assert [envelope.command for envelope in payload.envelopes] == [commands[3]]

    def test_a_repeated_delivery_is_dropped(
        self, runner: RunnerThread, redis_server: RedisProcess
    ) -> None:
        order = limit_order(ALICE, Side.BUY, price=100, quantity_atoms=ATOMS)
        submission = Submission(make_command_id(), order)

        for _ in range(3):
            send(redis_server, Lane.ORDERS, [submission, submission])
        gateway.wait_until_caught_up()

        assert LogPosition.objects.get().last_order == 1

    def test_a_repeated_delivery_is_dropped_after_a_restart(
        self, seeded: None, redis_server: RedisProcess
    ) -> None:
        order = limit_order(ALICE, Side.BUY, price=100, quantity_atoms=ATOMS)
        submission = Submission(make_command_id(), order)
        for _ in range(2):
            runner = RunnerThread()
            runner.start()
            send(redis_server, Lane.ORDERS, [submission])
            gateway.wait_until_caught_up()
            runner.stop()

        assert LogPosition.objects.get().last_order == 1

    def test_what_cannot_be_decoded_is_answered_and_the_rest_applied(
        self, runner: RunnerThread, redis_server: RedisProcess
    ) -> None:
        order = Submission(
            make_command_id(), limit_order(ALICE, Side.BUY, price=100, quantity_atoms=ATOMS)
        )
        data = encode([WIRE_VERSION, "", [order, ["newer", ["TimeTravel", 1]], order]])
        redis_server.client.xadd(orders_key(), {"n": 3, "d": data})
        redis_server.client.xadd(orders_key(), {"n": 2, "d": b"\xff garbage"})

        gateway.wait_until_caught_up()

        assert LogPosition.objects.get().last_order == 1
        payload = last_payload_with("newer")
        assert [(item.command_id, item.code) for item in payload.unapplied] == [
            ("newer", Code.UNSUPPORTED_VERSION)
        ]

    def test_a_command_older_than_five_seconds_is_void(
        self, seeded: None, redis_server: RedisProcess
    ) -> None:
        first = RunnerThread()
        first.start()
        first.stop()
        submission = Submission(
            make_command_id(), limit_order(ALICE, Side.BUY, price=100, quantity_atoms=ATOMS)
        )
        seconds, _ = redis_server.client.time()
        send(redis_server, Lane.ORDERS, [submission], stream_id=f"{(seconds - 6) * 1_000}-0")

        runner = RunnerThread()
        runner.start()
        gateway.wait_until_caught_up()
        runner.stop()

        assert LogPosition.objects.get().last_order == 0
        payload = last_payload_with(submission.command_id)
        assert payload.unapplied[0].code is Code.EXPIRED_IN_QUEUE

    def test_t17_a_command_is_void_once_its_senders_window_is_over(
        self, seeded: None, redis_server: RedisProcess
    ) -> None:
        first = RunnerThread()
        first.start()
        first.stop()
        order = limit_order(ALICE, Side.BUY, price=100, quantity_atoms=ATOMS)
        # All of one age: 2 s. A window beyond the usual five seconds does not widen those.
        ages = {"narrow": 1_500, "wide": 4_500, "usual": 0}
        submissions = [Submission(name, order, "", age) for name, age in ages.items()]
        seconds, _ = redis_server.client.time()
        send(redis_server, Lane.ORDERS, submissions, stream_id=f"{(seconds - 2) * 1_000}-0")

        runner = RunnerThread()
        runner.start()
        gateway.wait_until_caught_up()
        runner.stop()

        assert LogPosition.objects.get().last_order == 2
        payload = last_payload_with("narrow")
        assert [(item.command_id, item.code) for item in payload.unapplied] == [
            ("narrow", Code.EXPIRED_IN_QUEUE)
        ]

    def test_a_lane_is_trimmed_to_what_is_committed(
        self, runner: RunnerThread, redis_server: RedisProcess
    ) -> None:
        for step in range(5):
            gateway.submit(limit_order(ALICE, Side.BUY, price=100 + step, quantity_atoms=ATOMS))

        wait_until(lambda: redis_server.client.xlen(orders_key()) <= 1)

    def test_what_comes_while_the_store_pauses_shares_the_batch(
        self, seeded: None, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, later = (
            [Submission(make_command_id(), limit_order(ALICE, Side.BUY, price=price, **ONE))]
            for price in (100, 101)
        )
        store_class = type(open_store())

        def pause_s(_store: Store) -> float:
            if later and redis_server.client.xlen(orders_key()):
                send(redis_server, Lane.ORDERS, [later.pop()])
                return PAUSE_MIN_S * 2
            return 0.0

        monkeypatch.setattr(store_class, "pause_s", pause_s)
        runner = RunnerThread()
        runner.start()
        send(redis_server, Lane.ORDERS, first)
        wait_until(lambda: LogPosition.objects.get().last_order == 2)
        runner.stop()

        batch = Batch.objects.latest("id")
        assert (later, batch.last_command - batch.first_command + 1) == ([], 2)

    def test_a_large_entry_is_spread_over_batches(
        self, runner: RunnerThread, redis_server: RedisProcess
    ) -> None:
        submissions = [
            Submission(make_command_id(), ConfigureAccount(2_000_000_000 + number))
            for number in range(1_200)
        ]
        send(redis_server, Lane.ORDERS, submissions)

        gateway.wait_until_caught_up()

        taken = [row.last_command - row.first_command + 1 for row in Batch.objects.all()]
        assert max(taken) <= 500
        assert len(open_store_image_accounts()) == 2 + 1_200
        assert_rows_and_replay_agree()


class TestRedis:
    def test_lost_data_begins_a_new_stream_epoch(
        self, runner: RunnerThread, redis_server: RedisProcess
    ) -> None:
        gateway.submit(limit_order(ALICE, Side.BUY, price=100, quantity_atoms=ATOMS))
        before = LogPosition.objects.get().stream_epoch

        redis_server.client.flushall()
        wait_until(lambda: LogPosition.objects.get().stream_epoch == before + 1)
        wait_until(lambda: not gateway.status().down)
        wait_until(succeeds(lambda: gateway.submit(CancelAllOrders(ALICE))))

        assert_rows_and_replay_agree()

    def test_is_refused_before_xadd_when_nobody_leads(
        self, seeded: None, redis_server: RedisProcess
    ) -> None:
        with pytest.raises(ExchangeUnavailable) as raised:
            gateway.submit(CancelAllOrders(ALICE))

        assert (raised.value.code, raised.value.http_status) == ("ENGINE_UNAVAILABLE", 503)
        assert gateway.status().down
        assert not redis_server.client.keys("*orders*")

    def test_events_begin_with_a_reset_and_carry_books(
        self, runner: RunnerThread, redis_server: RedisProcess
    ) -> None:
        gateway.submit(limit_order(ALICE, Side.BUY, price=100, quantity_atoms=ATOMS))

        entries = [batch for _, batch in EventReader(redis_server.client).read("0", 100)]

        assert entries[0].reset
        assert [image.market_id for image in entries[0].book_images] == [1, 2]
        assert entries[-1].batch == LogPosition.objects.get().batch
        assert not entries[-1].reset

    def test_the_batch_after_one_that_was_not_published_is_a_reset(
        self, runner: RunnerThread, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gateway.submit(limit_order(ALICE, Side.BUY, price=100, quantity_atoms=ATOMS))
        publish, lost = Publisher.publish, [RedisError("connection lost")]

        def publish_but_once(self: Publisher, *args: Any, **options: Any) -> None:
            if lost:
                raise lost.pop()
            publish(self, *args, **options)

        monkeypatch.setattr(Publisher, "publish", publish_but_once)
        # The log knows its outcome, or will.
        with contextlib.suppress(StatusUnknown):
            order = limit_order(ALICE, Side.BUY, price=101, quantity_atoms=ATOMS)
            gateway.submit(order, timeout_s=0.2)
        gateway.submit(limit_order(ALICE, Side.BUY, price=102, quantity_atoms=ATOMS))

        entries = [batch for _, batch in EventReader(redis_server.client).read("0", 100)]

        assert not lost
        assert [batch.reset for batch in entries[-2:]] == [False, True]
        assert len(entries[-1].book_images[0].bids) == 3

    def test_books_are_published_on_request(
        self, runner: RunnerThread, redis_server: RedisProcess
    ) -> None:
        gateway.submit(limit_order(ALICE, Side.BUY, price=100, quantity_atoms=ATOMS))
        request_books(redis_server.client)
        reader = EventReader(redis_server.client)

        wait_until(
            lambda: (
                [image.bids for image in reader.read("0", 100)[-1][1].book_images]
                == [[(100 * ATOMS, ATOMS)], []]
            )
        )


def mark_without_id(pack: Pack, stream_epoch: int) -> None:
    for call in pack.calls:
        call.sent = Sent(pack.lane, stream_epoch, "")


def pretend_to_lead(server: RedisProcess, orders_lag: int = 0) -> None:
    position = LogPosition.objects.get()
    status = StatusMessage(
        leader=True,
        epoch=position.epoch,
        stream_epoch=position.stream_epoch,
        phase="trading",
        command_number=position.last_command,
        batch=position.batch,
        orders_lag=orders_lag,
        system_lag=0,
        heartbeat_ms=0,
    )
    server.client.set(keys.status(), encode(status))
    threads.dispatcher()._admission.forget()


def succeeds(action: Callable[[], object]) -> Callable[[], bool]:
    def attempt() -> bool:
        try:
            action()
        except ExchangeUnavailable:
            return False
        return True

    return attempt


def orders_key() -> str:
    return keys.lane(Lane.ORDERS, LogPosition.objects.get().stream_epoch)


def send(
    server: RedisProcess, lane: Lane, submissions: list[Submission], stream_id: str = "*"
) -> None:
    key = keys.lane(lane, LogPosition.objects.get().stream_epoch)
    data = encode(Packet(WIRE_VERSION, "", submissions))
    server.client.xadd(key, {"n": len(submissions), "d": data}, id=stream_id)


def last_payload_with(command_id: str) -> object:
    from exchange.wire import decode_payload

    for row in Batch.objects.order_by("-id"):
        payload = decode_payload(row.payload)
        ids = {item.command_id for item in [*payload.envelopes, *payload.unapplied]}
        if command_id in ids:
            return payload
    raise AssertionError(f"{command_id} is not in the log")


def open_store_image_accounts() -> list[object]:
    from exchange.processor import make_projections
    from exchange.store.loader import load_image

    with open_store().snapshot() as reader:
        return list(load_image(reader, make_projections())[1].accounts)
