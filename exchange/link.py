"""
One connection to Redis, used by one thread, that never repeats a command by itself.

The client library retries up to ten times by default; a server that had executed a command
and lost the reply then received one XADD eleven times. Here a lost reply is an error, and
the next command opens a new connection. Working on the connection instead of the client
also costs a third per call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

__all__ = [
    "CONNECT_TIMEOUT_S",
    "QUESTION_TIMEOUT_S",
    "REPLY_TIMEOUT_S",
    "Link",
    "RedisError",
    "ResponseError",
]

# A leader that is looking for Redis must find it before its standby misses him.
CONNECT_TIMEOUT_S = 1.0
# Longer than any XREAD of ours blocks.
REPLY_TIMEOUT_S = 2.0
# How long a request may wait to learn who leads, of the two seconds it has for everything.
QUESTION_TIMEOUT_S = 1.0

Reply = Any
Arguments = Sequence[str | bytes | int]


def connection_options() -> dict[str, Any]:
    """Return what every connection of the exchange is opened with."""
    return {
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
    }


class Link:
    """A connection that opens itself when it is needed; replies are bytes and lists."""

    def __init__(
        self,
        *,
        reply_timeout_s: float | None = REPLY_TIMEOUT_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        """Prepare a connection to ``settings.REDIS_URL``; nothing is opened yet."""
        options = connection_options() | {"socket_connect_timeout": connect_timeout_s}
        pool: Any = ConnectionPool.from_url(
            settings.REDIS_URL, socket_timeout=reply_timeout_s, **options
        )
        self._connection: Any = pool.make_connection()

    def open(self) -> None:
        """
        Make sure that there is a connection, so that what fails later was perhaps sent.

        Raises:
            RedisError: if there is none; nothing was sent.
        """
        self._connection.connect()

    def call(self, *command: str | bytes | int) -> Reply:
        """
        Send one command and return its reply.

        Raises:
            RedisError: if the server refuses it or, by a lost connection, nobody knows.
        """
        try:
            self._connection.send_command(*command, check_health=False)
            return self._connection.read_response()
        except (RedisError, OSError) as error:
            self._fail(error)
            raise

    def call_all(self, commands: Sequence[Arguments]) -> list[Reply]:
        """
        Send commands in one go and return their replies.

        Raises:
            RedisError: if any is refused; the connection is closed then.
        """
        connection = self._connection
        try:
            connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            return [connection.read_response() for _ in commands]
        except (RedisError, OSError) as error:
            self._fail(error, force=True)
            raise

    def subscribe(self, channel: str) -> None:
        """Subscribe to one channel; afterwards only ``next_message`` may be called."""
        self.call("SUBSCRIBE", channel)

    def next_message(self) -> bytes:
        """Wait for the next message of the subscription."""
        try:
            while True:
                kind, _, data = self._connection.read_response()
                if kind == b"message":
                    return bytes(data)
        except (RedisError, OSError) as error:
            self._fail(error)
            raise

    def close(self) -> None:
        """Close the connection; the next command opens another one."""
        self._connection.disconnect()

    def _fail(self, error: Exception, *, force: bool = False) -> None:
        # A refused command leaves the connection in step; anything else does not.
        if force or not isinstance(error, ResponseError):
            self._connection.disconnect()
