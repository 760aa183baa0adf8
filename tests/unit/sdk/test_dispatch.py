"""Handlers get their events in order, and none of them stops the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tradingclient import dispatch
from tradingclient.dispatch import Dispatcher


@pytest.fixture
async def events() -> AsyncIterator[Dispatcher]:
    events = Dispatcher()
    events.start()
    yield events
    await events.stop()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_every_spelling_of_a_symbol_is_one_event(events: Dispatcher) -> None:
    seen: list[Any] = []
    events.on("price:BTC/USDT", seen.append)

    events.emit("price:BTC-USDT", 1)
    await settle()

    assert seen == [1]


async def test_slow_handlers_get_the_latest_state_and_every_event(events: Dispatcher) -> None:
    prices: list[int] = []
    orders: list[int] = []
    go_on = asyncio.Event()

    async def slow(price: int) -> None:
        prices.append(price)
        await go_on.wait()

    events.on("price:X", slow)
    events.on("order:update", orders.append)
    events.emit("price:X", 1, latest_only=True)
    await settle()
    for number in range(2, 6):
        events.emit("price:X", number, latest_only=True)
        events.emit("order:update", number)
    go_on.set()
    await settle()

    assert prices == [1, 5]
    assert orders == [2, 3, 4, 5]


async def test_a_handler_that_raises_does_not_stop_the_next(
    events: Dispatcher, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []

    def broken(_value: int) -> None:
        raise RuntimeError("broken")

    events.on("a", broken)
    events.on("a", seen.append)
    events.emit("a", 1)
    await settle()

    assert seen == [1]
    assert "handler failed" in caplog.text


async def test_a_handler_that_was_taken_off_hears_nothing(events: Dispatcher) -> None:
    seen: list[int] = []
    off = events.on("a", seen.append)

    off()
    off()
    events.emit("a", 1)
    await settle()

    assert seen == []


async def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "WAITING_MAX", 3)
    events = Dispatcher()
    events.on("a", lambda _value: None)

    for number in range(5):
        events.emit("a", number)

    assert events.dropped == 2
