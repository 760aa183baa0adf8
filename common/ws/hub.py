"""
The middle of a web process: frames in, clients out.

There is one hub per event loop. It hears all frames over one Redis subscription, hands them
to the clients of this process, and looks after those clients.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any, ParamSpec, Protocol, TypeVar
from weakref import WeakKeyDictionary

import redis as redis_module
from django.db import close_old_connections

from common import redis as redis_clients
from common.ws import topics
from common.ws.clock import now_ms
from common.ws.frames import Packet, decode_packet
from common.ws.messages import CLOSE_RESTART, answer
from common.ws.outbox import Outbox
from common.ws.private_feed import PrivateFeed
from common.ws.public_feed import PublicFeed

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

DATABASE_THREADS = 4
RECONNECT_S = 0.25
SWEEP_S = 0.5
KEEP_WATCHED_S = 60.0
STOP_AGAIN_S = 0.5
# The projector sends something each second; without it nothing is known to be up to date.
SILENCE_S = 3.0


class Connection(Protocol):
    """What the hub knows of a client's connection."""

    outbox: Outbox

    def abort(self) -> None:
        """End it at once, whatever waits."""
        ...

    def sweep(self) -> None:
        """Look whether it may stay; called about twice a second."""
        ...


class Hub:
    """Frames in, clients out."""

    def __init__(self) -> None:
        """Prepare; ``start`` connects."""
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._redis = redis_clients.async_client()
        self._executor = ThreadPoolExecutor(DATABASE_THREADS, thread_name_prefix="ws-database")
        self.connections: set[Connection] = set()
        # How many of them come from each address.
        self.addresses: Counter[str] = Counter()
        self.is_connected = False
        self.is_stopping = False
        self._handlers: dict[str, Callable[[bytes], None]] = {}
        self._subscription: Any = None
        self._signals: dict[int, tuple[Any, Any]] = {}
        self._number: int | None = None
        self._heard_at = 0.0
        self.public = PublicFeed(
            redis=self._redis, spawn=self.spawn, is_connected=lambda: self.is_connected
        )
        self.private = PrivateFeed(redis=self._redis, spawn=self.spawn)

    def start(self) -> None:
        """Begin to hear frames and to look after connections."""
        self.spawn(self._listen())
        self.spawn(self._sweep())
        self._announce_shutdown()

    def time(self) -> float:
        """Return the loop's clock in seconds."""
        return self._loop.time()

    def hear(self, channel: str, handle: Callable[[bytes], None]) -> None:
        """Call something with every message of another pub/sub channel, from now on."""
        self._handlers[channel] = handle
        if self._subscription is not None:
            self.spawn(self._subscription.subscribe(channel))

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something in the background and keep hold of it until it ends."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def database(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call something that uses the database, in a thread kept for that."""

        def run() -> R:
            close_old_connections()
            try:
                return call(*args, **kwargs)
            finally:
                close_old_connections()

        return await self._loop.run_in_executor(self._executor, run)

    async def stop(self) -> None:
        """End everything; for tests and for a loop that ends."""
        for number, (handle, previous) in self._signals.items():
            if signal.getsignal(number) is handle:
                signal.signal(number, previous)
        # A library may swallow a cancellation that meets a result, so it is repeated.
        while self._tasks:
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.wait(self._tasks, timeout=STOP_AGAIN_S)
        await self._redis.aclose()
        self._executor.shutdown(wait=False)

    def shut_down(self) -> None:
        """Tell every client to come back in a moment, and close."""
        self.is_stopping = True
        notice = answer(
            "notice", None, code="SERVER_RESTART", message="The server restarts: reconnect."
        )
        for connection in tuple(self.connections):
            connection.outbox.put(notice)
            connection.outbox.close(CLOSE_RESTART, "SERVER_RESTART")

    def take(self, packet: Packet) -> None:
        """Route one packet; one that does not follow the last begins everything anew."""
        epoch = max(self.public.epoch, self.private.epoch)
        if packet.epoch < epoch:
            return
        self._heard_at = now = self._loop.time()
        missed = self._number is not None and packet.number != self._number + 1
        if packet.epoch > epoch or missed:
            log.info("live_reset", extra={"epoch": packet.epoch, "missed": missed})
            self.public.reset(packet.epoch, packet.time_ms)
            self.private.reset(packet.epoch)
        self._number = packet.number
        self.public.route(packet.public, now)
        self.private.route(packet.private, packet.positions, now)

    async def _listen(self) -> None:
        while True:
            client = redis_clients.async_client(socket_timeout_s=None)
            try:
                async with client.pubsub() as subscription:
                    asked = set(self._handlers)
                    await subscription.subscribe(topics.frames_channel(), *asked)
                    self._subscription = subscription
                    # Of what was asked for meanwhile, ``hear`` could tell nobody.
                    if late := self._handlers.keys() - asked:
                        await subscription.subscribe(*late)
                    await self._hear(subscription)
            except (redis_module.RedisError, OSError) as error:
                log.warning("live_redis_lost", extra={"error": str(error)})
            finally:
                self.is_connected = False
                self._subscription = None
                await client.aclose()
            await asyncio.sleep(RECONNECT_S)

    async def _hear(self, subscription: Any) -> None:
        frames = topics.frames_channel()
        async for message in subscription.listen():
            channel = message["channel"].decode()
            if message["type"] == "message":
                if channel == frames:
                    self.take(decode_packet(message["data"]))
                elif channel in self._handlers:
                    self._handlers[channel](message["data"])
            elif message["type"] == "subscribe" and channel == frames:
                # From here on every packet arrives, so a snapshot fetched now has a sequel.
                if self._number is None:
                    stored = int(await self._redis.get(topics.epoch_key()) or 0)
                    self.public.epoch = self.private.epoch = stored
                self.is_connected = True

    async def _sweep(self) -> None:
        kept_at = heartbeat_at = self._loop.time()
        while True:
            await asyncio.sleep(SWEEP_S)
            now = self._loop.time()
            try:
                self._sweep_connections(now)
                if now - heartbeat_at >= 1.0:
                    heartbeat_at = now
                    self._heartbeat(now)
                if now - kept_at >= KEEP_WATCHED_S:
                    kept_at = now
                    await self.private.keep_watched()
            except (redis_module.RedisError, OSError) as error:
                log.warning("live_redis_lost", extra={"error": str(error)})

    def _sweep_connections(self, now: float) -> None:
        for connection in tuple(self.connections):
            if connection.outbox.is_stuck(now):
                connection.abort()
            else:
                connection.sweep()

    def _heartbeat(self, now: float) -> None:
        if not self.is_connected or now - self._heard_at > SILENCE_S:
            # Saying that nothing is new would be a guess.
            return
        self.public.heartbeat(now, now_ms())
        self.private.heartbeat(now)

    def _announce_shutdown(self) -> None:
        """Have clients told before the server closes their sockets on SIGTERM or SIGINT."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            previous = signal.getsignal(number)
            if not callable(previous):
                continue

            def handle(
                number: int,
                frame: FrameType | None,
                previous: Callable[[int, FrameType | None], Any] = previous,
            ) -> None:
                if not self._loop.is_closed():
                    self._loop.call_soon_threadsafe(self.shut_down)
                previous(number, frame)

            signal.signal(number, handle)
            self._signals[number] = (handle, previous)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def get_hub() -> Hub:
    """Return the hub of the running event loop, started."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = Hub()
        hub.start()
    return hub
