"""The dispatcher of an event loop: one task sends what a tick brought, one hears the answers."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from typing import Any
from weakref import WeakKeyDictionary

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connections
from redis.asyncio.connection import ConnectionPool
from redis.exceptions import RedisError, ResponseError

from exchange import keys, redis_rest
from exchange.core.enums import Lane
from exchange.core.events import Outcome
from exchange.dispatch.ack_times import ACK_TIMES
from exchange.dispatch.admission import Admission
from exchange.dispatch.calls import Call, Pack, make_packs
from exchange.errors import ExchangeUnavailable, StatusUnknown
from exchange.link import QUESTION_TIMEOUT_S, REPLY_TIMEOUT_S, Arguments, connection_options
from exchange.wire import Submission, decode_answers

logger = structlog.get_logger(__name__)

RECONNECT_S = 0.2
# As in ``threads``: with what else a request does, its refusal comes within two seconds.
LISTEN_S = 1.0
# Overdue calls are looked for this often instead of by a timer for each.
SWEEP_S = 0.1


class _AwaitedCall(Call):
    """A call whose caller awaits a future; both times are of the monotonic clock."""

    __slots__ = ("deadline", "future", "send_by")

    def __init__(
        self,
        submissions: list[Submission],
        lane: Lane,
        future: asyncio.Future[None],
        timeout_s: float,
    ) -> None:
        super().__init__(submissions, lane)
        now = time.monotonic()
        self.future = future
        self.deadline = now + timeout_s
        # How long it may wait for the reply channel.
        self.send_by = now + min(LISTEN_S, timeout_s)

    def wake(self) -> None:
        """Let the caller go on; safe to call twice."""
        if not self.future.done():
            self.future.set_result(None)


class LoopDispatcher:
    """Sends for all tasks of one event loop; everything runs on that loop."""

    def __init__(self) -> None:
        """Prepare; tasks start with the first call."""
        self._waiting: list[_AwaitedCall] = []
        self._pending: dict[str, _AwaitedCall] = {}
        self._reply_to = keys.replies(secrets.token_hex(8))
        self._admission = Admission()
        self._wakeup = asyncio.Event()
        self._listening = asyncio.Event()
        self._connection = _make_connection(REPLY_TIMEOUT_S)
        self._questions = _make_connection(QUESTION_TIMEOUT_S)
        self._tasks: list[asyncio.Task[None]] = []

    async def submit(
        self, submissions: list[Submission], lane: Lane, timeout_s: float
    ) -> list[Outcome]:
        """Send submissions and return their outcomes in order; see ``gateway.submit``."""
        if not submissions:
            return []
        if not self._tasks:
            loop = asyncio.get_running_loop()
            self._tasks = [
                loop.create_task(run(), name=f"exchange-{run.__name__}")
                for run in (self._send_all, self._hear_all, self._sweep)
            ]
        future = asyncio.get_running_loop().create_future()
        started = time.monotonic()
        call = _AwaitedCall(submissions, lane, future, timeout_s)
        self._waiting.append(call)
        for submission in submissions:
            self._pending[submission.command_id] = call
        self._wakeup.set()
        try:
            await future
        finally:
            for submission in submissions:
                self._pending.pop(submission.command_id, None)
        if call.error is not None:
            raise call.error
        if call.missing > 0:
            return await self._after_timeout(call)
        if lane is Lane.ORDERS:
            ACK_TIMES.observe(time.monotonic() - started)
        return call.in_order()

    async def aclose(self) -> None:
        """End the tasks and close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._connection.disconnect()
        await self._questions.disconnect()

    async def _after_timeout(self, call: _AwaitedCall) -> list[Outcome]:
        if call.sent is None and call in self._waiting:
            self._waiting.remove(call)
            raise ExchangeUnavailable
        if await sync_to_async(_look_up, thread_sensitive=False)(call):
            return call.in_order()
        raise StatusUnknown

    async def _send_all(self) -> None:
        while True:
            await self._wakeup.wait()
            # The calls wait here and not each by itself: none may overtake an earlier one.
            await self._listening.wait()
            self._wakeup.clear()
            calls, self._waiting = self._waiting, []
            for pack in make_packs(calls):
                await self._send(pack)

    async def _send(self, pack: Pack) -> None:
        if self._admission.is_old():
            await self._read_status()
        stream_epoch = pack.admit(self._admission)
        if not pack.calls:
            return
        stream_id = None
        try:
            await self._connection.connect()
            # From here on the entry may exist, so a lost reply is "unknown".
            pack.mark_sent(stream_epoch)
            command = pack.command(stream_epoch=stream_epoch, reply_to=self._reply_to)
            stream_id = await _call(self._connection, command)
        except ResponseError as error:
            logger.error("command_not_accepted", error=str(error))
        except (RedisError, OSError) as error:
            logger.warning("command_not_acknowledged", error=str(error))
            if pack.calls[0].sent is not None:
                self._admission.forget()
                return
        if stream_id is None:
            # Refused, no connection, or the stream is gone: nothing was sent.
            self._admission.forget()
            pack.fail(ExchangeUnavailable())
        else:
            pack.mark_sent(stream_epoch, stream_id.decode())

    async def _read_status(self) -> None:
        """Read the status again; a Redis that has just not answered is not asked."""
        status = None
        if not redis_rest.is_resting():
            try:
                status = await _call(self._questions, ("GET", keys.status()))
            except (RedisError, OSError) as error:
                redis_rest.note_failure(error)
                # Likely as dead: what is sent next must not be lost in it.
                await self._connection.disconnect()
                logger.warning("status_not_read", error=str(error))
        self._admission.update(status)

    async def _hear_all(self) -> None:
        connection = _make_connection(None)
        try:
            while True:
                try:
                    await _call(connection, ("SUBSCRIBE", self._reply_to))
                    self._listening.set()
                    while True:
                        kind, _, data = await connection.read_response()
                        if kind == b"message":
                            self._deliver(data)
                except (RedisError, OSError) as error:
                    self._listening.clear()
                    logger.warning("answers_interrupted", error=str(error))
                    await connection.disconnect()
                    await asyncio.sleep(RECONNECT_S)
        finally:
            with contextlib.suppress(RedisError, OSError):
                await connection.disconnect()

    def _deliver(self, message: bytes) -> None:
        for answer in decode_answers(message):
            call = self._pending.get(answer.command_id)
            if call is not None and call.answer(answer.command_id, answer.outcome):
                call.wake()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = time.monotonic()
            for call in list(self._pending.values()):
                if call.deadline <= now:
                    call.wake()
            if not self._listening.is_set():
                is_resting = redis_rest.is_resting()
                for call in self._waiting:
                    if is_resting or call.send_by <= now:
                        call.wake()


def _make_connection(reply_timeout_s: float | None) -> Any:
    pool: Any = ConnectionPool.from_url(
        settings.REDIS_URL, socket_timeout=reply_timeout_s, **connection_options()
    )
    return pool.make_connection()


async def _call(connection: Any, command: Arguments) -> Any:
    """Send one command and return its reply; a lost connection is opened by the next one."""
    try:
        await connection.connect()
        await connection.send_command(*command, check_health=False)
        return await connection.read_response()
    except ResponseError:
        raise
    except (RedisError, OSError):
        await connection.disconnect()
        raise


def _look_up(call: Call) -> bool:
    try:
        return call.look_up_missing()
    finally:
        connections.close_all()


_dispatchers: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopDispatcher] = WeakKeyDictionary()


def dispatcher() -> LoopDispatcher:
    """Return the dispatcher of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _dispatchers.get(loop)
    if found is None:
        found = _dispatchers[loop] = LoopDispatcher()
    return found
