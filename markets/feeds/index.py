"""
One index price from several sources: median, clip, weights, quorum.

Pure integer arithmetic in atoms. The exchange's own book is never a source (weight 0): what
is traded here must not move the price that judges positions here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from exchange.core.units import RATE_ONE
from markets.enums import PriceState

# No source may pull the index from further than this off the median.
CLIP_RATE_E8 = 2_000_000

# Two live sources are an index; one is a hint.
QUORUM = 2


@dataclass(frozen=True, slots=True)
class IndexValue:
    """
    An index price and how far it can be trusted.

    ``price_atoms`` is None when there is no price to set: nothing is live, or two sources
    contradict each other and neither can be believed.
    """

    price_atoms: int | None
    state: PriceState
    median_atoms: int | None = None


def median_atoms(prices_atoms: list[int]) -> int:
    """
    Return the median; of an even number the middle of the middle two, rounded down.

    Raises:
        ValueError: if there are no prices.
    """
    if not prices_atoms:
        raise ValueError("expected at least one price")
    ordered = sorted(prices_atoms)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) // 2


def clip_atoms(price_atoms: int, *, median: int) -> int:
    """Return a price moved to the nearest edge of median +- ``CLIP_RATE_E8``, if outside."""
    distance = median * CLIP_RATE_E8 // RATE_ONE
    return min(max(price_atoms, median - distance), median + distance)


def to_tether_atoms(*, usd_price_atoms: int, tether_usd_atoms: int) -> int:
    """
    Return a USD price in USDT: price / (USD per USDT), rounded half up.

    Raises:
        ValueError: if the exchange rate is not positive.
    """
    if tether_usd_atoms < 1:
        raise ValueError(f"expected a positive rate, was {tether_usd_atoms}")
    return (usd_price_atoms * RATE_ONE + tether_usd_atoms // 2) // tether_usd_atoms


def to_usd_atoms(*, tether_price_atoms: int, tether_usd_atoms: int) -> int:
    """Return a USDT price in USD: price x (USD per USDT), rounded half up."""
    return (tether_price_atoms * tether_usd_atoms + RATE_ONE // 2) // RATE_ONE


def combine(prices_atoms: Mapping[str, int], weights: Mapping[str, int]) -> IndexValue:
    """
    Return the index of the live sources' prices; a source without a weight counts 1.

    The weighted mean of the clipped prices, rounded half up. Two sources that both lie
    outside the clip band around their middle contradict each other: nobody can tell which is
    wrong, so no price is set and the state is DEGRADED.
    """
    live = {name: price for name, price in prices_atoms.items() if weights.get(name, 1) > 0}
    if not live:
        return IndexValue(price_atoms=None, state=PriceState.HALTED)
    median = median_atoms(list(live.values()))
    if len(live) < QUORUM:
        return IndexValue(price_atoms=median, state=PriceState.DEGRADED, median_atoms=median)
    clipped = {name: clip_atoms(price, median=median) for name, price in live.items()}
    if len(live) == 2 and all(clipped[name] != price for name, price in live.items()):
        return IndexValue(price_atoms=None, state=PriceState.DEGRADED, median_atoms=median)
    weight_sum = sum(weights.get(name, 1) for name in live)
    weighted = sum(price * weights.get(name, 1) for name, price in clipped.items())
    mean = (weighted + weight_sum // 2) // weight_sum
    return IndexValue(price_atoms=mean, state=PriceState.LIVE, median_atoms=median)
