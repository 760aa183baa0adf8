"""Formulas of other venues, and rules that our engine does not have: what rows are held against."""

from __future__ import annotations

from decimal import Decimal
from math import ceil

ONE = Decimal(1)


def isolated_price_of_gate(
    *, sign: int, entry: Decimal, margin: Decimal, size: Decimal, rate: Decimal, taker: Decimal
) -> Decimal:
    """Return Gate's and OKX's liquidation price of an isolated position."""
    return (entry - sign * margin / size) / (ONE - sign * (rate + taker))


def isolated_price_of_bybit(
    *, sign: int, entry: Decimal, leverage: Decimal, rate: Decimal
) -> Decimal:
    """Return Bybit's liquidation price of an isolated position."""
    return entry * (ONE - sign * (ONE / leverage - rate))


def loan_interest(venue: str, borrowed: Decimal, rate: Decimal, minutes: Decimal) -> Decimal:
    """Return the interest of a spot margin loan: per begun hour, or per begun four hours."""
    hours = minutes / 60
    if venue == "binance":
        return borrowed * rate * ceil(hours) / 24
    return borrowed * rate * (1 + ceil(hours / 4))


def insurance_delta(filled: Decimal, bankruptcy: Decimal, rate: Decimal) -> Decimal:
    """Return what a fund gets of a liquidation: the surplus up to the fee, or all that lacks."""
    surplus = filled - bankruptcy
    return min(surplus, rate * abs(filled)) if surplus > 0 else surplus


def max_leverage(tiers: list[dict[str, float]], margin: Decimal) -> Decimal:
    """Return the largest leverage whose notional stays in a bracket that allows it."""
    best = ONE
    for tier in tiers:
        allowed = Decimal(str(tier["maxLeverage"]))
        most = Decimal(str(tier["maxNotional"])) / margin if margin else allowed
        if most >= ONE and margin * min(allowed, most) >= Decimal(str(tier["minNotional"])):
            best = max(best, min(allowed, most))
    return best


def clip(price: Decimal, median: Decimal, cap: Decimal) -> Decimal:
    """Return a price moved to within a distance of the median."""
    return max(median * (ONE - cap), min(median * (ONE + cap), price))
