"""The one table of what each limit tier may do. 0 means no limit."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from django.conf import settings


class Tier(StrEnum):
    """Limit tier of an account; clients without a login are anonymous and counted by address."""

    ANONYMOUS = "anonymous"
    TRADER = "trader"
    MAKER = "maker"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class TierLimits:
    """Requests per window, orders and cancels per second, and the bounds of sockets."""

    requests: int
    requests_window_s: int
    orders_per_s: int
    cancels_per_s: int
    open_orders_max: int
    ws_connections_max: int
    ws_messages: int
    ws_messages_window_s: int
    ws_channels_max: int


_TABLE = {
    Tier.TRADER: TierLimits(
        requests=1_200,
        requests_window_s=60,
        orders_per_s=10,
        cancels_per_s=50,
        open_orders_max=200,
        ws_connections_max=20,
        ws_messages=100,
        ws_messages_window_s=1,
        ws_channels_max=200,
    ),
    Tier.MAKER: TierLimits(
        requests=60_000,
        requests_window_s=60,
        orders_per_s=1_000,
        cancels_per_s=5_000,
        open_orders_max=2_000,
        ws_connections_max=100,
        ws_messages=10_000,
        ws_messages_window_s=1,
        ws_channels_max=1_000,
    ),
    Tier.INTERNAL: TierLimits(
        requests=0,
        requests_window_s=60,
        orders_per_s=0,
        cancels_per_s=0,
        open_orders_max=1_000_000,
        ws_connections_max=0,
        ws_messages=0,
        ws_messages_window_s=1,
        ws_channels_max=0,
    ),
}


@cache
def _anonymous() -> TierLimits:
    return TierLimits(
        requests=settings.RATE_LIMIT_MAX_REQUESTS,
        requests_window_s=max(1, settings.RATE_LIMIT_WINDOW_MS // 1000),
        orders_per_s=1,
        cancels_per_s=1,
        open_orders_max=0,
        ws_connections_max=settings.WS_MAX_CONNECTIONS,
        ws_messages=settings.WS_RATE_LIMIT_POINTS,
        ws_messages_window_s=settings.WS_RATE_LIMIT_DURATION_S,
        ws_channels_max=200,
    )


def limits_of(tier: Tier) -> TierLimits:
    """Return the limits of a tier; the anonymous ones come from the environment."""
    if tier is Tier.ANONYMOUS:
        return _anonymous()
    return _TABLE[tier]
