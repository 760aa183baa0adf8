"""
Redis clients, built in one place.

redis-py retries a command up to ten times by default and would so send one XADD eleven
times: every client here sends a command once. A caller that may retry does it knowingly.
"""

import redis
import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from common.once import Once
from exchange import redis_rest

# Longer than any command here takes; a stuck server is noticed, not waited for.
SOCKET_TIMEOUT_S = 1.0
CONNECT_TIMEOUT_S = 0.5
# A reader blocks in Redis for up to this long; its socket must wait longer.
BLOCK_MARGIN_S = 5.0
CONNECTIONS_MAX = 128


def key(*parts: object) -> str:
    """Return a key under the prefix of this installation."""
    return settings.REDIS_PREFIX + ":".join(str(part) for part in parts)


def _connection_pool(socket_timeout_s: float) -> redis.ConnectionPool:
    return redis.ConnectionPool.from_url(
        settings.REDIS_URL,
        socket_timeout=socket_timeout_s,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        max_connections=CONNECTIONS_MAX,
    )


_pool = Once(lambda: _connection_pool(SOCKET_TIMEOUT_S))
_client = Once(lambda: redis.Redis(connection_pool=_pool()))


def shared_pool() -> redis.ConnectionPool:
    """Return this process's connection pool for short commands; safe after fork."""
    return _pool()


def client() -> redis.Redis:
    """Return this process's client for short commands, answers as bytes."""
    return _client()


def blocking_client(block_s: float) -> redis.Redis:
    """Return a client of its own for commands that block up to ``block_s`` seconds."""
    return redis.Redis(connection_pool=_connection_pool(block_s + BLOCK_MARGIN_S))


def async_client(*, socket_timeout_s: float | None = SOCKET_TIMEOUT_S) -> redis.asyncio.Redis:
    """
    Return a new client for the running event loop; the caller closes it.

    None as time-out is for subscriptions, which wait for ever.
    """
    return redis.asyncio.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=socket_timeout_s,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=AsyncRetry(NoBackoff(), 0),
        max_connections=CONNECTIONS_MAX,
    )


def reset_clients() -> None:
    """Forget the shared client and its failures; for tests that change ``REDIS_URL``."""
    redis_rest.forget_failures()
    _client.clear()
    _pool.clear()
