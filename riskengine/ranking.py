"""
The ranking of deleveraging over arrays: ``positions.adl.score`` of everybody at once.

Source: BitMEX, "Auto-deleveraging"; DOMAIN 4.2.
"""

from __future__ import annotations

import numpy as np

from positions.adl import LIGHTS, Limits
from riskengine.screen import ATOMS, Floats, Integers, MarketArrays


def scores(market: MarketArrays, balances: Floats, needs: Floats) -> Floats:
    """
    Return the score of each position of a market.

    ``balances`` and ``needs`` are those of all margin wallets: each cross position stands for
    the share of its wallet's balance that its maintenance margin has in the whole.
    """
    count = market.count
    profits = market.profits(0, count)
    margins = market.wallets[:count] + profits
    scopes = market.scopes[:count]
    crossed = scopes >= 0
    if crossed.any():
        rows = scopes[crossed]
        own = market.maintenances(0, count)[crossed]
        shares = np.zeros(len(rows))
        np.divide(balances[rows] * own, needs[rows], out=shares, where=needs[rows] > 0)
        margins[crossed] = shares
    values = np.abs(market.quantities[:count]) * (market.mark_atoms / ATOMS)
    # A bankruptcy price is never negative, so a long never stands for more than its value.
    longs = market.quantities[:count] > 0
    margins[longs] = np.minimum(margins[longs], values[longs])
    leverages = np.zeros(count)
    np.divide(values, margins, out=leverages, where=margins > 0)
    entries = np.abs(market.costs[:count])
    gains = np.zeros(count)
    np.divide(profits, entries, out=gains, where=entries > 0)
    found = np.where(gains > 0, gains * leverages, 0.0)
    np.divide(gains, leverages, out=found, where=(gains <= 0) & (leverages > 0))
    return found


def best(market: MarketArrays, found: Floats, *, limit: int) -> list[int]:
    """Return the accounts of a market that come first, by score, half of them of each side."""
    count = market.count
    chosen: list[Integers] = []
    for side in (market.quantities[:count] > 0, market.quantities[:count] < 0):
        rows = np.flatnonzero(side)
        order = np.argsort(-found[rows], kind="stable")[: limit // 2]
        chosen.append(market.accounts[rows[order]])
    longest = max(len(side) for side in chosen)
    return [int(side[place]) for place in range(longest) for side in chosen if place < len(side)]


def light_limits(market: MarketArrays, found: Floats) -> Limits:
    """Return, per side, the scores at which lights 2 to 5 begin."""
    count = market.count
    limits: Limits = {}
    shares = [number / LIGHTS for number in range(1, LIGHTS)]
    for name, side in (
        ("long", market.quantities[:count] > 0),
        ("short", market.quantities[:count] < 0),
    ):
        own = found[side]
        limits[name] = [float(limit) for limit in np.quantile(own, shares)] if len(own) else []
    return limits
