"""
Cancel on disconnect: a connection's end cancels the account's open orders.

The wish is written to Redis before it is confirmed, under the token of this process, which
says every second that it lives. So the wish outlives the process: whoever finds it under a
token that is silent carries it out. It is deleted only after the exchange has answered;
cancelling twice is harmless, not at all would not be.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import redis as redis_module

from common import redis as redis_clients
from common.ws.hub import Hub
from exchange import gateway
from exchange.core.commands import CancelAllOrders
from exchange.core.rejects import Code
from exchange.errors import ExchangeError

log = logging.getLogger(__name__)

# How often a process says that it lives, and retries what could not be cancelled.
ALIVE_EVERY_S = 1.0
# A process that was silent for this long is taken for dead; its event loop never stands
# still for nearly as long.
SILENT_MS = 10_000
# Dead processes are looked for this often.
SEARCH_EVERY_S = 2.0

_watches: WeakKeyDictionary[Hub, DisconnectWatch] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Wish:
    """Whose orders to cancel: an account's, in one market or (0) in all."""

    account_id: int
    market_id: int = 0

    def encode(self) -> str:
        """Return the text that Redis keeps."""
        return f"{self.account_id}:{self.market_id}"


def decode_wish(text: bytes) -> Wish:
    """Return the wish that a text means."""
    account_id, _, market_id = text.decode().partition(":")
    return Wish(int(account_id), int(market_id))


def wishes_key() -> str:
    """Return the key of the hash of all wishes, by "process:connection"."""
    return redis_clients.key("live", "disconnect")


def alive_key(process: str) -> str:
    """Return the key that exists while a process lives."""
    return redis_clients.key("live", "process", process)


class DisconnectWatch:
    """The wishes of one process's connections, and those of processes that died."""

    def __init__(self, hub: Hub, *, redis: Any = None) -> None:
        """Begin to say that this process lives, and to look for those that do not."""
        self._redis = redis or redis_clients.async_client()
        self._process = secrets.token_hex(8)
        self._count = 0
        self._searched_at = float("-inf")
        self._hub = hub
        # What must be cancelled, by field: tried until the exchange has answered.
        self._due: dict[str, Wish] = {}
        # What has been cancelled and is still written down.
        self._done: set[str] = set()
        self._running = asyncio.Lock()
        hub.spawn(self._run())

    def make_field(self) -> str:
        """Return a name for a connection's wish."""
        self._count += 1
        return f"{self._process}:{self._count}"

    async def keep(self, field: str, wish: Wish) -> None:
        """
        Write a wish down; when this returns, it outlives the process.

        Raises:
            redis.RedisError: if it could not be written.
        """
        await self._say_alive()
        await self._redis.hset(wishes_key(), field, wish.encode())

    async def drop(self, field: str) -> None:
        """
        Forget a wish.

        Raises:
            redis.RedisError: if that could not be written.
        """
        await self._redis.hdel(wishes_key(), field)

    def fulfil(self, field: str, wish: Wish) -> None:
        """Be told that the connection has ended."""
        self._due[field] = wish
        self._hub.spawn(self.settle())

    async def settle(self) -> None:
        """Try to carry out what is due; what cannot be stays due."""
        async with self._running:
            for field, wish in tuple(self._due.items()):
                if await self._cancel(wish):
                    del self._due[field]
                    self._done.add(field)
            for field in tuple(self._done):
                try:
                    await self.drop(field)
                    self._done.discard(field)
                except (redis_module.RedisError, OSError):
                    log.warning("disconnect_wish_not_dropped", extra={"field": field})

    async def stop(self) -> None:
        """Carry out what is due before the process exits, and leave the rest to others."""
        await self.settle()
        try:
            await self._redis.delete(alive_key(self._process))
        except (redis_module.RedisError, OSError):
            log.warning("disconnect_watch_not_stopped")

    async def _cancel(self, wish: Wish) -> bool:
        command = CancelAllOrders(account_id=wish.account_id, market_id=wish.market_id)
        extra: dict[str, Any] = {"account_id": wish.account_id, "market_id": wish.market_id}
        try:
            outcome = await gateway.submit_async(command)
        except ExchangeError as error:
            log.warning("disconnect_cancel_failed", extra={**extra, "code": error.code})
            return False
        if outcome.code not in (Code.OK, Code.ACCOUNT_NOT_FOUND):
            log.warning("disconnect_cancel_refused", extra={**extra, "code": outcome.code.name})
            return outcome.code != Code.EXPIRED_IN_QUEUE
        log.info("disconnect_cancelled", extra=extra)
        return True

    async def _run(self) -> None:
        while True:
            try:
                await self._say_alive()
                if self._hub.time() - self._searched_at >= SEARCH_EVERY_S:
                    self._searched_at = self._hub.time()
                    await self._search()
            except (redis_module.RedisError, OSError) as error:
                log.warning("disconnect_watch_waits", extra={"error": str(error)})
            except Exception:
                # Whatever it is, those who rely on this must not lose it for good.
                log.exception("disconnect_watch_failed")
            if self._due or self._done:
                await self.settle()
            await asyncio.sleep(ALIVE_EVERY_S)

    async def _say_alive(self) -> None:
        await self._redis.set(alive_key(self._process), 1, px=SILENT_MS)

    async def _search(self) -> None:
        """Find the wishes of processes that are silent."""
        found: Any = await self._redis.hgetall(wishes_key())
        processes = {field.decode().partition(":")[0] for field in found} - {self._process}
        dead = {name for name in processes if not await self._redis.exists(alive_key(name))}
        for field, wish in found.items():
            if field.decode().partition(":")[0] in dead:
                self._due.setdefault(field.decode(), decode_wish(wish))


def disconnect_watch(hub: Hub) -> DisconnectWatch:
    """Return the watch that goes with a hub."""
    watch = _watches.get(hub)
    if watch is None:
        watch = _watches[hub] = DisconnectWatch(hub)
    return watch
