"""What a dispatcher does with a Redis that is there and says nothing, or has gone and come back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError

from exchange import keys, redis_rest
from exchange.core.commands import CancelAllOrders
from exchange.core.enums import Lane
from exchange.dispatch import loop, threads
from exchange.dispatch.calls import Call
from exchange.errors import ExchangeUnavailable, StatusUnknown
from exchange.wire import StatusMessage, Submission, encode, make_command_id
from tests.support.processes import RedisProcess, wait_until

LONG_S = 60.0


class SilentRedis:
    """Takes every connection and never says a word: each question opens another one."""

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self.asked = 0
        self._clients: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in (self._listener, *self._clients):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                self.asked += 1


@pytest.fixture
def silent(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentRedis]:
    """A Redis that hangs; questions to it are given up soon, and then not asked for long."""
    for module in (threads, loop):
        monkeypatch.setattr(module, "QUESTION_TIMEOUT_S", 0.1)
    monkeypatch.setattr(redis_rest, "REST_S", LONG_S)
    with tempfile.TemporaryDirectory(prefix="silent-") as directory:
        server = SilentRedis(Path(directory) / "r.sock")
        settings.REDIS_URL = server.url
        yield server
        server.close()


@pytest.fixture
def dispatcher(silent: SilentRedis) -> Iterator[threads.ThreadDispatcher]:
    """A dispatcher of threads before the silent Redis."""
    made = threads.ThreadDispatcher()
    yield made
    made.close()


def _submission() -> Submission:
    return Submission(make_command_id(), CancelAllOrders(1))


class TestSilent:
    def test_is_asked_once_and_then_left_alone(
        self, silent: SilentRedis, dispatcher: threads.ThreadDispatcher
    ) -> None:
        assert dispatcher.status() is None
        wait_until(lambda: silent.asked == 1, LONG_S)
        dispatcher._admission.forget()
        assert dispatcher.status() is None
        assert silent.asked == 1

        redis_rest.forget_failures()
        dispatcher._admission.forget()
        assert dispatcher.status() is None
        wait_until(lambda: silent.asked == 2, LONG_S)

    def test_is_not_asked_after_someone_else_waited_for_it(
        self, silent: SilentRedis, dispatcher: threads.ThreadDispatcher
    ) -> None:
        redis_rest.note_failure(TimeoutError())

        assert dispatcher.status() is None

        assert silent.asked == 0

    def test_nobody_waits_for_a_reply_channel(
        self, dispatcher: threads.ThreadDispatcher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dispatcher._listening, "wait", lambda seconds: seconds == 0.0)
        monkeypatch.setattr(dispatcher, "_read_status", lambda: None)
        redis_rest.note_failure(TimeoutError())

        # The wait is over at once; without a status the command is refused and not sent.
        with pytest.raises(ExchangeUnavailable):
            dispatcher.submit([_submission()], Lane.ORDERS, LONG_S)

    async def test_is_asked_once_by_an_event_loop(self, silent: SilentRedis) -> None:
        dispatcher = loop.LoopDispatcher()

        await dispatcher._read_status()
        wait_until(lambda: silent.asked == 1, LONG_S)
        await dispatcher._read_status()

        assert silent.asked == 1
        assert dispatcher._admission.status is None
        await dispatcher.aclose()

    async def test_an_event_loop_refuses_what_waits_for_a_reply_channel(
        self, silent: SilentRedis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loop, "LISTEN_S", LONG_S)
        dispatcher = loop.LoopDispatcher()
        redis_rest.note_failure(TimeoutError())

        with pytest.raises(ExchangeUnavailable):
            await dispatcher.submit([_submission()], Lane.ORDERS, LONG_S)

        await dispatcher.aclose()


@pytest.mark.parametrize("error", [ValueError("an answer"), ResponseError("NOPERM")])
def test_an_error_that_was_answered_makes_nobody_rest(error: Exception) -> None:
    redis_rest.note_failure(error)

    assert not redis_rest.is_resting()


class TestRestarted:
    @pytest.fixture(autouse=True)
    def _without_log(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody leads: what is sent stays without an answer."""
        monkeypatch.setattr(Call, "look_up_missing", lambda _: False)

    def test_what_is_sent_is_not_lost_in_a_dead_connection(
        self, redis_server: RedisProcess
    ) -> None:
        lead(redis_server)
        dispatcher = threads.ThreadDispatcher()
        with pytest.raises(StatusUnknown):
            dispatcher.submit([_submission()], Lane.ORDERS, 0.2)
        await_sent(redis_server, 1)

        restart(redis_server)
        dispatcher._admission.forget()
        assert dispatcher.status() is None
        redis_rest.forget_failures()
        dispatcher._admission.forget()
        wait_until(lambda: sends(dispatcher), LONG_S)

        await_sent(redis_server, 2)
        dispatcher.close()

    async def test_nor_by_an_event_loop(self, redis_server: RedisProcess) -> None:
        lead(redis_server)
        dispatcher = loop.LoopDispatcher()
        with pytest.raises(StatusUnknown):
            await dispatcher.submit([_submission()], Lane.ORDERS, 0.2)
        # Not with the loop stopped: a slow send needs it.
        await asyncio.to_thread(await_sent, redis_server, 1)

        restart(redis_server)
        await dispatcher._read_status()
        redis_rest.forget_failures()
        dispatcher._admission.forget()
        async with asyncio.timeout(LONG_S):
            await _send(dispatcher)

        await asyncio.to_thread(await_sent, redis_server, 2)
        await dispatcher.aclose()


def lead(server: RedisProcess) -> None:
    """Say that somebody leads, and make the lane."""
    status = StatusMessage(
        leader=True,
        epoch=1,
        stream_epoch=1,
        phase="trading",
        command_number=0,
        batch=0,
        orders_lag=0,
        system_lag=0,
        heartbeat_ms=0,
    )
    server.client.set(keys.status(), encode(status))
    lane = keys.lane(Lane.ORDERS, 1)
    if not server.client.exists(lane):
        server.client.xgroup_create(lane, "nobody", mkstream=True)


def await_sent(server: RedisProcess, count: int) -> None:
    """Wait until as many commands are in the lane."""
    wait_until(lambda: server.client.xlen(keys.lane(Lane.ORDERS, 1)) >= count, LONG_S)


def restart(server: RedisProcess) -> None:
    """Kill it and start it again, with nothing lost."""
    server.client.execute_command("CONFIG", "SET", "appendfsync", "always")
    server.client.set(keys.lane(Lane.SYSTEM, 1), b"written")
    server.kill()
    server.start()
    lead(server)


async def _send(dispatcher: loop.LoopDispatcher) -> None:
    """Send one command, as soon as the reply channel is back."""
    while True:
        try:
            await dispatcher.submit([_submission()], Lane.ORDERS, 0.2)
        except ExchangeUnavailable:
            dispatcher._admission.forget()
        except StatusUnknown:
            return


def sends(dispatcher: threads.ThreadDispatcher) -> bool:
    """Tell whether a command was sent; refused while the reply channel is not back."""
    try:
        dispatcher.submit([_submission()], Lane.ORDERS, 0.2)
    except ExchangeUnavailable:
        return False
    except StatusUnknown:
        return True
    raise AssertionError("nobody leads, and yet there was an answer")
