"""One holder at a time of a role whose mistakes cost nothing but a reset: a key that expires."""

from __future__ import annotations

import os
import secrets
import socket

import redis as redis_module

# A killed holder on another host keeps the role for this long at most.
EXPIRES_MS = 3_000


class Leadership:
    """
    A Redis key that names who holds a role: ``host:pid:token``.

    Not a fence: what is published under it carries an epoch, and receivers drop lower ones.
    """

    def __init__(self, redis: redis_module.Redis, key: str) -> None:
        """Make a claim of its own; nothing is sent yet."""
        self._redis = redis
        self._key = key
        self._value = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(8)}"

    def acquire(self) -> bool:
        """
        Take the role if it is free, ours, or held by a dead process of this host.

        The last rule lets a restarted process go on at once instead of waiting for expiry.
        """
        if self._redis.set(self._key, self._value, nx=True, px=EXPIRES_MS):
            return True
        holder = _text(self._redis.get(self._key))
        if holder == self._value or (holder is not None and _is_dead(holder)):
            self._redis.set(self._key, self._value, px=EXPIRES_MS)
            return True
        return False

    def renew(self) -> bool | None:
        """Extend the role; False: somebody else holds it, None: nobody does."""
        holder = _text(self._redis.get(self._key))
        if holder is None:
            return None
        if holder != self._value:
            return False
        self._redis.pexpire(self._key, EXPIRES_MS)
        return True

    def release(self) -> None:
        """Give the role up, so that a successor need not wait."""
        if _text(self._redis.get(self._key)) == self._value:
            self._redis.delete(self._key)


def _text(value: object) -> str | None:
    return value.decode() if isinstance(value, bytes) else value if isinstance(value, str) else None


def _is_dead(holder: str) -> bool:
    host, _, rest = holder.partition(":")
    pid = rest.partition(":")[0]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
