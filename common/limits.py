"""
Rate limits, counted atomically in Redis by the scripts of the ``limits`` library.

A window begins with its first hit. Large limits are drawn from Redis in portions and spent
in the process, so that a fast client does not cost a round trip per request; limits below
``PORTION_FROM`` are exact over all processes.
"""

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from django.conf import settings
from django.http import HttpRequest
from limits.storage import MemoryStorage, RedisStorage
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from common import redis as common_redis
from common.errors import ApiError
from common.network import client_ip, limit_key
from common.once import Once
from common.tiers import Tier, limits_of

if TYPE_CHECKING:
    from rest_framework.views import APIView

log = structlog.get_logger(__name__)

# From this limit on a process draws a fiftieth at a time.
PORTION_FROM = 500
_PORTIONS = 50
_LEASES_MAX = 50_000


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit and what is left of it; shown in the headers of the answer."""

    limit: int
    remaining: int


class Caller(Protocol):
    """What a limit needs to know of an authenticated user."""

    @property
    def account_id(self) -> int:
        """Return the account that is counted."""
        ...

    @property
    def tier(self) -> Tier:
        """Return the account's limit tier."""
        ...


UNLIMITED = Rate(limit=0, remaining=0)


def _make_storage() -> Any:
    if settings.LIMITS_STORAGE == "memory":
        return MemoryStorage()
    return RedisStorage(
        "redis://",
        connection_pool=common_redis.shared_pool(),
        key_prefix=common_redis.key("limit"),
    )


_storage = Once(_make_storage)


class _Leases:
    """Portions of large limits that this process has drawn and not spent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[str, tuple[int, float, int]] = {}

    def spend(self, key: str, cost: int) -> int | None:
        """Return the tokens known to remain if the lease covers the cost."""
        with self._lock:
            lease = self._left.get(key)
            if lease is None:
                return None
            tokens, ends, remaining = lease
            if tokens < cost or ends < time.monotonic():
                return None
            self._left[key] = (tokens - cost, ends, remaining)
            return remaining + tokens - cost

    def add(self, key: str, tokens: int, *, window_s: int, remaining: int) -> None:
        """Keep drawn tokens until their window must have ended."""
        now = time.monotonic()
        with self._lock:
            if len(self._left) >= _LEASES_MAX:
                self._left.clear()
            left, ends, _ = self._left.get(key, (0, now + window_s, 0))
            if ends < now:
                left, ends = 0, now + window_s
            self._left[key] = (left + tokens, ends, remaining)

    def clear(self) -> None:
        with self._lock:
            self._left.clear()


_leases = _Leases()


def reset() -> None:
    """Forget storage and portions; for tests."""
    _leases.clear()
    _storage.clear()


def is_resting() -> bool:
    """Return whether nothing can be counted because Redis has just failed."""
    return settings.LIMITS_STORAGE == "redis" and common_redis.is_resting()


def count(bucket: str, who: str, *, window_s: int, amount: int = 1) -> int:
    """
    Add to a counter and return it; ``amount`` may be negative to give back.

    Raises:
        redis.exceptions.RedisError: if Redis cannot be asked.
    """
    return int(_storage().incr(f"{bucket}/{who}", window_s, amount))


def counted(bucket: str, who: str) -> int:
    """
    Return a counter without changing it.

    Raises:
        redis.exceptions.RedisError: if Redis cannot be asked.
    """
    return int(_storage().get(f"{bucket}/{who}"))


def forget(bucket: str, who: str) -> None:
    """
    Delete a counter.

    Raises:
        redis.exceptions.RedisError: if Redis cannot be asked.
    """
    _storage().clear(f"{bucket}/{who}")


def seconds_left(bucket: str, who: str, *, window_s: int) -> int:
    """Return how long a counter still counts, at least one second."""
    try:
        ends = float(_storage().get_expiry(f"{bucket}/{who}"))
    except RedisError:
        return window_s
    return max(1, min(window_s, round(ends - time.time() + 0.5)))


def _draw(key: str, *, limit: int, window_s: int, cost: int) -> int | None:
    """Return what remains after taking ``cost``, None (and nothing taken) if it is too much."""
    storage = _storage()
    total = int(storage.incr(key, window_s, cost))
    if total <= limit:
        return limit - total
    if cost > 1:
        # A refused batch costs nothing; a refused single stays counted, which changes nothing.
        storage.incr(key, window_s, -cost)
    return None


def take(
    bucket: str, who: str, *, limit: int, window_s: int, cost: int = 1, code: str = "RATE_LIMITED"
) -> Rate:
    """
    Take ``cost`` from a limit. While Redis is away everything is allowed.

    Raises:
        ApiError: 429 with ``code`` and Retry-After; nothing was taken.
    """
    if limit == 0 or cost == 0:
        return UNLIMITED
    key = f"{bucket}/{who}"
    leased = _leases.spend(key, cost)
    if leased is not None:
        return Rate(limit, leased)
    if is_resting():
        return Rate(limit, limit)
    try:
        if limit >= PORTION_FROM:
            portion = max(cost, limit // _PORTIONS)
            remaining = _draw(key, limit=limit, window_s=window_s, cost=portion)
            if remaining is not None:
                spare = portion - cost
                _leases.add(key, spare, window_s=window_s, remaining=remaining)
                return Rate(limit, remaining + spare)
        remaining = _draw(key, limit=limit, window_s=window_s, cost=cost)
    except RedisError as error:
        common_redis.note_failure()
        log.warning("rate_limit_unavailable", bucket=bucket, error=type(error).__name__)
        return Rate(limit, limit)
    if remaining is None:
        raise ApiError(
            code,
            f"More than {limit} per {window_s} s.",
            429,
            retry_after_s=seconds_left(bucket, who, window_s=window_s),
        )
    return Rate(limit, remaining)


def take_orders(caller: Caller, number: int = 1) -> Rate:
    """
    Take from the order rate of an account; a batch of n counts n.

    Raises:
        ApiError: 429 ``ORDER_RATE``.
    """
    limit = limits_of(caller.tier).orders_per_s
    who = str(caller.account_id)
    return take("orders", who, limit=limit, window_s=1, cost=number, code="ORDER_RATE")


def take_cancels(caller: Caller, number: int = 1) -> Rate:
    """
    Take from the cancel rate, which no order limit touches.

    Raises:
        ApiError: 429 ``RATE_LIMITED``.
    """
    limit = limits_of(caller.tier).cancels_per_s
    return take("cancels", str(caller.account_id), limit=limit, window_s=1, cost=number)


async def take_orders_async(caller: Caller, number: int = 1) -> Rate:
    """Do what :func:`take_orders` does without blocking the event loop."""
    limit = limits_of(caller.tier).orders_per_s
    return await _take_async(take_orders, "orders", caller, number, limit)


async def take_cancels_async(caller: Caller, number: int = 1) -> Rate:
    """Do what :func:`take_cancels` does without blocking the event loop."""
    limit = limits_of(caller.tier).cancels_per_s
    return await _take_async(take_cancels, "cancels", caller, number, limit)


async def _take_async(function: Any, bucket: str, caller: Caller, number: int, limit: int) -> Rate:
    if limit == 0:
        return UNLIMITED
    leased = _leases.spend(f"{bucket}/{caller.account_id}", number)
    if leased is not None:
        return Rate(limit, leased)
    rate: Rate = await asyncio.to_thread(function, caller, number)
    return rate


def take_request(request: HttpRequest | Request, *, weight: int = 1) -> Rate:
    """
    Take one request from the caller's request rate: by account, or by address without a login.

    Raises:
        ApiError: 429 ``RATE_LIMITED``.
    """
    user = getattr(request, "user", None)
    if user is not None and getattr(user, "is_authenticated", False):
        tier, who = user.tier, str(user.account_id)
    else:
        plain = request._request if isinstance(request, Request) else request
        tier, who = Tier.ANONYMOUS, limit_key(client_ip(plain))
    limits = limits_of(tier)
    return take(
        "requests", who, limit=limits.requests, window_s=limits.requests_window_s, cost=weight
    )


class RequestThrottle(BaseThrottle):
    """
    The request rate of every view.

    A view may set ``rate_weight``, and ``rate_exempt`` with the methods that are counted in
    the order or cancel bucket instead.
    """

    def allow_request(self, request: Request, view: "APIView") -> bool:
        """
        Return True, and note what is left for the headers of the answer.

        Raises:
            ApiError: 429 ``RATE_LIMITED``.
        """
        exempt: frozenset[str] = getattr(view, "rate_exempt", frozenset())
        if request.method in exempt:
            return True
        rate = take_request(request, weight=getattr(view, "rate_weight", 1))
        if rate.limit:
            show_rate(request, rate)
        return True


def show_rate(request: HttpRequest | Request, rate: Rate) -> None:
    """Let the answer carry ``X-RateLimit-Limit`` and ``X-RateLimit-Remaining``."""
    plain = request._request if isinstance(request, Request) else request
    plain.rate_limit = rate  # type: ignore[attr-defined]
