"""What waits for one client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from common.ws.outbox import DELTAS_MAX, Outbox, Slot
from common.ws.rate import MessageRate


class Wire:
    """A server's connection that can be held back."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.sent: list[str] = []
        self.close: tuple[int, str] | None = None
        self.free = asyncio.Event()

    async def send(self, event: dict[str, Any]) -> None:
        """Take an event as any server does."""
        await self.free.wait()
        if event["type"] == "websocket.close":
            self.close = (event["code"], event["reason"])
        else:
            self.texts.append(event["text"])
            self.sent.append(event["text"])

    def write_text(self, text: str) -> bool:
        """Take a text the short way, unless held back."""
        if self.free.is_set():
            self.texts.append(text)
        return self.free.is_set()


async def _until_rest(outbox: Outbox) -> None:
    """Wait until the writer has nothing to do."""
    async with asyncio.timeout(30):
        while outbox._waiter is None:  # noqa: ASYNC110 - no event for it
            await asyncio.sleep(0)


async def _drain(outbox: Outbox, wire: Wire) -> None:
    wire.free.set()
    task = asyncio.ensure_future(outbox.run())
    for _ in range(100):
        await asyncio.sleep(0)
    task.cancel()


async def test_only_the_latest_state_is_sent() -> None:
    wire = Wire()
    outbox, slot = Outbox(wire.send), Slot()

    for number in range(5):
        outbox.put_state(slot, str(number))
    outbox.put("last")
    await _drain(outbox, wire)

    assert wire.texts == ["4", "last"]


async def test_changes_are_all_sent_in_order_or_refused() -> None:
    wire = Wire()
    outbox, slot = Outbox(wire.send), Slot()

    taken = [outbox.put_delta(slot, str(number)) for number in range(DELTAS_MAX + 1)]
    await _drain(outbox, wire)

    assert taken == [True] * DELTAS_MAX + [False]
    assert wire.texts == [str(number) for number in range(DELTAS_MAX)]


async def test_discarded_changes_are_not_sent_and_the_mark_is_reached() -> None:
    class Marked(Slot):
        reached_times = 0

        def reached(self) -> None:
            self.reached_times += 1

    wire = Wire()
    outbox, slot = Outbox(wire.send), Marked()

    outbox.put_delta(slot, "old")
    slot.discard()
    outbox.put_mark(slot)
    outbox.put_delta(slot, "new")
    await _drain(outbox, wire)

    assert (wire.texts, slot.reached_times) == (["new"], 1)


async def test_too_many_texts_close_with_4008(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.ws.outbox.QUEUE_MAX", 3)
    wire = Wire()
    outbox = Outbox(wire.send)

    for number in range(5):
        outbox.put(str(number))
    wire.free.set()
    await outbox.run()

    assert wire.texts == []
    assert wire.close == (4008, "SLOW_CLIENT")


async def _running(outbox: Outbox) -> asyncio.Task[None]:
    task = asyncio.ensure_future(outbox.run())
    await _until_rest(outbox)
    return task


async def test_what_the_server_takes_at_once_is_written_by_whoever_queues_it() -> None:
    wire = Wire()
    outbox, slot = Outbox(wire.send, wire.write_text), Slot()
    task = await _running(outbox)
    wire.free.set()

    outbox.put("a")
    outbox.put_state(slot, "b")
    taken = [outbox.put_delta(slot, str(number)) for number in range(2 * DELTAS_MAX)]

    assert taken == [True] * 2 * DELTAS_MAX
    assert wire.texts == ["a", "b", *map(str, range(2 * DELTAS_MAX))]
    assert wire.sent == []
    assert (slot.latest, slot.pending, outbox.sending_since) == (None, 0, 0.0)
    task.cancel()


async def test_what_the_server_makes_wait_is_finished_first_and_the_rest_follows() -> None:
    wire = Wire()
    outbox, slot = Outbox(wire.send, wire.write_text), Slot()
    task = await _running(outbox)

    outbox.put("a")
    outbox.put("b")
    for number in range(3):
        outbox.put_state(slot, str(number))
    await asyncio.sleep(0)
    waiting_since, before = outbox.sending_since, list(wire.texts)
    wire.free.set()
    # The server would take it now, but it is not its turn.
    outbox.put("c")
    await _until_rest(outbox)
    outbox.put("d")

    assert waiting_since > 0
    assert before == []
    assert wire.texts == ["a", "b", "2", "c", "d"]
    assert wire.sent == ["a"]
    assert outbox.sending_since == 0.0
    task.cancel()


async def test_a_server_without_the_short_way_is_sent_everything_in_order() -> None:
    wire = Wire()
    outbox, slot = Outbox(wire.send), Slot()
    task = await _running(outbox)
    wire.free.set()

    outbox.put("a")
    outbox.put_state(slot, "b")
    outbox.put_delta(slot, "c")
    await _until_rest(outbox)

    assert wire.sent == wire.texts == ["a", "b", "c"]
    task.cancel()


async def test_nothing_is_written_once_the_writer_has_ended() -> None:
    wire = Wire()
    outbox = Outbox(wire.send, wire.write_text)
    task = await _running(outbox)
    wire.free.set()

    task.cancel()
    # Also before the task has noticed.
    outbox.close(4001, "TOKEN_REVOKED")
    outbox.put("too late")
    with pytest.raises(asyncio.CancelledError):
        await task
    outbox.put("later still")

    assert wire.texts == []


async def test_a_client_that_is_gone_ends_the_writer_whoever_notices() -> None:
    async def gone(_event: dict[str, Any]) -> None:
        raise ConnectionError("gone")

    outbox = Outbox(gone)
    task = await _running(outbox)

    outbox.put("a")

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(task, 1)


async def test_ending_the_writer_ends_the_send_that_waits() -> None:
    ended = asyncio.Event()

    async def wait_for_ever(_event: dict[str, Any]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    outbox = Outbox(wait_for_ever)
    task = await _running(outbox)
    outbox.put("a")
    await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_close_lets_what_waits_go_first() -> None:
    wire = Wire()
    outbox = Outbox(wire.send)

    outbox.put("reason")
    outbox.close(4001, "TOKEN_REVOKED")
    outbox.put("too late")
    wire.free.set()
    await outbox.run()

    assert (wire.texts, wire.close) == (["reason"], (4001, "TOKEN_REVOKED"))


def test_rate_refills_evenly() -> None:
    now = [0.0]
    rate = MessageRate(messages=2, window_s=1, clock=lambda: now[0])

    first = [rate.take() for _ in range(3)]
    now[0] = 0.5
    later = [rate.take(), rate.take()]

    assert first == [True, True, False]
    assert later == [True, False]


def test_no_limit_is_no_limit() -> None:
    rate = MessageRate(messages=0, window_s=1)

    assert all(rate.take() for _ in range(1_000))
