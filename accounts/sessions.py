"""
Is a session alive? Asked on every request, so answered from three places in turn.

A process remembers the answer for a second, Redis for ten, the database knows it. A
revocation overwrites what Redis holds, and readers only fill a key that is absent, so a
slow reader cannot bring a revoked session back.
"""

import time
from collections.abc import Iterable
from typing import Any

import msgspec
import structlog
from django.utils import timezone
from redis.exceptions import RedisError

from accounts.models import Session
from common import redis as common_redis
from exchange import redis_rest

log = structlog.get_logger(__name__)

PROCESS_CACHE_S = 1.0
REDIS_CACHE_S = 10
# Longer than any reader can take between its look at the database and its write to Redis.
REVOKED_MARK_S = 60
CACHED_MAX = 50_000
_REVOKED = b"-"


class SessionState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a request needs of its session and user; ``expires_at_ms`` is the session's end."""

    session_id: int
    user_id: int
    account_id: int
    username: str
    role: str
    tier: str
    expires_at_ms: int
    second_factor: bool = False


_decode = msgspec.msgpack.Decoder(SessionState).decode
_encode = msgspec.msgpack.Encoder().encode


class _SessionCache:
    """The process's memory; a plain dict, since each step on it is atomic."""

    def __init__(self) -> None:
        self.states: dict[int, tuple[float, SessionState | None]] = {}


_cache = _SessionCache()


def _key(session_id: int) -> str:
    return common_redis.key("session", session_id)


def revocation_channel() -> str:
    """Return the pub/sub channel on which ids of ended sessions and API keys are told."""
    return common_redis.key("sessions", "revoked")


def session_state(session_id: int) -> SessionState | None:
    """Return the state of a living session of an active user, None for any other."""
    now = time.monotonic()
    found = _cache.states.get(session_id)
    if found is not None and found[0] > now:
        return found[1]
    state = _from_redis_or_database(session_id)
    if len(_cache.states) >= CACHED_MAX:
        _cache.states.clear()
    # Timed from before the look: the answer is never older than the second we promise.
    _cache.states[session_id] = (now + PROCESS_CACHE_S, state)
    return state


def _from_redis_or_database(session_id: int) -> SessionState | None:
    if redis_rest.is_resting():
        return _from_database(session_id)
    try:
        client = common_redis.client()
        stored: Any = client.get(_key(session_id))
        if stored == _REVOKED:
            return None
        if stored is not None:
            return _decode(stored)
        state = _from_database(session_id)
        if state is not None:
            client.set(_key(session_id), _encode(state), nx=True, ex=REDIS_CACHE_S)
    except (RedisError, msgspec.DecodeError) as error:
        redis_rest.note_failure(error)
        log.warning("session_cache_unavailable", error=type(error).__name__)
        return _from_database(session_id)
    return state


def _from_database(session_id: int) -> SessionState | None:
    session = (
        Session.objects.filter(
            id=session_id,
            revoked_at__isnull=True,
            expires_at__gt=timezone.now(),
            user__is_active=True,
        )
        .select_related("user__two_factor")
        .first()
    )
    if session is None:
        return None
    user = session.user
    return SessionState(
        session_id=session_id,
        user_id=user.pk,
        account_id=user.account_id,
        username=user.username,
        role=user.role,
        tier=user.limit_tier,
        expires_at_ms=int(session.expires_at.timestamp() * 1000),
        second_factor=user.has_second_factor,
    )


def announce_revoked(session_ids: Iterable[int]) -> None:
    """
    Tell every process that sessions have ended.

    The mark in Redis counts at once, also while the transaction that ends them (the
    back-office runs in one) is not committed yet.

    Without Redis the other processes learn it from the database within a second.
    """
    ids = list(session_ids)
    for session_id in ids:
        _cache.states.pop(session_id, None)
    if not ids:
        return
    try:
        pipeline = common_redis.client().pipeline(transaction=False)
        for session_id in ids:
            pipeline.set(_key(session_id), _REVOKED, ex=REVOKED_MARK_S)
            pipeline.publish(revocation_channel(), str(session_id))
        pipeline.execute()
    except RedisError as error:
        log.warning("session_revocation_not_announced", error=type(error).__name__)


def announce_keys_ended(key_ids: Iterable[int]) -> None:
    """Tell every process that API keys have ended; open sockets close."""
    ids = list(key_ids)
    if not ids:
        return
    try:
        pipeline = common_redis.client().pipeline(transaction=False)
        for key_id in ids:
            pipeline.publish(revocation_channel(), str(key_id))
        pipeline.execute()
    except RedisError as error:
        log.warning("key_revocation_not_announced", error=type(error).__name__)


def forget_states(session_ids: Iterable[int]) -> None:
    """Let sessions be read afresh after a change that does not end them."""
    ids = list(session_ids)
    for session_id in ids:
        _cache.states.pop(session_id, None)
    if not ids:
        return
    try:
        common_redis.client().delete(*(_key(session_id) for session_id in ids))
    except RedisError as error:
        log.warning("session_cache_unavailable", error=type(error).__name__)


def reset() -> None:
    """Forget everything; for tests."""
    _cache.states.clear()
