"""A market's settings against prices that run away."""

from __future__ import annotations

import msgspec

from exchange.core.units import RATE_ONE

TIME_MAX_MS = 24 * 3_600_000


class MarketSafety(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    When a market stops by itself, and when conditional orders do not believe a price.

    Circuit breaker: a trade further than ``breaker_band_e8`` (a rate of 10^-8; 0: none)
    from the reference price of the last ``breaker_window_ms`` does not happen; the market is
    halted for ``halt_ms``, then takes cancels only for ``cancel_only_ms``, then post-only
    orders for ``post_only_ms``. ``trigger_protect_e8`` (0: none) is how far the last price may
    be from the mark price for orders with price protection to fire.
    """

    breaker_band_e8: int = 0
    breaker_window_ms: int = 300_000
    halt_ms: int = 60_000
    cancel_only_ms: int = 5_000
    post_only_ms: int = 10_000
    trigger_protect_e8: int = 0

    def is_valid(self) -> bool:
        """Tell whether rates are below one and times between 0 and a day, the window above."""
        return (
            0 <= self.breaker_band_e8 < RATE_ONE
            and 0 <= self.trigger_protect_e8 < RATE_ONE
            and 0 < self.breaker_window_ms <= TIME_MAX_MS
            and all(
                0 <= time_ms <= TIME_MAX_MS
                for time_ms in (self.halt_ms, self.cancel_only_ms, self.post_only_ms)
            )
        )


NO_SAFETY = MarketSafety()
