"""
Who is deleveraged first: BitMEX's ranking, and the five lights by which traders know their place.

A position's score is its profit in per cent times its effective leverage, or divided by it while
it loses; of each side of a market the highest come first. The risk engine ranks everybody and
publishes where the fifths of a side begin, from which each position's light follows.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import redis

from common import redis as redis_clients
from exchange import redis_rest

LIGHTS = 5

# Where the fifths of a side begin say nothing about markets that nobody ranks any more.
LIGHTS_KEPT_MS = 60_000

# By side ("long", "short"): the scores at which lights 2 to 5 begin.
Limits = dict[str, list[float]]
_decode = msgspec.json.Decoder(Limits).decode


def side_name(quantity_atoms: int) -> str:
    """Return what a side of a market is called."""
    return "long" if quantity_atoms > 0 else "short"


def score(
    *, quantity_atoms: int, cost_atoms: int, mark_atoms: int, bankruptcy_quote_atoms: int
) -> float:
    """
    Return the score of an open position by which it is ranked; the highest is closed first.

    ``bankruptcy_quote_atoms`` is its value at its bankruptcy price, unsigned. A float, since it
    only orders: who is closed, and at what, the exchange decides in integers. Source: BitMEX,
    "Auto-deleveraging" (ranking); DOMAIN 4.2.
    """
    sign = 1 if quantity_atoms > 0 else -1
    value = quantity_atoms * mark_atoms / 1e8
    entry = abs(cost_atoms)
    profit = (value - cost_atoms) / entry if entry else 0.0
    margin = value - sign * bankruptcy_quote_atoms
    leverage = abs(value) / margin if margin > 0 else 0.0
    if not leverage:
        return 0.0
    return profit * leverage if profit > 0 else profit / leverage


def lights_key(market_id: int) -> str:
    """Return where the limits of a market's lights are."""
    return redis_clients.key("risk", "lights", market_id)


def limits_read(market_ids: Sequence[int]) -> dict[int, Limits]:
    """Return where the fifths of markets begin, without those that nobody ranks just now."""
    if not market_ids or redis_rest.is_resting():
        return {}
    try:
        raws: list[bytes | None] = redis_clients.client().mget(  # type: ignore[assignment]
            [lights_key(market_id) for market_id in market_ids]
        )
    except redis.RedisError as error:
        redis_rest.note_failure(error)
        return {}
    found = zip(market_ids, raws, strict=True)
    return {market_id: _decode(raw) for market_id, raw in found if raw is not None}


def light_of(limits: Limits, *, quantity_atoms: int, own_score: float) -> int:
    """Return a position's light, from 1 (last to be deleveraged) to 5."""
    return 1 + sum(own_score >= limit for limit in limits.get(side_name(quantity_atoms), ()))
