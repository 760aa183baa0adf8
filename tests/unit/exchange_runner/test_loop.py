"""The order in which an event loop's calls are sent, and calls that nobody could answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from exchange.core.commands import CancelAllOrders
from exchange.core.enums import Lane
from exchange.core.events import Outcome
from exchange.core.rejects import Code
from exchange.dispatch import loop
from exchange.dispatch.calls import Pack
from exchange.errors import ExchangeUnavailable
from exchange.wire import Submission


class Dispatcher(loop.LoopDispatcher):
    """Without Redis: its reply channel is there when the test says so; sends are noted."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def hear(self, *, is_there: bool) -> None:
        """Get the reply channel, or lose it."""
        if is_there:
            self._listening.set()
        else:
            self._listening.clear()

    async def call(self, name: str, timeout_s: float = 1.0) -> None:
        """Submit one command."""
        await self.submit([Submission(name, CancelAllOrders(1))], Lane.ORDERS, timeout_s)

    async def _hear_all(self) -> None:
        await asyncio.Event().wait()

    async def _send(self, pack: Pack) -> None:
        for call in pack.calls:
            for submission in call.submissions:
                self.sent.append(submission.command_id)
                call.answer(submission.command_id, Outcome(Code.OK, 0, ()))
            call.wake()


@pytest.fixture
async def dispatcher() -> AsyncIterator[Dispatcher]:
    """A dispatcher that hears nothing yet."""
    made = Dispatcher()
    yield made
    await made.aclose()


async def _waiting(dispatcher: Dispatcher, *names: str) -> list[asyncio.Task[None]]:
    """Submit in order without a reply channel."""
    tasks = [asyncio.ensure_future(dispatcher.call(name)) for name in names]
    for _ in range(5):
        await asyncio.sleep(0)
    assert dispatcher.sent == []
    return tasks


async def test_no_call_overtakes_those_that_wait_for_the_reply_channel(
    dispatcher: Dispatcher,
) -> None:
    waiting = await _waiting(dispatcher, "first", "second")

    dispatcher.hear(is_there=True)
    await dispatcher.call("third")
    await asyncio.gather(*waiting)

    assert dispatcher.sent == ["first", "second", "third"]


async def test_no_call_overtakes_after_the_channel_was_lost(dispatcher: Dispatcher) -> None:
    dispatcher.hear(is_there=True)
    await dispatcher.call("before")
    dispatcher.hear(is_there=False)
    dispatcher.sent.clear()
    waiting = await _waiting(dispatcher, "first")

    dispatcher.hear(is_there=True)
    await dispatcher.call("second")
    await asyncio.gather(*waiting)

    assert dispatcher.sent == ["first", "second"]


@pytest.mark.parametrize(("listen_s", "timeout_s"), [(0.05, 5.0), (5.0, 0.05)])
async def test_what_nobody_could_hear_answered_is_refused_and_never_sent(
    dispatcher: Dispatcher,
    monkeypatch: pytest.MonkeyPatch,
    listen_s: float,
    timeout_s: float,
) -> None:
    monkeypatch.setattr(loop, "LISTEN_S", listen_s)
    monkeypatch.setattr(loop, "SWEEP_S", 0.01)

    async with asyncio.timeout(30):
        with pytest.raises(ExchangeUnavailable):
            await dispatcher.call("refused", timeout_s)
    dispatcher.hear(is_there=True)
    await dispatcher.call("later")

    assert dispatcher.sent == ["later"]
