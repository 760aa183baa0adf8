"""The live pipeline inside a test: published batches, projector thread, server, client."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from typing import Any

import msgspec
import redis as redis_module
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from common import redis as common_redis
from common.http_protocol import BoundedHttpProtocol
from common.ws import topics
from common.ws.hub import get_hub
from common.ws.projecting import ProjectorHost
from common.ws.protocol import StreamProtocol
from exchange import keys
from exchange.events_stream import BatchEvents, BookImage, EventReader, encode_batch_events
from tests.support import contract
from tests.support.exchange import ExchangeHarness

DEPTH = 10_000


class EventPublisher:
    """Does what the runner does after a commit: publishes batches, and books when asked."""

    def __init__(self, exchange: ExchangeHarness, redis: redis_module.Redis) -> None:
        self._exchange = exchange
        self._redis = redis
        self._sent = 0
        self._lock = threading.Lock()

    def publish(self) -> None:
        """Publish every batch that was committed since the last call."""
        with self._lock:
            published = self._exchange.published
            while self._sent < len(published):
                self._add(published[self._sent])
                self._sent += 1
            if self._redis.delete(keys.books_wanted()):
                self.publish_books()

    def publish_books(self, *, reset: bool = False, epoch: int | None = None) -> None:
        """Publish images of all books alone, under the number of the last batch."""
        engine = self._exchange.exchange
        command = engine.sequences.command
        images = [
            BookImage(market.market_id, *engine.book_levels(market.market_id, DEPTH), command)
            for market in engine.image().markets
        ]
        last = self._exchange.published[-1]
        self._add(
            msgspec.structs.replace(
                last, epoch=epoch or last.epoch, events=[], book_images=images, reset=reset
            )
        )

    def _add(self, batch: BatchEvents) -> None:
        self._redis.xadd(keys.events(), {"d": encode_batch_events(batch)})


class LivePipeline:
    """An exchange, the stream of its batches, and a projector in a thread of its own."""

    def __init__(self, exchange: ExchangeHarness, redis: redis_module.Redis) -> None:
        self.exchange = exchange
        self.redis = redis
        self.publisher = EventPublisher(exchange, redis)
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to publish and to project."""
        self._stopped.clear()
        self.publisher.publish()
        self._threads = [
            threading.Thread(target=self._publish, daemon=True),
            threading.Thread(target=self._project, daemon=True),
        ]
        began = int(self.redis.get(topics.epoch_key()) or 0)
        for thread in self._threads:
            thread.start()
        ends = time.monotonic() + 10
        while time.monotonic() < ends and not self._has_begun(began):
            time.sleep(0.005)

    def stop(self) -> None:
        """End both threads."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(10)

    def _has_begun(self, after_epoch: int) -> bool:
        epoch = int(self.redis.get(topics.epoch_key()) or 0)
        book = self.redis.get(topics.book_key(1))
        return epoch > after_epoch and book is not None and f'"epoch":{epoch},'.encode() in book

    def _publish(self) -> None:
        while not self._stopped.wait(0.005):
            self.publisher.publish()

    def _project(self) -> None:
        from django.conf import settings
        from django.db import connections
        from django.utils.module_loading import import_string

        client = common_redis.blocking_client(1.0)
        host = ProjectorHost(
            redis=client,
            reader=EventReader(client),
            projectors=[import_string(path)(client) for path in settings.EVENT_PROJECTORS],
        )
        host.run(self._stopped.is_set)
        connections.close_all()
        client.close()


class LiveServer:
    """uvicorn with the real application, in the test's own event loop."""

    async def start(self) -> None:
        """Listen on a free loopback port."""
        from tradingplatform.asgi import application

        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        config = uvicorn.Config(
            application,
            http=BoundedHttpProtocol,
            ws=StreamProtocol,
            lifespan="on",
            log_config=None,
            access_log=False,
            ws_max_size=65_536,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """End server and hub."""
        self._server.should_exit = True
        await self._task
        await get_hub().stop()

    async def connect(self, path: str, **options: Any) -> LiveClient:
        """Open a WebSocket to a path."""
        options.setdefault("compression", None)
        connection = await connect(f"ws://127.0.0.1:{self.port}{path}", **options)
        return LiveClient(connection, path)


class LiveClient:
    """
    A WebSocket client that speaks JSON and waits for what a test expects.

    What it receives must be what the AsyncAPI document describes.
    """

    def __init__(self, connection: ClientConnection, path: str) -> None:
        self.connection = connection
        self.path = path
        self.is_held_to_contract = True

    async def send(self, **message: Any) -> None:
        """Send a message."""
        await self.connection.send(json.dumps(message))

    async def receive(self, timeout_s: float = 30.0) -> dict[str, Any]:
        """Return the next message."""
        async with asyncio.timeout(timeout_s):
            message: dict[str, Any] = json.loads(await self.connection.recv())
        if self.is_held_to_contract:
            contract.check(self.path, message)
        return message

    async def until(self, timeout_s: float = 30.0, **expected: Any) -> dict[str, Any]:
        """Return the next message whose fields are as expected; others are skipped."""
        ends = time.monotonic() + timeout_s
        while True:
            message = await self.receive(ends - time.monotonic())
            if all(message.get(name) == value for name, value in expected.items()):
                return message

    async def snapshots(self, *channels: str) -> dict[str, dict[str, Any]]:
        """Return the first snapshot of each channel; they come in any order."""
        found: dict[str, dict[str, Any]] = {}
        while set(found) != set(channels):
            frame = await self.until(type="snapshot")
            found.setdefault(frame["channel"], frame)
        return found

    async def closed(self, timeout_s: float = 30.0) -> int:
        """Return the code with which the server closes."""
        async with asyncio.timeout(timeout_s):
            await self.connection.wait_closed()
        return self.connection.close_code or 0

    async def close(self) -> None:
        """Close."""
        await self.connection.close()
