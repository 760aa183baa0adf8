"""
Rate limits by account, or by address without a login; requests, orders and cancels apart.

They are taken atomically (``limit_store``). Large limits are drawn from Redis in portions and
spent in the process, so that a fast client does not cost a round trip per request; limits
below ``PORTION_FROM`` are exact over all processes, and no limit ever grants more than it has.
"""

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from django.conf import settings
from django.http import HttpRequest
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from common.errors import ApiError
from common.limit_store import store
from common.network import client_ip, limit_key
from common.tiers import Tier, limits_of
from exchange import redis_rest

if TYPE_CHECKING:
    from rest_framework.views import APIView

log = structlog.get_logger(__name__)

# From this limit on a process draws a fiftieth at a time.
PORTION_FROM = 500
_PORTIONS = 50
_LEASES_MAX = 50_000
# Ends of one window, told by Redis at different times, differ by what the answers took.
_SAME_WINDOW_S = 0.5


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit, what is left of it, and when its window ends; shown in the headers of the answer."""

    limit: int
    remaining: int
    ends_in_ms: int = 0


def rate_headers(rate: Rate) -> dict[str, str]:
    """Return the headers that show a rate; ``Reset`` is in seconds, rounded up."""
    return {
        "X-RateLimit-Limit": str(rate.limit),
        "X-RateLimit-Remaining": str(rate.remaining),
        "X-RateLimit-Reset": str(-(-rate.ends_in_ms // 1000)),
    }


class RateLimited(ApiError):
    """More than a limit has: 429 with what the headers of the answer show."""

    def __init__(self, code: str, message: str, rate: Rate) -> None:
        """Say when to come back."""
        retry_after_s = max(1, -(-rate.ends_in_ms // 1000))
        super().__init__(code, message, 429, retry_after_s=retry_after_s)
        self.headers = rate_headers(rate)


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
# Buckets: what uses up one leaves the others alone.
REQUESTS, ORDERS, CANCELS = "requests", "orders", "cancels"


class _Leases:
    """Portions of large limits that this process has drawn and not spent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[str, tuple[int, float, int]] = {}

    def spend(self, key: str, cost: int) -> tuple[int, int] | None:
        """Return what remains, and the ms until its window ends, if the lease covers the cost."""
        with self._lock:
            lease = self._left.get(key)
            if lease is None:
                return None
            tokens, ends, remaining = lease
            ends_in_ms = round((ends - time.monotonic()) * 1000)
            if tokens < cost or ends_in_ms <= 0:
                return None
            self._left[key] = (tokens - cost, ends, remaining)
            return remaining + tokens - cost, ends_in_ms

    def add(self, key: str, tokens: int, *, ends_in_ms: int, remaining: int) -> None:
        """Keep drawn tokens until the window ends from which they were drawn."""
        now = time.monotonic()
        ends = now + ends_in_ms / 1000
        with self._lock:
            if len(self._left) >= _LEASES_MAX:
                self._left.clear()
            left, old_ends, _ = self._left.get(key, (0, 0.0, 0))
            # Tokens of a window that is over must not be spent in the next.
            if old_ends <= now or old_ends < ends - _SAME_WINDOW_S:
                left = 0
            self._left[key] = (left + tokens, ends, remaining)

    def held(self, key: str) -> int:
        """Return the tokens that this process has drawn and not spent."""
        with self._lock:
            tokens, ends, _ = self._left.get(key, (0, 0.0, 0))
            return tokens if ends > time.monotonic() else 0

    def clear(self) -> None:
        with self._lock:
            self._left.clear()


_leases = _Leases()


def reset() -> None:
    """Forget storage and portions; for tests."""
    _leases.clear()
    store.clear()


def is_resting() -> bool:
    """Return whether nothing can be counted because Redis has just failed."""
    return settings.LIMITS_STORAGE == "redis" and redis_rest.is_resting()


def count(bucket: str, who: str, *, window_s: int, amount: int = 1) -> int:
    """
    Add to a counter and return it; ``amount`` may be negative to give back.

    Raises:
        redis.exceptions.RedisError: if Redis cannot be asked.
    """
    return int(store().counters.incr(f"{bucket}/{who}", window_s, amount))


def counted(bucket: str, who: str) -> int:
    """
    Return a counter without changing it.

    Raises:
        redis.exceptions.RedisError: if Redis cannot be asked.
    """
    return int(store().counters.get(f"{bucket}/{who}"))


def forget(bucket: str, who: str) -> None:
    """
    Delete a counter.

    Raises:
        redis.exceptions.RedisError: if Redis cannot be asked.
    """
    store().counters.clear(f"{bucket}/{who}")


def seconds_left(bucket: str, who: str, *, window_s: int) -> int:
    """Return how long a counter still counts, at least one second."""
    try:
        ends = float(store().counters.get_expiry(f"{bucket}/{who}"))
    except RedisError:
        return window_s
    return max(1, min(window_s, round(ends - time.time() + 0.5)))


def take(
    bucket: str, who: str, *, limit: int, window_s: int, cost: int = 1, code: str = "RATE_LIMITED"
) -> Rate:
    """
    Take ``cost`` from a limit. While Redis is away everything is allowed.

    Raises:
        RateLimited: 429 with ``code`` and Retry-After; nothing was taken.
    """
    if limit == 0 or cost == 0:
        return UNLIMITED
    key = f"{bucket}/{who}"
    leased = _leases.spend(key, cost)
    if leased is not None:
        return Rate(limit, *leased)
    if is_resting():
        return Rate(limit, limit)
    try:
        return _drawn(key, limit=limit, window_s=window_s, cost=cost, code=code)
    except RedisError as error:
        redis_rest.note_failure(error)
        log.warning("rate_limit_unavailable", bucket=bucket, error=type(error).__name__)
        return Rate(limit, limit)


def _drawn(key: str, *, limit: int, window_s: int, cost: int, code: str) -> Rate:
    """Take from the store: a whole portion of a large limit while it has one, else the cost."""
    portion = limit // _PORTIONS if limit >= PORTION_FROM else 0
    if portion > cost:
        taken = store().take(key, cost=portion, limit=limit, window_s=window_s)
        if taken.granted:
            spare = portion - cost
            _leases.add(key, spare, ends_in_ms=taken.ends_in_ms, remaining=taken.remaining)
            return Rate(limit, taken.remaining + spare, taken.ends_in_ms)
    taken = store().take(key, cost=cost, limit=limit, window_s=window_s)
    if not taken.granted:
        rate = Rate(limit, taken.remaining, taken.ends_in_ms)
        raise RateLimited(code, f"More than {limit} per {window_s} s.", rate)
    return Rate(limit, taken.remaining, taken.ends_in_ms)


def look(bucket: str, who: str, *, limit: int, window_s: int) -> Rate:
    """
    Return what is left of a limit without taking from it.

    Portions that other processes hold of a large limit count as taken. While Redis is away
    everything is left.
    """
    if limit == 0:
        return UNLIMITED
    if is_resting():
        return Rate(limit, limit)
    key = f"{bucket}/{who}"
    try:
        seen = store().take(key, cost=0, limit=limit, window_s=window_s)
    except RedisError as error:
        redis_rest.note_failure(error)
        log.warning("rate_limit_unavailable", bucket=bucket, error=type(error).__name__)
        return Rate(limit, limit)
    used = seen.remaining < limit
    remaining = min(limit, seen.remaining + _leases.held(key))
    return Rate(limit, remaining, seen.ends_in_ms if used else 0)


def look_requests(caller: Caller) -> Rate:
    """Return what is left of an account's request rate."""
    limits = limits_of(caller.tier)
    return look(
        REQUESTS,
        str(caller.account_id),
        limit=limits.requests,
        window_s=limits.requests_window_s,
    )


def look_orders(caller: Caller) -> Rate:
    """Return what is left of an account's order rate."""
    limit = limits_of(caller.tier).orders_per_s
    return look(ORDERS, str(caller.account_id), limit=limit, window_s=1)


def look_cancels(caller: Caller) -> Rate:
    """Return what is left of an account's cancel rate."""
    limit = limits_of(caller.tier).cancels_per_s
    return look(CANCELS, str(caller.account_id), limit=limit, window_s=1)


def take_orders(caller: Caller, number: int = 1) -> Rate:
    """
    Take from the order rate of an account; a batch of n counts n.

    Raises:
        ApiError: 429 ``ORDER_RATE``.
    """
    limit = limits_of(caller.tier).orders_per_s
    who = str(caller.account_id)
    return take(ORDERS, who, limit=limit, window_s=1, cost=number, code="ORDER_RATE")


def take_cancels(caller: Caller, number: int = 1) -> Rate:
    """
    Take from the cancel rate, which no order limit touches.

    Raises:
        ApiError: 429 ``RATE_LIMITED``.
    """
    limit = limits_of(caller.tier).cancels_per_s
    return take(CANCELS, str(caller.account_id), limit=limit, window_s=1, cost=number)


async def take_orders_async(caller: Caller, number: int = 1) -> Rate:
    """Do what :func:`take_orders` does without blocking the event loop."""
    limit = limits_of(caller.tier).orders_per_s
    return await _take_async(take_orders, ORDERS, caller, number, limit)


async def take_cancels_async(caller: Caller, number: int = 1) -> Rate:
    """Do what :func:`take_cancels` does without blocking the event loop."""
    limit = limits_of(caller.tier).cancels_per_s
    return await _take_async(take_cancels, CANCELS, caller, number, limit)


async def _take_async(function: Any, bucket: str, caller: Caller, number: int, limit: int) -> Rate:
    if limit == 0:
        return UNLIMITED
    leased = _leases.spend(f"{bucket}/{caller.account_id}", number)
    if leased is not None:
        return Rate(limit, *leased)
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
        REQUESTS, who, limit=limits.requests, window_s=limits.requests_window_s, cost=weight
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
    """Let the answer show a rate in its headers."""
    plain = request._request if isinstance(request, Request) else request
    plain.rate_headers = rate_headers(rate)  # type: ignore[attr-defined]
