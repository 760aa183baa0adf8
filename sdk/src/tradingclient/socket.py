"""One WebSocket that stays: connects, authenticates, subscribes, and does it all again."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    InvalidStatus,
    WebSocketException,
)

from tradingclient.backoff import Backoff
from tradingclient.errors import (
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    StatusUnknownError,
    StreamError,
    TradingError,
    UnavailableError,
    error_of,
)
from tradingclient.frames import FRAME_TYPES, Message, Verdict, decode_message
from tradingclient.subscriptions import Channel, Login, State, told_error

log = logging.getLogger(__name__)

ANSWER_S = 10.0
OPEN_S = 10.0
# Without any message for this long what is shown is stale; then the connection is given up.
STALE_S = 5.0
DEAD_S = 15.0
WATCH_EVERY_S = 0.5
# What one message may name.
CHANNELS_PER_MESSAGE = 100
FRAME_BYTES_MAX = 16 * 1024 * 1024
CLOSE_BAD_MESSAGES = 4400
# Refused logins in a row, with a new token each time, after which trying again is no use.
LOGINS_REFUSED_MAX = 2
# A wrong password does not become right, and each further try counts against its user.
_NO_USE_AGAIN = frozenset({"INVALID_CREDENTIALS", "TWO_FACTOR_REQUIRED"})


@dataclass(slots=True)
class _Waiting:
    future: asyncio.Future[Message]
    on_answer: Callable[[], None] | None


class Connection:
    """
    A connection to one namespace.

    It reconnects with a growing, jittered pause until it is closed, or fails for good: when the
    login is refused twice or the namespace is not open to this user. ``subscribe`` is kept over
    reconnects. Everything runs in one event loop.
    """

    def __init__(
        self,
        url: str,
        *,
        login: Login | None = None,
        on_state: Callable[[State], None] = lambda _state: None,
        backoff: Backoff | None = None,
    ) -> None:
        self.url = url
        self.state = State.CLOSED
        self.failure: TradingError | None = None
        self.reconnects = 0
        self.account_id = ""
        self.channels: dict[str, Channel] = {}
        # Run after each login, before subscriptions: what ends with a connection.
        self.on_connect: list[Callable[[], Awaitable[object]]] = []
        self._login = login
        self._on_state = on_state
        self._backoff = backoff or Backoff()
        self._ids = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._ready = asyncio.Event()
        self._heard_at = 0.0
        self._refused = 0
        self._refusal: TradingError | None = None

    # --- Life -------------------------------------------------------------------------

    def start(self) -> None:
        """Connect in the background; nothing happens when it is running already."""
        if self._task is None or self._task.done():
            self.failure = self._refusal = None
            self._refused = 0
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End the connection and do not come back."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for other in tuple(self._background):
            other.cancel()
        self._set_state(State.CLOSED)

    async def ready(self, timeout_s: float = 30.0) -> None:
        """
        Wait until it is connected and subscribed.

        Raises:
            TradingError: what it failed with, or ``CONNECT_TIMEOUT``.
        """
        self.start()
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            raise UnavailableError("CONNECT_TIMEOUT", self.url, retry_after=1.0) from None
        if self.failure is not None:
            raise self.failure

    def drop(self) -> None:
        """Break the connection as a lost network would; it comes back by itself."""
        if self._socket is not None:
            self._socket.transport.abort()

    # --- What callers do --------------------------------------------------------------

    async def subscribe(self, channels: Iterable[Channel]) -> None:
        """
        Subscribe, now and after each reconnect.

        Raises:
            TradingError: when the platform refuses; none of the channels is kept then.
        """
        await self.ready()
        new = [channel for channel in channels if channel.text not in self.channels]
        if not new:
            return
        self.channels.update((channel.text, channel) for channel in new)
        try:
            await self._subscribe(new)
        except UnavailableError:
            # The line broke: what is registered is subscribed when it is back.
            await self.ready()
        except TradingError:
            for channel in new:
                self.channels.pop(channel.text, None)
            raise

    async def unsubscribe(self, texts: Iterable[str]) -> None:
        """Take no more frames of channels."""
        known = [text for text in texts if self.channels.pop(text, None) is not None]
        if known and self._ready.is_set():
            await self.request("unsubscribe", fields={"channels": known})

    async def request(
        self,
        op: str,
        *,
        on_answer: Callable[[], None] | None = None,
        acts: bool = False,
        fields: Mapping[str, Any],
    ) -> Message:
        """
        Send an operation and return its answer.

        ``on_answer`` runs before any later message is read. ``acts`` says that it does
        something: when its answer is lost, nobody knows whether it was done.

        Raises:
            StatusUnknownError: for an operation that acts and whose answer was lost.
            TradingError: what the platform answered, or ``NOT_CONNECTED``.
        """
        socket = self._socket
        if socket is None:
            raise self.failure or UnavailableError("NOT_CONNECTED", self.url, retry_after=1.0)
        number = next(self._ids)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = _Waiting(future, on_answer)
        try:
            message = {"op": op, "id": number, **fields}
            await socket.send(msgspec.json.encode(message).decode())
            async with asyncio.timeout(ANSWER_S):
                return await future
        except TimeoutError:
            raise self._lost_answer(acts, "NO_ANSWER") from None
        except ConnectionClosed as error:
            raise self._lost_answer(acts, "CONNECTION_LOST") from error
        finally:
            self._waiting.pop(number, None)

    @staticmethod
    def _lost_answer(acts: bool, code: str) -> TradingError:
        kind = StatusUnknownError if acts else UnavailableError
        return kind(code, "The answer was lost.", retry_after=1.0)

    # --- Connecting -------------------------------------------------------------------

    async def _run(self) -> None:
        self._set_state(State.CONNECTING)
        while True:
            try:
                await self._session()
            except InvalidStatus as error:
                status = error.response.status_code
                if status in {401, 403, 404}:
                    self._fail(error_of(f"HTTP_{status}", self.url, status=status))
                    return
                log.info("not let in", extra={"url": self.url, "status": status})
            except (AuthenticationError, PermissionDeniedError, InvalidRequestError) as error:
                self._refused += 1
                # What the platform said first is the reason, not that the token cannot be renewed.
                self._refusal = self._refusal or error
                if self._refused >= LOGINS_REFUSED_MAX or not _is_token(error):
                    self._fail(self._refusal)
                    return
            except (OSError, TimeoutError, WebSocketException, TradingError) as error:
                log.info("connection lost", extra={"url": self.url, "error": repr(error)})
            except Exception as error:
                # A frame that cannot be read, or a fault of ours: never a silent standstill.
                log.exception("connection failed")
                self._fail(StreamError("CLIENT_FAULT", repr(error)))
                return
            self._set_state(State.RECONNECTING)
            await asyncio.sleep(self._backoff.next_s())
            self.reconnects += 1

    async def _session(self) -> None:
        async with connect(
            self.url,
            compression=None,
            open_timeout=OPEN_S,
            close_timeout=1,
            max_size=FRAME_BYTES_MAX,
        ) as socket:
            self._socket = socket
            self._heard_at = asyncio.get_running_loop().time()
            reader = asyncio.create_task(self._read(socket))
            watcher = asyncio.create_task(self._watch(socket))
            try:
                await self._greet()
                self._backoff.reset()
                self._refused = 0
                self._refusal = None
                self._set_state(State.LIVE)
                self._ready.set()
                await reader
            finally:
                self._socket = None
                self._ready.clear()
                reader.cancel()
                watcher.cancel()
                await asyncio.gather(reader, watcher, return_exceptions=True)

    async def _greet(self) -> None:
        if self._login is not None:
            await self._authenticate(refused=self._refused > 0)
        for hook in self.on_connect:
            await hook()
        await self._subscribe_again()

    async def _subscribe_again(self) -> None:
        """Subscribe everything; a channel that the platform no longer has is given up."""
        while True:
            try:
                await self._subscribe(list(self.channels.values()))
            except NotFoundError as error:
                if self.channels.pop(error.channel or "", None) is None:
                    raise
                log.warning("channel is gone", extra={"channel": error.channel})
            else:
                return

    async def _authenticate(self, *, refused: bool) -> None:
        assert self._login is not None  # noqa: S101 - callers have looked
        fields = await self._login.auth_message(refused)
        answer = await self.request("auth", fields=fields)
        self.account_id = answer.account_id or ""

    async def _subscribe(self, channels: list[Channel]) -> None:
        for start in range(0, len(channels), CHANNELS_PER_MESSAGE):
            part = channels[start : start + CHANNELS_PER_MESSAGE]
            await self._send_subscription(part)

    async def _send_subscription(
        self, channels: list[Channel], *, resume: tuple[int, int] | None = None
    ) -> None:
        """Subscribe channels, from a sequence and its epoch or else with snapshots."""
        for channel in channels:
            if resume is None:
                channel.rule.forget()
            channel.rule.expect_answer()

        def answered() -> None:
            for channel in channels:
                channel.rule.answered()

        texts = [channel.text for channel in channels]
        place = {} if resume is None else {"from_seq": resume[0], "epoch": resume[1]}
        await self.request("subscribe", on_answer=answered, fields={"channels": texts} | place)

    def resubscribe(self, channel: Channel) -> None:
        """Begin a channel again after a gap, in the background."""
        self._spawn(self._subscribe([channel]))

    # --- Reading ----------------------------------------------------------------------

    async def _read(self, socket: ClientConnection) -> None:
        loop = asyncio.get_running_loop()
        try:
            async for text in socket:
                self._heard_at = loop.time()
                if self.state is State.STALE:
                    self._set_state(State.LIVE)
                self._take(decode_message(text))
            # The server closed in the ordinary way: come back, unless it said not to.
            raise UnavailableError("CONNECTION_CLOSED", self.url)
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd is not None else 0
            if code == CLOSE_BAD_MESSAGES:
                raise InvalidRequestError("INVALID_JSON", "The platform gave up.") from error
            raise
        finally:
            for waiting in self._waiting.values():
                if not waiting.future.done():
                    waiting.future.set_exception(ConnectionClosedError(None, None))

    def _take(self, message: Message) -> None:
        if message.channel is not None and message.type in FRAME_TYPES:
            channel = self.channels.get(message.channel)
            if channel is not None:
                self._take_frame(channel, message)
            return
        if message.type == "auth_expired":
            self._spawn(self._authenticate(refused=True))
        waiting = self._waiting.get(message.id) if isinstance(message.id, int) else None
        if waiting is None or waiting.future.done():
            self._unasked(message)
        elif message.type == "error":
            waiting.future.set_exception(told_error(message))
        else:
            if waiting.on_answer is not None:
                waiting.on_answer()
            waiting.future.set_result(message)

    def _take_frame(self, channel: Channel, frame: Message) -> None:
        verdict = channel.rule.judge(frame)
        if verdict is Verdict.IGNORE:
            return
        channel.take(frame, verdict)
        if verdict is Verdict.GAP:
            log.info("gap", extra={"channel": channel.text, "seq": frame.seq})
            self.resubscribe(channel)

    def _unasked(self, message: Message) -> None:
        if message.type == "notice":
            log.info("notice", extra={"url": self.url, "code": message.code})
        elif message.type == "error":
            error = told_error(message)
            log.warning("refused", extra={"url": self.url, "code": error.code})
            if isinstance(error, AuthenticationError):
                # The session ended while connected; the close that follows is not a lost line.
                self._refused += 1

    async def _watch(self, socket: ClientConnection) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            quiet_s = loop.time() - self._heard_at
            if not self.channels:
                continue
            if quiet_s >= DEAD_S:
                socket.transport.abort()
            elif quiet_s >= STALE_S and self.state is State.LIVE:
                self._set_state(State.STALE)

    # --- Small things -----------------------------------------------------------------

    def _spawn(self, work: Awaitable[object]) -> None:
        async def guarded() -> None:
            try:
                await work
            except TradingError as error:
                log.warning("not done", extra={"url": self.url, "code": error.code})
                if self._socket is not None:
                    # Without its subscription or login the connection is worth nothing.
                    self._socket.transport.abort()

        task = asyncio.create_task(guarded())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _set_state(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self._on_state(state)

    def _fail(self, error: TradingError) -> None:
        self.failure = error
        self._set_state(State.FAILED)
        self._ready.set()


def _is_token(error: TradingError) -> bool:
    return isinstance(error, AuthenticationError) and error.code not in _NO_USE_AGAIN
