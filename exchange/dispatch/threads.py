"""The dispatcher of threads: one sends what all callers have waiting, one hears the answers."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time

import structlog

from exchange import keys, redis_rest
from exchange.core.enums import Lane
from exchange.core.events import Outcome
from exchange.dispatch.ack_times import ACK_TIMES
from exchange.dispatch.admission import Admission
from exchange.dispatch.calls import Call, Pack, make_packs
from exchange.errors import ExchangeUnavailable, StatusUnknown
from exchange.link import QUESTION_TIMEOUT_S, Link, RedisError, ResponseError
from exchange.outcome_log import Sent, is_behind
from exchange.wire import StatusMessage, Submission, decode_answers

logger = structlog.get_logger(__name__)

RECONNECT_S = 0.2
# How long a caller waits for the reply channel; without one it is refused within two seconds.
LISTEN_S = 1.0
CAUGHT_UP_POLL_S = 0.005


class _WaitingCall(Call):
    """A call whose caller sleeps on a lock."""

    __slots__ = ("_done",)

    def __init__(self, submissions: list[Submission], lane: Lane) -> None:
        super().__init__(submissions, lane)
        self._done = threading.Lock()
        self._done.acquire()

    def wake(self) -> None:
        """Let the caller go on; safe to call twice."""
        _release(self._done)

    def wait(self, timeout_s: float) -> bool:
        """Sleep until woken or the time is over; tell which."""
        return self._done.acquire(timeout=max(0.0, timeout_s))


class ThreadDispatcher:
    """Sends for all threads of a process and gives each caller its answers."""

    def __init__(self) -> None:
        """Prepare; threads start with the first call."""
        self._lock = threading.Lock()
        # Held while there is nothing to send; an event costs several times as much.
        self._idle = threading.Lock()
        self._idle.acquire()
        self._waiting: list[_WaitingCall] = []
        self._pending: dict[str, _WaitingCall] = {}
        self._reply_to = keys.replies(secrets.token_hex(8))
        self._link = Link()
        self._link_lock = threading.Lock()
        # Apart from what is sent, whose reply may take longer.
        self._questions = Link(reply_timeout_s=QUESTION_TIMEOUT_S)
        self._questions_lock = threading.Lock()
        # The connection for what is sent is likely as dead as the one for questions was.
        self._is_doubtful = False
        self._admission = Admission()
        self._listening = threading.Event()
        self._hearing = Link(reply_timeout_s=None)
        self._started = False
        self._closed = False

    def submit(self, submissions: list[Submission], lane: Lane, timeout_s: float) -> list[Outcome]:
        """Send submissions and return their outcomes in order; see ``gateway.submit``."""
        if not submissions:
            return []
        self._start()
        started = time.monotonic()
        deadline = started + timeout_s
        if not self._listening.is_set():
            listen_s = 0.0 if redis_rest.is_resting() else min(LISTEN_S, timeout_s)
            if not self._listening.wait(listen_s):
                raise ExchangeUnavailable
        call = _WaitingCall(submissions, lane)
        # Single operations on a dictionary need no lock.
        for submission in submissions:
            self._pending[submission.command_id] = call
        with self._lock:
            is_first = not self._waiting
            self._waiting.append(call)
        if is_first:
            _release(self._idle)
        try:
            if not call.wait(deadline - time.monotonic()):
                return self._after_timeout(call)
        finally:
            for submission in submissions:
                self._pending.pop(submission.command_id, None)
        if call.error is not None:
            raise call.error
        if lane is Lane.ORDERS:
            ACK_TIMES.observe(time.monotonic() - started)
        return call.in_order()

    def status(self) -> StatusMessage | None:
        """Return what the leader last said, None when nobody leads or Redis is away."""
        self._read_status()
        return self._admission.status

    def wait_until_caught_up(self, timeout_s: float) -> None:
        """Wait until the orders lane is consumed as far as it reaches now."""
        deadline = time.monotonic() + timeout_s
        status = self.status()
        if status is None:
            raise ExchangeUnavailable
        try:
            with self._questions_lock:
                newest = self._questions.call(
                    "XREVRANGE", keys.lane(Lane.ORDERS, status.stream_epoch), "+", "-", "COUNT", 1
                )
        except (RedisError, OSError) as error:
            raise ExchangeUnavailable from error
        if not newest:
            return
        sent = Sent(Lane.ORDERS, status.stream_epoch, newest[0][0].decode())
        while not is_behind(sent):
            if time.monotonic() >= deadline:
                raise StatusUnknown
            time.sleep(CAUGHT_UP_POLL_S)

    def close(self) -> None:
        """End the threads and close the connections."""
        self._closed = True
        _release(self._idle)
        self._hearing.close()
        for lock, link in ((self._link_lock, self._link), (self._questions_lock, self._questions)):
            with lock:
                link.close()

    def _start(self) -> None:
        if self._started:
            return
        with self._lock:
            if not self._started:
                for name, run in (("dispatcher", self._send_all), ("answers", self._hear_all)):
                    threading.Thread(target=run, name=f"exchange-{name}", daemon=True).start()
                self._started = True

    def _after_timeout(self, call: _WaitingCall) -> list[Outcome]:
        if call.sent is None:
            # Still in our own queue: taken out of it, it will never be sent.
            with self._lock:
                if call in self._waiting:
                    self._waiting.remove(call)
                    raise ExchangeUnavailable
        if call.look_up_missing():
            return call.in_order()
        raise StatusUnknown

    def _send_all(self) -> None:
        while not self._closed:
            self._idle.acquire()
            with self._lock:
                calls, self._waiting = self._waiting, []
            for pack in make_packs(calls):
                with self._link_lock:
                    self._send(pack)

    def _send(self, pack: Pack) -> None:
        self._read_status()
        stream_epoch = pack.admit(self._admission)
        if not pack.calls:
            return
        stream_id = None
        if self._is_doubtful:
            self._is_doubtful = False
            self._link.close()
        try:
            self._link.open()
            # From here on the entry may exist, so a lost reply is "unknown".
            pack.mark_sent(stream_epoch)
            stream_id = self._link.call(
                *pack.command(stream_epoch=stream_epoch, reply_to=self._reply_to)
            )
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

    def _read_status(self) -> None:
        """Bring the status up to date; a Redis that has just not answered is not asked."""
        if not self._admission.is_old():
            return
        with self._questions_lock:
            if not self._admission.is_old():
                return
            status = None
            if not redis_rest.is_resting():
                try:
                    status = self._questions.call("GET", keys.status())
                except (RedisError, OSError) as error:
                    redis_rest.note_failure(error)
                    self._is_doubtful = True
                    logger.warning("status_not_read", error=str(error))
            self._admission.update(status)

    def _hear_all(self) -> None:
        while not self._closed:
            try:
                self._hearing.subscribe(self._reply_to)
                self._listening.set()
                while True:
                    self._deliver(self._hearing.next_message())
            except (RedisError, OSError) as error:
                self._listening.clear()
                if not self._closed:
                    logger.warning("answers_interrupted", error=str(error))
                    time.sleep(RECONNECT_S)

    def _deliver(self, message: bytes) -> None:
        for answer in decode_answers(message):
            call = self._pending.get(answer.command_id)
            if call is not None and call.answer(answer.command_id, answer.outcome):
                call.wake()


def _release(lock: threading.Lock) -> None:
    """Release a lock that may be free already."""
    with contextlib.suppress(RuntimeError):
        lock.release()


_current: ThreadDispatcher | None = None
_make_lock = threading.Lock()


def dispatcher() -> ThreadDispatcher:
    """Return the dispatcher of this process."""
    global _current
    if _current is None:
        with _make_lock:
            if _current is None:
                _current = ThreadDispatcher()
    return _current


def forget_dispatcher() -> None:
    """End the dispatcher of this process; for tests that change ``REDIS_URL``."""
    global _current
    with _make_lock:
        made, _current = _current, None
    if made is not None:
        made.close()


def _forget() -> None:
    """Start afresh in a forked child: its parent's threads and connections are not its own."""
    global _current, _make_lock
    _current = None
    _make_lock = threading.Lock()


os.register_at_fork(after_in_child=_forget)
